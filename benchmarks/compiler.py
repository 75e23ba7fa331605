"""The two C programs of the benchmarks, built when a compiler is there."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from benchmarks.places import BUILT, HERE

__all__ = ["build"]

FLAGS = ("-O2", "-Wall", "-Wextra", "-Werror")


def build(name: str) -> Path | None:
    """Compile `benchmarks/NAME.c` unless that was done before; None: there is no compiler.

    Raises RuntimeError with the compiler's words when it refuses.
    """
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        return None
    source, program = HERE / f"{name}.c", BUILT / name
    newest = max(path.stat().st_mtime for path in (source, *HERE.glob("*.h")))
    if program.exists() and program.stat().st_mtime > newest:
        return program
    BUILT.mkdir(parents=True, exist_ok=True)
    done = subprocess.run([compiler, *FLAGS, "-o", str(program), str(source)], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{compiler} refuses {source}:\n{done.stderr}")
    return program
