"""Clients while the servers themselves die."""

from __future__ import annotations

import pytest


@pytest.fixture(params=["threads", "node"])
def player(request, own_server, make_player):
    door = {"threads": "tcp://127.0.0.1:{json}", "node": "ws://127.0.0.1:{ws}/play"}[request.param]
    player = make_player(request.param, door.format(**own_server.ports), "ann")
    player.do("connect")
    return player


def test_the_world_dies_and_the_session_stays(player, own_server, wait_until):
    own_server.kill("world-1")
    wait_until(lambda: outcome(player) == 1, "an answer of the new world")
    assert player.states() == ["connecting", "open"]
    assert len(player.of("login")) == 1


def test_the_gate_dies_and_the_player_is_logged_in_again_by_himself(player, own_server, wait_until):
    own_server.kill("gate-1")
    wait_until(lambda: len(player.of("login")) == 2, player.events, 20)
    wait_until(lambda: player.states()[-1] == "open", player.events)
    wait_until(lambda: outcome(player) == 1, "an answer")


def outcome(player):
    """Give the answer of the world, or the code of the error; only those of a server that is away are allowed."""
    try:
        return player.request("echo", 1)
    except Exception as error:
        if error.code not in ("unavailable", "disconnected"):
            raise
        return error.code


def test_a_gate_that_stops_says_so_and_is_come_back_to(make_player, own_server):
    player = make_player("threads", f"tcp://127.0.0.1:{own_server.ports['json']}", "ann")
    player.do("connect")
    own_server.stop()
    player.wait_state("waiting")
    assert player.of("state")[2]["reason"] == "server_stopping"
