"""The thread that owns a line: it dials, reads and writes, keeps the connection's timetable, and tells its client."""

from __future__ import annotations

import contextlib
import logging
import selectors
import socket
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable

from firefly_client.address import Address
from firefly_client.connection import Connection
from firefly_client.events import Dial, Event, HangUp, State
from firefly_client.framing import Framing
from firefly_client.socket_line import LineLost, SocketLine, connect_socket

__all__ = ["Loop", "now"]

log = logging.getLogger("firefly_client")
now = time.monotonic


class Loop:
    """Runs one connection. Whoever uses the connection holds `lock`, and calls `wake` afterwards.

    `tell(event)` hears what is not about the line, with the lock held; `busy()` says that nothing is to be read now.
    """

    def __init__(
        self,
        connection: Connection,
        address: Address,
        context: ssl.SSLContext | None,
        make_framing: Callable[[], Framing],
        tell: Callable[[Event], None],
        busy: Callable[[], bool],
    ) -> None:
        self.lock = threading.RLock()
        self._connection = connection
        self._address = address
        self._context = context
        self._make_framing = make_framing
        self._tell = tell
        self._busy = busy
        self._thread: threading.Thread | None = None
        self._line: SocketLine | None = None
        self._registered: tuple[socket.socket, int] | None = None
        self._dials = 0
        self._dialled: deque[tuple[int, SocketLine | Exception]] = deque()
        self._rope: socket.socket | None = None

    def start(self) -> None:
        """Begin; with the lock."""
        bell, self._rope = socket.socketpair()
        for end in (bell, self._rope):
            end.setblocking(False)
        self._thread = threading.Thread(target=self._run, args=(bell,), name="firefly-client", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Have it look at the connection anew."""
        with contextlib.suppress(OSError):  # it rings already, or has ended
            if (rope := self._rope) is not None:
                rope.send(b"\0")

    def join(self) -> None:
        """Wait until it has ended, unless it is the one that asks."""
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()

    def _run(self, bell: socket.socket) -> None:
        try:
            with selectors.DefaultSelector() as selector:
                selector.register(bell, selectors.EVENT_READ)
                while self._turn(selector, bell):
                    pass
        except Exception:
            log.exception("the client's loop has failed")
            with self.lock:
                self._connection.close()
                self._settle()
        finally:
            self._registered = None
            bell.close()
            if self._rope is not None:
                self._rope.close()

    def _turn(self, selector: selectors.BaseSelector, bell: socket.socket) -> bool:
        """Do what is due, then wait for the next thing; False: the client has ended."""
        with self.lock:
            self._connection.tick(now())
            self._settle()
            if self._connection.state is State.ENDED:
                return False
            self._register(selector)
            due = self._connection.due
        for key, events in selector.select(None if due is None else max(0.0, due - now())):
            if key.fileobj is bell:
                with contextlib.suppress(BlockingIOError):
                    bell.recv(4096)
                self._take_dialled()
            else:
                self._serve(events)
        return True

    def _register(self, selector: selectors.BaseSelector) -> None:
        """Have the selector look at the line as it is now."""
        wanted: tuple[socket.socket, int] | None = None
        if (line := self._line) is not None:
            events = (0 if self._busy() else selectors.EVENT_READ) | (selectors.EVENT_WRITE if line.unsent else 0)
            wanted = (line.socket, events) if events else None
        if wanted != self._registered:
            if self._registered is not None:
                selector.unregister(self._registered[0])
            if wanted is not None:
                selector.register(*wanted)
            self._registered = wanted

    def _settle(self) -> None:
        """Write what the connection wants written, and do what it says."""
        output = self._connection.take_output()
        if output and self._line is not None:
            try:
                self._line.write(output)
            except LineLost as lost:
                self._lose(lost)
        for event in self._connection.take_events():
            if isinstance(event, Dial):
                self._dials += 1
                threading.Thread(target=self._dial, args=(self._dials,), name="firefly-dial", daemon=True).start()
            elif isinstance(event, HangUp):
                self._hang_up(polite=event.polite)
            else:
                self._tell(event)

    def _serve(self, events: int) -> None:
        """Read and write what the line is ready for."""
        with self.lock:
            line = self._line
            if line is None:
                return
            try:
                if events & selectors.EVENT_READ:
                    messages = line.read()
                    self._connection.heard(now())
                    self._note_open(line)
                    for message in messages:
                        self._connection.receive(message, now())
                line.flush()
            except LineLost as lost:
                self._lose(lost)

    def _note_open(self, line: SocketLine) -> None:
        """Tell the connection that a line stands; it hears that once."""
        if line.framing.open:
            self._connection.connected(now(), stream=line.framing.stream)

    def _lose(self, lost: LineLost) -> None:
        self._hang_up(polite=False)
        self._connection.lost(str(lost), now())

    def _hang_up(self, *, polite: bool) -> None:
        line, self._line = self._line, None
        self._dials += 1
        if line is not None:
            line.close(polite=polite)

    # ---------------------------------------------------------------------------------------------- dialling

    def _dial(self, dial: int) -> None:
        """Connect, in a thread of its own: names may take long to be found."""
        result: SocketLine | Exception
        try:
            connected = connect_socket(self._address, self._context, self._connection.limits.connect_timeout)
            result = SocketLine(connected, self._make_framing())
        except Exception as error:
            result = error
        self._dialled.append((dial, result))
        self.wake()

    def _take_dialled(self) -> None:
        with self.lock:
            while self._dialled:
                dial, result = self._dialled.popleft()
                if dial != self._dials:
                    if isinstance(result, SocketLine):
                        result.close(polite=False)
                elif isinstance(result, SocketLine):
                    self._line = result
                    self._note_open(result)
                else:
                    self._connection.lost(str(result), now())
