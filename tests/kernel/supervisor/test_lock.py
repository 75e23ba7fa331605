"""The lock of a configuration."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from firefly_core.errors import ConfigurationError
from firefly_core.kernel.supervisor.lock import ConfigurationLock


def test_whoever_comes_second_is_told_the_pid_of_the_first(tmp_path):
    first = ConfigurationLock(tmp_path / "var" / "firefly.lock")
    first.take()
    with pytest.raises(ConfigurationError, match=f"pid {os.getpid()}"):
        ConfigurationLock(first.path).take()
    first.release()
    second = ConfigurationLock(first.path)
    second.take()
    second.release()


def test_a_process_that_is_killed_leaves_no_lock_behind(tmp_path):
    path = tmp_path / "firefly.lock"
    program = (
        "import sys, pathlib, os, signal\n"
        "from firefly_core.kernel.supervisor.lock import ConfigurationLock\n"
        "ConfigurationLock(pathlib.Path(sys.argv[1])).take()\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert subprocess.run([sys.executable, "-c", program, str(path)], check=False).returncode == -9
    assert path.read_text().strip().isdigit()
    lock = ConfigurationLock(path)
    lock.take()
    assert path.read_text() == f"{os.getpid()}\n"
    lock.release()
    assert path.read_text() == ""


def test_a_folder_that_cannot_be_written_is_a_problem_of_the_configuration(tmp_path):
    (tmp_path / "var").write_text("a file")
    with pytest.raises(ConfigurationError, match="cannot be written"):
        ConfigurationLock(tmp_path / "var" / "firefly.lock").take()
