from __future__ import annotations

import json
import random
import struct
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from gevent.server import StreamServer

from example_game import bot
from example_game.bot import Bot, Tally
from example_game.client import CATCH, LOGIN, MOVE, Client, Refused

HEADER = struct.Struct("!5B3I")
WELCOME = {
    "you": "bot0",
    "width": 1600,
    "height": 900,
    "speed": 200,
    "reach": 110,
    "world": {
        "season": 1,
        "full": True,
        "players": [{"id": "bot0", "name": "bot0", "x": 100, "y": 100}],
        "fireflies": [{"id": 1, "kind": 0, "x": 110, "y": 100, "glow": 1.0}],
    },
    "ranking": [],
    "chat": [],
}
Answer = Callable[[int, Any], list[tuple[int, Any]] | None]


def frame(command: int, body: Any) -> bytes:
    data = json.dumps(body).encode()
    return HEADER.pack(0, 0, 0, 0, 0, 0, len(data) + 4, command) + data


@pytest.fixture
def gate() -> Iterator[Callable[[Answer], tuple[str, int]]]:
    """Give a function that starts a gate whose every answer a test decides: frames to send, None to hang up."""
    servers: list[StreamServer] = []

    def start(answer: Answer) -> tuple[str, int]:
        def serve(sock: Any, address: Any) -> None:
            file = sock.makefile("rb")
            while len(head := file.read(17)) == 17:
                *_, length, command = HEADER.unpack(head)
                answers = answer(command, json.loads(file.read(length - 4)))
                if answers is None:
                    return
                sock.sendall(b"".join(frame(*one) for one in answers))

        server = StreamServer(("127.0.0.1", 0), serve)
        server.start()
        servers.append(server)
        return ("127.0.0.1", server.server_port)

    yield start
    for server in servers:
        server.stop(timeout=0.1)


def play(address: tuple[str, int], seconds: float = 0.6) -> Tally:
    return Bot("bot0", address, time.monotonic() + seconds, random.Random(1)).run()


def test_a_bot_logs_in_catches_what_is_in_reach_and_counts_its_points(gate) -> None:
    seen: Counter[int] = Counter()

    def answer(command: int, body: Any) -> list[tuple[int, Any]]:
        seen[command] += 1
        if command == CATCH:
            caught = {"firefly": body["firefly"], "player": "bot0", "name": "bot0", "points": 2, "score": 2}
            return [(2003, caught), (command, caught)]
        return [(command, WELCOME if command == LOGIN else {"x": 1, "y": 1})]

    tally = play(gate(answer))
    assert (seen[LOGIN], seen[CATCH]) == (1, 1)
    assert (tally.points, tally.pushes[2003]) == (2, 1)
    assert tally.replies.total() == seen.total()
    assert (tally.hung, tally.lost, tally.errors) == (0, 0, Counter())


def test_errors_are_counted_by_code_and_the_bot_plays_on(gate) -> None:
    def answer(command: int, body: Any) -> list[tuple[int, Any]]:
        if command == LOGIN:
            return [(command, WELCOME)]
        return [(command, {"error": {"code": "unavailable", "message": "away"}})]

    tally = play(gate(answer))
    assert tally.errors["unavailable"] > 1
    assert (tally.replies[LOGIN], tally.hung) == (1, 0)


def test_a_bot_that_the_world_has_forgotten_logs_in_again(gate) -> None:
    logins = 0

    def answer(command: int, body: Any) -> list[tuple[int, Any]]:
        nonlocal logins
        logins += command == LOGIN
        return [(command, WELCOME if command == LOGIN else {"error": {"code": "not_here", "message": "who?"}})]

    tally = play(gate(answer))
    assert logins >= 2
    assert tally.replies[LOGIN] == logins


def test_a_lost_connection_is_counted_and_made_again(gate) -> None:
    tally = play(gate(lambda command, body: [(command, WELCOME)] if command == LOGIN else None))
    assert tally.lost >= 1
    assert tally.replies[LOGIN] >= 2
    assert tally.hung == 0


def test_a_command_without_an_answer_is_counted_as_hung(gate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bot, "ANSWER_TIMEOUT", 0.2)
    assert play(gate(lambda command, body: []), seconds=0.3).hung >= 1


def test_the_longest_silence_counts_up_to_the_end() -> None:
    tally = play(("127.0.0.1", 1), seconds=0.3)
    assert 0.25 < tally.longest_silence < 3
    assert tally.replies.total() == 0


def test_a_client_keeps_pushes_apart_from_answers_in_whatever_pieces_they_come(gate) -> None:
    address = gate(lambda command, body: [(2002, {"name": "a", "text": "b"}), (2004, {"player": "x"}), (command, 7)])
    client = Client(*address)
    try:
        assert client.call(MOVE, x=1, y=2) == 7
        assert list(client.pushes()) == [(2002, {"name": "a", "text": "b"}), (2004, {"player": "x"})]
        assert list(client.pushes(0.01)) == []
    finally:
        client.close()


@pytest.mark.parametrize("answer", [[(999, {})], [(2001, {})] * 3 + [(MOVE + 1, {})]], ids=["unknown", "other"])
def test_an_answer_that_was_not_asked_ends_the_connection(gate, answer: list[tuple[int, Any]]) -> None:
    client = Client(*gate(lambda command, body: answer))
    try:
        with pytest.raises(ConnectionError, match="not asked"):
            client.call(MOVE, x=1, y=2)
    finally:
        client.close()


def test_an_error_is_raised_with_code_and_message(gate) -> None:
    client = Client(*gate(lambda command, body: [(command, {"error": {"code": "gone", "message": "it is gone"}})]))
    try:
        with pytest.raises(Refused) as caught:
            client.call(CATCH, firefly=1)
        assert (caught.value.code, caught.value.message) == ("gone", "it is gone")
    finally:
        client.close()


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "example_game.bot", *arguments], capture_output=True, text=True)


@pytest.mark.parametrize("arguments", [("--count", "0"), ("--count", "100000"), ("--seconds", "1e9"), ("--what",)])
def test_the_command_line_is_bounded(arguments: tuple[str, ...]) -> None:
    assert run(*arguments).returncode == 2


def test_without_a_gate_it_ends_in_time_and_says_so() -> None:
    ended = run("--count", "2", "--seconds", "0.3", "--port", "1")
    assert ended.returncode == 1
    assert "replies   0" in ended.stdout
    assert "hung      0" in ended.stdout


def test_bots_play_the_real_game_and_nothing_hangs(house) -> None:
    house.start()
    ended = run("--count", "5", "--seconds", "2", "--port", str(house.datapack))
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "hung      0" in ended.stdout
    assert "lost      0" in ended.stdout
    assert int(ended.stdout.split("replies")[1].split()[0]) > 20
