"""The meadow itself, without Firefly: who stands where, which fireflies drift and glow, who may catch which.

Nothing here knows a socket or a clock: time comes in by `tick(seconds)`, chance by a `random.Random`. Lengths are
meadow units (the page draws them as pixels of a wide screen), speeds are units a second.
"""

from __future__ import annotations

import math
from collections import deque
from random import Random

import attrs

from example_game.heroes import Hero, Heroes

__all__ = [
    "FULL_INTERVAL",
    "HEIGHT",
    "MAX_PLAYERS",
    "REACH",
    "SWARM",
    "WALK_SPEED",
    "WIDTH",
    "Change",
    "Firefly",
    "Meadow",
    "Player",
]

WIDTH = 1600.0
HEIGHT = 900.0
WALK_SPEED = 200.0
REACH = 110.0  # how far a lantern-bearer's net goes
SWARM = 24  # fireflies in the air, always
MAX_PLAYERS = 200
CHAT_LINES = 20  # what a newcomer still hears

DRIFT_SPEED = 55.0
DIM, BRIGHT = 0.35, 1.0
WORTH = (1, 2, 5)  # points, by kind: amber, green, blue
RARITY = (70, 25, 5)  # how often each kind appears, in percent
EDGE = 40.0  # fireflies turn back that far from the rim
FULL_INTERVAL = 2.0  # seconds between two changes that tell everything


@attrs.define
class Player:
    """A hero who is here now. He walks towards his goal, never faster than `WALK_SPEED`."""

    hero: Hero
    meadow: Meadow
    session: int
    x: float
    y: float
    goal: tuple[float, float]

    def walk(self, seconds: float) -> bool:
        """Take the step of that many seconds; tell whether he moved at all."""
        dx, dy = self.goal[0] - self.x, self.goal[1] - self.y
        distance = math.hypot(dx, dy)
        if distance == 0:
            return False
        part = min(1.0, WALK_SPEED * seconds / distance)
        self.x, self.y = (self.x + dx * part, self.y + dy * part) if part < 1 else self.goal
        return True


@attrs.define
class Firefly:
    """A firefly. It drifts dimly for some seconds, then hangs still and glows, and is worth twice as much."""

    id: int
    kind: int
    x: float
    y: float
    heading: float
    glow: float = DIM
    mood_left: float = 0.0  # seconds until it changes between drifting and glowing

    @property
    def worth(self) -> int:
        """The points it brings if it is caught now."""
        return WORTH[self.kind] * (2 if self.glow == BRIGHT else 1)

    def drift(self, seconds: float, chance: Random) -> bool:
        """Live for that many seconds; tell whether anything about it changed."""
        self.mood_left -= seconds
        if self.mood_left <= 0:
            self.glow = DIM if self.glow == BRIGHT else BRIGHT
            self.mood_left = chance.uniform(2.0, 6.0) if self.glow == DIM else chance.uniform(1.5, 3.5)
            return True
        if self.glow == BRIGHT:
            return False
        self.heading += chance.uniform(-2.5, 2.5) * seconds
        x = self.x + math.cos(self.heading) * DRIFT_SPEED * seconds
        y = self.y + math.sin(self.heading) * DRIFT_SPEED * seconds
        if not (EDGE < x < WIDTH - EDGE and EDGE < y < HEIGHT - EDGE):
            self.heading = math.atan2(HEIGHT / 2 - self.y, WIDTH / 2 - self.x)
        self.x, self.y = _within(x, WIDTH), _within(y, HEIGHT)
        return True


@attrs.define
class Change:
    """What one tick has changed; with `full`, everything there is, and who is not named is not there."""

    full: bool
    players: list[Player]
    fireflies: list[Firefly]

    def __bool__(self) -> bool:
        return bool(self.full or self.players or self.fireflies)


class Meadow:
    """One meadow. `season` tells it from every other, and one life of the world from the next, after a restart."""

    def __init__(self, chance: Random, name: str = "meadow", beyond: Meadow | None = None, swarm: int = SWARM) -> None:
        self.chance = chance
        self.name = name
        self.beyond = beyond  # another one, to which one may wander
        self.season = chance.getrandbits(32)
        self.heroes = Heroes()
        self.players: dict[str, Player] = {}
        self.fireflies: dict[int, Firefly] = {}
        self.chat: deque[tuple[str, str]] = deque(maxlen=CHAT_LINES)
        self._moved: set[str] = set()
        self._last_firefly = 0
        self._since_full = 0.0
        for _ in range(swarm):
            self._hatch()

    def all(self) -> list[Meadow]:
        """Give this meadow and those beyond it."""
        return [self, *(self.beyond.all() if self.beyond is not None else ())]

    def find(self, uid: str | None) -> Player | None:
        """Give the player of that key, in whichever meadow he is."""
        return next((meadow.players[uid] for meadow in self.all() if uid is not None and uid in meadow.players), None)

    def enter(self, hero: Hero, session: int) -> Player:
        """Let the hero in; one who is here already stays where he stands and now listens to `session`."""
        player = self.players.get(hero.key)
        if player is None:
            x, y = self.chance.uniform(0.3, 0.7) * WIDTH, self.chance.uniform(0.4, 0.8) * HEIGHT
            player = self.players[hero.key] = Player(hero, self, session, x, y, (x, y))
        player.session = session
        self._moved.add(hero.key)
        return player

    def leave(self, uid: str | None, session: int) -> Player | None:
        """Take the player out, unless he has come back by another session meanwhile; give him, if he was here."""
        player = self.players.get(uid or "")
        if player is None or player.session != session:
            return None
        return self.players.pop(player.hero.key)

    def head_for(self, player: Player, x: float, y: float) -> None:
        """Let the player walk towards a place; one outside the meadow is taken as the nearest inside."""
        player.goal = (_within(x, WIDTH), _within(y, HEIGHT))

    def reaches(self, player: Player, firefly: Firefly) -> bool:
        """Tell whether the player can catch the firefly from where he stands."""
        return math.hypot(firefly.x - player.x, firefly.y - player.y) <= REACH

    def catch(self, firefly: Firefly) -> int:
        """Take the firefly out of the air, hatch another, and give the points that it is worth."""
        del self.fireflies[firefly.id]
        self._hatch()
        return firefly.worth

    def everything(self) -> Change:
        """Give all there is, as a newcomer must see it."""
        return Change(True, list(self.players.values()), list(self.fireflies.values()))

    def tick(self, seconds: float) -> Change:
        """Let that many seconds pass. Now and then the answer is everything, which heals who missed a change."""
        for uid, player in self.players.items():
            if player.walk(seconds):
                self._moved.add(uid)
        moved, self._moved = self._moved, set()
        changed = [firefly for firefly in self.fireflies.values() if firefly.drift(seconds, self.chance)]
        self._since_full += seconds
        if self._since_full >= FULL_INTERVAL:
            self._since_full = 0.0
            return self.everything()
        return Change(False, [self.players[uid] for uid in sorted(moved) if uid in self.players], changed)

    def _hatch(self) -> None:
        self._last_firefly += 1
        chance = self.chance
        (kind,) = chance.choices(range(len(WORTH)), RARITY)
        x, y = chance.uniform(EDGE, WIDTH - EDGE), chance.uniform(EDGE, HEIGHT - EDGE)
        firefly = Firefly(self._last_firefly, kind, x, y, chance.uniform(-math.pi, math.pi))
        firefly.mood_left = chance.uniform(1.0, 6.0)
        self.fireflies[firefly.id] = firefly


def _within(place: float, size: float) -> float:
    return max(0.0, min(size, place))
