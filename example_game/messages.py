"""Everything that travels between the meadow and its players. A body that does not fit is answered `bad_request`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import attrs
from msgspec import Meta

from example_game.heroes import NAME_LENGTH, Hero
from example_game.meadow import HEIGHT, REACH, WALK_SPEED, WIDTH, Change, Firefly, Meadow, Player

__all__ = [
    "Catch",
    "Caught",
    "FireflyView",
    "Gift",
    "Give",
    "Left",
    "Login",
    "Move",
    "PlayerView",
    "Purse",
    "Rank",
    "Said",
    "Say",
    "Top",
    "Wander",
    "Welcome",
    "World",
]

Place = Annotated[float, Meta(ge=-10_000, le=10_000)]

# ----------------------------------------------------------------------------------------- what players send


@attrs.frozen
class Login:
    """101: who wants to come in, and into which meadow, if not the first."""

    name: Annotated[str, Meta(min_length=1, max_length=NAME_LENGTH)]
    meadow: Annotated[str, Meta(max_length=16)] = ""


@attrs.frozen
class Move:
    """102: where the player wants to walk to."""

    x: Place
    y: Place


@attrs.frozen
class Catch:
    """103: which firefly he reaches for."""

    firefly: Annotated[int, Meta(ge=1)]


@attrs.frozen
class Say:
    """104: what he tells everybody."""

    text: Annotated[str, Meta(min_length=1, max_length=200)]


@attrs.frozen
class Top:
    """105: how much of the ranking he wants to see."""

    count: Annotated[int, Meta(ge=1, le=50)] = 10


@attrs.frozen
class Give:
    """107: to whom, by his key, and how much."""

    to: Annotated[str, Meta(min_length=1, max_length=64)]
    gold: Annotated[int, Meta(ge=1, le=1_000_000)]


@attrs.frozen
class Wander:
    """108: the meadow to go to."""

    to: Annotated[str, Meta(max_length=16)]


# ------------------------------------------------------------------------------ what they get as answer or push


@attrs.frozen
class PlayerView:
    """A player as the others see him."""

    id: str
    name: str
    x: float
    y: float

    @classmethod
    def of(cls, player: Player) -> PlayerView:
        """Give the view of a player."""
        return cls(player.hero.key, player.hero.name, round(player.x, 1), round(player.y, 1))


@attrs.frozen
class FireflyView:
    """A firefly as everybody sees it; `kind` is 0 amber, 1 green, 2 blue, `glow` is 0 to 1."""

    id: int
    kind: int
    x: float
    y: float
    glow: float

    @classmethod
    def of(cls, firefly: Firefly) -> FireflyView:
        """Give the view of a firefly."""
        return cls(firefly.id, firefly.kind, round(firefly.x, 1), round(firefly.y, 1), firefly.glow)


@attrs.frozen
class Rank:
    """One line of the ranking."""

    name: str
    score: int

    @classmethod
    def of(cls, hero: Hero) -> Rank:
        """Give a hero's line."""
        return cls(hero.name, hero.score)


@attrs.frozen
class World:
    """2001: those that changed in the last tick, or with `full` all there are (who is missing then, is gone)."""

    season: int
    full: bool
    players: list[PlayerView]
    fireflies: list[FireflyView]

    @classmethod
    def of(cls, season: int, change: Change) -> World:
        """Give what one tick has changed."""
        return cls(season, change.full, [*map(PlayerView.of, change.players)], [*map(FireflyView.of, change.fireflies)])


@attrs.frozen
class Said:
    """2002: somebody said something."""

    name: str
    text: str


@attrs.frozen
class Caught:
    """2003, and the answer to 103: a firefly is gone, its catcher has a new score."""

    firefly: int
    player: str
    name: str
    points: int
    score: int
    gold: int


@attrs.frozen
class Purse:
    """The answer to 107: how much gold you have left."""

    gold: int


@attrs.frozen
class Gift:
    """2005: somebody has given you gold."""

    name: str
    gold: int
    purse: int


@attrs.frozen
class Left:
    """2004: a player is no longer here; if it is yourself, you have come in by another connection."""

    player: str


@attrs.frozen
class Welcome:
    """The answer to 101 and 108: who you are, in which of the meadows, and all that is there just now."""

    you: str
    meadow: str
    meadows: list[str]
    width: float
    height: float
    speed: float
    reach: float
    world: World
    ranking: list[Rank]
    chat: list[Said]
    gold: int

    @classmethod
    def of(cls, player: Player, meadows: Sequence[Meadow], ranking: list[Rank]) -> Welcome:
        """Give what a player sees who has just come into one of the meadows."""
        here = player.meadow
        return cls(
            you=player.hero.key,
            meadow=here.name,
            meadows=[meadow.name for meadow in meadows],
            width=WIDTH,
            height=HEIGHT,
            speed=WALK_SPEED,
            reach=REACH,
            world=World.of(here.season, here.everything()),
            ranking=ranking,
            chat=[Said(name, text) for name, text in here.chat],
            gold=player.hero.gold,
        )
