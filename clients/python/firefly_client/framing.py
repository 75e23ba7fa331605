"""What stands between a line's bytes and the messages: nothing on TCP, WebSocket's frames otherwise. Pure."""

from __future__ import annotations

from typing import Any, Protocol

from firefly_client.address import Address

__all__ = ["Framing", "HandshakeRefused", "Plain", "WebSocketFraming", "make_framing"]

NORMAL = 1000


class HandshakeRefused(Exception):
    """The server did not open the WebSocket."""


class Framing(Protocol):
    """One line's framing."""

    stream: bool
    """Whether `receive` gives a stream of bytes, not whole messages."""
    open: bool
    """Whether messages may be sent."""
    closed: str | None
    """Why the other side has ended it, where the framing tells."""

    def begin(self) -> bytes:
        """Give what is to be written first."""

    def receive(self, data: bytes) -> list[bytes]:
        """Take what arrived and give the messages; raises HandshakeRefused."""

    def wrap(self, message: bytes) -> bytes:
        """Give the bytes of a message."""

    def end(self) -> bytes:
        """Give the bytes of a polite end."""

    def take_output(self) -> bytes:
        """Give what the framing itself has to write."""


class Plain:
    """TCP: every byte is the wire format's."""

    stream = True
    open = True
    closed: str | None = None

    def begin(self) -> bytes:
        """Nothing."""
        return b""

    def receive(self, data: bytes) -> list[bytes]:
        """Give it as it is."""
        return [data]

    def wrap(self, message: bytes) -> bytes:
        """Give it as it is."""
        return message

    def end(self) -> bytes:
        """Nothing: the format said goodbye."""
        return b""

    def take_output(self) -> bytes:
        """Nothing."""
        return b""


class WebSocketFraming:
    """WebSocket, by the sans-IO part of the package websockets (`pip install firefly-client[websocket]`)."""

    stream = False

    def __init__(self, address: Address, *, text: bool, origin: str | None, max_size: int) -> None:
        from websockets.client import ClientProtocol
        from websockets.uri import parse_uri

        given: Any = origin
        self._protocol = ClientProtocol(parse_uri(address.url), origin=given, max_size=max_size)
        self._text = text
        self._parts: list[bytes] = []
        self.open = False
        self.closed: str | None = None

    def begin(self) -> bytes:
        """Give the request of the opening handshake."""
        self._protocol.send_request(self._protocol.connect())
        return self.take_output()

    def receive(self, data: bytes) -> list[bytes]:
        """Take what arrived and give whole messages; raises HandshakeRefused."""
        from websockets.frames import Frame, Opcode
        from websockets.protocol import State

        self._protocol.receive_data(data)
        messages: list[bytes] = []
        for event in self._protocol.events_received():
            if not isinstance(event, Frame):
                if self._protocol.handshake_exc is not None:
                    raise HandshakeRefused(str(self._protocol.handshake_exc))
            elif event.opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
                self._parts.append(bytes(event.data))
                if event.fin:
                    messages.append(b"".join(self._parts))
                    self._parts.clear()
        if self._protocol.handshake_exc is not None:
            raise HandshakeRefused(str(self._protocol.handshake_exc))
        self.open = self._protocol.state is State.OPEN
        if self._protocol.state in (State.CLOSING, State.CLOSED):
            told = self._protocol.close_rcvd
            self.closed = (told.reason if told is not None else "") or "closed"
        return messages

    def wrap(self, message: bytes) -> bytes:
        """Give the frame of a message; nothing once the other side has begun to close."""
        if not self.open:
            return b""
        if self._text:
            self._protocol.send_text(message)
        else:
            self._protocol.send_binary(message)
        return self.take_output()

    def end(self) -> bytes:
        """Give the close frame."""
        from websockets.protocol import State

        if self._protocol.state is State.OPEN:
            self._protocol.send_close(NORMAL)
        self.open = False
        return self.take_output()

    def take_output(self) -> bytes:
        """Give pongs, and what belongs to the handshakes."""
        return b"".join(self._protocol.data_to_send())


def make_framing(address: Address, *, text: bool, origin: str | None, max_size: int) -> Framing:
    """Give the framing of a new line."""
    if address.websocket:
        return WebSocketFraming(address, text=text, origin=origin, max_size=max_size)
    return Plain()
