"""The process that kills what is left when the supervisor is gone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from firefly_core.kernel.supervisor import keeper

SCRIPT = Path(keeper.__file__)


@pytest.fixture
def groups():
    started = [subprocess.Popen(["sleep", "600"], process_group=0) for _ in range(3)]
    yield started
    for process in started:
        process.kill()
        process.wait()


def test_groups_that_are_there_at_the_end_of_the_input_are_killed_and_no_others(groups):
    kept = subprocess.Popen([sys.executable, "-I", "-S", str(SCRIPT)], stdin=subprocess.PIPE)
    first, second, third = groups
    kept.communicate(f"+{first.pid}\n+{second.pid}\n-{second.pid}\n+999999999\n".encode(), timeout=10)
    assert kept.returncode == 0
    assert first.wait(5) == -signal.SIGKILL
    assert psutil.pid_exists(second.pid)
    assert psutil.pid_exists(third.pid)


def test_signals_that_stop_the_supervisor_do_not_stop_it(groups):
    kept = subprocess.Popen([sys.executable, "-I", "-S", str(SCRIPT)], stdin=subprocess.PIPE)
    assert kept.stdin is not None
    kept.stdin.write(f"+{groups[0].pid}\n".encode())
    kept.stdin.flush()
    while not ignores(kept.pid):
        assert kept.poll() is None
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        os.kill(kept.pid, number)
    kept.communicate(timeout=10)
    assert kept.returncode == 0
    assert groups[0].wait(5) == -signal.SIGKILL


def ignores(pid: int) -> bool:
    """Whether SIGTERM is ignored: whether the script has come so far."""
    lines = dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line)
    return bool(int(lines["SigIgn"], 16) >> (signal.SIGTERM - 1) & 1)
