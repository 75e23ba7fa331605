"""The hello on a real connection: who gets in, who does not, and how long it may take."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from typing import Any

import gevent
import msgpack
import pytest

from firefly_core.errors import CallError, NotAuthorized
from firefly_core.wire.hello import Acceptor, Initiator, PeerIdentity

SECRET = b"the secret of these tests........"
ROOT = PeerIdentity("gate-1", "gate", ("root",), 11, 1)
NODE = PeerIdentity("world-1", "world", ("node",), 22, 1)


def echo(_channel: Any, *params: Any) -> Any:
    return list(params)


def initiator(secret: bytes = SECRET, identity: PeerIdentity = NODE) -> Initiator:
    return Initiator(identity, [secret], os.urandom(32), None)


def test_k15_both_ends_know_each_other(house: Any) -> None:
    client, server = house.pair()
    assert client.peer == ROOT
    assert server.peer == NODE
    assert client.authenticated
    assert server.authenticated


def test_readiness_is_told_once_at_both_ends(house: Any, until: Any) -> None:
    told: list[str] = []
    address = house.serve({"echo": echo}, on_ready=lambda channel: told.append(channel.peer.name))
    client = house.dial(address, on_ready=lambda channel: told.append(channel.peer.name))
    until(lambda: len(told) == 2)
    assert client.call("echo", 1) == [1]
    assert sorted(told) == ["gate-1", "world-1"]


def test_what_stands_behind_the_hello_finds_an_authenticated_channel(house: Any, until: Any) -> None:
    """The accepting side calls as soon as it is ready: its request shares a segment with the last answer."""
    heard: list[Any] = []

    def on_ready(channel: Any) -> None:
        channel.notify("note", "first")
        channel.call_later("who", (), lambda error, result: heard.append((error, result)))

    address = house.serve(on_ready=on_ready)
    house.dial(
        address,
        {"note": lambda channel, word: heard.append((channel.peer.name, word)), "who": lambda ch: ch.peer.name},
    )
    until(lambda: len(heard) == 2)
    assert heard == [("gate-1", "first"), (None, "gate-1")]


def test_a_raw_client_written_after_the_documentation_gets_in(house: Any) -> None:
    house.serve({"echo": echo})
    raw = house.raw()
    hello = initiator()
    answer = raw.hello(hello)
    assert hello.finish(answer[3]) == ROOT
    raw.send([0, 9, "echo", [{"a": 1}], {"deadline": 1000}])
    assert raw.receive() == [1, 9, None, [{"a": 1}]]


@pytest.mark.parametrize("when", ["in one segment", "byte by byte"])
def test_requests_may_follow_the_hello_without_waiting(house: Any, when: str) -> None:
    house.serve({"echo": echo})
    raw = house.raw()
    hello = initiator()
    raw.send([0, 0, "firefly.hello", hello.opening()])
    proof = hello.prove(raw.receive()[3])
    data = msgpack.packb([0, 1, "firefly.hello", proof]) + msgpack.packb([0, 2, "echo", [1], {"deadline": 1000}])
    data += msgpack.packb([0, 3, "echo", [b"x" * 10_000]])
    step = len(data) if when == "in one segment" else 97
    for begin in range(0, len(data), step):
        raw.send(data[begin : begin + step])
    assert raw.receive()[:3] == [1, 1, None]
    assert raw.receive() == [1, 2, None, [1]]
    assert raw.receive() == [1, 3, None, [b"x" * 10_000]]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"secret": b"x" * 32}, "wrong_proof"),
        ({"identity": PeerIdentity("gate-1", "gate", ("root",), 11, 7)}, "reflected"),
    ],
)
def test_who_is_refused_hears_why_and_is_closed(house: Any, until: Any, change: Any, code: str) -> None:
    house.serve({"echo": echo})
    client = house.dial(house._listeners[-1].address, hello=initiator(**change))
    until(lambda: client.closed)
    until(lambda: house.accepted[-1].closed)
    assert client.reason == "refused"
    assert client.greeting.refusal.code == code
    assert house.accepted[-1].reason == code
    assert house.accepted[-1].peer is None


def test_k14_the_owner_refuses_an_older_epoch_in_his_own_word(house: Any, until: Any) -> None:
    address = house.serve(accept=lambda identity: "old_epoch" if identity.epoch < 5 else None)
    old = house.dial(address, hello=initiator(identity=NODE._replace(epoch=4)))
    until(lambda: old.closed)
    assert old.greeting.refusal.code == "old_epoch"
    new = house.dial(address, hello=initiator(identity=NODE._replace(epoch=5)))
    until(lambda: new.authenticated)


def test_the_dialer_leaves_a_root_that_does_not_know_the_secret(house: Any, until: Any) -> None:
    """An impostor that takes any proof cannot make one."""
    listener = socket.create_server(("127.0.0.1", 0))

    def impostor() -> None:
        connection, _ = listener.accept()
        unpacker = msgpack.Unpacker()
        answers = [[1, b"n" * 32, [*ROOT]], [os.urandom(32)]]
        while data := connection.recv(65536):
            unpacker.feed(data)
            for message in unpacker:
                connection.sendall(msgpack.packb([1, message[1], None, answers.pop(0)]))
        connection.close()

    greenlet = gevent.spawn(impostor)
    host, port = listener.getsockname()
    client = house.dial(f"{host}:{port}")
    until(lambda: client.closed)
    assert client.reason == "wrong_proof"
    assert client.peer is None
    greenlet.join(5)
    listener.close()


def test_k15_without_a_hello_in_time_the_connection_ends(house: Any, limits: Any) -> None:
    house.serve({"echo": echo}, limits=limits(hello_timeout=0.2))
    raw = house.raw()
    begin = time.monotonic()
    assert raw.ended()
    assert 0.19 < time.monotonic() - begin < 4
    assert house.accepted[0].reason == "hello_timeout"


def test_half_a_hello_does_not_extend_the_time(house: Any, limits: Any) -> None:
    house.serve({"echo": echo}, limits=limits(hello_timeout=0.3))
    raw = house.raw()
    begin = time.monotonic()
    raw.send([0, 0, "firefly.hello", initiator().opening()])
    raw.receive()
    data = msgpack.packb([0, 1, "firefly.hello", [b"p" * 32]])

    def drip() -> None:
        for byte in data[:-1]:
            gevent.sleep(0.05)
            raw.send(bytes((byte,)))

    dripper = gevent.spawn(drip)
    assert raw.ended()
    assert time.monotonic() - begin < 2
    dripper.kill()


def test_a_silent_root_does_not_hold_the_dialer(house: Any, until: Any, limits: Any) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    host, port = listener.getsockname()
    client = house.dial(f"{host}:{port}", limits=limits(hello_timeout=0.2))
    until(lambda: client.closed)
    assert client.reason == "hello_timeout"
    listener.close()


def test_26_a_call_before_the_hello_starts_nothing(house: Any) -> None:
    ran: list[int] = []
    house.serve({"run": lambda _channel: ran.append(1)})
    raw = house.raw()
    raw.send([0, 1, "run", []], [2, "run", []])
    assert raw.receive() == [1, 1, ["not_authorized", "say hello first"], None]
    hello = initiator()
    assert raw.hello(hello)[2] is None
    assert ran == []


def test_27_a_second_hello_ends_the_channel(house: Any, until: Any) -> None:
    client, server = house.pair()
    client.send((0, 3, "firefly.hello", initiator().opening()))
    until(lambda: server.closed)
    assert server.reason == "hello_twice"


def test_a_root_that_says_hello_to_its_dialer_is_left(house: Any, until: Any) -> None:
    client, server = house.pair()
    server.send((0, 3, "firefly.hello", initiator().opening()))
    until(lambda: client.closed)
    assert client.reason == "bad_hello"


@pytest.mark.parametrize("size", [0, 1, 31, 33])
def test_28_a_proof_of_the_wrong_length_is_refused(house: Any, size: int) -> None:
    house.serve({"echo": echo})
    raw = house.raw()
    raw.send([0, 0, "firefly.hello", initiator().opening()])
    assert raw.receive()[2] is None
    raw.send([0, 1, "firefly.hello", [b"p" * size]])
    assert raw.receive()[2][0] == "wrong_proof"
    assert raw.ended()


@pytest.mark.parametrize("name", ["", "n" * 256, "../x", "a\r\nb", "a\0"])
def test_34_a_bad_name_is_refused(house: Any, name: str) -> None:
    house.serve({"echo": echo})
    raw = house.raw()
    raw.send([0, 0, "firefly.hello", [1, os.urandom(32), [name, name, [], 1, 1]]])
    assert raw.receive()[2][0] == "bad_name"
    assert raw.ended()


def test_32_a_recorded_hello_opens_nothing(house: Any) -> None:
    ran: list[int] = []
    house.serve({"run": lambda _channel: ran.append(1)})
    recorded: list[bytes] = []
    raw = house.raw()
    hello = initiator()
    recorded.append(msgpack.packb([0, 0, "firefly.hello", hello.opening()]))
    raw.send(recorded[0])
    recorded.append(msgpack.packb([0, 1, "firefly.hello", hello.prove(raw.receive()[3])]))
    recorded.append(msgpack.packb([0, 2, "run", []]))
    raw.send(recorded[1], recorded[2])
    assert raw.receive()[2] is None
    assert raw.receive()[2] is None
    again = house.raw()
    again.send(*recorded)
    assert again.receive()[2] is None
    assert again.receive()[2][0] == "wrong_proof"
    assert again.ended()
    assert ran == [1]


@pytest.mark.parametrize("size", [4096, 4200, 65_536, 1 << 20])
def test_k15_before_the_hello_frames_have_4_kib(house: Any, size: int) -> None:
    ran: list[int] = []
    house.serve({"run": lambda _channel, _body: ran.append(1)}, open=["run"])
    raw = house.raw()
    with contextlib.suppress(OSError):
        raw.send([0, 1, "run", [b"x" * size]])
    assert raw.ended()
    assert house.accepted[0].reason in ("too_long", "bad_msgpack")
    assert ran == []


# ------------------------------------------------------------------------------------------------------ strangers


def test_a_stranger_calls_what_is_open_and_is_answered_to_the_letter(house: Any) -> None:
    house.serve({"echo": echo, "closed": echo}, open=["echo"])
    raw = house.raw()
    raw.send([0, 7, "echo", [1, "a"]])
    raw.send([0, 8, "closed", []])
    assert [raw.receive(), raw.receive()] == [
        [1, 7, None, [1, "a"]],
        [1, 8, ["not_authorized", "say hello first"], None],
    ]
    house.accepted[0].respond(9, None, {"k": [1]})
    gevent.sleep(0)
    assert raw.socket.recv(100) == b"\x94\x01\x09\xc0\x81\xa1k\x91\x01"


def test_a_stranger_stays_without_a_hello(house: Any, limits: Any) -> None:
    house.serve({"echo": echo}, open=["echo"], limits=limits(hello_timeout=0.1))
    raw = house.raw()
    gevent.sleep(0.3)
    raw.send([0, 1, "echo", []])
    assert raw.receive() == [1, 1, None, []]


def test_a_silent_stranger_is_closed_and_never_pinged(house: Any, limits: Any) -> None:
    house.serve({"echo": echo}, open=["echo"], limits=limits(stranger_idle=0.3, ping_after=0.1))
    raw = house.raw()
    raw.send([0, 1, "echo", []])
    assert raw.receive() == [1, 1, None, []]
    with pytest.raises(EOFError):
        raw.receive()
    assert house.accepted[0].reason == "dead"


def test_nothing_is_asked_of_a_stranger(house: Any) -> None:
    house.serve({"echo": echo}, open=["echo"])
    raw = house.raw()
    raw.send([0, 1, "echo", []])
    raw.receive()
    with pytest.raises(CallError):
        house.accepted[0].call("anything")
    assert house.accepted[0].notify("anything") is False


def test_where_no_hello_is_spoken_one_is_an_unknown_method(house: Any) -> None:
    house.serve({"echo": echo}, open=["echo"], hello=False)
    raw = house.raw()
    raw.send([0, 1, "firefly.hello", []])
    assert raw.receive()[2][0] == "no_such_method"
    raw.send([0, 2, "echo", [1]])
    assert raw.receive() == [1, 2, None, [1]]


def test_two_plain_ends_call_each_other_without_a_hello(house: Any, until: Any) -> None:
    house.open = {"echo"}
    address = house.serve({"echo": echo}, open=["echo"], hello=False)
    host, _, port = address.rpartition(":")
    transport = house.network.dial(host, int(port), timeout=3)
    client = house.channel(transport, None, {"echo": echo})
    client.start()
    assert client.call("echo", {1: "a"}) == [{1: "a"}]
    with pytest.raises(NotAuthorized):
        client.call("closed")
    assert house.accepted[0].call("echo", 2) == [2]


def test_an_owner_that_fails_when_told_of_a_peer_loses_only_that_channel(
    house: Any, until: Any, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_channel: Any) -> None:
        raise ValueError("the owner stumbles")

    house.serve({"echo": echo}, on_ready=fail)
    client = house.dial(house._listeners[-1].address)
    until(lambda: client.closed)
    assert house.accepted[0].reason == "internal"
    assert "the owner stumbles" in caplog.text


def test_an_owner_may_block_when_told_of_a_peer(house: Any, until: Any) -> None:
    done: list[Any] = []

    def on_ready(channel: Any) -> None:
        done.append(channel.call("echo", "from the start"))

    house.serve({"echo": echo}, on_ready=on_ready)
    client = house.dial(house._listeners[-1].address, {"echo": echo})
    until(lambda: done)
    assert done == [["from the start"]]
    assert client.call("echo", 1) == [1]


def test_an_acceptor_needs_a_secret_of_its_own() -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        Acceptor(ROOT, [b""], os.urandom(32), None)
