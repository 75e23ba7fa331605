"""The handlers that are measured at a gate: what a game's would be, with nothing in them."""

import time

import attrs
import gevent

from firefly_core import command, push

shout = push(1001, bytes, name="shout")


@attrs.frozen
class Move:
    """A small typed payload."""

    x: int
    y: int
    name: str


@command(1)
def echo(ctx, body: bytes) -> bytes:
    return body


@command(2, public=True)
def login(ctx, body: bytes) -> bytes:
    ctx.session.bind(ctx.session.id)
    return body


@command(3)
def echo_after_yield(ctx, body: bytes) -> bytes:
    gevent.sleep(0)
    return body


@command(4)
def typed_echo(ctx, move: Move) -> Move:
    return move


@command(5, public=True)
def join(ctx, body: bytes) -> bytes:
    ctx.session.bind(ctx.session.id)
    ctx.group("all").join(ctx.session)
    return body


@command(6)
def broadcast(ctx, body: bytes) -> bytes:
    ctx.group("all").push(shout, body)
    return body


@command(7)
def longest_turn(ctx, body: bytes) -> bytes:
    """Push to the group, and give the longest time for which that held the loop, in microseconds."""
    ctx.group("all").push(shout, body)
    longest = 0.0
    began = last = time.perf_counter()
    while last - began < 0.5:
        gevent.sleep(0)
        now = time.perf_counter()
        longest = max(longest, now - last)
        last = now
    return b"%d" % (longest * 1e6)
