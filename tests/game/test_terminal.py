from __future__ import annotations

import re
from typing import Any

import pytest

from example_game.screen import Screen
from example_game.terminal import split_keys
from example_game.view import Replaced, View

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


@pytest.fixture(scope="module")
def house(shared_house: Any) -> Any:
    """Give a game that runs: terminals come and go, and the gate that dies is back."""
    shared_house.start()
    return shared_house


def player(name: str, x: float, y: float) -> dict[str, Any]:
    return {"id": name.lower(), "name": name, "x": x, "y": y}


def firefly(id: int, x: float, y: float, kind: int = 0, glow: float = 1.0) -> dict[str, Any]:
    return {"id": id, "kind": kind, "x": x, "y": y, "glow": glow}


def make_view() -> View:
    world = {
        "season": 7,
        "full": True,
        "players": [player("Ann", 800, 450), player("Bob", 0, 0)],
        "fireflies": [firefly(1, 900, 450), firefly(2, 1590, 890, kind=2, glow=0.3)],
    }
    ranking, chat = [{"name": "Bob", "score": 3}], [{"name": "Bob", "text": "hello"}]
    return View(
        {"you": "ann", "width": 1600, "height": 900, "reach": 110, "world": world, "ranking": ranking, "chat": chat}
    )


def draw(view: View, columns: int = 100, rows: int = 30, typed: str | None = None, note: str = "") -> list[str]:
    return ESCAPES.sub("", Screen(columns, rows).draw(view, typed, note)).split("\r\n")


def test_the_picture_fills_the_terminal_and_shows_everybody_where_he_is() -> None:
    rows = draw(make_view())
    assert len(rows) == 30
    assert max(map(len, rows)) <= 100
    assert rows[0].startswith("♟Bob")
    assert rows[12][38:42] == "♟Ann"
    assert "✸" in rows[12]
    assert "•" in rows[23]
    assert "Firefly Meadow" in rows[1]
    assert "2 here" in rows[2]
    assert any(re.search(r"Bob +3", row) for row in rows)
    assert "Bob: hello" in rows[24:][0]


def test_a_tiny_terminal_is_drawn_as_the_smallest_that_makes_sense() -> None:
    rows = draw(make_view(), columns=3, rows=2)
    assert (len(rows), max(map(len, rows))) == (12, 40)


def test_what_steers_a_terminal_is_not_written_to_it() -> None:
    view = make_view()
    view.hear(2002, {"name": "Eve\x1b[2J", "text": "\x1b]0;title\x07"})
    picture = Screen(100, 30).draw(view, None, "")
    assert "\x1b[2J" not in picture
    assert "\x1b]" not in picture
    assert "\x07" not in picture


def test_the_line_that_is_typed_and_a_note_are_shown() -> None:
    rows = draw(make_view(), typed="hello the", note="out of reach")
    assert rows[-1] == "> hello the_"
    assert rows[-2] == "out of reach"


def test_a_view_takes_every_push() -> None:
    view = make_view()
    world = {"season": 7, "full": False, "players": [player("Ann", 801, 450)], "fireflies": [firefly(3, 1, 1)]}
    assert view.hear(2001, world)
    assert (view.me["x"], set(view.fireflies)) == (801, {1, 2, 3})
    assert view.hear(2003, {"firefly": 1, "player": "ann", "name": "Ann", "points": 2, "score": 5})
    assert (set(view.fireflies), view.top(5)) == ({2, 3}, [("Ann", 5), ("Bob", 3)])
    assert view.hear(2004, {"player": "bob"})
    assert set(view.players) == {"ann"}
    assert view.hear(2001, {"season": 7, "full": True, "players": [player("Ann", 1, 1)], "fireflies": []})
    assert view.fireflies == {}


def test_a_world_that_began_anew_or_knows_the_player_no_more_is_noticed() -> None:
    assert not make_view().hear(2001, {"season": 8, "full": False, "players": [], "fireflies": []})
    assert not make_view().hear(2001, {"season": 7, "full": True, "players": [], "fireflies": []})


def test_to_hear_of_ones_own_leaving_is_to_be_replaced() -> None:
    with pytest.raises(Replaced):
        make_view().hear(2004, {"player": "ann"})


def test_only_a_firefly_within_reach_can_be_the_nearest() -> None:
    view = make_view()
    assert view.nearest() == 1
    view.hear(2003, {"firefly": 1, "player": "bob", "name": "Bob", "points": 1, "score": 4})
    assert view.nearest() is None


def test_arrows_are_one_key_each_however_they_come() -> None:
    assert list(split_keys("a\x1b[A\x1bOB d\x1b")) == ["a", "\x1b[A", "\x1b[B", " ", "d", "\x1b"]
    assert list(split_keys("")) == []


def test_a_player_walks_catches_chats_and_leaves_the_terminal_as_it_was(house, terminal, wait_until) -> None:
    tom = terminal("Tom", house.datapack)
    wait_until(lambda: "♟Tom" in tom.screen(), "the meadow is drawn")

    def column() -> int:
        return next(row.index("♟Tom") for row in tom.screen().split("\n") if "♟Tom" in row)

    before = column()
    step = "\x1b[C" if before < 30 else "a"

    def walks() -> bool:
        tom.type(step)
        return abs(column() - before) >= 3

    wait_until(walks, "Tom walks")

    def catches() -> bool:
        tom.type(" ")
        return "Tom caught a firefly" in tom.screen() or "no firefly within reach" in tom.screen()

    wait_until(catches, "space does something")
    tom.type("\rhi\x7fello\r")
    wait_until(lambda: "Tom: hello" in tom.screen(), "Tom hears himself")
    tom.type("q")
    assert tom.process.wait(timeout=10) == 0
    assert tom.modes_are_back()


def test_a_refused_name_ends_the_program_with_the_reason(house, terminal, wait_until) -> None:
    nobody = terminal("x" * 30, house.datapack)
    assert nobody.process.wait(timeout=10) == 1
    assert "bad_request" in nobody.screen()
    assert nobody.modes_are_back()


def test_a_terminal_comes_back_after_the_gate_has_died(house, terminal, wait_until) -> None:
    tom = terminal("Tom", house.datapack)
    wait_until(lambda: "♟Tom" in tom.screen(), "the meadow is drawn")
    house.kill("gate-1")
    wait_until(lambda: "out of sight" in tom.screen(), "Tom is told")
    wait_until(lambda: "♟Tom" in tom.screen().split("out of sight")[-1], "the meadow is drawn again")
