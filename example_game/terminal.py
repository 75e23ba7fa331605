"""Firefly Meadow in a terminal: `python -m example_game.terminal NAME`.

Arrow keys or WASD walk, space catches the nearest firefly, Enter begins and ends a line of chat, q leaves. The meadow
is drawn with letters and ANSI colours; nothing is needed but a terminal and the standard library.
"""

from __future__ import annotations

import argparse
import os
import select
import shutil
import sys
import termios
import time
import tty
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from example_game.client import CATCH, LOGIN, MOVE, SAY, Client, Refused
from example_game.screen import Screen
from example_game.view import Replaced, View

__all__ = ["Game", "main", "split_keys"]

STEP = 80.0  # how far ahead of himself the player heads while a key is pressed
FRAME = 0.1  # seconds
DIRECTIONS = {
    "\x1b[A": (0, -1), "w": (0, -1), "\x1b[B": (0, 1), "s": (0, 1),
    "\x1b[D": (-1, 0), "a": (-1, 0), "\x1b[C": (1, 0), "d": (1, 0),
}  # fmt: skip


class Game:
    """Reads keys and pushes, and draws, until the player leaves."""

    def __init__(self, client: Client, name: str) -> None:
        self.client = client
        self.name = name
        self.view = View(client.call(LOGIN, name=name))
        self.typed: str | None = None
        self.note = ""

    def run(self) -> None:
        """Play; returns when the player leaves. Raises OSError when the connection is lost, Replaced."""
        while True:
            columns, rows = shutil.get_terminal_size()
            sys.stdout.write(Screen(columns, rows).draw(self.view, self.typed, self.note))
            sys.stdout.flush()
            drawn = time.monotonic()
            while (left := drawn + FRAME - time.monotonic()) > 0:
                ready, _, _ = select.select([sys.stdin, self.client], [], [], left)
                self.listen()
                if sys.stdin in ready and not all(self.press(key) for key in split_keys(read_keys())):
                    return

    def listen(self) -> None:
        """Take the pushes that have come."""
        for push, body in self.client.pushes():
            if not self.view.hear(push, body):
                self.view = View(self.client.call(LOGIN, name=self.name))

    def press(self, key: str) -> bool:
        """Do what a key says; False: leave."""
        self.note = ""
        try:
            if self.typed is not None:
                self.type(key)
            elif key in ("q", "\x03", "\x04"):
                return False
            elif key in "\r\n":
                self.typed = ""
            elif key == " ":
                self.catch()
            elif key.lower() in DIRECTIONS or key in DIRECTIONS:
                self.walk(*(DIRECTIONS.get(key) or DIRECTIONS[key.lower()]))
        except Refused as error:
            self.note = error.message
            if error.code in ("not_here", "login_first"):
                self.view = View(self.client.call(LOGIN, name=self.name))
        return True

    def type(self, key: str) -> None:
        """Take a key while a line of chat is written."""
        assert self.typed is not None
        if key in "\r\n":
            text, self.typed = self.typed.strip(), None
            if text:
                self.client.call(SAY, text=text[:200])
        elif key == "\x1b":
            self.typed = None
        elif key in "\x7f\b":
            self.typed = self.typed[:-1]
        elif key.isprintable():
            self.typed += key

    def walk(self, x: int, y: int) -> None:
        """Head for a place a little further in that direction."""
        me = self.client.call(MOVE, x=self.view.me["x"] + x * STEP, y=self.view.me["y"] + y * STEP)
        self.view.players[self.view.you] = me

    def catch(self) -> None:
        """Catch the nearest firefly."""
        nearest = self.view.nearest()
        if nearest is None:
            self.note = "no firefly within reach"
        else:
            self.client.call(CATCH, firefly=nearest)


def read_keys() -> str:
    """Give what was typed; the end of the input is as if the player left."""
    return os.read(sys.stdin.fileno(), 1024).decode(errors="ignore") or "\x04"


def split_keys(text: str) -> Iterator[str]:
    """Give one key after the other: a letter, or the sequence that an arrow sends."""
    while text:
        length = 3 if text.startswith(("\x1b[", "\x1bO")) and len(text) >= 3 else 1
        yield text[:length].replace("\x1bO", "\x1b[")
        text = text[length:]


@contextmanager
def raw_terminal() -> Iterator[None]:
    """Give keys as they are pressed, on a screen of our own; everything is put back at the end."""
    before = termios.tcgetattr(sys.stdin)
    try:
        tty.setcbreak(sys.stdin)
        sys.stdout.write("\x1b[?1049h\x1b[?25l\x1b[2J")
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)
        sys.stdout.write("\x1b[?25h\x1b[?1049l")
        sys.stdout.flush()


def main(arguments: Sequence[str] | None = None) -> int:
    """Play under the name of the command line; comes back by itself when the connection is lost."""
    parser = argparse.ArgumentParser(prog="python -m example_game.terminal", description="Firefly Meadow, in letters.")
    parser.add_argument("name", help="who you are, at most 16 letters")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=11009, help="the gate's datapack port")
    options = parser.parse_args(arguments)
    if not sys.stdin.isatty():
        parser.error("this needs a terminal")
    try:
        with raw_terminal():
            play(options)
    except (Refused, Replaced) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except KeyboardInterrupt:
        pass
    return 0


def play(options: argparse.Namespace) -> None:
    """Play until the player leaves; after a loss try again each second."""
    while True:
        try:
            client = Client(options.host, options.port)
            try:
                return Game(client, options.name).run()
            finally:
                client.close()
        except OSError as error:
            sys.stdout.write(f"\x1b[H\x1b[2Jthe meadow is out of sight ({error}), trying again; Ctrl-C leaves\r\n")
            sys.stdout.flush()
            time.sleep(1.0)
        except Refused as error:
            if error.code != "unavailable":
                raise
            time.sleep(1.0)


if __name__ == "__main__":
    sys.exit(main())
