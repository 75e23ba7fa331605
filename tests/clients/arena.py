"""The game that clients are tested with: it counts what it executes."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Any

import attrs
import gevent
from msgspec import Meta

from firefly_core import Refuse, command, on_disconnect, on_start, push

news = push(2001, name="news")


@attrs.define
class Arena:
    """What has happened."""

    counts: Counter[str] = attrs.Factory(Counter)
    left: list[str] = attrs.Factory(list)
    closed: bool = False


@attrs.frozen
class Count:
    """2: what to count, and how long that takes."""

    key: str
    seconds: Annotated[float, Meta(ge=0, le=5)] = 0.0


@on_start
def start(ctx: Any) -> Arena:
    return Arena()


@command(1, public=True)
def login(ctx: Any, name: str) -> dict[str, Any]:
    if name == "nobody":
        raise Refuse("bad_name", "nobody may not come in")
    ctx.session.bind(name)
    ctx.group("arena").join(ctx.session)
    ctx.state.counts[f"login {name}"] += 1
    return {"you": name, "logins": ctx.state.counts[f"login {name}"]}


@command(2)
def count(ctx: Any, request: Count) -> int:
    gevent.sleep(request.seconds)
    ctx.state.counts[request.key] += 1
    return ctx.state.counts[request.key]


@command(3)
def tell(ctx: Any, text: Any) -> None:
    ctx.group("arena").push(news, text)


@command(4)
def kick(ctx: Any, reason: str) -> None:
    ctx.session.kick(reason)


@command(5)
def refuse(ctx: Any) -> None:
    raise Refuse("no_luck", "not today: ü")


@command(6)
def counted(ctx: Any, key: str) -> int:
    return ctx.state.counts[key]


@command(7)
def echo(ctx: Any, body: Any) -> Any:
    return body


@command(8)
def left(ctx: Any) -> list[str]:
    return ctx.state.left


@on_disconnect
def gone(ctx: Any) -> None:
    if ctx.uid is not None:
        ctx.state.left.append(ctx.uid)
