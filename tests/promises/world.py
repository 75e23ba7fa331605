"""The handlers of a server that uses the db-cache."""

from __future__ import annotations

from typing import Any

from firefly_core import remote
from tests.promises.models import Hero, Item


@remote("db.get")
def get(ctx: Any, key: int) -> list[Any]:
    hero = ctx.db.get(Hero, key)
    return [hero.name, hero.gold, hero.ver]


@remote("db.count")
def count(ctx: Any, key: int, times: int) -> int:
    def change(hero: Hero) -> None:
        hero.gold += 1

    for _ in range(times):
        ctx.db.update(Hero, key, change)
    return times


@remote("db.trade")
def trade(ctx: Any, seller: int, buyer: int, item: int, price: int) -> None:
    def work(unit: Any) -> None:
        goods = unit.get(Item, item)
        goods.hero = buyer
        unit.save(goods)
        unit.add(Hero, seller, gold=price)
        unit.add(Hero, buyer, gold=-price)

    ctx.db.transact(work)
