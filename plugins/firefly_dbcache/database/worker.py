"""One thread beside the hub, for what blocks: the journal's disk, SQLite."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from gevent.threadpool import ThreadPool

__all__ = ["Worker"]

T = TypeVar("T")


class Worker:
    """Does one thing after the other in its thread; whoever asks waits, and gets the result or the error."""

    def __init__(self) -> None:
        self._pool = ThreadPool(1)

    def do(self, work: Callable[..., T], *arguments: Any) -> T:
        """Run `work(*arguments)` in the thread; blocks this greenlet only. Raises what the work raises."""
        # An exception that left the thread's task would be printed by gevent, with the row's values in it.
        done, error = self._pool.apply(_caught, (work, arguments))
        if error is not None:
            raise error
        result: T = done
        return result

    def stop(self) -> None:
        """End the thread; what it does just now is finished."""
        self._pool.kill()


def _caught(work: Callable[..., Any], arguments: tuple[Any, ...]) -> tuple[Any, BaseException | None]:
    try:
        return work(*arguments), None
    except BaseException as error:
        return None, error
