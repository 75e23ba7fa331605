"""The handlers of Firefly Meadow: what the server does when a player sends something, and ten times a second unasked.

Read it from top to bottom; it is all there is between the players and `meadow.py`, which holds the rules of the game
and does not know that a network exists. What the messages look like stands in `messages.py`.
"""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any

from example_game.heroes import Hero, Heroes, Poor, clean
from example_game.meadow import MAX_PLAYERS, Meadow, Player
from example_game.messages import (
    Catch,
    Caught,
    Gift,
    Give,
    Left,
    Login,
    Move,
    PlayerView,
    Purse,
    Rank,
    Said,
    Say,
    Top,
    Wander,
    Welcome,
    World,
)
from firefly_core import Refuse, command, every, on_disconnect, on_start, push, remote

if TYPE_CHECKING:
    from example_game.stored_heroes import StoredHeroes

# What the server sends unasked. A `droppable` push is left out for a client that cannot keep up: the next one, or at
# the latest the next full one, tells him the same. `reliable` (the default) is never left out.
world = push(2001, World, name="world", policy="droppable")
chat = push(2002, Said, name="chat")
caught = push(2003, Caught, name="caught")
left = push(2004, Left, name="left")
gift = push(2005, Gift, name="gift")

TICK = 0.1  # seconds


@on_start
def start(ctx: Any) -> Meadow:
    """Make two meadows. The first, from which one gets to the other, is `ctx.state` in every handler from now on."""
    ctx.log.info("the meadow is open")
    return Meadow(Random(), beyond=Meadow(Random(), "grove"))  # noqa: S311  fireflies need no cryptography


@command(101, public=True)
def login(ctx: Any, request: Login) -> Welcome:
    """Come in by name. There is no password: whoever bears the name is the hero, the last one to come stays."""
    hero = heroes(ctx).named(request.name)
    if hero is None:
        raise Refuse("bad_name", "a name needs at least one letter that people can read")
    if ctx.uid not in (None, hero.key):
        raise Refuse("logged_in", "you are here under another name already")
    player = ctx.state.find(hero.key)
    there = player.meadow if player else meadow_named(ctx, request.meadow) or ctx.state
    if not player and len(there.players) >= MAX_PLAYERS:
        raise Refuse("full", "the meadow is full just now, please come back later")
    if player and player.session != ctx.session.id:
        # He is here by another connection, which `bind` ends; who hears of his own leaving does not try to come back.
        ctx.group(there.name).push(left, Left(hero.key))
    ctx.session.bind(hero.key)
    return enter(ctx, there, hero)


@command(102, rate="20/s")
def move(ctx: Any, request: Move) -> PlayerView:
    """Walk towards a place. The server takes the steps, so nobody is faster than the others."""
    player = here(ctx)
    player.meadow.head_for(player, request.x, request.y)
    return PlayerView.of(player)


@command(103, rate="10/s")
def catch(ctx: Any, request: Catch) -> Caught:
    """Catch a firefly within reach; the first one who reaches for it gets it."""
    player = here(ctx)
    meadow = player.meadow
    firefly = meadow.fireflies.get(request.firefly)
    if firefly is None:
        raise Refuse("gone", "that firefly is gone")
    if not meadow.reaches(player, firefly):
        raise Refuse("too_far", "that firefly is out of reach")
    # Out of the air first, whoever else reaches for it meanwhile; the points are safe when `award` returns.
    points = meadow.catch(firefly)
    hero = player.hero
    heroes(ctx).award(hero, points)
    result = Caught(firefly.id, hero.key, hero.name, points, hero.score, hero.gold)
    ctx.group(meadow.name).push(caught, result)
    return result


@command(104, rate="2/s")
def say(ctx: Any, request: Say) -> None:
    """Tell everybody in the same meadow something."""
    player, text = here(ctx), clean(request.text)
    if not text:
        raise Refuse("empty", "there is nothing to say in that")
    player.meadow.chat.append((player.hero.name, text))
    ctx.group(player.meadow.name).push(chat, Said(player.hero.name, text))


@command(105, rate="5/s")
def top(ctx: Any, request: Top) -> list[Rank]:
    """Show the ranking."""
    return ranking(ctx, request.count)


@command(107, rate="5/s")
def give(ctx: Any, request: Give) -> Purse:
    """Give another player who is here some of your gold."""
    giver, taker = here(ctx).hero, ctx.state.find(request.to)
    if taker is None or taker.hero is giver:
        raise Refuse("nobody", "there is nobody of that name to give it to")
    try:
        heroes(ctx).give(giver, taker.hero, request.gold)
    except Poor:
        raise Refuse("poor", f"you have {giver.gold} gold") from None
    ctx.push_to(taker.hero.key, gift, Gift(giver.name, request.gold, taker.hero.gold))
    return Purse(giver.gold)


@command(108, rate="2/s")
def wander(ctx: Any, request: Wander) -> Welcome:
    """Walk over to another meadow, and see all that is there."""
    player, there = here(ctx), meadow_named(ctx, request.to)
    if there is None:
        raise Refuse("no_meadow", "there is no meadow of that name")
    if there is not player.meadow and len(there.players) >= MAX_PLAYERS:
        raise Refuse("full", "that meadow is full just now")
    if there is not player.meadow:
        player.meadow.leave(ctx.uid, ctx.session.id)
        ctx.group(player.meadow.name).leave(ctx.session)
        ctx.group(player.meadow.name).push(left, Left(ctx.uid))
    return enter(ctx, there, player.hero)


@remote("ranking.top", open=True, idempotent=True)
def ranking(ctx: Any, count: int = 10) -> list[Rank]:
    """The ranking for other servers, and (`open`) for anybody who can reach a root that is open."""
    return [Rank.of(hero) for hero in heroes(ctx).top(max(1, min(count, 50)))]


@every(TICK)
def tick(ctx: Any) -> None:
    """Let the world live, and tell everybody what has changed."""
    for meadow in ctx.state.all():
        change = meadow.tick(TICK)
        # With nobody here the full ones are told all the same: those who were here before a restart learn from them.
        if change.full or (change and meadow.players):
            ctx.group(meadow.name).push(world, World.of(meadow.season, change))


@on_disconnect
def gone(ctx: Any) -> None:
    """Take the player out when his connection ends."""
    player = ctx.state.find(ctx.uid)
    if player and player.meadow.leave(ctx.uid, ctx.session.id):
        ctx.group(player.meadow.name).push(left, Left(ctx.uid))


def enter(ctx: Any, meadow: Meadow, hero: Hero) -> Welcome:
    """Let the hero into a meadow: from now on he hears what is pushed to its group, and to no other's."""
    player = meadow.enter(hero, ctx.session.id)
    for each in ctx.state.all():
        group = ctx.group(each.name)
        (group.join if each is meadow else group.leave)(ctx.session)
    return Welcome.of(player, ctx.state.all(), ranking(ctx))


def meadow_named(ctx: Any, name: str) -> Meadow | None:
    """Give the meadow of that name."""
    return next((meadow for meadow in ctx.state.all() if meadow.name == name), None)


def heroes(ctx: Any) -> Heroes | StoredHeroes:
    """Give the heroes: in the db-cache where firefly.toml gives this server one, else in the memory of the meadow."""
    if hasattr(ctx, "db"):
        from example_game.stored_heroes import StoredHeroes

        return StoredHeroes(ctx.db)
    found: Heroes = ctx.state.heroes
    return found


def here(ctx: Any) -> Player:
    """Give the player who sends this. After a restart of this server nobody is here until he has logged in again."""
    player: Player | None = ctx.state.find(ctx.uid)
    if player is None:
        raise Refuse("not_here", "the meadow has begun anew, please log in again")
    return player
