"""`make bench-count`: how many instructions the pure paths of a message take, compared with what they took before.

Counted by valgrind's callgrind, so a busy machine does not matter: the same Python build gives the same figure within
a hundredth. The stored figures stand in `benchmarks/counts.json`, by build; `--store` writes this build's.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

from benchmarks.places import HERE, ROOT

__all__ = ["count", "main", "verdict"]

STORED = HERE / "counts.json"
TIMES = 400
MOST = 1.15
"""A path that takes 15 % more instructions than before is a regression."""


def _build() -> str:
    """Name what the figures depend on beside our own code."""
    libraries = ", ".join(f"{name} {version(name)}" for name in ("gevent", "greenlet", "msgspec", "websockets"))
    python = f"{platform.python_implementation()} {sys.version.split()[0]}, {platform.python_compiler()}"
    return f"{python}, {platform.machine()}, {libraries}"


def count(times: int = TIMES) -> dict[str, float]:
    """Give the instructions of each path, for one turn of it; raises RuntimeError where they cannot be counted."""
    valgrind = shutil.which("valgrind")
    if valgrind is None:
        raise RuntimeError("valgrind is not here")
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        # Only what runs inside `functools.reduce` is counted, and written down each time it is left.
        counter = [valgrind, "--tool=callgrind", "--toggle-collect=functools_reduce", "--dump-after=functools_reduce"]
        command = [*counter, f"--callgrind-out-file={out}", sys.executable, "-m", "benchmarks.pure_paths", str(times)]
        paths = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH", ""))))
        environment = {**os.environ, "PYTHONHASHSEED": "0", "PYTHONPATH": paths}
        done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=ROOT)
        if done.returncode:
            raise RuntimeError(f"the paths do not run:\n{done.stderr[-3000:]}")
        names = done.stdout.split("\n")[:-1]
        # Imports may have used it too, so the paths are the last ones.
        dumps = sorted(out.parent.glob("out.*"), key=lambda dump: int(dump.suffix[1:]))
        dumps = [dump for dump in dumps if "dump-after" in dump.read_text()[:2000]][-len(names) :]
        if len(dumps) < len(names):
            raise RuntimeError("this Python is built without symbols: functools_reduce cannot be found in it")
        return {name: _total(dump) / times for name, dump in zip(names, dumps, strict=True)}


def _total(dump: Path) -> int:
    found = re.search(r"^(?:summary|totals): (\d+)", dump.read_text(), re.MULTILINE)
    if found is None:
        raise RuntimeError(f"no total in {dump}")
    return int(found[1])


def verdict(now: Mapping[str, float], before: Mapping[str, float]) -> tuple[list[str], bool]:
    """Give a line a path, and whether one of them takes 15 % more than before."""
    lines, worse = [], False
    for name, figure in now.items():
        old = before.get(name)
        if not old:
            lines.append(f"{name:40} {figure:>10,.0f}")
            continue
        grown = figure >= old * MOST
        worse = worse or grown
        word = "  REGRESSION" if grown else ""
        lines.append(f"{name:40} {figure:>10,.0f}  before {old:>10,.0f}  {figure / old - 1:+7.1%}{word}")
    return lines, worse


def main(arguments: Sequence[str] | None = None) -> int:
    """Count, compare, say so; gives 1 when a path has become 15 % longer."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.count", description=__doc__)
    parser.add_argument("--store", action="store_true", help="keep the figures as those of this build")
    options = parser.parse_args(arguments)
    stored = json.loads(STORED.read_text()) if STORED.exists() else {}
    build = _build()
    try:
        now = count()
    except RuntimeError as error:
        parser.exit(2, f"{error}\n")
    lines, worse = verdict(now, stored.get(build, {}))
    print(f"Instructions a turn, {build}")
    print("\n".join(lines))
    if options.store:
        stored[build] = {name: round(figure) for name, figure in now.items()}
        STORED.write_text(json.dumps(stored, indent=1) + "\n")
    elif build not in stored:
        print("No figures are stored for this build; `python -m benchmarks.count --store` keeps these.")
    return int(worse)


if __name__ == "__main__":
    sys.exit(main())
