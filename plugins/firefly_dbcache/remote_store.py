"""The store of a server that does not own the database: every operation is a call to the owner, none is answered here.

So nobody ever reads a stale row; what a cache on this side would save, it would have to ask the owner about anyway.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from gevent.event import Event

from firefly_core.errors import DeadlineExceeded, Disconnected, StorageError
from firefly_dbcache.handle import Handle
from firefly_dbcache.model import CachedModel
from firefly_dbcache.remote_methods import ERRORS, PREFIX
from firefly_dbcache.rows.commit import Write
from firefly_dbcache.rows.overlay import Place
from firefly_dbcache.rows.table import Key, Row, Table

if TYPE_CHECKING:
    from firefly_core.kernel.handlers.context import Context
    from firefly_core.kernel.kernel import Kernel
    from firefly_core.kernel.mesh.peer import Peer

__all__ = ["Link", "RemoteStore"]

TIMEOUT = 10.0
HOP = 0.005
"""Seconds that are left to a handler after a call that took too long."""
READ_RETRIES = 3
GET = PREFIX + "get"


class Link:
    """The way to one owner. Calls before it has ever been connected wait for it; later ones fail at once."""

    def __init__(self, kernel: Kernel, owner: str, tables: Sequence[Table]) -> None:
        self.tables: Mapping[type[CachedModel], Table] = {table.model: table for table in tables}
        self.calls = 0
        self._kernel = kernel
        self._owner = owner
        self._ever = Event()
        kernel.mesh.listeners.append(self._on_change)

    def _on_change(self, peer: Peer, connected: bool) -> None:
        if peer.name == self._owner and connected:
            self._ever.set()

    def handle(self, context: Context) -> Handle:
        """Give `ctx.db` for one run of a handler, whose deadline bounds every call."""
        return Handle(RemoteStore(self, context), self._kernel.random)

    def call(self, context: Context, method: str, *params: Any, again: bool = False) -> Any:
        """Call the owner; `again` says that asking twice does no harm. Raises CallError, and what the owner raised."""
        self.calls += 1
        for attempt in range(READ_RETRIES):
            try:
                kind, result = self._peer(context).call(PREFIX + method, *params, timeout=self._time(context))
            except Disconnected:
                if not again or attempt == READ_RETRIES - 1 or not self._connected():
                    raise
                continue
            if kind is None:
                return result
            raise ERRORS.get(kind, StorageError)(result)
        raise AssertionError("unreachable")

    def get(self, context: Context, table: Table, key: Key) -> Row | None:
        """Give one row, with as little around the call as can be."""
        peer = self._kernel.mesh.peers.get(self._owner)
        if peer is None or not self._ever.is_set():
            peer = self._peer(context)
        self.calls += 1
        try:
            answer = peer.call(GET, table.name, table.shape, key, timeout=self._time(context))
        except Disconnected:
            if not self._connected():
                raise
            answer = self._peer(context).call(GET, table.name, table.shape, key, timeout=self._time(context))
        if answer is None:
            return None
        if answer.__class__ is dict:
            kind, text = answer["error"]
            raise ERRORS.get(kind, StorageError)(text)
        return tuple(answer)

    def notify(self, method: str, *params: Any) -> None:
        """Tell the owner something that needs no answer."""
        peer = self._kernel.mesh.peers.get(self._owner)
        if peer is not None:
            peer.notify(PREFIX + method, *params)

    def _connected(self) -> bool:
        peer = self._kernel.mesh.peers.get(self._owner)
        return peer is not None and peer.connected

    def _time(self, context: Context) -> float:
        remaining = context.remaining()
        time = TIMEOUT if remaining is None else min(TIMEOUT, remaining - HOP)
        if time <= 0:
            raise DeadlineExceeded("no time is left")
        return time

    def _peer(self, context: Context) -> Peer:
        if not self._ever.is_set():
            self._ever.wait(self._time(context))
        peer = self._kernel.mesh.peers.get(self._owner)
        if peer is None or not peer.connected:
            raise Disconnected(f"the db-cache at {self._owner} is not connected", sent=False)
        return peer

    def close(self) -> None:
        """Listen no more."""
        self._kernel.mesh.listeners.remove(self._on_change)


class RemoteStore:
    """An owner's store, as one run of a handler reaches it."""

    def __init__(self, link: Link, context: Context) -> None:
        self.tables = link.tables
        self._link = link
        self._context = context

    def _call(self, method: str, table: Table, *params: Any, again: bool = False) -> Any:
        return self._link.call(self._context, method, table.name, table.shape, *params, again=again)

    def read(self, table: Table, key: Key) -> Row | None:
        return self._link.get(self._context, table, key)

    def read_many(self, table: Table, keys: Sequence[Key]) -> Mapping[Key, Row | None]:
        found: dict[Key, Row | None] = {}
        left = list(keys)
        while left:
            rows = self._call("read", table, left[:1000], again=True)
            found.update((key, None if row is None else tuple(row)) for key, row in zip(left, rows, strict=False))
            left = left[len(rows) :]
        return found

    def save(self, table: Table, row: Row, turn: int = 0) -> Row:
        return (row[0], self._call("save", table, row, turn), *row[2:])

    def create(self, table: Table, row: Row) -> Row:
        key, ver = self._call("create", table, row)
        return (key, ver, *row[2:])

    def commit(self, writes: Sequence[Write], reads: Iterable[tuple[Place, int]]) -> Sequence[Write]:
        plain = [(write.table.name, write.table.shape, write.key, write.base, write.row) for write in writes]
        seen = [(table.name, table.shape, key, base) for (table, key), base in reads]
        self._link.call(self._context, "commit", plain, seen)
        return writes

    def add(self, table: Table, key: Key, amounts: Mapping[int, Any]) -> Row:
        return tuple(self._call("add", table, key, {table.names[place]: amount for place, amount in amounts.items()}))

    def find(self, table: Table, conditions: Mapping[int, Any]) -> Sequence[Row]:
        named = {table.names[place]: value for place, value in conditions.items()}
        rows, others = self._call("find", table, named, again=True)
        found = [tuple(row) for row in rows]
        if others:
            wanted = conditions.items()
            more = self.read_many(table, others).values()
            found += [row for row in more if row is not None and all(row[place] == value for place, value in wanted)]
        return found

    def next_key(self, table: Table) -> int:
        key: int = self._call("next_key", table)
        return key

    def preload(self, table: Table) -> int:
        count: int = self._call("preload", table, again=True)
        return count

    def take_turn(self, table: Table, key: Key) -> int:
        turn: int = self._call("take_turn", table, key)
        return turn

    def give_turn(self, table: Table, key: Key, turn: int) -> None:
        self._link.notify("give_turn", table.name, table.shape, key, turn)
