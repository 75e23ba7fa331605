"""The client's side of WebSocket between a transport's bytes and a wire's messages, by the `websockets` package."""

from __future__ import annotations

from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.typing import Origin
from websockets.uri import parse_uri

__all__ = ["WebSocketSide"]

LARGEST = 16 * 2**20


class WebSocketSide:
    """One connection; after each call the driver sends what `output` gives."""

    def __init__(self, url: str, *, text: bool, origin: str | None) -> None:
        self._text = text
        self._protocol = ClientProtocol(
            parse_uri(url), origin=None if origin is None else Origin(origin), max_size=16 * 2**20
        )
        self._protocol.send_request(self._protocol.connect())
        self._pieces: list[bytes] = []
        self.open = False
        """Whether the server accepted the handshake."""
        self.refusal: str | None = None
        """How the server refused the handshake."""

    def output(self) -> bytes:
        """Give what must be sent now."""
        return b"".join(self._protocol.data_to_send())

    def wrap(self, data: bytes) -> bytes:
        """Give the bytes of one message."""
        if self._text:
            self._protocol.send_text(data)
        else:
            self._protocol.send_binary(data)
        return self.output()

    def receive(self, data: bytes) -> list[bytes]:
        """Take what arrived and give the messages that are complete."""
        self._protocol.receive_data(data)
        messages: list[bytes] = []
        for event in self._protocol.events_received():
            if isinstance(event, Response):
                self.open = event.status_code == 101
                self.refusal = None if self.open else f"{event.status_code} {event.reason_phrase}"
            elif isinstance(event, Frame) and event.opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
                self._pieces.append(bytes(event.data))
                if event.fin:
                    messages.append(b"".join(self._pieces))
                    self._pieces.clear()
        return messages

    def close_reason(self) -> str | None:
        """Give the code and reason with which the server closed; None while it has not."""
        code = self._protocol.close_code
        return None if code is None else f"{code} {self._protocol.close_reason or ''}".strip()
