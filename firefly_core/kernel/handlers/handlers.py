"""Handlers: what the marks of a server's handler modules amount to, checked all together before anything starts."""

from __future__ import annotations

import inspect
import re
import typing
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from types import ModuleType
from typing import Any

import attrs
import msgspec
from cronsim import CronSim, CronSimError

from firefly_core.errors import ConfigurationError
from firefly_core.kernel.config.misfit import Misfit
from firefly_core.kernel.config.rate import Rate, rate
from firefly_core.kernel.handlers.marks import MARKS, Mark, Push

__all__ = ["Handler", "HandlerTable", "collect"]

MAX_ID = 2**32 - 1
NAME = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")


@attrs.define(eq=False)
class Handler:
    """One marked function with what was said about it."""

    kind: str
    name: str
    function: Callable[..., Any]
    source: str
    """Where it stands, as `file:line`."""
    id: int = 0
    parameters: tuple[Any, ...] = ()
    """The types of what follows `ctx`; `Any` where none is declared."""
    required: int = 0
    """How many of the parameters have no default."""
    result: Any = Any
    public: bool = False
    rate: Rate | None = None
    timeout: float | None = None
    roles: frozenset[str] = frozenset()
    owner: Callable[..., Any] | None = None
    idempotent: bool = False
    open: bool = False
    seconds: float = 0.0
    cron: str = ""

    @property
    def signature(self) -> str:
        """The function's signature, as written."""
        return str(inspect.signature(self.function))


@attrs.define
class HandlerTable:
    """All handlers of one server."""

    commands: dict[int, Handler] = attrs.Factory(dict)
    names: dict[str, Handler] = attrs.Factory(dict)
    remotes: dict[str, Handler] = attrs.Factory(dict)
    pushes: dict[int, Push] = attrs.Factory(dict)
    timers: list[Handler] = attrs.Factory(list)
    """Handlers of kind `every` and `cron`."""
    on: dict[str, list[Handler]] = attrs.Factory(dict)
    """Handlers of `start`, `stop`, `connect`, `login`, `disconnect`, in order."""

    def __iter__(self) -> Iterator[Handler]:
        """Give every handler, commands first."""
        yield from self.commands.values()
        yield from self.remotes.values()
        yield from self.timers
        for handlers in self.on.values():
            yield from handlers


def collect(modules: Iterable[ModuleType]) -> HandlerTable:
    """Read the marks in `modules`; raises ConfigurationError with every problem, each with file and line."""
    collector = _Collector()
    for module in modules:
        collector.read(module)
    if collector.problems:
        raise ConfigurationError(collector.problems)
    return collector.table


class _Fault(Exception):
    """What is wrong with one mark; the collector adds where."""


class _Collector:
    def __init__(self) -> None:
        self.table = HandlerTable()
        self.problems: list[str] = []
        self._seen: set[int] = set()

    def read(self, module: ModuleType) -> None:
        found = 0
        for value in list(vars(module).values()):
            if isinstance(value, Push):
                found += 1
                self._add_push(module, value)
            elif callable(value) and (marks := getattr(value, MARKS, ())):
                found += 1
                if id(value) not in self._seen:
                    self._seen.add(id(value))
                    self._add_marks(value, marks)
        if not found:
            self.problems.append(f"{module.__name__}: no handlers in it; mark a function with @command or @remote")

    def _add_push(self, module: ModuleType, push: Push) -> None:
        where = getattr(module, "__file__", None) or module.__name__
        other = self.table.pushes.setdefault(push.id, push)
        if not _is_id(push.id):
            self.problems.append(
                f"{where}: push {push.name!r}: the id {push.id!r} is not an integer from 0 to {MAX_ID}"
            )
        elif other is not push:
            self.problems.append(f"{where}: push {push.id}: both {other.name!r} and {push.name!r} have this id")
        elif push.policy not in ("reliable", "latest", "droppable"):
            self.problems.append(f"{where}: push {push.id}: no policy {push.policy!r}; reliable, latest or droppable")

    def _add_marks(self, function: Any, marks: Iterable[Mark]) -> None:
        where = _where(function)
        for mark in marks:
            try:
                self._add(_handler(function, mark, where))
            except _Fault as fault:
                self.problems.append(f"{where}: @{mark.kind} {function.__name__}: {fault}")

    def _add(self, handler: Handler) -> None:
        table = self.table
        if handler.kind == "command":
            _claim(table.commands, handler.id, handler, f"command id {handler.id}")
            _claim(table.names, handler.name, handler, f"command name {handler.name!r}")
        elif handler.kind == "remote":
            _claim(table.remotes, handler.name, handler, f"remote name {handler.name!r}")
        elif handler.kind in ("every", "cron"):
            table.timers.append(handler)
        else:
            table.on.setdefault(handler.kind.removeprefix("on_"), []).append(handler)


def _claim(taken: dict[Any, Handler], key: Any, handler: Handler, what: str) -> None:
    other = taken.setdefault(key, handler)
    if other is not handler:
        raise _Fault(f"{what} is taken by {other.function.__name__} at {other.source}")


def _where(function: Any) -> str:
    code = getattr(inspect.unwrap(function), "__code__", None)
    return f"{code.co_filename}:{code.co_firstlineno}" if code else repr(function)


def _is_id(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_ID


def _handler(function: Any, mark: Mark, where: str) -> Handler:
    options = dict(mark.options)
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        raise _Fault("it is `async def`; handlers are plain functions, and gevent makes them wait without blocking")
    if inspect.isgeneratorfunction(function):
        raise _Fault("it is a generator; a handler returns its result")
    handler = Handler(kind=mark.kind, name=options.get("name") or function.__name__, function=function, source=where)
    _read_signature(handler)
    _read_options(handler, options)
    return handler


def _read_signature(handler: Handler) -> None:
    parameters = list(inspect.signature(handler.function).parameters.values())
    if not parameters or parameters[0].kind not in (
        inspect.Parameter.POSITIONAL_ONLY,
        inspect.Parameter.POSITIONAL_OR_KEYWORD,
    ):
        raise _Fault("its first parameter must be `ctx`")
    rest = parameters[1:]
    if any(p.kind not in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in rest):
        raise _Fault("it must have plain positional parameters only")
    most = {"command": 1, "remote": 64}.get(handler.kind, 0)
    if len(rest) > most:
        takes = {"command": "ctx and at most one request", "remote": "ctx and at most 64 arguments"}
        raise _Fault(f"it takes {len(parameters)} parameters; it may take {takes.get(handler.kind, 'ctx only')}")
    try:
        hints = typing.get_type_hints(handler.function, include_extras=True)
    except Exception as error:
        raise _Fault(f"its annotations cannot be read: {error}") from error
    handler.parameters = tuple(hints.get(p.name, Any) for p in rest)
    handler.required = sum(1 for p in rest if p.default is p.empty)
    handler.result = hints.get("return", Any)
    for parameter, declared in zip(rest, handler.parameters, strict=True):
        _check_type(parameter.name, declared)


def _check_type(name: str, declared: Any) -> None:
    """Refuse what msgspec cannot check, or would check without running the class's own converters."""
    try:
        msgspec.json.Decoder(declared)
    except (TypeError, NameError) as error:
        raise _Fault(f"the type of {name!r} cannot be decoded: {error}") from error
    for cls in _classes(declared, set()):
        if not attrs.has(cls):
            raise _Fault(f"{cls.__name__} is no class that a body can become; declare it with attrs")
        converted = [field.name for field in attrs.fields(cls) if field.converter is not None]
        if converted:
            raise _Fault(
                f"{cls.__name__}.{converted[0]} has a converter, which would not run on what a client sends; "
                "use the type itself, with msgspec.Meta for its bounds"
            )


def _classes(declared: Any, seen: set[Any]) -> Iterator[type]:
    """Give every attrs class inside a type, and every class that is of no kind msgspec can make."""
    try:
        if declared in seen:
            return
        seen.add(declared)
    except TypeError:
        return
    for argument in typing.get_args(declared):
        yield from _classes(argument, seen)
    if isinstance(declared, type) and attrs.has(declared):
        yield declared
        for hint in typing.get_type_hints(declared, include_extras=True).values():
            yield from _classes(hint, seen)
    elif isinstance(declared, type) and isinstance(msgspec.inspect.type_info(declared), msgspec.inspect.CustomType):
        yield declared


def _read_options(handler: Handler, options: dict[str, Any]) -> None:
    handler.public = bool(options.get("public"))
    handler.idempotent = bool(options.get("idempotent"))
    handler.open = bool(options.get("open"))
    handler.timeout = _seconds("timeout", options.get("timeout"))
    if options.get("rate") is not None:
        try:
            handler.rate = rate().parse(options["rate"])
        except Misfit as misfit:
            raise _Fault(f"rate {options['rate']!r}: needs {misfit.needs}") from misfit
    if handler.kind == "command":
        handler.id = options["id"]
        if not _is_id(handler.id):
            raise _Fault(f"the id {handler.id!r} is not an integer from 0 to {MAX_ID}")
        _read_guards(handler, options)
    elif handler.kind == "every":
        handler.seconds = _seconds("the interval", options["seconds"]) or 0.0
    elif handler.kind == "cron":
        handler.cron = _cron(options["text"])
    if handler.kind in ("command", "remote"):
        _check_name(handler)


def _read_guards(handler: Handler, options: dict[str, Any]) -> None:
    roles = options.get("roles", ())
    if isinstance(roles, str) or not all(isinstance(role, str) and role for role in roles):
        raise _Fault(f"roles {roles!r} is not a list of names")
    handler.roles = frozenset(roles)
    handler.owner = options.get("owner")
    if handler.owner is not None and not callable(handler.owner):
        raise _Fault(f"owner {handler.owner!r} is not a function of ctx and the request")


def _check_name(handler: Handler) -> None:
    if not isinstance(handler.name, str) or not NAME.fullmatch(handler.name) or len(handler.name) > 128:
        raise _Fault(f"the name {handler.name!r} must be words of letters, digits and _ joined by dots")
    if handler.name.startswith("firefly."):
        raise _Fault("names that begin with `firefly.` are reserved")


def _seconds(what: str, value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < 1e8:
        raise _Fault(f"{what} {value!r} is not a positive number of seconds")
    return float(value)


def _cron(text: Any) -> str:
    try:
        CronSim(text, datetime(2000, 1, 1, tzinfo=UTC))
    except (CronSimError, AttributeError, TypeError) as error:
        raise _Fault(f"{text!r} is not five cron fields: {error}") from error
    return str(text)
