"""Row A1: no bytes break a decoder; the same targets that `make fuzz` drives for hours."""

from __future__ import annotations

import itertools
import runpy
from pathlib import Path
from random import Random

from tests.promises.ledger import Outcome, Row, slice_of

__all__ = ["ROWS"]

FUZZ = Path(__file__).parents[1] / "fuzz"


def a1_decoders(count: int) -> Outcome:
    """`count` changed inputs, shared by all targets: whole and cut in two, with every promise of the target checked."""
    found = runpy.run_path(str(FUZZ / "targets.py"))
    mutations = runpy.run_path(str(FUZZ / "mutation.py"))["mutations"]
    targets, seeds = found["TARGETS"], found["SEEDS"]
    crashes = []
    done = 0
    for name, target in targets.items():
        for data in itertools.islice(mutations(seeds[name], Random(slice_of("A1"))), count // len(targets)):
            done += 1
            try:
                target(data)
            except Exception as error:
                crashes.append(f"{name}: {data.hex()}: {error!r}")
    figure = f"{len(crashes)} broken by {done:,} inputs of {len(targets)} decoders"
    return Outcome(done, figure + "".join(f"; {crash[:300]}" for crash in crashes[:3]), not crashes)


ROWS = [Row("A1", "no bytes crash, hang or confuse a decoder", a1_decoders, 5_000, 2_500_000)]
