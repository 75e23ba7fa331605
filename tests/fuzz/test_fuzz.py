"""Every parser of bytes from outside, for a moment: 1,500 changed inputs each, the same ones in every run."""

import itertools
import runpy
from pathlib import Path
from random import Random

import pytest

HERE = Path(__file__).parent
TARGETS, SEEDS = (runpy.run_path(str(HERE / "targets.py"))[name] for name in ("TARGETS", "SEEDS"))
mutations = runpy.run_path(str(HERE / "mutation.py"))["mutations"]


def test_every_target_has_seeds():
    assert set(TARGETS) == set(SEEDS)
    assert all(SEEDS.values())


@pytest.mark.parametrize("name", TARGETS)
def test_random_bytes_break_no_promise(name):
    for data in itertools.islice(mutations(SEEDS[name], Random(1)), 1500):
        TARGETS[name](data)
