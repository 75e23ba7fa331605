"""A fake client: a player's program for tests, over any network and in any wire format.

    client = FakeClient(network.host("ann"), "tcp://127.0.0.1:11010", JsonWire())
    assert client.request("login", {"name": "Ann"}) == {"uid": 1}
    assert client.wait_push("world")["players"]

Everything that waits blocks the calling greenlet only, and no longer than its timeout.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import gevent
from gevent.event import AsyncResult, Event

from firefly_core.channel.transport import Network
from firefly_core.errors import DeadlineExceeded, Disconnected, RemoteError
from firefly_core.testing.client_wire import Answer, ClientWire, Goodbye, JsonWire, PushReceived
from firefly_core.testing.websocket_side import WebSocketSide

__all__ = ["FakeClient", "PendingAnswer"]

CHUNK = 65_536
TIMEOUT = 10.0


class PendingAnswer:
    """The answer to a request that was sent; `get` waits for it."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._result: AsyncResult[Any] = AsyncResult()

    @property
    def ready(self) -> bool:
        """Whether the answer is there."""
        return self._result.ready()

    def get(self, timeout: float = TIMEOUT) -> Any:
        """Give the body. Raises RemoteError for an error's code and message, Disconnected, DeadlineExceeded."""
        self._result.wait(timeout)
        if not self._result.ready():
            raise DeadlineExceeded(f"no answer to {self._what} within {timeout:g} s")
        return self._result.get()

    def take(self, answer: Answer) -> None:
        """Note the answer."""
        if answer.code is not None:
            self._result.set_exception(RemoteError(answer.code, answer.message))
        else:
            self._result.set(answer.body)

    def fail(self, error: Exception) -> None:
        """End the wait without an answer."""
        if not self._result.ready():
            self._result.set_exception(error)


class FakeClient:
    """One connection to a gate, open when the constructor returns.

    `url` is `tcp://` or `ws://`. `wire` is the client side of the format (json unless given). Raises OSError when it
    cannot connect, ConnectionError when a WebSocket's handshake is refused.
    """

    def __init__(
        self,
        network: Network,
        url: str,
        wire: ClientWire | None = None,
        *,
        origin: str | None = None,
        timeout: float = TIMEOUT,
    ) -> None:
        parts = urlsplit(url)
        if parts.hostname is None or parts.port is None or parts.scheme not in ("tcp", "ws"):
            raise ValueError(f"a fake client needs tcp://host:port or ws://host:port/, not {url!r}")
        self._wire: ClientWire = wire if wire is not None else JsonWire(stream=parts.scheme == "tcp")
        self._socket = WebSocketSide(url, text=self._wire.text, origin=origin) if parts.scheme == "ws" else None
        self._number = 0
        self._open: dict[int, PendingAnswer] = {}
        self._queue: deque[bytes] = deque()
        self._news = Event()
        self._timeout = timeout
        self.pushes: list[PushReceived] = []
        """What came unasked, in order."""
        self.goodbye: str | None = None
        """The reason in the server's last words, in formats that have them."""
        self.closed: str | None = None
        """Why the connection ended; None while it stands."""
        self.received = 0
        """Bytes that arrived."""
        self._seen = 0
        self.transport = network.dial(parts.hostname, parts.port, timeout=timeout)
        self.transport.start(self._on_readable)
        if self._socket is not None:
            self._shake_hands(self._socket)

    # ------------------------------------------------------------------------------------------------- asking

    def request(self, command: int | str, body: Any = None, *, timeout: float | None = None) -> Any:
        """Send a command and give the answer's body.

        Raises RemoteError with the server's code and message, Disconnected, DeadlineExceeded.
        """
        return self.ask(command, body).get(self._timeout if timeout is None else timeout)

    def ask(self, command: int | str, body: Any = None) -> PendingAnswer:
        """Send a command and go on; many may be open at once."""
        if self.closed is not None:
            raise Disconnected(f"the connection has ended: {self.closed}", sent=False)
        self._number += 1
        pending = self._open[self._number] = PendingAnswer(f"{command} #{self._number}")
        self._send(self._wire.encode(self._number, command, body))
        return pending

    def notify(self, command: int | str, body: Any = None) -> None:
        """Send a command to which no answer is wanted."""
        self._send(self._wire.encode(None, command, body))

    def write(self, data: bytes) -> None:
        """Send bytes as they are, past the wire format."""
        self._queue.append(data)
        self._flush()

    # ------------------------------------------------------------------------------------------------ waiting

    def wait_push(self, push: int | str, *, timeout: float | None = None) -> Any:
        """Give the body of the next push of that id or name, among those that no `wait_push` has given yet."""
        found: list[PushReceived] = []

        def look() -> bool:
            while self._seen < len(self.pushes) and not found:
                candidate = self.pushes[self._seen]
                self._seen += 1
                if push in (candidate.command, candidate.name):
                    found.append(candidate)
            return bool(found)

        self.wait(look, f"push {push}", timeout=timeout)
        return found[0].body

    def wait_closed(self, *, timeout: float | None = None) -> str:
        """Wait until the server has ended the connection, and give how it looked from here."""
        self.wait(lambda: self.closed is not None, "the end of the connection", timeout=timeout)
        return self.closed or ""

    def wait(self, condition: Callable[[], bool], what: str = "the condition", *, timeout: float | None = None) -> None:
        """Wait until `condition()` holds; it is looked at whenever something has arrived."""
        limit = self._timeout if timeout is None else timeout
        timer = gevent.Timeout(limit)
        try:
            with timer:
                while not condition():
                    if self.closed is not None:
                        raise Disconnected(f"ended ({self.closed}) before {what}", sent=True)
                    self._news.clear()
                    self._news.wait()
        except gevent.Timeout as expired:
            if expired is not timer:
                raise
            raise DeadlineExceeded(f"{what} did not come within {limit:g} s") from None

    # ------------------------------------------------------------------------------------------------- ending

    def pause(self) -> None:
        """Read nothing more: to the server this client is a slow consumer."""
        self.transport.pause()

    def resume(self) -> None:
        """Read again."""
        self.transport.resume()

    def close(self) -> None:
        """Close the connection; open requests end in Disconnected."""
        self._end("closed by this side")

    def abort(self) -> None:
        """Reset the connection, as a program that crashes may."""
        self.transport.abort()
        self._end("aborted by this side")

    # ------------------------------------------------------------------------------------------------ driving

    def _shake_hands(self, socket: WebSocketSide) -> None:
        self.write(socket.output())
        try:
            self.wait(lambda: socket.open or socket.refusal is not None, "the WebSocket handshake")
        except Disconnected as error:
            raise ConnectionError(f"no WebSocket handshake: {error}") from None
        if socket.refusal is not None:
            self.close()
            raise ConnectionError(f"the WebSocket handshake was refused: {socket.refusal}")

    def _send(self, data: bytes) -> None:
        self.write(data if self._socket is None else self._socket.wrap(data))

    def _flush(self) -> None:
        while self._queue and self.closed is None:
            data = self._queue[0]
            try:
                sent = self.transport.send(data)
            except BlockingIOError:
                self.transport.wait_writable(self._flush)
                return
            except OSError as error:
                self._end(_name(error))
                return
            if sent < len(data):
                self._queue[0] = data[sent:]
            else:
                self._queue.popleft()
        self.transport.stop_writable()

    def _on_readable(self) -> None:
        try:
            data = self.transport.recv(CHUNK)
        except BlockingIOError:
            return
        except OSError as error:
            self._end(_name(error))
            return
        if not data:
            self._end(self._last_words())
            return
        self.received += len(data)
        try:
            self._receive(data)
        except Exception as error:
            # In the hub nobody would see it; as the end of the connection it fails whoever waits.
            self._end(f"what the server sent cannot be read: {error!r}")
        self._news.set()

    def _receive(self, data: bytes) -> None:
        if self._socket is None:
            self._take(data)
            return
        for message in self._socket.receive(data):
            self._take(message)
        if answer := self._socket.output():
            self.write(answer)

    def _take(self, data: bytes) -> None:
        for item in self._wire.receive(data):
            if isinstance(item, Answer):
                pending = self._open.pop(item.number, None)
                if pending is None:
                    self._end(f"an answer that nobody waits for: {item}")
                    return
                pending.take(item)
            elif isinstance(item, PushReceived):
                self.pushes.append(item)
            elif isinstance(item, Goodbye):
                self.goodbye = item.reason
            else:
                self._send(item)

    def _last_words(self) -> str:
        closing = self._socket.close_reason() if self._socket is not None else None
        return closing or "closed by the server"

    def _end(self, reason: str) -> None:
        if self.closed is not None:
            return
        self.closed = reason
        self.transport.close()
        for pending in self._open.values():
            pending.fail(Disconnected(f"the connection ended: {reason}", sent=True))
        self._news.set()


def _name(error: OSError) -> str:
    return "reset" if isinstance(error, ConnectionResetError) else f"lost: {error}"
