"""One direction of a connection in memory: bytes in order, later, and never more than the pipe holds.

As in TCP, nothing is lost for good: a lost segment and a cut link hold everything behind it up until it gets through.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import attrs

if TYPE_CHECKING:
    from firefly_core.testing.memory_network import MemoryNetwork

__all__ = ["PERFECT", "Conditions", "Pipe"]

RETRANSMIT = 0.2
"""Seconds until a lost segment is sent again; doubled with each loss, as TCP does."""
FIN, RESET = "finish", "reset"


@attrs.frozen(kw_only=True)
class Conditions:
    """What a link does to the bytes of one direction."""

    delay: float = 0.0
    """Seconds from one end to the other."""
    jitter: float = 0.0
    """Up to so many seconds more, drawn for each segment; the order is kept."""
    bandwidth: float = math.inf
    """Bytes a second."""
    loss: float = 0.0
    """The chance that a segment is lost; it is sent again after 0.2, 0.4, 0.8 ... seconds."""
    segment: int = 0
    """What is sent arrives in pieces of 1 to so many bytes; 0: as it was sent."""
    capacity: int = 262_144
    """Bytes under way and unread, together; beyond that the sender must wait."""


PERFECT = Conditions()


class Pipe:
    """From one host to another. The sender pushes, the receiver takes; `on_arrival` and `on_room` tell them of news."""

    __slots__ = (
        "_arrived",
        "_clock",
        "_flight",
        "_free_at",
        "_held_up",
        "_last_at",
        "_loop",
        "_network",
        "_timer",
        "_unacknowledged",
        "error",
        "finished",
        "held",
        "on_arrival",
        "on_room",
        "on_stray",
        "open",
        "source",
        "target",
        "unread",
    )

    def __init__(self, network: MemoryNetwork, loop: Any, source: str, target: str) -> None:
        self._network = network
        self._loop = loop
        self._clock = network.clock
        self.source = source
        self.target = target
        self.on_arrival: Callable[[], None] = _ignore
        self.on_room: Callable[[], None] = _ignore
        self.on_stray: Callable[[], None] = _ignore
        """Called when data arrives that nobody will read any more."""
        self._flight: deque[tuple[float, bytes | str]] = deque()
        self._timer: Any = None
        self._held_up = False
        self._free_at = self._last_at = 0.0
        self._arrived: deque[bytes] = deque()
        self.held = 0
        """Bytes under way or unread: what counts against the capacity."""
        self._unacknowledged = 0
        self.unread = 0
        """Bytes that have arrived and wait to be read."""
        self.finished = False
        self.error: OSError | None = None
        self.open = True
        """Whether the receiver still reads."""

    # ------------------------------------------------------------------------------------------- the sender's end

    @property
    def room(self) -> int:
        """Bytes that the pipe would take now."""
        return self._conditions().capacity - self.held

    @property
    def roomy(self) -> bool:
        """Whether a third of the pipe is free: as a socket, it is not called writable for less."""
        capacity = self._conditions().capacity
        return (capacity - self.held) * 3 >= capacity

    def push(self, data: bytes) -> None:
        """Send `data`, which must not be longer than `room`."""
        self.held += len(data)
        segment = self._conditions().segment
        if segment <= 0:
            self._launch(data)
            return
        rest = memoryview(data)
        while rest:
            size = self._network.random.randint(1, segment)
            self._launch(bytes(rest[:size]))
            rest = rest[size:]

    def push_end(self, mark: str) -> None:
        """Send FIN or RESET behind everything that was pushed."""
        self._launch(mark)

    # ----------------------------------------------------------------------------------------- the receiver's end

    @property
    def readable(self) -> bool:
        """Whether `take` would give something, the end or an error."""
        return bool(self._arrived) or self.finished or self.error is not None

    def take(self, size: int) -> bytes:
        """Give at most `size` bytes, b"" at the end. Raises BlockingIOError when there are none, OSError when reset."""
        if not self._arrived:
            if self.error is not None:
                raise self.error
            if self.finished:
                return b""
            raise BlockingIOError
        data = self._arrived.popleft()
        if len(data) > size:
            self._arrived.appendleft(data[size:])
            data = data[:size]
        self.unread -= len(data)
        self._acknowledge(len(data))
        return data

    def shut(self) -> None:
        """Read no more: what arrives from now on goes to `on_stray`."""
        self.open = False
        self._arrived.clear()
        self.unread = 0

    # ---------------------------------------------------------------------------------------------------- faults

    def break_off(self, error: OSError) -> None:
        """End at once, as after a reset from outside: what is under way is lost."""
        self._flight.clear()
        self._stop_timer()
        self._fail(error)

    def try_again(self) -> None:
        """Go on after a cut was healed: what is held up comes as new."""
        if self._held_up and not self._cut():
            self._held_up = False
            at = self._clock.monotonic() + self._conditions().delay
            self._flight = deque((max(at, when), piece) for when, piece in self._flight)
            self._last_at = max(self._last_at, at)
            self._aim()
        if not self._cut_back() and self._unacknowledged:
            self._acknowledge(0)

    # ------------------------------------------------------------------------------------------------- under way

    def _conditions(self) -> Conditions:
        return self._network.conditions_of(self.source, self.target)

    def _cut(self) -> bool:
        return self._network.is_cut(self.source, self.target)

    def _cut_back(self) -> bool:
        return self._network.is_cut(self.target, self.source)

    def _launch(self, piece: bytes | str) -> None:
        conditions = self._conditions()
        random = self._network.random
        size = len(piece) if isinstance(piece, bytes) else 0
        self._free_at = max(self._free_at, self._clock.monotonic()) + size / conditions.bandwidth
        at = self._free_at + conditions.delay
        if conditions.jitter:
            at += random.uniform(0, conditions.jitter)
        pause = RETRANSMIT
        while conditions.loss and random.random() < conditions.loss:
            at += pause
            pause *= 2
        self._last_at = max(self._last_at, at)
        self._flight.append((self._last_at, piece))
        if len(self._flight) == 1:
            self._aim()

    def _aim(self) -> None:
        """Set the timer to the first piece under way."""
        self._stop_timer()
        if not self._flight:
            return
        self._held_up = self._cut()
        if not self._held_up:
            self._timer = self._loop.timer(max(0.0, self._flight[0][0] - self._clock.monotonic()))
            self._timer.start(self._deliver)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.stop()
            self._timer.close()
            self._timer = None

    def _deliver(self) -> None:
        self._timer = None
        now = self._clock.monotonic() + 1e-9
        first = True
        while self._flight and (first or self._flight[0][0] <= now) and not self._cut():
            first = False
            self._arrive(self._flight.popleft()[1])
        self._aim()

    def _arrive(self, piece: bytes | str) -> None:
        self._network.note("arrived", self, piece)
        if isinstance(piece, bytes):
            if not self.open:
                self._acknowledge(len(piece))
                self.on_stray()
                return
            self._arrived.append(piece)
            self.unread += len(piece)
        elif piece == RESET:
            self._fail(ConnectionResetError(104, "connection reset by peer"))
            return
        else:
            self.finished = True
        self.on_arrival()

    def _fail(self, error: OSError) -> None:
        if self.error is None:
            self.error = error
            self.on_arrival()

    def _acknowledge(self, size: int) -> None:
        """Let the sender know that bytes were read, unless the way back is cut."""
        if self._cut_back():
            self._unacknowledged += size
            return
        self.held -= size + self._unacknowledged
        self._unacknowledged = 0
        self.on_room()


def _ignore() -> None:
    return None
