"""Players while one server after the other is killed: `make promises ROW=P1` is the long form of it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

ROOT = str(Path(__file__).parents[2])
if ROOT not in sys.path:
    sys.path.append(ROOT)

from tests.promises.storm import ALLOWED, Report, storm  # noqa: E402


@pytest.fixture(scope="module")
def report() -> Report:
    # The hub last: what it keeps of a gate's sessions is gone with it until the gate tells it anew.
    made = storm(40, 4, every=3.0, victims=["world-1", "gate-1", "world-2", "hub-1"])
    print(made.figure)
    return made


@pytest.mark.timeout(180)
def test_players_see_that_a_server_is_away_and_nothing_worse(report: Report) -> None:
    assert set(report.errors) <= ALLOWED
    assert report.faults == []


def test_what_was_answered_is_stored_once_and_in_order(report: Report) -> None:
    assert report.counted > 0
    assert (report.lost, report.twice, report.inversions) == (0, 0, 0)


def test_sessions_outlive_their_gate(report: Report) -> None:
    assert report.events["logins"] == report.players


def test_who_has_left_leaves_nothing_behind(report: Report) -> None:
    assert report.left == {}
