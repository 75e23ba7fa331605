"""The game: what happens when a player sends something. A function with a decorator is all that a command takes."""

from __future__ import annotations

from typing import Annotated, Any

import attrs
from msgspec import Meta

from firefly_core import Refuse, command, on_disconnect, on_start, push


# What players send and get. Types and bounds are checked before a handler sees anything.
@attrs.frozen
class Login:
    name: Annotated[str, Meta(min_length=1, max_length=20)]


@attrs.frozen
class Say:
    text: Annotated[str, Meta(min_length=1, max_length=200)]


@attrs.frozen
class Said:
    name: str
    text: str


@attrs.define
class World:
    """What this server remembers: `ctx.state` in every handler, the same one after a reload."""

    names: set[str] = attrs.Factory(set)


said = push(2001, Said, name="said")  # what the server sends unasked


@on_start
def start(ctx: Any) -> World:
    return World()


@command(101, public=True)  # public: allowed before login
def login(ctx: Any, request: Login) -> list[str]:
    """Come in under a name; answers who is here."""
    if ctx.uid is not None:
        raise Refuse("logged_in", "you are here already")
    if request.name in ctx.state.names:
        raise Refuse("taken", "somebody is here under that name")
    ctx.state.names.add(request.name)
    ctx.session.bind(request.name)
    ctx.group("everybody").join(ctx.session)
    return sorted(ctx.state.names)


@command(102, rate="5/s")
def say(ctx: Any, request: Say) -> None:
    """Say something to everybody who is here."""
    ctx.group("everybody").push(said, Said(ctx.uid, request.text))


@on_disconnect
def leave(ctx: Any) -> None:
    ctx.state.names.discard(ctx.uid)
