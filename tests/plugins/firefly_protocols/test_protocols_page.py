"""docs/protocols.md: every example is what the server reads and writes, byte by byte."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import gevent
import pytest
from firefly_gate.websocket import WebSocketLayer
from firefly_protocols.datapack import Datapack
from firefly_protocols.json_codec import JsonCodec
from firefly_protocols.json_text import JsonText
from firefly_protocols.msgpack_codec import MsgpackCodec
from firefly_protocols.msgpack_frames import MsgpackFrames
from firefly_protocols.pomelo import Pomelo
from gevent import socket

from firefly_core.errors import ProtocolError
from firefly_core.kernel.config.config import read_alone
from firefly_core.wire.protocol import Limits

PAGE = Path(__file__).parents[3] / "docs" / "protocols.md"
FORMATS = {"datapack": Datapack, "json": JsonText, "msgpack": MsgpackFrames, "pomelo": Pomelo}
CODECS = {"msgpack": MsgpackCodec()}


def blocks() -> list[tuple[int, str, dict[str, str], list[str]]]:
    """Give the fenced blocks: line, language, options, lines."""
    found, begun = [], None
    for number, line in enumerate(PAGE.read_text().splitlines(), 1):
        if begun is None and (fence := re.fullmatch(r"```(\w+)(.*)", line)):
            begun = (number, fence[1], dict(option.split("=", 1) for option in fence[2].split()), [])
        elif line == "```" and begun is not None:
            found.append(begun)
            begun = None
        elif begun is not None:
            begun[3].append(line)
    return found


def steps(lines: list[str], decode) -> Iterator[tuple[str, bytes | str]]:
    """Join the lines that are one piece of bytes; give them and the sentences about them in order."""
    side, piece = "", b""
    for line in [*lines, "= "]:
        if line[:1] != side and piece:
            yield side, piece
            piece = b""
        side = line[:1]
        if side == "=":
            yield side, line[2:]
        else:
            piece += decode(line[2:])


def of_language(*languages):
    return [
        pytest.param(options, lines, lang, id=f"line {at}")
        for at, lang, options, lines in blocks()
        if lang in languages
    ]


class Example:
    """One connection, driven by the lines of a block."""

    def __init__(self, protocol, codec):
        self.protocol = protocol
        self.codec = codec
        self.received = []
        self.refused = None
        self.request = None
        self.written = b""

    def client_sends(self, data):
        try:
            self.received += self.protocol.receive(data)
        except ProtocolError as error:
            self.refused = error

    def server_sends(self, data):
        self.written = data

    def check(self, sentence):
        word, _, rest = sentence.partition(" ")
        getattr(self, f"is_{word}")(rest)

    def body(self, text):
        return self.codec.encode(json.loads(text))

    def is_(self, _rest):
        assert not self.received
        assert not self.written
        assert self.refused is None

    def is_request(self, rest):
        command, identity, text = re.fullmatch(r"(\S+) (?:id=(\S+) )?(.*)", rest).groups()
        request = self.request = self.received.pop(0)
        assert request.command == json.loads(command)
        assert request.request_id == (json.loads(identity) if identity else None)
        assert json.loads(JsonCodec().encode(self.codec.decoder(object)(request.body))) == json.loads(text)

    is_notify = is_request

    def is_answer(self, text):
        self.wrote(self.protocol.encode_reply(self.request, self.body(text)))

    def is_error(self, rest):
        code, _, message = rest.partition(" ")
        body = self.codec.encode({"error": {"code": code, "message": message}})
        self.wrote(self.protocol.encode_error(self.request, code, message, body))

    def push(self, rest):
        command, name, text = rest.split(" ", 2)
        return self.protocol.encode_push(int(command), name, self.body(text))

    def is_push(self, rest):
        self.wrote(self.push(rest))

    def is_numbered(self, rest):
        seq, rest = rest.split(" ", 1)
        self.wrote(self.protocol.number(self.push(rest), int(seq)))

    def is_acknowledged(self, seq):
        assert self.protocol.acknowledged == int(seq)

    def is_heartbeat(self, _rest):
        self.wrote(self.protocol.encode_heartbeat())

    def is_goodbye(self, reason):
        self.wrote(self.protocol.encode_goodbye(reason))

    def is_own(self, _rest):
        output, self.protocol.output = self.protocol.output, None
        self.wrote(b"".join(output))

    def is_refused(self, reason):
        assert self.refused is not None
        assert self.refused.reason == reason
        self.refused = None

    def wrote(self, data):
        assert data.hex(" ") == self.written.hex(" ")
        self.written = b""


@pytest.mark.parametrize(("options", "lines", "language"), of_language(*FORMATS))
def test_every_example_of_a_format_is_what_the_server_reads_and_writes(options, lines, language):
    keys = {}
    if "header" in options:
        keys["header"] = [int(value) for value in options["header"].split(",")]
    names = {
        name: int(code)
        for name, _, code in (pair.partition(":") for pair in options.get("names", "").split(","))
        if code
    }
    kind = FORMATS[language]
    protocol = kind(read_alone(kind.Config, keys), Limits(65536), stream=True, names=names)
    example = Example(protocol, CODECS.get(language, JsonCodec()))
    decode = (lambda text: text.encode() + b"\n") if kind.text else bytes.fromhex
    play(example, steps(lines, decode))


@pytest.mark.parametrize(("options", "lines", "language"), of_language("websocket"))
def test_every_example_of_websocket_frames_is_what_the_server_reads_and_writes(options, lines, language):
    layer = WebSocketLayer(Limits(65536))
    handshake(layer)
    example = WebSocketExample(layer, None)
    play(example, steps(lines, bytes.fromhex))


def test_the_example_of_the_opening_handshake_is_answered_so():
    layer = WebSocketLayer(Limits(65536))
    assert layer.take_output() == []
    assert handshake(layer) == b"".join(piece for side, piece in http() if side == "<")


class WebSocketExample(Example):
    def is_message(self, text):
        assert self.received.pop(0) == text.encode()

    def is_text(self, text):
        self.wrote(self.protocol.wrap(text.encode(), True))


def play(example, script):
    for side, what in script:
        if side == ">":
            example.client_sends(what)
        elif side == "<":
            example.server_sends(what)
        else:
            example.check(what)


def http():
    ((_, lines, _),) = (parameter.values for parameter in of_language("http"))
    return [step for step in steps(lines, lambda text: text.encode() + b"\r\n") if step[0] != "="]


def handshake(layer) -> bytes:
    layer.receive(b"".join(piece for side, piece in http() if side == ">"))
    return b"".join(layer.take_output())


def test_the_client_in_python_logs_in_and_plays():
    (source,) = ("\n".join(lines) for _, language, _, lines in blocks() if language == "python")
    client: dict = {}
    exec(compile(source, str(PAGE), "exec"), client)
    near, far = socket.socketpair()
    protocol = Datapack(read_alone(Datapack.Config), Limits(65536), stream=True)

    def serve():
        while data := far.recv(8192):
            for request in protocol.receive(data):
                far.sendall(protocol.encode_push(2001, "world", b'{"t":1}'))
                far.sendall(protocol.encode_reply(request, b'{"you":' + request.body + b"}"))

    with near, far:
        server = gevent.spawn(serve)
        assert client["call"](near, 101, {"name": "Ada"}) == {"you": {"name": "Ada"}}
        assert client["call"](near, 203, None) == {"you": None}
        near.shutdown(socket.SHUT_WR)
        server.get(timeout=5)


def test_every_reason_that_a_format_gives_is_in_the_list():
    text = PAGE.read_text()
    listed = set(re.findall(r"`(\w+)`", text[text.index("## Why a connection ends") :]))
    sources = [*(PAGE.parents[1] / "plugins").glob("firefly_protocols/*.py")]
    sources += [
        PAGE.parents[1] / "plugins" / "firefly_gate" / f"{name}.py" for name in ("websocket", "frames", "upgrade")
    ]
    given = set()
    for source in sources:
        given |= set(re.findall(r'(?:ProtocolError|refused)\(\s*"(\w+)"', source.read_text()))
        given |= set(re.findall(r'Fault\(\w+, "(\w+)"', source.read_text()))
        given |= set(re.findall(r'"(bad_\w+)"', source.read_text()))
    assert len(given) > 20
    assert given - listed == set()
