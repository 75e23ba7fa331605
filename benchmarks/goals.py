"""The goals, and how each is read off the figures of one run."""

from __future__ import annotations

from collections.abc import Callable

import attrs

from benchmarks.results import Results, Spread

__all__ = ["GOALS", "Goal", "Verdict"]

FIREFLY = "Firefly"
CHANNEL = "Firefly, a channel alone"
HUNDRED, PIPELINED = "100 x 1", "100 x 16"
JOURNAL, ONE_GET, ONE_SAVE = "Firefly, journal", "get, 1 in flight", "save, 1 in flight"
Read = Callable[[Results], Spread | None]


@attrs.frozen
class Verdict:
    """What came of a goal."""

    figure: Spread | None
    by_cpu: Spread | None
    """The same ratio by CPU a message, where there is one: steadier than requests a second."""
    word: str
    """`stretch`, `reached`, `missed`, or `not measured`."""


@attrs.frozen
class Goal:
    """One row of the table: `most` says that the figure must not be above `limit`, else it must not be below."""

    row: str
    measure: str
    limit: float
    stretch: float | None
    read: Read
    cpu: Read | None = None
    most: bool = False
    unit: str = ""
    scale: float = 1.0
    """What a figure is multiplied by to be in `unit`."""

    def judge(self, results: Results) -> Verdict:
        """Compare the median with the goal."""
        figure = self.read(results)
        by_cpu = self.cpu(results) if self.cpu is not None else None
        if figure is None:
            return Verdict(None, None, "not measured")
        figure = Spread(*(value * self.scale for value in attrs.astuple(figure)))
        if self.stretch is not None and self._holds(figure.middle, self.stretch):
            return Verdict(figure, by_cpu, "stretch")
        return Verdict(figure, by_cpu, "reached" if self._holds(figure.middle, self.limit) else "missed")

    def _holds(self, value: float, limit: float) -> bool:
        return value <= limit if self.most else value >= limit

    def wanted(self) -> str:
        """Give the goal as text."""
        sign = "<=" if self.most else ">="
        return f"{sign} {self.limit:g}{self.unit}"


def _against(
    row: str,
    measure: str,
    limit: float,
    stretch: float | None,
    case: str,
    peer: str,
    load: str = HUNDRED,
    subject: str = FIREFLY,
) -> Goal:
    """Requests a second against a peer; CPU a message the other way round, so that more is better in both."""
    return Goal(
        row,
        measure,
        limit,
        stretch,
        lambda results: results.ratio(case, subject, peer, load, "rate"),
        lambda results: results.ratio(case, peer, subject, load, "cpu_us"),
    )


def _channel(row: str, peer: str, load: str, limit: float, stretch: float | None) -> Goal:
    """Calls over one connection: like with like, for the peers choose no server either."""
    return _against(row, f"a channel, {load}, against {peer}", limit, stretch, "rpc", peer, load, CHANNEL)


def _plain(
    row: str,
    measure: str,
    limit: float,
    stretch: float | None,
    case: str,
    load: str,
    name: str,
    unit: str,
    scale: float = 1.0,
    subject: str = FIREFLY,
) -> Goal:
    """A figure that must not be above its limit."""
    return Goal(
        row,
        measure,
        limit,
        stretch,
        lambda results: results.spread(case, subject, load, name),
        most=True,
        unit=unit,
        scale=scale,
    )


def _remote(load: str) -> Goal:
    """What a remote row costs, against a bare call over the same channel: by time, and by the CPU of both servers."""
    one, other = "Firefly, get", "Firefly, call"
    return Goal(
        "db",
        f"remote row against a bare call, {load}",
        1.3,
        None,
        lambda results: results.ratio("db-cache-remote", one, other, load, "took_us"),
        lambda results: results.ratio("db-cache-remote", one, other, load, "both_cpu_us"),
        most=True,
    )


GOALS = (
    _against("1", "gate echo against uvloop Protocol", 0.95, 1.05, "gate-echo", "uvloop Protocol"),
    _against("2", "gate echo against C epoll", 0.65, 0.72, "gate-echo", "C, epoll"),
    _against("2", "gate echo against gevent StreamServer", 1.8, 2.0, "gate-echo", "gevent StreamServer"),
    _against("3", "16 in flight against uvloop, a write a message", 5, 7.5, "gate-echo", "uvloop Protocol", PIPELINED),
    _against("3", "16 in flight against uvloop, batched", 0.9, 1.1, "gate-echo", "uvloop, hand-batched", PIPELINED),
    _against("3", "16 in flight against C epoll", 0.30, 0.42, "gate-echo", "C, epoll", PIPELINED),
    Goal(
        "4",
        "16 in flight: p99 against uvloop Protocol",
        0.35,
        None,
        lambda results: results.ratio("gate-echo", FIREFLY, "uvloop Protocol", PIPELINED, "p99_us"),
        most=True,
    ),
    _plain("4", "16 in flight: most by least served", 1.5, None, "gate-echo", PIPELINED, "uneven", ""),
    _against("5", "gate echo against Pinus, both TCP", 2.5, 3, "gate-echo", "Pinus (TCP)"),
    _against(
        "5",
        "gate echo against Colyseus, both WebSocket",
        1.2,
        1.5,
        "websocket-echo",
        "Colyseus (WebSocket)",
        subject="Firefly, json over WebSocket",
    ),
    _against("6", "handlers that yield once against gevent", 1.3, 1.5, "yielding-echo", "gevent StreamServer"),
    _channel("7", "pinus-rpc", "100 in flight", 2, 2.9),
    _channel("7", "zerorpc", "100 in flight", 40, None),
    _channel("7", "grpcio", "100 in flight", 30, None),
    _channel("8", "naive gevent + msgpack", "1 in flight", 1.4, 1.55),
    _against("9", "routed echo against gevent", 2.8, 3.4, "routed-echo", "gevent, greenlet a request"),
    _against("9", "routed echo against Pinus", 3, 4, "routed-echo", "Pinus, frontend and back"),
    _against("10", "routed echo against own gate echo", 0.65, 0.8, "routed-echo", "Firefly, not routed"),
    _plain("11", "idle session, TCP", 1536, 1024, "idle-memory", "10,000 connections", "bytes", " bytes"),
    _plain(
        "11",
        "idle session, WebSocket",
        8192,
        2560,
        "idle-memory",
        "10,000 connections",
        "bytes",
        " bytes",
        subject="Firefly, json over WebSocket",
    ),
    _against("12", "broadcast to 1,000 against C epoll", 0.7, 0.8, "broadcast", "C, epoll", "to 1,000"),
    _against("12", "broadcast to 1,000 against uvloop", 1.0, 1.1, "broadcast", "uvloop Protocol", "to 1,000"),
    _plain("12", "loop held by a broadcast to 5,000", 5, 2, "broadcast-slice", "to 5,000", "longest_us", " ms", 1e-3),
    _plain("13", "import firefly_core", 120, 80, "start", "import", "seconds", " ms", 1e3),
    _plain("13", "firefly-run --help", 300, None, "start", "--help", "seconds", " ms", 1e3),
    _plain("13", "one server to ready", 1000, None, "start", "one server", "seconds", " ms", 1e3),
    _plain("+", "p99 beside a flood of 100,000", 50, None, "flood", "99 beside a flood", "p99_us", " ms", 1e-3),
    _plain("+", "CPU of an idle gate", 0.5, None, "idle-server", "gate", "busy_percent", " %"),
    Goal(
        "+",
        "cost of a message, 10,000 sessions by 100",
        1.15,
        None,
        lambda results: results.growth("many-sessions", FIREFLY, "10,000 sessions", "100 sessions", "cpu_us"),
        most=True,
    ),
    _plain("db", "a row in memory, read: CPU", 5, None, "db-cache", ONE_GET, "cpu_us", " us", subject=JOURNAL),
    _against("db", "read against peewee, SQLite", 20, None, "db-cache", "peewee", ONE_GET, JOURNAL),
    _against("db", "save against peewee, SQLite", 10, None, "db-cache", "peewee", ONE_SAVE, JOURNAL),
    _against("db", "save against peewee, PostgreSQL", 10, None, "db-cache-postgresql", "peewee", ONE_SAVE, JOURNAL),
    *(_remote(load) for load in ("1 in flight", "100 in flight")),
    *(
        Goal(
            "db",
            f"rows {what} into {database}",
            10_000,
            None,
            lambda results, load=f"{what} into {database}": results.spread("db-cache-flush", FIREFLY, load, "rate"),
            unit="/s",
        )
        for database in ("SQLite", "PostgreSQL")
        for what in ("inserted", "updated")
    ),
    _plain("db", "a row in memory above its size", 1024, None, "db-cache-memory", "100,000 rows", "bytes", " bytes"),
)
