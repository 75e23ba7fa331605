"""MessagePack-RPC: bytes to checked messages, and messages to bytes.

    [0, id, method, params]       a request            params is an array
    [1, id, error, result]        its response
    [2, method, params]           a notification: no response

A Firefly peer may add one more element, a map: the fifth of a request, the fourth of a notification. `Decoder` gives
requests always with five elements and notifications with four; the last is the map, or None.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, NoReturn

import msgpack
import msgspec
from msgpack.exceptions import BufferFull, UnpackException

from firefly_core.errors import ProtocolError

__all__ = [
    "MAX_ID",
    "MAX_METHOD",
    "NOTIFY",
    "REQUEST",
    "RESPONSE",
    "STRANGER",
    "TAINTED",
    "Caps",
    "Decoder",
    "check_breadth",
    "pack_plain",
    "packer",
    "peer_caps",
]

REQUEST, RESPONSE, NOTIFY = 0, 1, 2
MAX_ID = 0xFFFF_FFFF
MAX_METHOD = 256
"""Characters of a method's name."""
HEADROOM = 65_536
"""What the buffer takes beyond one frame: what one read may bring."""


class Caps(NamedTuple):
    """What a sender may send; `frame` is in bytes. `plain`: not the extra map, and no map keys other than strings."""

    frame: int
    array: int
    map: int
    depth: int
    plain: bool


TAINTED = "firefly.tainted"
"""The method that a peer's request is given when its maps have keys that are neither strings nor integers."""
MAX_ENTRIES = 65_536
STRANGER = Caps(frame=4096, array=128, map=128, depth=32, plain=True)
"""Before a hello: an array's header alone makes the decoder allocate, so little is allowed."""


def peer_caps(max_frame: int) -> Caps:
    """Give what a peer may send after its hello; msgpack itself stops at a depth of 1,024."""
    return Caps(frame=max_frame, array=MAX_ENTRIES, map=MAX_ENTRIES, depth=1024, plain=False)


def packer() -> msgpack.Packer:
    """Give a Packer whose `pack` makes one frame.

    It gives each frame as bytes of its own (`autoreset`): one that collects would, at the first value that has no
    form in MessagePack, throw away all that it holds, the answers to others included.
    """
    return msgpack.Packer(use_bin_type=True, strict_types=False)


pack_plain = msgspec.msgpack.Encoder().encode
"""Makes the same frame in half the time, of None, numbers, str, bytes and arrays and maps of them.

Only of those: it has a form for a date or a set too, which would be another value at the peer, or the channel's end.
"""


def _refuse_extension(_code: int, _data: bytes) -> NoReturn:
    raise ValueError("extension types are not used")


def check_breadth(value: Any, frame: bytes) -> None:
    """Raise ValueError when `value`, packed as `frame`, has an array or map that peers do not take."""
    if len(frame) <= MAX_ENTRIES:
        return
    level = [value]
    while level:
        inner: list[Any] = []
        for item in level:
            if isinstance(item, (list, tuple, dict)):
                if len(item) > MAX_ENTRIES:
                    raise ValueError(f"arrays and maps have at most {MAX_ENTRIES} entries between servers")
                inner.extend(item.values() if isinstance(item, dict) else item)
        level = inner


def _key_check(caps: Caps, tainted: list[Any]) -> Callable[[dict[Any, Any]], dict[Any, Any]]:
    """Give what looks at the keys of each map: a stranger's wrong key is an error, a peer's is noted in `tainted`."""

    def check(entries: dict[Any, Any]) -> dict[Any, Any]:
        for key in entries:
            if type(key) is not str and type(key) is not int:
                tainted.append(key)
                break
        return entries

    def check_plain(entries: dict[Any, Any]) -> dict[Any, Any]:
        for key in entries:
            if type(key) is not str:
                raise ValueError("a map's keys are strings")
        return entries

    return check_plain if caps.plain else check


def _unpacker(caps: Caps, check_keys: Callable[[dict[Any, Any]], dict[Any, Any]]) -> Any:
    return msgpack.Unpacker(
        raw=False,
        use_list=True,
        strict_map_key=False,
        object_hook=check_keys,
        ext_hook=_refuse_extension,
        max_buffer_size=caps.frame + HEADROOM,
        max_str_len=caps.frame,
        max_bin_len=caps.frame,
        max_array_len=caps.array,
        max_map_len=caps.map,
        max_ext_len=0,
    )


def _too_deep(value: Any, depth: int) -> bool:
    """Whether arrays and maps nest deeper than `depth`."""
    level = [value]
    while level:
        inner: list[Any] = []
        for item in level:
            if type(item) is list:
                inner.extend(item)
            elif type(item) is dict:
                inner.extend(item.values())
        if not inner and not any(type(item) in (list, dict) for item in level):
            return False
        if depth == 0:
            return True
        depth -= 1
        level = inner
    return False


class Decoder:
    """One connection's incoming side. At the first error it is of no use any more: drop it with the connection.

    `feed` each piece that arrives, then take `messages()` until they end, before the next `feed`. The iteration may be
    left at any message and taken up by another call of `messages()`.
    """

    __slots__ = ("_caps", "_fed", "_start", "_tainted", "_unpacker")

    def __init__(self, caps: Caps) -> None:
        self._caps = caps
        self._tainted: list[Any] = []
        self._unpacker = _unpacker(caps, _key_check(caps, self._tainted))
        self._fed = 0
        self._start = 0

    @property
    def partial(self) -> int:
        """Bytes that do not belong to a message which was given."""
        return self._fed - self._start

    def feed(self, data: bytes) -> None:
        """Take what arrived, at most 64 KiB. Raises ProtocolError when that cannot be buffered."""
        try:
            self._unpacker.feed(data)
        except BufferFull:
            raise self._too_long() from None
        self._fed += len(data)

    def trust(self, caps: Caps) -> None:
        """Apply other caps from the next message on."""
        rest = self._unpacker.read_bytes(self._fed - self._start)
        self._caps = caps
        self._unpacker = _unpacker(caps, _key_check(caps, self._tainted))
        self._fed = self._start = 0
        self.feed(rest)

    def messages(self) -> Iterator[list[Any]]:
        """Give the complete messages, in order.

        Raises ProtocolError for what is not MessagePack, breaks a cap, or is not of the three shapes; the messages
        before it have been given then.
        """
        while True:
            unpacker = self._unpacker
            start, longest, tell, tainted = self._start, self._caps.frame, unpacker.tell, self._tainted
            check_request = self._check_request
            try:
                for message in unpacker:
                    # The decoder consumes a frame as it comes: only here is it known where one ends.
                    position = tell()
                    if position - start > longest:
                        raise self._too_long()
                    self._start = start = position
                    if tainted:
                        self._replace(message)
                    # The shapes, most frequent first, in one place: this runs for each message of each channel.
                    kind = message[0] if type(message) is list and message else None
                    if type(kind) is not int:
                        raise ProtocolError("bad_shape", "not a MessagePack-RPC message")
                    if kind == RESPONSE:
                        if len(message) != 4 or type(message[1]) is not int:
                            raise ProtocolError("bad_shape", "not a MessagePack-RPC response")
                    elif kind == REQUEST:
                        check_request(message)
                    elif kind == NOTIFY:
                        self._check_notification(message)
                    else:
                        raise ProtocolError("bad_shape", f"there is no message of kind {kind}")
                    yield message
            except (UnpackException, ValueError, TypeError, RecursionError) as error:
                raise ProtocolError("bad_msgpack", f"not MessagePack within the caps: {error}") from None
            if unpacker is self._unpacker:
                break
        if self._fed - self._start > self._caps.frame:
            raise self._too_long()

    def _too_long(self) -> ProtocolError:
        return ProtocolError("too_long", f"a frame has over {self._caps.frame} bytes")

    def _replace(self, message: Any) -> None:
        """Make an answer possible to a message whose maps have keys of other types.

        Such a value comes from a mistake in a handler, and must not cost everybody else the channel.
        """
        self._tainted.clear()
        if type(message) is list and message[:1] == [REQUEST] and len(message) >= 4:
            message[2:] = [TAINTED, []]
        elif type(message) is list and message[:1] == [NOTIFY]:
            message[1:] = [TAINTED, []]
        elif type(message) is list and message[:1] == [RESPONSE] and len(message) == 4:
            message[2:] = [["bad_result", "map keys are strings or integers"], None]

    def _check_request(self, message: list[Any]) -> None:
        if len(message) == 4:
            message.append(None)
        elif len(message) != 5:
            raise ProtocolError("bad_shape", "a request has four or five elements")
        _, identifier, method, params, extra = message
        if type(identifier) is not int or not 0 <= identifier <= MAX_ID:
            raise ProtocolError("bad_id", "a request's id is an unsigned 32-bit integer")
        if type(method) is not str or type(params) is not list or len(method) > MAX_METHOD:
            raise self._bad_call(method)
        if self._caps.plain or (extra is not None and type(extra) is not dict):
            self._check_plain(params, extra)

    def _check_notification(self, message: list[Any]) -> None:
        if len(message) == 3:
            message.append(None)
        elif len(message) != 4:
            raise ProtocolError("bad_shape", "a notification has three or four elements")
        _, method, params, extra = message
        if type(method) is not str or type(params) is not list or len(method) > MAX_METHOD:
            raise self._bad_call(method)
        if self._caps.plain or (extra is not None and type(extra) is not dict):
            self._check_plain(params, extra)

    def _bad_call(self, method: Any) -> ProtocolError:
        if type(method) is str and len(method) > MAX_METHOD:
            return ProtocolError("bad_method", f"a method's name has over {MAX_METHOD} characters")
        return ProtocolError("bad_shape", "a method is a string and its params an array")

    def _check_plain(self, params: list[Any], extra: Any) -> None:
        if extra is not None:
            raise ProtocolError("bad_shape", "the extra element is a map, which only a peer sends")
        if _too_deep(params, self._caps.depth):
            raise ProtocolError("too_deep", f"params nest deeper than {self._caps.depth}")
