"""Rehearsal: a unit is imported and its handlers are collected in a throw-away process, before a server does so.

Whatever the code does there (spin, exit, crash, eat memory) is the end of that process and of nothing else.
`python -m firefly_core.kernel.reload.rehearsal` is that process: it reads what to import from its standard input, as
JSON, and answers on the descriptor that is its argument.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import tempfile
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import attrs

from firefly_core.kernel.process.parent import die_with

if TYPE_CHECKING:
    from firefly_core.kernel.reload.code_unit import CodeUnit

__all__ = ["Rehearsal", "rehearse"]

LIMIT = 5.0
MEMORY = 4 * 1024**3
"""Bytes that the process may have of its own."""


@attrs.frozen(kw_only=True)
class Rehearsal:
    """What came of it; without `problems` the rest is there."""

    problems: tuple[str, ...] = ()
    digests: dict[str, str] = attrs.field(factory=dict)
    """Which sources were read, by module."""
    paths: dict[str, str] = attrs.field(factory=dict)
    """Where they were read from."""
    shape: dict[str, Any] = attrs.field(factory=dict)
    """What the handlers take (handler_changes.py)."""
    defines: tuple[str, ...] = ()
    """Modules that define what must stay the one that it is."""


def rehearse(unit: CodeUnit, others: Iterable[str]) -> Rehearsal:
    """Try a unit in a process of its own, and `others` of its modules, as far as they are still there.

    Blocks the calling greenlet for `LIMIT` seconds at most. Raises OSError when no process can be started.
    """
    from gevent import subprocess

    task = {
        "path": sys.path,
        "handlers": unit.handlers,
        "packages": sorted(unit.packages),
        "stable": sorted(unit.stable),
        "others": list(others),
        "parent": os.getpid(),
    }
    # Files and no pipes: whoever the modules have started may keep them open.
    with tempfile.TemporaryFile() as question, tempfile.TemporaryFile() as answer:
        question.write(json.dumps(task).encode())
        question.seek(0)
        process = subprocess.Popen(
            [sys.executable, "-m", __name__, str(answer.fileno())],
            stdin=question,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=[answer.fileno()],
        )
        try:
            status = process.wait(LIMIT)
        except subprocess.TimeoutExpired:
            names = ", ".join(unit.handlers)
            return Rehearsal(problems=(f"importing {names} took longer than {LIMIT:g} s in a throw-away process",))
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        answer.seek(0)
        return _read(answer.read(), status)


def _read(answer: bytes, status: int) -> Rehearsal:
    try:
        told = json.loads(answer)
    except ValueError:
        ending = f"exit {status}" if status >= 0 else signal.Signals(-status).name
        return Rehearsal(problems=(f"the throw-away process that imports the modules ended with {ending}",))
    return Rehearsal(
        problems=tuple(told["problems"]),
        digests=told["digests"],
        paths=told["paths"],
        shape=told["shape"],
        defines=tuple(told["defines"]),
    )


# ---------------------------------------------------------------------------------------------- inside of the process


def main() -> None:
    """Be the throw-away process."""
    from gevent import monkey

    monkey.patch_all()
    task = json.load(sys.stdin)
    _bound(task["parent"])
    told = attrs.asdict(_try(task))
    with os.fdopen(int(sys.argv[1]), "wb") as answer:
        answer.write(json.dumps(told).encode())
    # Threads and exit handlers of the modules have no say.
    os._exit(0)


def _bound(parent: int) -> None:
    """Die with whoever started this, and take no more than a share of the machine."""
    die_with(parent)
    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY if most < 0 else min(MEMORY, most), most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _try(task: dict[str, Any]) -> Rehearsal:
    from firefly_core.errors import ConfigurationError
    from firefly_core.kernel.handlers.handlers import collect
    from firefly_core.kernel.reload.code_unit import CodeUnit, defines_stable
    from firefly_core.kernel.reload.fresh_modules import SourceFinder
    from firefly_core.kernel.reload.handler_changes import shape_of
    from firefly_core.kernel.reload.unit_import import import_unit

    sys.path[:] = task["path"]
    unit = CodeUnit(tuple(task["handlers"]), frozenset(task["packages"]), frozenset(task["stable"]))
    finder = SourceFinder(unit)
    sys.meta_path.insert(0, finder)
    try:
        table = collect(import_unit(unit, task["others"], finder.paths.values()))
    except ConfigurationError as error:
        return Rehearsal(problems=tuple(error.problems))
    return Rehearsal(
        digests=finder.digests,
        paths=finder.paths,
        shape=shape_of(table),
        defines=tuple(name for name, module in unit.loaded().items() if defines_stable(module)),
    )


if __name__ == "__main__":
    main()
