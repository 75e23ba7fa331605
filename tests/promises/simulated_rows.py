"""Rows A18 to A24 that are counted in virtual time: calls under chaos, liars, outages and storms."""

from __future__ import annotations

from functools import cache

from tests.promises.ledger import Outcome, Row, slice_of
from tests.scenarios.outcomes import Outcomes, crossed, outcomes
from tests.scenarios.reconnect import schedule, storm

__all__ = ["ROWS"]


@cache
def under_chaos(count: int, seed: int) -> Outcomes:
    """Both rows about one outcome look at the same calls."""
    return outcomes(count, seed, every=(0.05, 0.5))


def a18_one_outcome(count: int) -> Outcome:
    """`count` calls both ways over a link that is reset, cut and slow: every one ends, once, in time."""
    found = under_chaos(count, slice_of("A18"))
    ends = ", ".join(f"{number:,} {end}" for end, number in found.ended.most_common())
    figure = (
        f"{found.ended.total():,} ends of {found.calls:,} calls, {found.pending} pending, {found.late} late ({ends})"
    )
    kept = found.ended.total() == found.calls and not found.pending and not found.late
    return Outcome(found.calls, figure, kept and not found.mismatches)


def a19_at_most_once(count: int) -> Outcome:
    """The same calls: none is executed twice, none that was not sent is executed."""
    found = under_chaos(count, slice_of("A19"))
    figure = (
        f"{found.twice} executed twice, {found.lies} of {len(found.unsent):,} unsent executed, {found.calls:,} calls, "
        f"{found.faults.total():,} faults"
    )
    return Outcome(found.calls, figure, not found.twice and not found.lies and not found.invented)


def a20_no_crossing(count: int) -> Outcome:
    """`count` calls to two peers that answer late, twice, and with ids of the other's calls."""
    found = crossed(count, slice_of("A20"))
    kept = not found.mismatches and not found.pending and found.ended.total() == found.calls
    lies = ", ".join(f"{number:,} {kind}" for kind, number in sorted(found.faults.items()))
    return Outcome(found.calls, f"{found.mismatches} mismatches of {found.calls:,} calls ({lies})", kept)


def a23_schedule(count: int) -> Outcome:
    """`count` outages of four kinds: every pause before a dial is within 20 % of its schedule."""
    found = schedule(count, slice_of("A23"))
    figure = f"{found.misfits} of {found.gaps:,} pauses off, the worst by {found.worst:.2%}, {count:,} outages"
    return Outcome(count, figure, not found.misfits and found.gaps > count)


def a24_no_storm(count: int) -> Outcome:
    """`count` nodes lose their root for 300 s."""
    found = storm(count, 300.0)
    figure = (
        f"peak {found.peak(3.0):.1%} of {count} nodes in 100 ms at 3 s, {found.peak(30.0):.1%} at 30 s; "
        f"back p99 {found.back_by(0.99):.1f} s, all {found.back[-1]:.1f} s"
    )
    kept = found.peak(3.0) <= 0.20 and found.peak(30.0) <= 0.05 and found.back_by(0.99) <= 6.0
    return Outcome(count, figure, kept and len(found.back) == count)


ROWS = [
    Row("A18", "every call ends exactly once", a18_one_outcome, quick=0, full=1_000_000),
    Row(
        "A19",
        "no call is executed twice, and what was not sent not at all",
        a19_at_most_once,
        quick=0,
        full=1_000_000,
    ),
    Row("A20", "no answer reaches another call", a20_no_crossing, quick=20_000, full=1_000_000),
    Row("A23", "coming back keeps to its schedule", a23_schedule, quick=0, full=10_000),
    Row("A24", "500 nodes that come back make no storm", a24_no_storm, quick=0, full=500),
]
