"""A client that blocks, for threads and for gevent: `request` waits for its answer, handlers run in a thread of theirs.

Besides the thread that owns the line (`Loop`) one runs the handlers, in order, and one the login while there is one.
Where gevent has patched, all of them are greenlets.
"""

from __future__ import annotations

import logging
import queue
import random
import ssl
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from types import TracebackType
from typing import Any, Self

from firefly_client.address import Address, make_wire
from firefly_client.connection import Connection
from firefly_client.errors import Disconnected, Ended
from firefly_client.events import Answered, Changed, Event, Failed, LoginNeeded, Pushed, Resumed, State
from firefly_client.framing import make_framing
from firefly_client.handlers import Handlers
from firefly_client.limits import Limits
from firefly_client.loop import Loop, now
from firefly_client.wire import MAX_MESSAGE

__all__ = ["Client", "Login"]

log = logging.getLogger("firefly_client")
Call = tuple[Callable[..., Any], tuple[Any, ...]]
Calls = queue.SimpleQueue[Call | None]


class Login:
    """What a login sends by: its requests go out before the session stands. Good for one attempt."""

    def __init__(self, client: Client, attempt: int) -> None:
        self._client = client
        self._attempt = attempt

    def request(self, command: int | str, body: Any = None, *, timeout: float | None = None) -> Any:
        """Ask and wait for the answer's body; raises FireflyError."""
        return self._client._ask(command, body, timeout, self._attempt).result()


class Client(Handlers):
    """A player's line to a game.

    `login(line)` is called on a line without a session: at first, and whenever the old session cannot be resumed; it
    logs in by `line.request(...)`. Without it there is nothing to resume. Everything may be called from any thread.
    """

    def __init__(
        self,
        url: str,
        *,
        login: Callable[[Login], Any] | None = None,
        protocol: str = "json",
        resume: bool = True,
        limits: Limits | None = None,
        origin: str | None = None,
        context: ssl.SSLContext | None = None,
        header: Sequence[int] = (0, 0, 0, 0, 0, 0),
        error_command: int | None = None,
    ) -> None:
        super().__init__()
        address = Address.of(url)
        wire = make_wire(protocol, header, error_command)
        self._login = login
        self._connection = Connection(wire, random.random, login=login is not None, resume=resume, limits=limits)
        self._loop = Loop(
            self._connection,
            address,
            address.context(context),
            lambda: make_framing(address, text=wire.text, origin=origin, max_size=MAX_MESSAGE),
            self._take,
            lambda: self._calls.qsize() >= self._connection.limits.pushes,
        )
        self._futures: dict[int, Future[Any]] = {}
        self._ready: Future[Any] = Future()
        self._welcome: Any = None
        self._calls: Calls = queue.SimpleQueue()
        self._works = False
        self._worker: threading.Thread | None = None

    @property
    def state(self) -> State:
        """How the client stands."""
        return self._connection.state

    @property
    def reason(self) -> str:
        """Why it stands so: why the line was lost, or the client ended."""
        return self._connection.reason

    def connect(self, timeout: float | None = 10.0) -> Any:
        """Connect and log in, and give what the login gave. A server that is not there yet is waited for.

        Without a `timeout` it is waited for for ever.
        Raises what the login raised, Ended when the server sends the client away, Disconnected when time is up.
        """
        if self.state is State.ENDED:
            self._loop.join()  # the one before, which may still be closing its line
            with self._loop.lock:
                self._ready = Future()
                self._connection.start(now())
                self._loop.start()
        try:
            return self._ready.result(timeout)
        except FutureTimeout:
            reason = self.reason
            self.close()
            raise Disconnected(f"no session within {timeout:g} s: {reason}", sent=False) from None

    def request(self, command: int | str, body: Any = None, *, timeout: float | None = None) -> Any:
        """Ask and wait for the answer's body; while the line is down it waits for the line. Raises FireflyError."""
        return self.ask(command, body, timeout=timeout).result()

    def ask(self, command: int | str, body: Any = None, *, timeout: float | None = None) -> Future[Any]:
        """Ask and go on; the future ends with the body or a FireflyError. Raises Ended, Overloaded, ValueError."""
        return self._ask(command, body, timeout, 0)

    def notify(self, command: int | str, body: Any = None) -> None:
        """Tell without wanting an answer. Raises Ended, Overloaded, ValueError."""
        self._act(lambda: self._connection.notify(command, body, now()))

    def drop(self) -> None:
        """Cut the line without a word, to see how a program takes it."""
        self._act(lambda: self._connection.drop(now()))

    def hurry(self) -> None:
        """Make the next attempt now, where one is waited for."""
        self._act(lambda: self._connection.hurry(now()))

    def close(self) -> None:
        """Say goodbye and end; open requests end with Ended. Returns when the line is closed and handlers have run."""
        self._act(self._connection.close)
        self._loop.join()
        worker = self._worker
        if worker is not None and worker is not threading.current_thread():
            worker.join(self._connection.limits.timeout)

    def __enter__(self) -> Self:
        self.connect()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # ---------------------------------------------------------------------------------------- between the threads

    def _act(self, act: Callable[[], None]) -> None:
        with self._loop.lock:
            act()
        self._loop.wake()

    def _ask(self, command: int | str, body: Any, timeout: float | None, attempt: int) -> Future[Any]:
        future: Future[Any] = Future()
        with self._loop.lock:
            identity = self._connection.request(command, body, now(), timeout=timeout, attempt=attempt)
            self._futures[identity] = future
        self._loop.wake()
        return future

    def _take(self, event: Event) -> None:
        """Take what the loop tells."""
        if isinstance(event, Answered):
            self._end(event.id, lambda future: future.set_result(event.body))
        elif isinstance(event, Failed):
            self._end(event.id, lambda future: future.set_exception(event.error))
        elif isinstance(event, Pushed):
            self._call(self.calls_of_push(event.push))
        elif isinstance(event, Resumed):
            self._call(self.calls_of_resync() if event.resync else ())
        elif isinstance(event, LoginNeeded):
            threading.Thread(target=self._log_in, args=(event.attempt,), name="firefly-login", daemon=True).start()
        elif isinstance(event, Changed):
            self._change(event)

    def _end(self, identity: int, finish: Callable[[Future[Any]], None]) -> None:
        future = self._futures.pop(identity, None)
        if future is not None and future.set_running_or_notify_cancel():
            finish(future)

    def _change(self, event: Changed) -> None:
        self._call(self.calls_of_state(event.state, event.reason))
        if event.state is State.OPEN and not self._ready.done():
            self._ready.set_result(self._welcome)
        elif event.state is State.ENDED:
            if not self._ready.done():
                self._ready.set_exception(event.error or Ended(event.reason))
            self._calls.put(None)
            self._calls, self._works = queue.SimpleQueue(), False

    def _log_in(self, attempt: int) -> None:
        assert self._login is not None
        try:
            self._welcome = self._login(Login(self, attempt))
        except Exception as error:
            failure = error
            self._act(lambda: self._connection.login_failed(attempt, failure, now()))
        else:
            self._act(lambda: self._connection.logged_in(attempt, now()))

    def _call(self, calls: Iterable[Call]) -> None:
        """Have handlers called."""
        for call in calls:
            if not self._works:
                self._works = True
                work = threading.Thread(target=self._work, args=(self._calls,), name="firefly-handlers", daemon=True)
                work.start()
                self._worker = work
            self._calls.put(call)

    def _work(self, calls: Calls) -> None:
        """Run handlers, one after the other."""
        while (call := calls.get()) is not None:
            handler, arguments = call
            try:
                handler(*arguments)
            except Exception:
                log.exception("the handler %r has failed", handler)
            if calls.qsize() == self._connection.limits.pushes - 1:
                self._loop.wake()  # it reads again
