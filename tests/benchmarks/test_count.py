"""Instruction counts: what is a regression, and the paths that are counted."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.count import verdict

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.mark.parametrize(("now", "worse"), [(1149, False), (1150, True), (800, False)])
def test_fifteen_percent_more_is_a_regression(now, worse):
    lines, said = verdict({"path": now, "other": 10}, {"path": 1000, "other": 10})
    assert said is worse
    assert ("REGRESSION" in lines[0]) is worse
    assert "REGRESSION" not in lines[1]


def test_a_path_without_a_stored_figure_is_only_printed():
    lines, worse = verdict({"path": 1234}, {})
    assert not worse
    assert lines[0].split() == ["path", "1,234"]


def test_every_path_answers_as_it_should():
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "plugins")])}
    command = [sys.executable, "-m", "benchmarks.pure_paths", "3"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 6
