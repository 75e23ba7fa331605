"""The game that is played while its servers are killed: a player numbers his catches, and each is counted once."""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Iterator
from typing import Any

import attrs
import gevent
from baskets import Basket

from firefly_core import command, every, on_start, push
from firefly_core.errors import NotFound

wind = push(2001, name="wind")


@attrs.frozen
class Orchard:
    """One run of one world: its gusts of wind are numbered."""

    run: str
    gusts: Iterator[int]


@on_start
def start(ctx: Any) -> Orchard:
    return Orchard(secrets.token_hex(4), itertools.count(1))


@command(1, public=True)
def login(ctx: Any, player: int) -> int:
    ctx.session.bind(player)
    ctx.group("orchard").join(ctx.session)
    return player


@command(2)
def catch(ctx: Any, number: int) -> list[int]:
    """Count a catch; some take a while, so that servers die in the middle of them."""
    if number % 4 == 0:
        gevent.sleep(0.05)

    def count(unit: Any) -> int:
        try:
            basket = unit.get(Basket, ctx.uid)
        except NotFound:
            basket = unit.create(Basket, player=ctx.uid)
        basket.catches += 1
        basket.numbers = f"{basket.numbers} {number}"
        unit.save(basket)
        return int(basket.catches)

    return [ctx.uid, number, ctx.db.transact(count)]


@every(1.0)
def blow(ctx: Any) -> None:
    ctx.group("orchard").push(wind, [ctx.state.run, next(ctx.state.gusts)])
