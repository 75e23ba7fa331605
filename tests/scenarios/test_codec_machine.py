"""Every format as a state machine: requests, answers, pushes, errors in any order, in pieces of any size, both ways."""

from __future__ import annotations

import json
from collections import deque
from typing import Any

import msgpack
from firefly_protocols.datapack import Datapack
from firefly_protocols.json_text import JsonText
from firefly_protocols.msgpack_frames import MsgpackFrames
from firefly_protocols.pomelo import Pomelo
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from firefly_core.kernel.config.config import read_alone
from firefly_core.testing import DatapackWire, JsonWire, MsgpackWire, PomeloWire
from firefly_core.testing.client_wire import Answer, PushReceived
from firefly_core.wire.protocol import Limits, Request

NAMES = {"login": 101, "catch": 203, "glow": 2001}
FORMATS: dict[str, tuple[Any, Any]] = {
    "datapack": (Datapack, DatapackWire),
    "json": (JsonText, JsonWire),
    "msgpack": (MsgpackFrames, MsgpackWire),
    "pomelo": (Pomelo, PomeloWire),
}
BODIES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**31), 2**31), st.text(max_size=20)),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=5), inner, max_size=4)),
    max_leaves=6,
)


class CodecMachine(RuleBasedStateMachine):
    """A client and a server with two pipes between them, whose bytes are handed on in pieces."""

    @initialize(name=st.sampled_from(sorted(FORMATS)))
    def begin(self, name: str) -> None:
        kind, wire = FORMATS[name]
        self.name = name
        self.server = kind(read_alone(kind.Config), Limits(65536), stream=True, names=NAMES)
        self.client = wire()
        self.up = bytearray()
        self.down = bytearray()
        self.asked: deque[tuple[int, Any]] = deque()
        """Requests that the server has not seen."""
        self.open: deque[Request] = deque()
        """Requests that it has not answered."""
        self.told: deque[Answer | PushReceived] = deque()
        """What the client has not heard."""
        self.number = 0

    def pack(self, body: Any) -> bytes:
        return bytes(msgpack.packb(body)) if self.name == "msgpack" else json.dumps(body).encode()

    def unpack(self, body: bytes) -> Any:
        return msgpack.unpackb(body) if self.name == "msgpack" else json.loads(body)

    # ------------------------------------------------------------------------------------------------- the steps

    @rule(body=BODIES, command=st.sampled_from([101, 203]))
    def ask(self, body: Any, command: int) -> None:
        self.number += 1
        self.up += self.client.encode(self.number, command, body)
        self.asked.append((command, body))

    @rule(size=st.integers(1, 60))
    @precondition(lambda self: self.up)
    def hand_up(self, size: int) -> None:
        piece = bytes(self.up[:size])
        del self.up[:size]
        for request in self.server.receive(piece):
            command, body = self.asked.popleft()
            assert request.command in (command, {101: "login", 203: "catch"}[command])
            assert self.unpack(request.body) == body
            self.open.append(request)
        for frame in self.server.output or ():
            self.down += frame
        self.server.output = None

    @rule()
    @precondition(lambda self: self.open)
    def answer(self) -> None:
        request = self.open.popleft()
        body = self.unpack(request.body)
        self.down += self.server.encode_reply(request, request.body)
        self.told.append(Answer(self.answered(), body))

    @rule(message=st.text(max_size=10))
    @precondition(lambda self: self.open)
    def refuse(self, message: str) -> None:
        request = self.open.popleft()
        body = self.pack({"error": {"code": "no", "message": message}})
        self.down += self.server.encode_error(request, "no", message, body)
        self.told.append(Answer(self.answered(), None, "no", message))

    @rule(body=BODIES)
    @precondition(lambda self: self.name != "pomelo" or self.number - len(self.asked) > 0)
    def push(self, body: Any) -> None:
        self.down += self.server.encode_push(2001, "glow", self.pack(body))
        self.told.append(PushReceived(2001, body, "" if self.name == "datapack" else "glow"))

    @rule(size=st.integers(1, 60))
    @precondition(lambda self: self.down)
    def hand_down(self, size: int) -> None:
        piece = bytes(self.down[:size])
        del self.down[:size]
        for heard in self.client.receive(piece):
            assert heard == self.told.popleft()

    def answered(self) -> int:
        """Give the number of the request that was answered last: they are answered in order."""
        return self.number - len(self.asked) - len(self.open)

    # ------------------------------------------------------------------------------------------ what always holds

    @invariant()
    def nothing_is_left_over(self) -> None:
        if not self.up:
            assert not self.asked
            assert self.server.tail is None
        if not self.down:
            assert not self.told

    def teardown(self) -> None:
        while getattr(self, "up", None):
            self.hand_up(1000)
        while getattr(self, "down", None):
            self.hand_down(1000)


CodecMachine.TestCase.settings = settings(
    max_examples=40,
    stateful_step_count=25,
    deadline=None,
    derandomize=True,
    database=None,
    phases=(Phase.explicit, Phase.generate, Phase.shrink),
)
TestCodecMachine = CodecMachine.TestCase
