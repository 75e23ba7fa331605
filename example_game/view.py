"""What a client knows of the meadow: the answer to its login, and every change that it has heard since."""

from __future__ import annotations

import math
from collections import deque
from typing import Any

from example_game.client import CAUGHT, CHAT, LEFT, WORLD

__all__ = ["Replaced", "View"]


class Replaced(Exception):
    """The player has come in by another connection."""


class View:
    """What the player knows of the meadow."""

    def __init__(self, welcome: Any) -> None:
        self.you: str = welcome["you"]
        self.size: tuple[float, float] = (welcome["width"], welcome["height"])
        self.reach: float = welcome["reach"]
        self.season: int = welcome["world"]["season"]
        self.players: dict[str, Any] = {}
        self.fireflies: dict[int, Any] = {}
        self.scores: dict[str, int] = {rank["name"]: rank["score"] for rank in welcome["ranking"]}
        self.lines: deque[str] = deque(maxlen=100)
        self.lines.extend(f"{said['name']}: {said['text']}" for said in welcome["chat"])
        self.see(welcome["world"])

    @property
    def me(self) -> Any:
        """The player himself."""
        return self.players[self.you]

    def hear(self, push: int, body: Any) -> bool:
        """Take a push; False: the world has begun anew and does not know this player. Raises Replaced."""
        if push == WORLD:
            return self.see(body)
        if push == CHAT:
            self.lines.append(f"{body['name']}: {body['text']}")
        elif push == CAUGHT:
            self.fireflies.pop(body["firefly"], None)
            self.scores[body["name"]] = body["score"]
            self.lines.append(f"* {body['name']} caught a firefly: +{body['points']}")
        elif push == LEFT:
            if body["player"] == self.you:
                raise Replaced("you have walked in from somewhere else")
            self.players.pop(body["player"], None)
        return True

    def see(self, world: Any) -> bool:
        """Take what changed in the world; False: it is another one."""
        if world["season"] != self.season:
            return False
        if world["full"]:
            self.players.clear()
            self.fireflies.clear()
        self.players.update((player["id"], player) for player in world["players"])
        self.fireflies.update((firefly["id"], firefly) for firefly in world["fireflies"])
        return self.you in self.players

    def nearest(self) -> int | None:
        """Give the firefly that is nearest to the player, if he can reach it."""
        best = min(self.fireflies.values(), key=self.distance, default=None)
        return best["id"] if best is not None and self.distance(best) <= self.reach else None

    def distance(self, body: Any) -> float:
        """Give how far something is from the player."""
        return math.hypot(body["x"] - self.me["x"], body["y"] - self.me["y"])

    def top(self, count: int) -> list[tuple[str, int]]:
        """Give the best of the ranking."""
        return sorted(self.scores.items(), key=lambda line: (-line[1], line[0]))[:count]
