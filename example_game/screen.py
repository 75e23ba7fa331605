"""Draws the meadow with letters and the 256 colours of a terminal."""

from __future__ import annotations

from typing import Any

from example_game.view import View

__all__ = ["Screen"]

COLOURS = (220, 120, 81)  # of the 256: amber, green, blue
DIM_COLOURS = (136, 65, 67)
GRASS, HINT, OWN, OTHERS, TITLE = 22, 28, 230, 183, 222


class Screen:
    """Draws a View into a text of so many columns and rows, with ANSI colours."""

    def __init__(self, columns: int, rows: int) -> None:
        self.columns = max(40, columns)
        self.rows = max(12, rows)
        self.side = 24  # the ranking's columns
        self.below = 6  # the chat's rows

    def draw(self, view: View, typed: str | None, note: str) -> str:
        """Give the whole picture, to be written from the upper left corner on."""
        field = self._draw_field(view)
        side = self._draw_side(view)
        rows = [left + right for left, right in zip(field, side, strict=True)]
        chat = list(view.lines)[-(self.below - 2) :]
        rows += [printable(line)[: self.columns] for line in chat] + [""] * (self.below - 2 - len(chat))
        hint = "arrows or WASD walk, space catches, Enter chats, q leaves"
        rows.append(paint((note or hint)[: self.columns], HINT))
        rows.append(f"> {typed[-(self.columns - 4) :]}_" if typed is not None else "")
        return "\x1b[H" + "\r\n".join(f"{row}\x1b[0m\x1b[K" for row in rows)

    def _draw_field(self, view: View) -> list[str]:
        width, height = self.columns - self.side, self.rows - self.below
        cells = [[paint(grass(x, y), GRASS) for x in range(width)] for y in range(height)]

        def put(body: Any, text: str, colour: int) -> None:
            x = min(width - 1, int(body["x"] / view.size[0] * width))
            y = min(height - 1, int(body["y"] / view.size[1] * height))
            for offset, letter in enumerate(text[: width - x]):
                cells[y][x + offset] = paint(letter, colour)

        for firefly in view.fireflies.values():
            bright = firefly["glow"] >= 1
            put(firefly, "✸" if bright else "•", (COLOURS if bright else DIM_COLOURS)[firefly["kind"]])
        for player in view.players.values():
            put(player, f"♟{printable(player['name'])}", OTHERS)
        put(view.me, f"♟{printable(view.me['name'])}", OWN)
        return ["".join(row) for row in cells]

    def _draw_side(self, view: View) -> list[str]:
        height = self.rows - self.below
        lines = ["", "  Firefly Meadow", f"  {len(view.players)} here", ""]
        top = view.top(height - len(lines))
        lines += [f"  {printable(name)[:16]:16}{score:5}" for name, score in top]
        lines = lines[:height] + [""] * (height - len(lines))
        return [
            paint(f"{line:{self.side}}"[: self.side], TITLE if row < 3 else OTHERS) for row, line in enumerate(lines)
        ]


def grass(x: int, y: int) -> str:
    """Give what grows there: mostly nothing, and the same in every frame."""
    return ".,'`\"".ljust(26)[(x * 7919 ^ y * 104729) % 26]


def paint(text: str, colour: int) -> str:
    """Give the text in one of the terminal's 256 colours."""
    return f"\x1b[38;5;{colour}m{text}"


def printable(text: str) -> str:
    """Give the text without what could steer a terminal; the server cleans too, a terminal should not have to trust."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)
