"""A client for asyncio: `await client.request(...)`; handlers are functions or coroutine functions, run in order."""

from __future__ import annotations

import asyncio
import inspect
import logging
import random
import ssl
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from types import TracebackType
from typing import Any, Self

from firefly_client.address import Address, make_wire
from firefly_client.connection import Connection
from firefly_client.errors import Disconnected, Ended
from firefly_client.events import Answered, Changed, Dial, Event, Failed, HangUp, LoginNeeded, Pushed, Resumed, State
from firefly_client.framing import Framing, HandshakeRefused, make_framing
from firefly_client.handlers import Handlers
from firefly_client.limits import Limits
from firefly_client.transport_line import TransportLine
from firefly_client.wire import MAX_MESSAGE

__all__ = ["AsyncClient", "AsyncLogin"]

log = logging.getLogger("firefly_client")
Call = tuple[Callable[..., Any], tuple[Any, ...]]


class AsyncLogin:
    """What a login sends by: its requests go out before the session stands. Good for one attempt."""

    def __init__(self, client: AsyncClient, attempt: int) -> None:
        self._client = client
        self._attempt = attempt

    async def request(self, command: int | str, body: Any = None, *, timeout: float | None = None) -> Any:
        """Ask and wait for the answer's body; raises FireflyError."""
        return await self._client._ask(command, body, timeout, self._attempt)


class AsyncClient(Handlers):
    """A player's line to a game, in one event loop.

    `login(line)` is awaited on a line without a session: at first, and whenever the old session cannot be resumed; it
    logs in by `await line.request(...)`. Without it there is nothing to resume.
    """

    def __init__(
        self,
        url: str,
        *,
        login: Callable[[AsyncLogin], Awaitable[Any]] | None = None,
        protocol: str = "json",
        resume: bool = True,
        limits: Limits | None = None,
        origin: str | None = None,
        context: ssl.SSLContext | None = None,
        header: Sequence[int] = (0, 0, 0, 0, 0, 0),
        error_command: int | None = None,
    ) -> None:
        super().__init__()
        self._address = Address.of(url)
        self._wire = make_wire(protocol, header, error_command)
        self._context = self._address.context(context)
        self._origin = origin
        self._login = login
        self._connection = Connection(self._wire, random.random, login=login is not None, resume=resume, limits=limits)
        self._futures: dict[int, asyncio.Future[Any]] = {}
        self._ready: asyncio.Future[Any] | None = None
        self._welcome: Any = None
        self._line: TransportLine | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._calls: asyncio.Queue[Call | None] = asyncio.Queue()
        self._works = False
        self._worker: asyncio.Task[None] | None = None
        self._closing: TransportLine | None = None

    @property
    def state(self) -> State:
        """How the client stands."""
        return self._connection.state

    @property
    def reason(self) -> str:
        """Why it stands so: why the line was lost, or the client ended."""
        return self._connection.reason

    async def connect(self, timeout: float | None = 10.0) -> Any:
        """Connect and log in, and give what the login gave. A server that is not there yet is waited for.

        Without a `timeout` it is waited for for ever.
        Raises what the login raised, Ended when the server sends the client away, Disconnected when time is up.
        """
        if self.state is State.ENDED:
            self._ready = asyncio.get_running_loop().create_future()
            self._connection.start(self._now())
            self._settle()
        assert self._ready is not None
        try:
            return await asyncio.wait_for(asyncio.shield(self._ready), timeout)
        except TimeoutError:
            reason = self.reason
            await self.close()
            raise Disconnected(f"no session within {timeout:g} s: {reason}", sent=False) from None

    async def request(self, command: int | str, body: Any = None, *, timeout: float | None = None) -> Any:
        """Ask and wait for the answer's body; while the line is down it waits for the line. Raises FireflyError."""
        return await self._ask(command, body, timeout, 0)

    def ask(self, command: int | str, body: Any = None, *, timeout: float | None = None) -> asyncio.Future[Any]:
        """Ask and go on; the future ends with the body or a FireflyError. Raises Ended, Overloaded, ValueError."""
        return self._ask(command, body, timeout, 0)

    def notify(self, command: int | str, body: Any = None) -> None:
        """Tell without wanting an answer. Raises Ended, Overloaded, ValueError."""
        self._connection.notify(command, body, self._now())
        self._settle()

    def drop(self) -> None:
        """Cut the line without a word, to see how a program takes it."""
        self._connection.drop(self._now())
        self._settle()

    def hurry(self) -> None:
        """Make the next attempt now, where one is waited for."""
        self._connection.hurry(self._now())
        self._settle()

    async def close(self) -> None:
        """Say goodbye and end; open requests end with Ended. Returns when the line is closed and handlers have run."""
        self._connection.close()
        self._settle()
        if self._closing is not None:
            await self._closing.wait_closed()
        worker = self._worker
        if worker is not None and worker is not asyncio.current_task():
            await asyncio.wait({worker}, timeout=self._connection.limits.timeout)

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    # ---------------------------------------------------------------------------------------------- the machine

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    def _ask(self, command: int | str, body: Any, timeout: float | None, attempt: int) -> asyncio.Future[Any]:
        identity = self._connection.request(command, body, self._now(), timeout=timeout, attempt=attempt)
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._futures[identity] = future
        self._settle()
        return future

    def _tick(self) -> None:
        self._timer = None
        self._connection.tick(self._now())
        self._settle()

    def _settle(self) -> None:
        """Write what the connection wants written, do what it says, and come again when it is due."""
        if (output := self._connection.take_output()) and self._line is not None:
            self._line.write(output)
        for event in self._connection.take_events():
            self._take(event)
        due = self._connection.due
        if self._timer is None or self._timer.when() != due:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = None if due is None else asyncio.get_running_loop().call_at(due, self._tick)

    def _take(self, event: Event) -> None:
        if isinstance(event, (Answered, Failed)):
            self._end(event)
        elif isinstance(event, Pushed):
            self._call(self.calls_of_push(event.push))
        elif isinstance(event, Resumed):
            self._call(self.calls_of_resync() if event.resync else ())
        elif isinstance(event, Dial):
            self._line = TransportLine(self._make_framing(), self._received, self._lost)
            self._spawn(self._dial(self._line))
        elif isinstance(event, HangUp):
            self._hang_up(polite=event.polite)
        elif isinstance(event, LoginNeeded):
            self._spawn(self._log_in(event.attempt))
        else:
            self._change(event)

    def _end(self, event: Answered | Failed) -> None:
        future = self._futures.pop(event.id, None)
        if future is None or future.done():
            return
        if isinstance(event, Answered):
            future.set_result(event.body)
        else:
            future.set_exception(event.error)

    def _change(self, event: Changed) -> None:
        self._call(self.calls_of_state(event.state, event.reason))
        ready = self._ready if self._ready is not None and not self._ready.done() else None
        if event.state is State.OPEN and ready is not None:
            ready.set_result(self._welcome)
        elif event.state is State.ENDED:
            if ready is not None:
                ready.set_exception(event.error or Ended(event.reason))
            self._calls.put_nowait(None)
            self._calls, self._works = asyncio.Queue(), False

    # --------------------------------------------------------------------------------------------------- the line

    def _make_framing(self) -> Framing:
        return make_framing(self._address, text=self._wire.text, origin=self._origin, max_size=MAX_MESSAGE)

    async def _dial(self, line: TransportLine) -> None:
        host = self._address.host if self._context is not None else None
        loop = asyncio.get_running_loop()
        try:
            await loop.create_connection(
                lambda: line, self._address.host, self._address.port, ssl=self._context, server_hostname=host
            )
        except OSError as error:
            self._lost(line, str(error))

    def _hang_up(self, *, polite: bool) -> None:
        line, self._line = self._line, None
        if line is not None:
            self._closing = line
            line.close(polite=polite)

    def _received(self, line: TransportLine, data: bytes) -> None:
        """Take what a line read; nothing (b"") when it has only been opened."""
        if line is not self._line:
            return
        try:
            messages = line.framing.receive(data) if data else []
        except HandshakeRefused as refusal:
            self._lost(line, str(refusal))
            return
        line.write([])
        now = self._now()
        self._connection.heard(now)
        if line.framing.open:
            self._connection.connected(now, stream=line.framing.stream)
        for message in messages:
            self._connection.receive(message, now)
        self._settle()

    def _lost(self, line: TransportLine, reason: str) -> None:
        if line is self._line:
            self._hang_up(polite=False)
            self._connection.lost(reason, self._now())
            self._settle()

    # ------------------------------------------------------------------------------------------------ what it runs

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _log_in(self, attempt: int) -> None:
        assert self._login is not None
        try:
            self._welcome = await self._login(AsyncLogin(self, attempt))
        except Exception as error:
            self._connection.login_failed(attempt, error, self._now())
        else:
            self._connection.logged_in(attempt, self._now())
        self._settle()

    def _call(self, calls: Iterable[Call]) -> None:
        """Have handlers called."""
        for call in calls:
            if not self._works:
                self._works = True
                self._worker = self._spawn(self._work(self._calls))
            self._calls.put_nowait(call)
        if self._line is not None and self._calls.qsize() >= self._connection.limits.pushes:
            self._line.read(False)

    async def _work(self, calls: asyncio.Queue[Call | None]) -> None:
        """Run handlers, one after the other."""
        while (call := await calls.get()) is not None:
            handler, arguments = call
            try:
                result = handler(*arguments)
                if inspect.isawaitable(result):
                    await result
            except Exception:
                log.exception("the handler %r has failed", handler)
            if self._line is not None and calls.qsize() < self._connection.limits.pushes:
                self._line.read(True)
