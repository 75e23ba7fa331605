"""The watchers of a virtual loop, with the surface of gevent's own: timers on virtual time, and what runs each turn."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from gevent.libev import corecext

if TYPE_CHECKING:
    from firefly_core.testing.virtual_loop import VirtualLoop

__all__ = ["NANOSECONDS", "NativeWatcher", "TurnWatcher", "VirtualTimer", "VirtualWatcher"]

NANOSECONDS = 1_000_000_000
NEVER = 1 << 62


class VirtualWatcher:
    """What all virtual watchers share: a callback with arguments that is kept from `start` to `stop`."""

    __slots__ = ("__weakref__", "_ref", "args", "callback", "loop", "priority")

    def __init__(self, loop: VirtualLoop, *, ref: bool = True, priority: int | None = None) -> None:
        self.loop = loop
        self.priority = priority or 0
        self.callback: Callable[..., Any] | None = None
        self.args: tuple[Any, ...] | None = None
        self._ref = bool(ref)

    @property
    def active(self) -> bool:
        """Whether it was started and has not ended."""
        raise NotImplementedError

    @property
    def ref(self) -> bool:
        """Whether the loop waits for it."""
        return self._ref

    @ref.setter
    def ref(self, value: bool) -> None:
        if bool(value) != self._ref and self.active:
            self._count(1 if value else -1)
        self._ref = bool(value)

    def stop(self) -> None:
        """Forget the callback; it will not be called."""
        raise NotImplementedError

    def close(self) -> None:
        """End for good; the same as `stop`, as nothing native is held."""
        self.stop()

    def _count(self, change: int) -> None:
        """Tell the loop that it has so many more watchers to wait for."""

    def _keep(self, callback: Callable[..., Any], args: tuple[Any, ...]) -> None:
        if not callable(callback):
            raise TypeError(f"expected a callable, not {callback!r}")
        self.callback = callback
        self.args = args

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()


class VirtualTimer(VirtualWatcher):
    """A timer on virtual time; a delay above zero lasts at least a nanosecond, so that time always moves."""

    __slots__ = ("_after", "_at", "_entry", "_pending", "_repeat")

    def __init__(
        self, loop: VirtualLoop, after: float, repeat: float = 0.0, *, ref: bool = True, priority: int | None = None
    ) -> None:
        super().__init__(loop, ref=ref, priority=priority)
        self._after = _nanoseconds(after)
        self._repeat = _nanoseconds(repeat)
        if repeat < 0:
            raise ValueError(f"repeat must be positive or zero: {repeat!r}")
        self._at = 0
        self._entry: object = None
        """The heap's entry that stands for this timer; an entry that no timer points to is void."""
        self._pending: object = None

    @property
    def active(self) -> bool:
        return self._entry is not None

    @property
    def pending(self) -> bool:
        """Whether it is due and its callback is about to be called."""
        return self._pending is not None

    @property
    def at(self) -> float:
        """When it is due, in the seconds of the loop's `now`."""
        return self.loop.seconds_at(self._at)

    def start(self, callback: Callable[..., Any], *args: Any, update: bool | None = None) -> None:  # noqa: ARG002
        """Call `callback(*args)` once the delay has passed; `update` means nothing where time stands still."""
        self._keep(callback, args)
        if self._entry is None:
            self._arm(self.loop.nanoseconds + self._after)

    def again(self, callback: Callable[..., Any], *args: Any, update: bool = True) -> None:  # noqa: ARG002
        """Start anew from now with the `repeat` interval; without one, stop."""
        self._keep(callback, args)
        self._pending = None
        self._disarm()
        if self._repeat:
            self._arm(self.loop.nanoseconds + self._repeat)

    def stop(self) -> None:
        self.callback = self.args = self._pending = None
        self._disarm()

    def expire(self, entry: object) -> bool:
        """Become pending because the heap's `entry` is due; False when the entry is void."""
        if self._entry is not entry:
            return False
        self._pending = entry
        self._disarm()
        if self._repeat:
            self._arm(self._at + self._repeat)
        return True

    def fire(self, entry: object) -> None:
        """Call the callback, unless the timer was stopped or restarted since `expire(entry)`."""
        if self._pending is not entry:
            return
        self._pending = None
        if self.callback is not None:
            self.loop.call(self, self.callback, self.args or ())
        if self._entry is None and self._pending is None:
            self.stop()

    def is_entry(self, entry: object) -> bool:
        """Whether the heap's `entry` is not void."""
        return self._entry is entry

    def _count(self, change: int) -> None:
        self.loop.count_reference(change)

    def _arm(self, at: int) -> None:
        self._at = min(at, NEVER)
        self._entry = self.loop.push_timer(self._at, self)
        if self._ref:
            self._count(1)

    def _disarm(self) -> None:
        if self._entry is not None:
            self._entry = None
            self.loop.void_timer()
            if self._ref:
                self._count(-1)


class TurnWatcher(VirtualWatcher):
    """A prepare, check or idle watcher: called each turn of the loop; the loop never waits for one."""

    __slots__ = ("_among",)

    def __init__(
        self, loop: VirtualLoop, among: list[TurnWatcher], *, ref: bool = True, priority: int | None = None
    ) -> None:
        super().__init__(loop, ref=ref, priority=priority)
        self._among = among

    @property
    def active(self) -> bool:
        return self in self._among

    @property
    def pending(self) -> bool:
        """Never: it is called as soon as its turn has come."""
        return False

    def start(self, callback: Callable[..., Any], *args: Any) -> None:
        """Call `callback(*args)` each turn."""
        self._keep(callback, args)
        if self not in self._among:
            self._among.append(self)

    def stop(self) -> None:
        self.callback = self.args = None
        if self in self._among:
            self._among.remove(self)

    def fire(self) -> None:
        """Call the callback, unless the watcher was stopped."""
        if self.callback is not None:
            self.loop.call(self, self.callback, self.args or ())


class NativeWatcher(corecext.async_):  # type: ignore[misc,name-defined]  # the stubs leave it out
    """Wakes the loop from a native thread. While one is active, a thread works, and virtual time stands still.

    Arrivals are handed out one by one, each when nothing else is left to do, so that a pool of one thread does not
    disturb the order of events.
    """

    _then: tuple[Callable[..., Any], tuple[Any, ...]] | None = None

    def start(self, callback: Callable[..., Any], *args: Any) -> None:
        """Call `callback(*args)` in the hub after each `send`."""
        if self._then is None and self.ref:
            self.loop.count_native(1)
        self._then = (callback, args)
        super().start(self.loop.arrive, self)

    def stop(self) -> None:
        """Forget the callback; time may go on."""
        if self._then is not None:
            self._then = None
            if self.ref:
                self.loop.count_native(-1)
        super().stop()

    def close(self) -> None:
        self.stop()

    def fire(self) -> None:
        """Call the callback, unless the watcher was stopped."""
        if self._then is not None:
            callback, args = self._then
            self.loop.call(self, callback, args)


def _nanoseconds(seconds: float) -> int:
    if seconds != seconds:
        raise ValueError("a timer needs a number of seconds, not nan")
    if seconds <= 0:
        return 0
    return max(1, round(min(seconds, NEVER / NANOSECONDS) * NANOSECONDS))
