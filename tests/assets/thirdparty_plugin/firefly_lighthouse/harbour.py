"""A handler plugin: ships log in, dock and hear of each other."""

import attrs

from firefly_core import Refuse, command, on_start, push

docked = push(2001, name="docked")


@attrs.frozen
class Dock:
    berth: int


@on_start
def open_harbour(ctx):
    return {}


@command(101, public=True)
def login(ctx, name: str) -> str:
    ctx.session.bind(name)
    ctx.group("harbour").join(ctx.session)
    return f"welcome to {ctx.port}, {name}"


@command(110)
def dock(ctx, request: Dock) -> int:
    if request.berth in ctx.state:
        raise Refuse("taken", f"berth {request.berth} is taken")
    ctx.state[request.berth] = ctx.uid
    ctx.group("harbour").push(docked, [ctx.uid, request.berth])
    return request.berth
