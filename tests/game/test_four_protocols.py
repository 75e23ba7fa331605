"""One meadow, four protocols at once: published Pomelo clients, json, msgpack and the 17-byte header."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest

from example_game.client import CAUGHT, CHAT, LOGIN, WORLD, Refused
from example_game.client import Client as DatapackClient

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "clients" / "python"))

from firefly_client import Client, ServerError  # noqa: E402

from tests.ports import free_ports  # noqa: E402

PROGRAM = Path(__file__).with_name("pomelo_player.cjs")
POMELO = (
    "pomelo-nodejsclient-websocket@0.0.2",
    "pomelo-jsclient-websocket@0.1.1",
    "pomelo-protocol@0.1.6",
    "ws@8.18.0",
)
IDS = {"login": 101, "move": 102, "catch": 103, "say": 104, "top": 105}
NAMES = {WORLD: "world", CHAT: "chat", CAUGHT: "caught"}
NOWHERE = 10**9


class PomeloPlayer:
    """A published client in a process of node's."""

    def __init__(self, kind: str, port: int, modules: Path) -> None:
        self._process = subprocess.Popen(
            ["node", str(PROGRAM), kind, str(port), str(modules)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self._answers: dict[int, Any] = {}
        self._number = 0
        self.heard: list[tuple[str, Any]] = []
        self._reader = gevent.spawn(self._read)

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in gevent.fileobject.FileObject(self._process.stdout.raw, "rb"):
            message = json.loads(line)
            if "answer" in message:
                self._answers[message["answer"]] = message.get("body")
            else:
                self.heard.append((message["event"], message.get("body")))

    def _write(self, *message: Any) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(message).encode() + b"\n")
        self._process.stdin.flush()

    def request(self, route: str, body: Any) -> Any:
        self._number += 1
        number = self._number
        self._write("request", number, route, body)
        with gevent.Timeout(10):
            while number not in self._answers:
                gevent.sleep(0.01)
        answer = self._answers.pop(number)
        if isinstance(answer, dict) and "error" in answer:
            raise ServerError(answer["error"]["code"], answer["error"]["message"])
        return answer

    def notify(self, route: str, body: Any) -> None:
        self._write("notify", 0, route, body)

    def of(self, event: str) -> list[Any]:
        return [body for name, body in self.heard if name == event]

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(10)
        self._reader.kill()


class FireflyPlayer:
    """The Python client, over json or msgpack."""

    def __init__(self, url: str, name: str, **options: Any) -> None:
        self.heard: list[tuple[str, Any]] = []
        self._client = Client(url, login=lambda line: line.request("login", {"name": name}), **options)
        self._client.on_push(lambda push: self.heard.append((push.name, push.body)))
        self.welcome = self._client.connect()

    def request(self, route: str, body: Any) -> Any:
        return self._client.request(route, body)

    def of(self, event: str) -> list[Any]:
        return [body for name, body in self.heard if name == event]

    def stop(self) -> None:
        self._client.close()


class DatapackPlayer:
    """The client of 17 bytes and nothing but the standard library."""

    def __init__(self, port: int) -> None:
        self.heard: list[tuple[str, Any]] = []
        self._client = DatapackClient(port=port)

    def request(self, route: str, body: Any) -> Any:
        try:
            return self._client.call(IDS[route], **body)
        except Refused as error:
            raise ServerError(error.code, error.message) from None

    def of(self, event: str) -> list[Any]:
        self.heard += [(NAMES.get(push, ""), body) for push, body in self._client.pushes(0)]
        return [body for name, body in self.heard if name == event]

    def stop(self) -> None:
        self._client.close()


@pytest.fixture(scope="module")
def house(shared_house: Any) -> Any:
    """Give the game: nobody stops or kills a server of it."""
    return shared_house


@pytest.fixture(scope="module")
def doors(house: Any) -> dict[str, int]:
    """Start the game with a pomelo and a msgpack listener beside its own."""
    pomelo, msgpack = free_ports(2)
    file = house.folder / "firefly.toml"
    before, head, after = file.read_text().partition("listen = [\n")
    assert head
    more = (
        f'  {{ url = "ws://127.0.0.1:{pomelo}/", protocol = "pomelo", heartbeat = 1, origins = ["none", "*"] }},\n'
        f'  {{ url = "tcp://127.0.0.1:{msgpack}", protocol = "msgpack" }},\n'
    )
    file.write_text(before + head + more + after)
    house.start()
    return {"pomelo": pomelo, "msgpack": msgpack}


def is_playable(port: int) -> bool:
    """Whether a login is answered: the world is ready before the gate has heard of its commands."""
    client = DatapackClient("127.0.0.1", port)
    try:
        client.call(LOGIN, name="")
    except Refused as error:
        return error.code != "unavailable"
    finally:
        client.close()
    raise AssertionError("a player without a name")


@pytest.fixture
def players(
    house: Any, doors: dict[str, int], npm: Callable[..., Path], wait_until: Callable[..., Any]
) -> Iterator[dict[str, Any]]:
    """Five players by four protocols, all of them logged in."""
    modules = npm(*POMELO)
    wait_until(lambda: is_playable(house.datapack), "the gate sends commands to the world")
    made: dict[str, Any] = {}
    try:
        made["Nora"] = PomeloPlayer("node", doors["pomelo"], modules)
        made["Bert"] = PomeloPlayer("browser", doors["pomelo"], modules)
        made["Dora"] = DatapackPlayer(house.datapack)
        for name in ("Nora", "Bert"):
            with gevent.Timeout(15):
                while ("ready", None) not in made[name].heard:
                    gevent.sleep(0.01)
        for name in ("Nora", "Bert", "Dora"):
            assert made[name].request("login", {"name": name})["you"] == name.lower()
        page = f"http://127.0.0.1:{house.web}"
        made["Jane"] = FireflyPlayer(f"ws://127.0.0.1:{house.websocket}/", "Jane", origin=page)
        made["Mick"] = FireflyPlayer(f"tcp://127.0.0.1:{doors['msgpack']}", "Mick", protocol="msgpack")
        yield made
    finally:
        for player in made.values():
            player.stop()


def test_the_same_handlers_serve_four_protocols_at_once(
    players: dict[str, Any], wait_until: Callable[..., Any]
) -> None:
    everybody = {name.lower() for name in players}
    for name, player in players.items():
        wait_until(lambda player=player: everybody in crowds(player), f"{name} sees everybody")

    for name, player in players.items():
        assert player.request("say", {"text": f"I am {name}, ü☃"}) is None
    said = [{"name": name, "text": f"I am {name}, ü☃"} for name in players]
    for name, player in players.items():
        wait_until(lambda player=player: player.of("chat") == said, f"{name} hears everybody, in order")

    for name, player in players.items():
        assert code_of(player, "catch", {"firefly": NOWHERE}) == "gone", name
        assert code_of(player, "catch", {"firefly": "x"}) == "bad_request", name
        assert isinstance(player.request("top", {}), list)


def test_a_msgpack_bot_catches_and_the_other_protocols_hear_the_same(
    players: dict[str, Any], wait_until: Callable[..., Any]
) -> None:
    caught = catch_one(players["Mick"])
    for name, player in players.items():
        wait_until(lambda player=player: caught in player.of("caught"), f"{name} hears of it")


def test_published_pomelo_clients_walk_notify_and_stay_by_their_heartbeats(
    players: dict[str, Any], wait_until: Callable[..., Any]
) -> None:
    other = players["Jane"]
    for name in ("Nora", "Bert"):
        assert players[name].request("move", {"x": 800.0, "y": 450.0})["name"] == name
        said = {"name": name, "text": "nobody answers this"}
        players[name].notify("say", {"text": said["text"]})
        wait_until(lambda said=said: said in other.of("chat"), "the notify is heard")
    began = time.monotonic()
    while time.monotonic() - began < 3.5:  # a client that got no heartbeat gives up after twice the interval, 1 s
        for name in ("Nora", "Bert"):
            assert players[name].request("top", {"count": 1}) is not None
        gevent.sleep(0.25)
    for name in ("Nora", "Bert"):
        player = players[name]
        assert player.of("heartbeat timeout") == player.of("close") == player.of("error") == []


def test_a_published_pomelo_client_is_kicked_when_its_player_comes_in_elsewhere(
    players: dict[str, Any], house: Any, wait_until: Callable[..., Any]
) -> None:
    for name in ("Nora", "Bert"):
        other = DatapackPlayer(house.datapack)
        assert other.request("login", {"name": name})["you"] == name.lower()
        wait_until(lambda name=name: players[name].of("onKick"), f"{name} is told")
        other.stop()


def crowds(player: Any) -> list[set[str]]:
    """Give who was there, each time that the player was told everything."""
    return [{each["id"] for each in world["players"]} for world in player.of("world") if world["full"]]


def code_of(player: Any, route: str, body: Any) -> str:
    with pytest.raises(ServerError) as caught:
        player.request(route, body)
    return caught.value.code


def catch_one(player: FireflyPlayer) -> Any:
    """Walk to the nearest firefly until one is caught, and give the answer."""
    deadline = time.monotonic() + 30
    you = player.welcome["you"]
    while time.monotonic() < deadline:
        for world in reversed(player.of("world")):
            if world["full"]:
                break
        else:
            world = player.welcome["world"]
        me = next(p for p in world["players"] if p["id"] == you)
        near = min(world["fireflies"], key=lambda f: (f["x"] - me["x"]) ** 2 + (f["y"] - me["y"]) ** 2)
        try:
            return player.request("catch", {"firefly": near["id"]})
        except ServerError as error:
            if error.code not in ("too_far", "gone"):
                raise
        player.request("move", {"x": near["x"], "y": near["y"]})
        gevent.sleep(0.15)
    raise AssertionError("nothing was caught in 30 s")
