"""One line in an event loop, with its framing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from firefly_client.framing import Framing

__all__ = ["TransportLine"]

MAX_UNSENT = 4 * 1024 * 1024
LAST_WORDS = 1.0
"""Seconds that a goodbye may take."""


class TransportLine(asyncio.Protocol):
    """One connection of the event loop, with its framing. `received` hears b"" when it has been opened."""

    def __init__(
        self,
        framing: Framing,
        received: Callable[[TransportLine, bytes], None],
        lost: Callable[[TransportLine, str], None],
    ) -> None:
        self.framing = framing
        self._received = received
        self._lost = lost
        self._transport: asyncio.Transport | None = None
        self._closed = asyncio.get_running_loop().create_future()
        self._hung_up = False

    def connection_made(self, transport: Any) -> None:
        """Begin."""
        self._transport = transport
        if self._hung_up:
            transport.abort()
            return
        transport.write(self.framing.begin())
        self._received(self, b"")

    def data_received(self, data: bytes) -> None:
        """Pass on what came."""
        self._received(self, data)

    def connection_lost(self, error: Exception | None) -> None:
        """Tell why it ended."""
        if not self._closed.done():
            self._closed.set_result(None)
        self._lost(self, self.framing.closed or (str(error) if error is not None else "end_of_stream"))

    def write(self, messages: list[bytes]) -> None:
        """Write messages, and what the framing itself has to say."""
        if self._transport is None:
            return
        data = self.framing.take_output() + b"".join(self.framing.wrap(message) for message in messages)
        if data:
            self._transport.write(data)
        if self._transport.get_write_buffer_size() > MAX_UNSENT:
            self._transport.abort()

    def read(self, wanted: bool) -> None:
        """Read, or stop reading."""
        if self._transport is None or self._transport.is_closing():
            return
        if wanted and not self._transport.is_reading():
            self._transport.resume_reading()
        elif not wanted and self._transport.is_reading():
            self._transport.pause_reading()

    def close(self, *, polite: bool) -> None:
        """Close it; `polite`: after what is unsent, and with the framing's own goodbye."""
        self._hung_up = True
        if self._transport is None:
            return
        if polite:
            self._transport.write(self.framing.end())
            self._transport.close()
            asyncio.get_running_loop().call_later(LAST_WORDS, self._transport.abort)
        else:
            self._transport.abort()

    async def wait_closed(self) -> None:
        """Wait until it is closed."""
        if self._transport is not None:
            await self._closed
