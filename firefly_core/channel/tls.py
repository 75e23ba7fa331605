"""TLS as a layer between a Stream and its Transport: no greenlet, no thread, the handshake within a deadline.

`ssl` works on two buffers in memory here; this file moves the bytes between them and the transport below, whenever the
stream reads or writes. So a client that stalls in its handshake costs a socket and a deadline, nothing else.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import ssl
from collections.abc import Callable
from typing import Any

from gevent import get_hub

from firefly_core.channel.deadlines import Deadline, Deadlines
from firefly_core.channel.transport import Broken, Transport

__all__ = ["TlsTransport"]

HANDSHAKE_TIMEOUT = 5.0
RECORD = 16_384
READS = 4
"""Reads from below in one `recv`: key updates and the like must not keep a runner."""
WRITE = 65_536
"""Bytes encrypted by one `send`: this much waits above the socket at most."""
log = logging.getLogger("firefly.tls")


class TlsTransport:
    """A Transport that encrypts over another one. `server_name`: whom to verify, at the dialing end; None: serve.

    Until the handshake is done, `recv` and `send` have nothing and take nothing. Where it fails, or has not ended after
    `timeout` seconds, both raise OSError.
    """

    polled = False

    def __init__(
        self,
        below: Transport,
        context: ssl.SSLContext,
        deadlines: Deadlines,
        *,
        server_name: str | None = None,
        timeout: float = HANDSHAKE_TIMEOUT,
    ) -> None:
        self.address = below.address
        self._below = below
        self._run_callback = get_hub().loop.run_callback
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(
            self._incoming, self._outgoing, server_side=server_name is None, server_hostname=server_name
        )
        self._unsent = b""
        self._on_readable: Callable[..., Any] | None = None
        self._arguments: tuple[Any, ...] = ()
        self._on_writable: Callable[[], None] | None = None
        self._ready = False
        self._paused = False
        self._waking = False
        self._writing = False
        self._finishing = False
        self._closed = False
        self._error: OSError | None = None
        self._deadline: Deadline | None = deadlines.arm(timeout, self._on_late)
        self.recv: Callable[[int], bytes] = self._recv
        self.send: Callable[[Any], int] = self._send

    # ------------------------------------------------------------------------------------- what a stream calls

    def start(self, on_readable: Callable[..., Any], *arguments: Any) -> None:
        """Begin, or go on with another callback. The dialing end sends its first bytes now."""
        self._on_readable = on_readable
        self._arguments = arguments
        self._paused = False
        self._below.start(on_readable, *arguments)
        if not self._ready and self._error is None:
            try:
                self._handshake()
            except ssl.SSLWantReadError:
                self._flush()
            except OSError:
                self._wake()
        self._wake_if_buffered()

    def pause(self) -> None:
        """Stop calling `on_readable`."""
        self._paused = True
        self._below.pause()

    def resume(self) -> None:
        """Call `on_readable` again."""
        self._paused = False
        self._below.resume()
        self._wake_if_buffered()

    def wait_writable(self, callback: Callable[[], None]) -> None:
        """Call `callback` when something can be sent: not before the handshake is done."""
        self._on_writable = callback
        self._watch_writing()

    def stop_writable(self) -> None:
        """Stop calling the callback of `wait_writable`."""
        self._on_writable = None
        self._watch_writing()

    def finish(self) -> None:
        """Say goodbye in TLS, then below it, once all has been sent."""
        self._finishing = True
        self._say_goodbye()
        if not self._unsent:
            self._below.finish()

    def close(self) -> None:
        """Close at once, with a goodbye if it can be sent."""
        if self._closed:
            return
        self._closed = True
        self._say_goodbye()
        self._release()
        self._below.close()

    def abort(self) -> None:
        """Close with a reset."""
        self._closed = True
        self._release()
        self._below.abort()

    # --------------------------------------------------------------------------------------------- reading

    def _recv(self, size: int) -> bytes:
        for _ in range(READS):
            if self._error is not None:
                raise self._error
            try:
                if not self._ready:
                    self._handshake()
                data = self._tls.read(size)
            except ssl.SSLWantReadError:
                self._flush()
                if not self._fill():
                    return b""
            except ssl.SSLZeroReturnError:
                return b""
            except ssl.SSLError as error:
                raise self._fail(error) from None
            else:
                self._flush()
                self._wake_if_buffered()
                return data
        raise BlockingIOError

    def _fill(self) -> bool:
        """Take what has arrived below; False at its end. Raises BlockingIOError when there is nothing."""
        data = self._below.recv(RECORD)
        if data:
            self._incoming.write(data)
        elif not self._ready:
            raise self._fail(ConnectionResetError(errno.ECONNRESET, "the peer left during the TLS handshake"))
        return bool(data)

    def _handshake(self) -> None:
        """Go on with the handshake. Raises SSLWantReadError until it is done, another OSError where it fails."""
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            raise
        except ssl.SSLError as error:
            self._flush()
            raise self._fail(error) from None
        self._ready = True
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        self._flush()
        self._watch_writing()

    def _wake_if_buffered(self) -> None:
        """See that what TLS holds already is read, though nothing more arrives below."""
        if self._incoming.pending or (self._ready and self._tls.pending()):
            self._wake()

    def _wake(self) -> None:
        if not self._waking:
            self._waking = True
            self._run_callback(self._on_wake)

    def _on_wake(self) -> None:
        self._waking = False
        if self._on_readable is not None and not self._paused and not self._closed:
            self._on_readable(*self._arguments)

    # --------------------------------------------------------------------------------------------- writing

    def _send(self, data: Any) -> int:
        if self._error is not None:
            raise self._error
        if not self._ready or self._unsent:
            raise BlockingIOError
        try:
            taken = self._tls.write(memoryview(data)[:WRITE])
        except ssl.SSLWantReadError:
            raise BlockingIOError from None
        except ssl.SSLError as error:
            raise self._fail(error) from None
        self._flush()
        return taken

    def _flush(self) -> None:
        """Send what TLS has to say; the rest waits for the transport below."""
        if self._outgoing.pending:
            self._unsent += self._outgoing.read()
        if self._unsent:
            try:
                sent = self._below.send(self._unsent)
            except BlockingIOError:
                sent = 0
            self._unsent = self._unsent[sent:]
        self._watch_writing()

    def _watch_writing(self) -> None:
        """Watch the transport below exactly as long as there is something to do when it takes bytes."""
        wanted = not self._closed and bool(self._unsent or (self._ready and self._on_writable is not None))
        if wanted and not self._writing:
            self._below.wait_writable(self._on_below_writable)
        elif self._writing and not wanted:
            self._below.stop_writable()
        self._writing = wanted

    def _on_below_writable(self) -> None:
        try:
            self._flush()
        except OSError as error:
            self._unsent = b""
            self._fail(error)
            self._watch_writing()
            self._wake()
            return
        if self._unsent:
            return
        if self._finishing:
            self._finishing = False
            self._below.finish()
        if self._on_writable is not None and self._ready:
            self._on_writable()

    # ---------------------------------------------------------------------------------------------- ending

    def _say_goodbye(self) -> None:
        if self._ready and self._error is None:
            with contextlib.suppress(ssl.SSLError, ValueError):
                self._tls.unwrap()
            try:
                self._flush()
            except OSError:
                self._unsent = b""

    def _fail(self, error: OSError) -> OSError:
        """Remember why it is broken; every later `recv` and `send` raises it."""
        if self._error is None:
            self._error = error
            if not self._ready:
                log.info("no TLS with %s: %s", self.address, error)
                self._error = Broken("tls_timeout" if isinstance(error, TimeoutError) else "no_tls", str(error))
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        return self._error

    def _on_late(self) -> None:
        self._deadline = None
        self._fail(TimeoutError(errno.ETIMEDOUT, "the TLS handshake was not done in time"))
        self._paused = False
        self._wake()

    def _release(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        if self._writing:
            self._below.stop_writable()
            self._writing = False
        self._on_readable = self._on_writable = None
        self._arguments = ()
