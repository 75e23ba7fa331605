"""The functions of a player's program that want to hear of things."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar, overload

from firefly_client.events import State
from firefly_client.wire import Push

__all__ = ["Handlers"]

Function = Callable[..., Any]
F = TypeVar("F", bound=Function)


class Handlers:
    """A client's handlers; every method can be used as a decorator. They may be added at any time."""

    def __init__(self) -> None:
        self._pushes: dict[int | str, list[Function]] = {}
        self._any: list[Function] = []
        self._states: list[Function] = []
        self._resyncs: list[Function] = []

    @overload
    def on(self, push: int | str) -> Callable[[F], F]: ...
    @overload
    def on(self, push: int | str, handler: F) -> F: ...
    def on(self, push: int | str, handler: Function | None = None) -> Any:
        """Call `handler(body)` for each push of that name or id."""

        def add(handler: F) -> F:
            self._pushes.setdefault(push, []).append(handler)
            return handler

        return add if handler is None else add(handler)

    def on_push(self, handler: F) -> F:
        """Call `handler(push)` for every push, before those of its name; it has `id`, `name`, `body` and `seq`."""
        self._any.append(handler)
        return handler

    def on_state(self, handler: F) -> F:
        """Call `handler(state, reason)` when the client's state changes."""
        self._states.append(handler)
        return handler

    def on_resync(self, handler: F) -> F:
        """Call `handler()` when the session goes on but pushes were let go meanwhile: ask for the world anew."""
        self._resyncs.append(handler)
        return handler

    def calls_of_push(self, push: Push) -> Iterator[tuple[Function, tuple[Any, ...]]]:
        """Give what to call for a push."""
        for handler in self._any:
            yield handler, (push,)
        for key in (push.name, push.id):
            for handler in self._pushes.get(key, ()):
                yield handler, (push.body,)

    def calls_of_state(self, state: State, reason: str) -> Iterator[tuple[Function, tuple[Any, ...]]]:
        """Give what to call for a change of state."""
        for handler in self._states:
            yield handler, (state, reason)

    def calls_of_resync(self) -> Iterator[tuple[Function, tuple[Any, ...]]]:
        """Give what to call for a resync."""
        for handler in self._resyncs:
            yield handler, ()
