"""Pooled greenlets that run what arrived: one for all of a loop turn, as long as no handler blocks.

1. The watcher of a stream that can be read puts the stream on the ready list, without a line of Python.
2. Before the loop polls again, `_drain` takes the whole list, in slices. All streams of a slice read what is there;
   then it switches to one parked runner, which hands each what it has read; then what they answer is sent.
3. A handler that never blocks costs no spawn and no switch of its own.
4. When a handler blocks, control comes back to the hub inside that switch. The receiver is told (`on_blocked`), the
   runner stays with it, and the next runner takes the rest of the slice.
5. A runner that comes back from blocking finishes its job and parks.

Three rounds a slice, because the kernel's code for reading, the interpreter's and the kernel's for sending do not fit
into a processor's first cache together: one message after another costs 6 % more.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from operator import length_hint
from typing import Any, Protocol

from gevent import get_hub
from greenlet import GreenletExit, getcurrent, greenlet

from firefly_core.channel.clock import SystemClock

__all__ = ["Job", "Receiver", "Runners"]

log = logging.getLogger("firefly.runners")
MAX_IDLE = 256
"""Parked runners kept for reuse; a parked greenlet holds 6 to 8 KiB."""
SLICE = 48
"""Jobs of one slice: as many answers may wait for one another, and so much that was read may lie about."""


class Job(Protocol):
    """What has something for a receiver."""

    receiver: Receiver
    """Looked at when its turn comes: meanwhile there may be another one."""

    def read(self) -> bytes | None:
        """Give it, or None where there is nothing after all; in the hub: must neither block nor raise."""


class Receiver(Protocol):
    """Takes what arrived on a runner."""

    def on_data(self, data: bytes) -> None:
        """Handle `data`, on a runner; may block."""

    def on_blocked(self, runner: greenlet) -> None:
        """Note, in the hub, that `runner` parked inside `on_data`; must neither block nor raise."""


class Writer(Protocol):
    """What holds something to send, so that it goes out together with others'."""

    def write(self, data: bytes, /) -> Any:
        """Send it, and `data` behind it; must neither block nor raise."""


class _Delivery:
    """Data for a receiver that no stream brings."""

    __slots__ = ("_data", "receiver")

    def __init__(self, receiver: Receiver, data: bytes) -> None:
        self.receiver = receiver
        self._data = data

    def read(self) -> bytes:
        return self._data


class _Task:
    """A function to run once, as a receiver of nothing."""

    __slots__ = ("_arguments", "_function")

    def __init__(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        self._function = function
        self._arguments = arguments

    def on_data(self, _data: bytes) -> None:
        self._function(*self._arguments)

    def on_blocked(self, runner: greenlet) -> None:
        pass


class Runners:
    """The runner pool of one kernel, on the hub of the thread that made it."""

    def __init__(self, now: Callable[[], float] = SystemClock.monotonic) -> None:
        self._hub = get_hub()
        self._loop = self._hub.loop
        self._now = now
        self.moment = now()
        """When the slice began that runs now: as long as nobody blocks, all that arrives in one is of one moment."""
        self.serving = False
        """Whether a slice runs now, at whose end the `writers` send what they have."""
        self.writers: list[Writer] = []
        # gevent's Hub.switch checks for misuse that cannot happen here; the plain switch is 0.4 us cheaper.
        self._to_hub = greenlet.switch.__get__(self._hub)
        self._ready: list[Job] = []
        self.arrived = self._ready.append
        """Put a job on the ready list; only as the callback of a watcher, which runs while the loop polls."""
        self._batch: Iterator[tuple[Job, bytes]] = iter(())
        """What the runners of this slice have still to take."""
        self._idle: list[greenlet] = []
        self._turn: greenlet | None = None
        self._current: Receiver | None = None
        self._scheduled = False
        self.started = 0
        """Runners made so far: how often a handler blocked while no parked runner was left."""
        self._prepare = self._loop.prepare()
        self._prepare.start(self._drain)

    def submit(self, receiver: Receiver, data: bytes = b"") -> None:
        """Call `receiver.on_data(data)` on a runner soon, in the order of submission; from anywhere."""
        self.put(_Delivery(receiver, data))

    def run(self, function: Callable[..., Any], *arguments: Any) -> None:
        """Run `function` on a runner soon; what it raises is logged."""
        self.submit(_Task(function, arguments))

    def put(self, job: Job) -> None:
        """Run `job` on a runner soon; from anywhere."""
        self._ready.append(job)
        self._schedule()

    def write_soon(self, writer: Writer) -> None:
        """Have `writer` send what it has at the end of the slice; where none runs, behind what the hub is about to do.

        No more than 48 wait for one another.
        """
        writers = self.writers
        writers.append(writer)
        if not self.serving:
            if len(writers) == 1:
                self._loop.run_callback(self.send_ready)
            elif len(writers) >= SLICE:
                self.send_ready()

    def statistics(self) -> dict[str, float]:
        """Give the current figures; counters end in `_total`."""
        return {"started_total": self.started, "idle": len(self._idle), "ready": len(self._ready)}

    def close(self) -> None:
        """Stop taking from the ready list; parked runners end, blocked ones when their handler returns."""
        self._prepare.stop()
        self._prepare.close()
        self._ready.clear()
        idle, self._idle = self._idle, []
        for runner in idle:
            self._loop.run_callback(runner.throw, GreenletExit)

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self._loop.run_callback(self._drain_scheduled)

    def _drain_scheduled(self) -> None:
        self._scheduled = False
        self._drain()

    def _drain(self) -> None:
        ready = self._ready
        if not ready:
            return
        # What handlers submit meanwhile is for the next turn, so nobody starves those that can be read by then.
        jobs = ready.copy()
        ready.clear()
        for begin in range(0, len(jobs), SLICE):
            self._run_slice(jobs[begin : begin + SLICE])
        if ready:
            self._schedule()

    def _run_slice(self, jobs: list[Job]) -> None:
        self.moment = self._now()
        self._batch = batch = iter([(job, data) for job in jobs if (data := job.read()) is not None])
        self.serving = True
        idle = self._idle
        while length_hint(batch):
            if idle:
                runner = idle.pop()
                runner.gr_context = None
            else:
                runner = greenlet(self._run, self._hub)
                self.started += 1
            self._turn = runner
            runner.switch()
            blocked = self._current
            if blocked is not None:
                self._turn = self._current = None
                if not runner.dead:
                    blocked.on_blocked(runner)
        self.serving = False
        if self.writers:
            self.send_ready()

    def send_ready(self) -> None:
        """Have everybody send who wants to soon."""
        writers, self.writers = self.writers, []
        for writer in writers:
            writer.write(b"")

    def _run(self) -> None:
        me = getcurrent()
        while True:
            for job, data in self._batch:
                self._current = receiver = job.receiver
                try:
                    receiver.on_data(data)
                except GreenletExit:
                    return
                except BaseException:
                    log.exception("a receiver failed")
                if self._turn is not me:
                    break
            else:
                self._turn = self._current = None
            # Nobody may live on because a parked runner remembers him.
            job = data = receiver = None  # type: ignore[assignment]
            if not self._park(me):
                return

    def _park(self, me: greenlet) -> bool:
        """Wait in the pool for the next turn; False when this runner must end."""
        if len(self._idle) >= MAX_IDLE:
            return False
        self._idle.append(me)
        try:
            self._to_hub()
        except BaseException as error:
            # A handler's leaked gevent.Timeout, or the pool closing: whoever is hit here must not serve again.
            if me in self._idle:
                self._idle.remove(me)
            if not isinstance(error, GreenletExit):
                log.warning("retired a parked runner that was hit by %r", error)
            return False
        if self._turn is not me:
            self._idle.remove(me)
            log.warning("retired a parked runner that was woken by a stranger")
            return False
        return True
