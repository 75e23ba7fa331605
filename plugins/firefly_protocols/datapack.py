"""The `datapack` format: a header of 17 bytes, then the body; the wire of 9miao's G-Firefly, byte for byte.

Big endian: four magic bytes, the protocol's version (one byte), the server's version (u32), the length (u32: body + 4),
the command's id (u32). An answer has the same header with the request's id.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

from firefly_core.errors import ProtocolError
from firefly_core.kernel.config.config import Misfit, Rule, config, integer, key, optional
from firefly_core.wire.protocol import NO_NAMES, Limits, Protocol, Request

__all__ = ["Datapack", "DatapackConfig", "Header"]

HEADER = 17
FIXED = struct.Struct("!5BI")
LENGTH_AND_COMMAND = struct.Struct("!II")
HEAD = struct.Struct("!9sII").pack
MAGIC = 4
VERSIONS = FIXED.size
KNOWN = 4096


class Header(tuple[int, ...]):
    """The six values that every header of a listener begins with, and the headers that were seen and found right."""

    fixed: bytes
    """Those six values as bytes."""
    known: dict[bytes, tuple[int, int]]
    """Header to (body's length, command): looking it up takes a third of unpacking and checking. At most 4,096."""

    def __new__(cls, values: tuple[int, ...]) -> Header:
        self = super().__new__(cls, values)
        self.fixed = FIXED.pack(*values)
        self.known = {}
        return self

    def learn(self, header: bytes) -> tuple[int, int]:
        """Check a header that is not known yet, and give the body's length and the command; raises ProtocolError."""
        if not header.startswith(self.fixed):
            raise self.refusal(header)
        length, command = LENGTH_AND_COMMAND.unpack_from(header, VERSIONS)
        if length < LENGTH_AND_COMMAND.size // 2:
            raise ProtocolError("bad_length", f"a length of {length} does not even hold the command's id")
        if len(self.known) >= KNOWN:
            self.known.clear()
        found = self.known[header] = (length - 4, command)
        return found

    def begins(self, data: bytes | bytearray) -> bool:
        """Whether `data`, shorter than a header, may become one of this listener's."""
        return self.fixed.startswith(bytes(data[:VERSIONS]))

    def refusal(self, data: bytes | bytearray) -> ProtocolError:
        """Give the error for bytes that begin otherwise than this listener's headers."""
        if self.fixed.startswith(bytes(data[:MAGIC])):
            return ProtocolError("bad_version", "another protocol or server version than this listener's")
        return ProtocolError("bad_magic", "the first four bytes are not this listener's")


def header() -> Rule:
    """Accept six integers: four magic bytes, the protocol's version (each 0 to 255), the server's version (u32)."""
    needs = "six integers: four magic bytes and a protocol version from 0 to 255, a server version from 0 to 4294967295"

    def parse(value: Any) -> Header:
        if not isinstance(value, list | tuple) or len(value) != 6:
            raise Misfit(needs)
        for index, number in enumerate(value):
            most = 255 if index < 5 else 2**32 - 1
            if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number <= most:
                raise Misfit(f"an integer from 0 to {most}", (index,))
        return Header(tuple(value))

    return Rule(needs, parse)


@config
class DatapackConfig:
    """The keys of a listener that speaks datapack."""

    header: Header = key(header(), "four magic bytes, protocol version, server version", default=[0, 0, 0, 0, 0, 0])
    error_command: int | None = key(
        optional(integer(0, 2**32 - 1)), "command id of error answers; absent: the request's own", default=None
    )


class Datapack(Protocol):
    """A header of 17 bytes and the body. It has no request ids: every command is answered, in order."""

    __slots__ = ("_fixed", "_known", "_need")

    name = "datapack"
    answers_always = True
    Config = DatapackConfig

    def __init__(
        self, settings: DatapackConfig, limits: Limits, *, stream: bool, names: Mapping[str, int] = NO_NAMES
    ) -> None:
        super().__init__(settings, limits, stream=stream, names=names)
        self._fixed = settings.header.fixed
        self._known = settings.header.known
        self._need = 0
        """How long `tail` must be before it is worth another look: a header, then header and body."""

    def receive(self, data: bytes) -> list[Request]:
        """Cut frames out of what arrived; a frame's length is judged by its header, before its body is kept."""
        found = self._known.get(data[:HEADER])
        if found is not None and self.tail is None and self.failure is None:
            length, command = found
            if len(data) - HEADER == length <= self.limits.max_frame:
                # Most reads bring just one frame.
                return [Request(command, data[HEADER:])]
        return self._cut(data)

    def _cut(self, data: bytes) -> list[Request]:
        """Cut out as many frames as there are."""
        if self.failure is not None:
            raise self.failure
        if self.tail is not None:
            whole = self._gather(self.tail, data)
            if whole is None:
                return []
            data = whole
        known = self._known
        longest = self.limits.max_frame
        size = len(data)
        start = 0
        requests: list[Request] = []
        add = requests.append
        try:
            while start < size:
                begin = start + HEADER
                head = data[start:begin]
                try:
                    length, command = known[head]
                except KeyError:
                    if begin > size:
                        break
                    length, command = self.settings.header.learn(head)
                if length > longest:
                    raise ProtocolError("too_long", f"a body of {length} bytes, {longest} are allowed")
                end = begin + length
                if end > size:
                    break
                add(Request(command, data[begin:end]))
                start = end
        except ProtocolError as error:
            return self._fail(requests, error)
        if start < size:
            return self._keep(data[start:], requests)
        return requests

    def _gather(self, tail: bytearray, data: bytes) -> bytes | None:
        """Put what arrived behind the frame that has begun; give all of it once there is something to cut."""
        tail += data
        if len(tail) >= self._need:
            self.tail = None
            return bytes(tail)
        if len(tail) < HEADER and not self.settings.header.begins(tail):
            self._fail([], self.settings.header.refusal(tail))
        return None

    def _keep(self, rest: bytes, requests: list[Request]) -> list[Request]:
        """Keep a frame that has begun."""
        if not self.stream:
            return self._fail(requests, ProtocolError("truncated", "the message ends inside a frame"))
        if len(rest) >= HEADER:
            self._need = HEADER + self._known[rest[:HEADER]][0]
        elif self.settings.header.begins(rest):
            self._need = HEADER
        else:
            return self._fail(requests, self.settings.header.refusal(rest))
        self.tail = bytearray(rest)
        return requests

    def encode_reply(self, request: Request, body: bytes) -> bytes:
        return HEAD(self._fixed, len(body) + 4, request.command) + body

    def encode_error(self, request: Request, code: str, message: str, body: bytes) -> bytes:  # noqa: ARG002
        command = self.settings.error_command
        if command is None:
            command = request.command
        return HEAD(self._fixed, len(body) + 4, command) + body

    def encode_push(self, command: int, name: str, body: bytes) -> bytes:  # noqa: ARG002
        return HEAD(self._fixed, len(body) + 4, command) + body
