"""What every client wire format promises, as a class to inherit.

    class TestDatapack(ProtocolContract):
        protocol = Datapack
        codec = JsonCodec()

        def client(self, *, stream: bool) -> ClientWire:
            return DatapackWire()

pytest then runs every promise against the format; the client side must not share code with the server side. It needs
hypothesis, which the extra `dev` brings.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from firefly_core.errors import ProtocolError
from firefly_core.kernel.config.config import read_alone
from firefly_core.testing.client_wire import Answer, ClientWire, Goodbye, PushReceived
from firefly_core.wire.codec import Codec
from firefly_core.wire.protocol import Limits, Protocol, Request

__all__ = ["ProtocolContract"]

SLACK = 1024
"""Bytes beyond the limit within which an endless frame must have been refused."""
ALIKE = settings(  # every run tries the same examples: `make fuzz` is for new ones
    max_examples=50,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.differing_executors],
)

numbers = st.integers(0, 2**53)
names = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=20).map("n{}".format)
ids = st.integers(1, 65535)
plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(st.characters(codec="utf-8"), max_size=40),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4),
    max_leaves=8,
)


class ProtocolContract:
    """Inherit it, name the protocol and give its client side; every test below is a promise that the gate relies on."""

    protocol: ClassVar[type[Protocol]]
    codec: ClassVar[Codec]
    """The codec that the client side writes bodies in."""
    keys: ClassVar[Mapping[str, Any]] = {}
    """The listener's extra keys, as they would stand in firefly.toml."""
    names: ClassVar[Mapping[str, int]] = {"catch": 203, "world": 2001}
    has_names: ClassVar[bool] = True
    """Whether a client may name a command instead of giving its id."""
    has_notifies: ClassVar[bool] = True
    """Whether a client may send what nobody answers."""
    garbage: ClassVar[Sequence[bytes]] = (
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    )
    """What must be refused as the first thing on a connection; HTTP and TLS are strangers to every format."""
    idle_bytes: ClassVar[int] = 200
    """The size of an idle connection's object at most."""

    def client(self, *, stream: bool) -> ClientWire:
        """Give the client side of one connection, in its state after `open`."""
        raise NotImplementedError

    def open(self, server: Protocol) -> None:
        """Bring a new connection to where it takes requests: formats with a handshake have something to do here."""

    def server(self, *, stream: bool = True, max_frame: int = 65536) -> Protocol:
        """Give the server side of a new connection that takes requests."""
        config: Any = read_alone(self.protocol.Config, dict(self.keys))
        made = self.protocol(config, Limits(max_frame), stream=stream, names=self.names)
        self.open(made)
        return made

    # ----------------------------------------------------------------------------------------------- requests

    @ALIKE
    @given(data=st.data())
    def test_a_request_arrives_as_it_was_sent(self, data: st.DataObject) -> None:
        number, command, body = data.draw(self._sent())
        for stream in (True, False):
            (request,) = self.server(stream=stream).receive(self.client(stream=stream).encode(number, command, body))
            assert request.command == command
            assert self.codec.decoder(Any)(request.body) == body
            if self.has_notifies:
                assert request.request_id == number

    @ALIKE
    @given(data=st.data())
    def test_however_the_stream_is_cut_the_same_requests_arrive_in_order(self, data: st.DataObject) -> None:
        wire = self._stream_of(data.draw(st.lists(self._sent(), max_size=6)))
        whole = self.server().receive(wire)
        cuts = sorted(data.draw(st.lists(st.integers(0, len(wire)), max_size=12)))
        server = self.server()
        pieces = [wire[start:end] for start, end in zip([0, *cuts], [*cuts, len(wire)], strict=True)]
        assert [request for piece in pieces for request in server.receive(piece)] == whole
        assert server.tail is None

    def test_two_frames_cut_at_every_offset_give_the_same_requests(self) -> None:
        wire = self._stream_of([(1, 203, {"x": 1, "name": "glow"}), (2, 101, ["a", None, 3])])
        whole = self.server().receive(wire)
        assert len(whole) == 2
        for offset in range(len(wire) + 1):
            server = self.server()
            assert server.receive(wire[:offset]) + server.receive(wire[offset:]) == whole

    def test_ten_thousand_requests_in_one_piece_all_arrive(self) -> None:
        one = self.client(stream=True).encode(1, 203, None)
        found = self.server().receive(one * 10_000)
        assert len(found) == 10_000
        assert len(set(found)) == 1

    def test_partial_is_true_exactly_while_a_frame_is_incomplete(self) -> None:
        wire = self.client(stream=True).encode(1, 203, {"x": 1})
        server = self.server()
        assert server.receive(b"") == []
        assert server.tail is None
        for index in range(len(wire) - 1):
            assert server.receive(wire[index : index + 1]) == []
            assert server.tail is not None
        assert len(server.receive(wire[-1:])) == 1
        assert server.tail is None

    def test_a_large_request_in_small_pieces_arrives_whole(self) -> None:
        body = "x" * 60_000
        wire = self.client(stream=True).encode(1, 203, body)
        server = self.server()
        found = [request for at in range(0, len(wire), 7) for request in server.receive(wire[at : at + 7])]
        assert [self.codec.decoder(Any)(request.body) for request in found] == [body]

    # ------------------------------------------------------------------------------------------------- bounds

    def test_an_oversized_frame_is_refused_before_it_is_kept(self) -> None:
        wire = self.client(stream=True).encode(1, 203, "x" * 50_000)
        server = self.server(max_frame=1024)
        for fed in range(0, 1024 + SLACK, 64):
            try:
                assert server.receive(wire[fed : fed + 64]) == []
            except ProtocolError:
                break
        assert server.failure is not None
        assert server.failure.reason == "too_long"

    def test_an_oversized_frame_in_one_piece_is_refused(self) -> None:
        for stream in (True, False):
            with pytest.raises(ProtocolError) as refused:
                self.server(stream=stream, max_frame=1024).receive(
                    self.client(stream=stream).encode(1, 203, "x" * 50_000)
                )
            assert refused.value.reason == "too_long"

    def test_a_limit_that_is_raised_counts_from_the_next_frame_on(self) -> None:
        wire = self.client(stream=True).encode(1, 203, "x" * 2000)
        server = self.server(max_frame=1024)
        server.limits = Limits(4096)
        assert len(server.receive(wire)) == 1

    def test_an_idle_connection_keeps_no_buffer_and_no_list(self) -> None:
        server = self.server()
        server.receive(self.client(stream=True).encode(1, 203, {"x": 1}))
        assert server.output is None
        assert sys.getsizeof(server) <= self.idle_bytes

    # -------------------------------------------------------------------------------------------- malformed

    def test_garbage_is_refused_with_a_reason_that_can_be_counted(self) -> None:
        for stream in (True, False):
            for bad in self.garbage:
                with pytest.raises(ProtocolError) as refused:
                    self.server(stream=stream).receive(bad)
                assert refused.value.reason.isidentifier(), bad
                assert str(refused.value), bad

    def test_requests_before_bad_bytes_are_given_first(self) -> None:
        good = self._stream_of([(1, 203, {"x": 1}), (2, 101, None)])
        for bad in self.garbage:
            server = self.server()
            assert server.receive(good + bad) == self.server().receive(good), bad
            assert server.failure is not None
            for data in (b"", good):
                with pytest.raises(ProtocolError) as refused:
                    server.receive(data)
                assert refused.value is server.failure

    def test_a_mebibyte_of_zeros_or_noise_is_refused(self) -> None:
        for noise in (bytes(2**20), Random(1).randbytes(2**20)):  # noqa: S311
            server = self.server()
            with pytest.raises(ProtocolError):
                server.receive(noise)

    def test_a_refused_connection_stays_refused(self) -> None:
        server = self.server()
        with pytest.raises(ProtocolError):
            server.receive(self.garbage[0])
        for data in (b"", self.client(stream=True).encode(1, 203, None)):
            with pytest.raises(ProtocolError):
                server.receive(data)

    @ALIKE
    @given(pieces=st.lists(st.binary(max_size=64), max_size=8), stream=st.booleans())
    def test_no_bytes_do_anything_but_requests_or_a_refusal(self, pieces: list[bytes], stream: bool) -> None:
        server = self.server(stream=stream)
        try:
            for piece in pieces:
                assert all(isinstance(request, Request) for request in server.receive(piece))
        except ProtocolError:
            assert server.failure is not None

    @ALIKE
    @given(data=st.data())
    def test_a_whole_message_that_is_cut_short_is_refused(self, data: st.DataObject) -> None:
        wire = self.client(stream=False).encode(1, 203, {"x": 1})
        with pytest.raises(ProtocolError):
            self.server(stream=False).receive(wire[: data.draw(st.integers(1, len(wire) - 1))])

    # -------------------------------------------------------------------------------------- to the client

    @ALIKE
    @given(data=st.data())
    def test_a_reply_reaches_the_request_that_it_answers(self, data: st.DataObject) -> None:
        command, body = data.draw(ids), data.draw(plain)
        for stream in (True, False):
            client, server = self.client(stream=stream), self.server(stream=stream)
            (request,) = server.receive(client.encode(7, command, None))
            frame = server.encode_reply(request, self.codec.encode(body))
            assert list(client.receive(frame)) == [Answer(7, body)]

    @ALIKE
    @given(
        code=st.from_regex(r"[a-z_]{1,20}", fullmatch=True), message=st.text(st.characters(codec="utf-8"), max_size=40)
    )
    def test_an_error_reaches_the_request_that_it_answers(self, code: str, message: str) -> None:
        error = self.codec.encode({"error": {"code": code, "message": message}})
        for stream in (True, False):
            client, server = self.client(stream=stream), self.server(stream=stream)
            (request,) = server.receive(client.encode(7, 203, None))
            frame = server.encode_error(request, code, message, error)
            assert list(client.receive(frame)) == [Answer(7, None, code, message)]

    def test_a_push_arrives_and_is_the_same_for_every_connection(self) -> None:
        body = self.codec.encode({"x": 1})
        for stream in (True, False):
            frames = [self.server(stream=stream).encode_push(2001, "world", body) for _ in range(2)]
            assert frames[0] == frames[1]
            (push,) = self.client(stream=stream).receive(frames[0])
            assert isinstance(push, PushReceived)
            assert push.body == {"x": 1}
            assert 2001 in (push.command, self.names.get(push.name))

    def test_answers_and_pushes_in_one_piece_arrive_in_order(self) -> None:
        client, server = self.client(stream=True), self.server()
        (request,) = server.receive(client.encode(7, 203, None))
        null = self.codec.encode(None)
        wire = server.encode_push(2001, "world", null) + server.encode_reply(request, null)
        push, answer = client.receive(wire)
        assert isinstance(push, PushReceived)
        assert answer == Answer(7, None)

    def test_a_numbered_push_says_its_number_where_the_format_is_resumable(self) -> None:
        server = self.server()
        frame = server.encode_push(2001, "world", self.codec.encode({"x": 1}))
        numbered = server.number(frame, 17)
        assert (numbered != frame) is self.protocol.resumable
        (push,) = self.client(stream=True).receive(numbered)
        assert isinstance(push, PushReceived)
        assert push.body == {"x": 1}

    def test_a_client_answers_the_heartbeat_and_understands_the_goodbye(self) -> None:
        for stream in (True, False):
            client, server = self.client(stream=stream), self.server(stream=stream)
            heartbeat, goodbye = server.encode_heartbeat(), server.encode_goodbye("kicked")
            if heartbeat:
                for back in client.receive(heartbeat):
                    assert isinstance(back, bytes)
                    assert server.receive(back) == []
            if goodbye:
                assert list(client.receive(goodbye)) == [Goodbye("kicked")]

    # ------------------------------------------------------------------------------------------------ pieces

    def _sent(self) -> st.SearchStrategy[tuple[int | None, int | str, Any]]:
        numbered = numbers | st.none() if self.has_notifies else numbers
        return st.tuples(numbered, ids | names if self.has_names else ids, plain)

    def _stream_of(self, sent: Sequence[tuple[int | None, int | str, Any]]) -> bytes:
        client = self.client(stream=True)
        return b"".join(client.encode(*request) for request in sent)
