"""A gevent loop on virtual time: what is ready runs at once, and when nothing is ready, time jumps to the next timer.

One turn of the loop, as libev's: prepare watchers (last started first), callbacks, due timers, check watchers.
Nothing of it looks at the machine's clock, so the same program takes the same turns each time. Descriptors and native
threads are real all the same: descriptors are looked at before each jump, and while a native thread works, time waits.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

from gevent import Timeout
from gevent.exceptions import HubDestroyed
from gevent.libev import corecext
from greenlet import GreenletExit

from firefly_core.testing.watchers import NANOSECONDS, NEVER, NativeWatcher, TurnWatcher, VirtualTimer

__all__ = ["VirtualLoop"]

EPOCH = 1_800_000_000
"""The date at which each virtual world begins: 2027-01-15 08:00 UTC."""
CALLBACKS_A_TURN = 100
FREE_STEPS = 10_000
"""Steps that may happen at one instant before each step costs time, so that a loop of `sleep(0)` sees time pass."""
STEPS_A_MILLISECOND = 100
REAL_WAIT = 0.05
VOID_TIMERS = 1_000

Entry = tuple[int, int, int, VirtualTimer]


class VirtualLoop(corecext.loop):
    """A loop for `gevent.hub.Hub(loop=...)`; beyond `limit` seconds it raises TimeoutError in the main greenlet."""

    def __new__(cls, limit: float = 86_400.0) -> Self:  # noqa: ARG004
        return super().__new__(cls, None, False)  # type: ignore[call-arg]  # (flags, default), as the C class has it

    def __init__(self, limit: float = 86_400.0) -> None:
        super().__init__(None, False)
        self.nanoseconds = 0
        """Virtual time since the beginning."""
        self.turns = 0
        self.holds = 0
        self._limit = limit
        self._limit_at = round(limit * NANOSECONDS)
        self._ready: deque[Any] = deque()
        self._heap: list[Entry] = []
        self._sequence = 0
        self._void = 0
        self._references = 0
        self._natives = 0
        self._arrived: deque[NativeWatcher] = deque()
        self._prepares: list[TurnWatcher] = []
        self._checks: list[TurnWatcher] = []
        self._idles: list[TurnWatcher] = []
        self._steps = 0
        self._broken = False

    # ------------------------------------------------------------------------------------------- gevent's surface

    def run(self, nowait: bool = False, once: bool = False) -> None:
        """Run until nothing is left that could ever happen; gevent's hub calls it."""
        self._broken = looked = False
        while not self._broken:
            if self._turn():
                looked = False
            elif self._ready or self._arrived:
                looked = False
                if self._arrived and not self._ready:
                    self._arrived.popleft().fire()
            elif not looked and self.activecnt > 0:
                looked = True
                super().run(nowait=True)
            elif nowait or not self._move_on():
                return
            else:
                looked = False
            if once or nowait:
                return

    def now(self) -> float:
        return self.seconds_at(self.nanoseconds)

    def update_now(self) -> None:
        """Do nothing: time stands still while something runs."""

    update = update_now

    def run_callback(self, func: Callable[..., Any], *args: Any) -> Any:  # type: ignore[override]
        # Also what `run_callback_threadsafe` of the base class calls, before it wakes the loop.
        callback = corecext.callback(func, args)  # type: ignore[attr-defined]
        self._ready.append(callback)
        return callback

    def timer(self, after: float, repeat: float = 0.0, ref: bool = True, priority: int | None = None) -> Any:
        return VirtualTimer(self, after, repeat, ref=ref, priority=priority)

    def prepare(self, ref: bool = True, priority: int | None = None) -> Any:
        return TurnWatcher(self, self._prepares, ref=ref, priority=priority)

    def check(self, ref: bool = True, priority: int | None = None) -> Any:
        return TurnWatcher(self, self._checks, ref=ref, priority=priority)

    def idle(self, ref: bool = True, priority: int | None = None) -> Any:
        return TurnWatcher(self, self._idles, ref=ref, priority=priority)

    def async_(self, ref: bool = True, priority: int | None = None) -> Any:
        return NativeWatcher(self, ref, priority)

    def signal(self, signum: int, ref: bool = True, priority: int | None = None) -> Any:  # noqa: ARG002
        raise RuntimeError(f"signal {signum}: a virtual loop has no signals, they belong to the real one")

    def child(self, pid: int, trace: int = 0, ref: bool = True) -> Any:  # noqa: ARG002
        raise RuntimeError(f"process {pid}: a virtual loop cannot wait for child processes, the real one can")

    def handle_error(
        self,
        context: object | None,
        type: type[BaseException] | None,
        value: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        if type is HubDestroyed:
            self._broken = True
            self._ready.clear()
        super().handle_error(context, type, value, tb)

    def destroy(self) -> None:
        for watchers in (self._prepares, self._checks, self._idles):
            watchers.clear()
        self._heap.clear()
        self._ready.clear()
        self._arrived.clear()
        super().destroy()

    # ------------------------------------------------------------------------------------------- for the watchers

    def seconds_at(self, nanoseconds: int) -> float:
        """Give the date of an instant."""
        return EPOCH + nanoseconds / NANOSECONDS

    def push_timer(self, at: int, timer: VirtualTimer) -> Entry:
        """Put a timer on the heap; among those of one instant the higher priority fires first, then the older."""
        self._sequence += 1
        entry = (at, -timer.priority, self._sequence, timer)
        heapq.heappush(self._heap, entry)
        return entry

    def void_timer(self) -> None:
        """Note that one entry more may be void, and sweep the heap when there are too many."""
        self._void += 1
        if self._void > VOID_TIMERS and self._void > len(self._heap) // 2:
            self._heap = [entry for entry in self._heap if entry[3].is_entry(entry)]
            heapq.heapify(self._heap)
            self._void = 0

    def count_reference(self, change: int) -> None:
        """Count the timers that the loop waits for."""
        self._references += change

    def count_native(self, change: int) -> None:
        """Count the native threads that work for this loop."""
        self._natives += change

    def arrive(self, watcher: NativeWatcher) -> None:
        """Take note of what a native thread has sent."""
        self._arrived.append(watcher)

    def call(self, context: object, callback: Callable[..., Any], args: tuple[Any, ...]) -> None:
        """Call `callback` as the loop does: what it raises goes to the hub."""
        try:
            callback(*args)
        except (Exception, GreenletExit, Timeout) as error:
            self.handle_error(context, type(error), error, error.__traceback__)
        except BaseException as error:
            # An interrupt, or a test runner's own verdict, raised by a signal: without a context it ends the test.
            self.handle_error(None, type(error), error, error.__traceback__)

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Let time stand still inside the block: the loop waits for descriptors instead of jumping on."""
        self.holds += 1
        try:
            yield
        finally:
            self.holds -= 1

    # -------------------------------------------------------------------------------------------------- one turn

    def _turn(self) -> bool:
        """Run what is ready; False when nothing was."""
        self.turns += 1
        for watcher in self._prepares[::-1]:
            watcher.fire()
        steps = self._run_callbacks() + self._fire_timers()
        for watcher in self._checks[::-1]:
            watcher.fire()
        if not steps and not self._ready:
            idles = self._idles[::-1]
            for watcher in idles:
                watcher.fire()
            steps = len(idles)
        self._charge(steps)
        return steps > 0

    def _run_callbacks(self) -> int:
        ready = self._ready
        steps = 0
        while ready and steps < CALLBACKS_A_TURN:
            steps += 1
            callback = ready.popleft()
            function, args = callback.callback, callback.args
            if function is None or args is None:
                continue
            # As gevent's own: not pending any more while it runs, and false once it has run.
            callback.callback = None
            self.call(callback, function, args)
            callback.args = None
        return steps

    def _fire_timers(self) -> int:
        heap, now = self._heap, self.nanoseconds
        if not heap or heap[0][0] > now:
            return 0
        due = []
        while heap and heap[0][0] <= now:
            entry = heapq.heappop(heap)
            if entry[3].expire(entry):
                due.append(entry)
            heap = self._heap
        due.sort(key=lambda entry: entry[1:3])
        for entry in due:
            if not self._broken:
                entry[3].fire(entry)
        return len(due)

    def _charge(self, steps: int) -> None:
        self._steps += steps
        while self._steps >= FREE_STEPS + STEPS_A_MILLISECOND:
            self._steps -= STEPS_A_MILLISECOND
            self.nanoseconds += NANOSECONDS // 1000

    # ----------------------------------------------------------------------------------------------- between turns

    def _move_on(self) -> bool:
        """Wait for a native thread, or jump to the next timer; False when nothing can ever happen."""
        self._steps = 0
        if self._natives or self.holds:
            self._wait_for_real()
            return True
        heap = self._heap
        while heap and not heap[0][3].is_entry(heap[0]):
            heapq.heappop(heap)
        at = heap[0][0] if heap else NEVER
        if at == NEVER or (not self._references and self.activecnt <= 0):
            if self.activecnt <= 0:
                return False
            self._wait_for_real()
            return True
        if at > self._limit_at:
            self._give_up()
            return True
        self.nanoseconds = max(at, self.nanoseconds)
        return True

    def _wait_for_real(self) -> None:
        guard = super().timer(REAL_WAIT)
        guard.start(_nothing)
        try:
            super().run(once=True)
        finally:
            guard.close()

    def _give_up(self) -> None:
        error = TimeoutError(f"nothing came to an end within {self._limit:g} virtual seconds")
        # The main greenlet may still want to clean up, which may take time.
        self._limit_at += round(self._limit * NANOSECONDS)
        self.handle_error(None, TimeoutError, error, None)


def _nothing() -> None:
    return None
