"""The handlers that run by time, and what a reload makes of them."""

from types import ModuleType

import gevent
import pytest

from firefly_core import cron, every
from firefly_core.kernel.handlers.handlers import collect
from firefly_core.testing import InProcessCluster, virtual_time

TOML = '[firefly]\nplugins = ["root"]\n[servers.a.root]\nlisten = "tcp://127.0.0.1:10000"\n'
runs = []


def timer(seconds, mark, *, name="tick", takes=0.0):
    def run(ctx):
        runs.append((mark, ctx.clock.monotonic()))
        gevent.sleep(takes)

    run.__qualname__ = run.__name__ = name
    return (cron(seconds) if isinstance(seconds, str) else every(seconds))(run)


def table(*functions):
    module = ModuleType("handlers")
    vars(module).update({f"h{number}": function for number, function in enumerate(functions)})
    return collect([module])


def marks():
    return [mark for mark, _ in runs]


@pytest.fixture
def start():
    runs.clear()
    with virtual_time(seed=1):
        clusters = []

        def begin(*functions):
            clusters.append(InProcessCluster(TOML, handlers={"a": functions}))
            clusters[0].start()
            return clusters[0].kernel("a")

        yield begin
        for cluster in clusters:
            cluster.close()


def test_a_timer_runs_in_its_rhythm_and_an_error_does_not_end_it(start):
    @every(2.0)
    def fails(ctx):
        runs.append(("fails", 0))
        raise gevent.Timeout(1)

    kernel = start(timer(1.0, "a"), fails)
    gevent.sleep(4.5)
    assert marks().count("a") == 4
    assert marks().count("fails") == 2
    assert kernel.timers.statistics() == {"runs_total": 6, "failures_total": 2, "skipped_total": 0}


def test_a_timer_never_overlaps_itself_and_counts_what_it_misses(start):
    kernel = start(timer(1.0, "slow", takes=2.5))
    gevent.sleep(10.2)
    assert [round(at - runs[0][1], 3) for _, at in runs] == [0.0, 3.0, 6.0, 9.0]
    assert kernel.timers.skipped == 6


def test_cron_runs_by_the_clock(start):
    kernel = start(timer("*/10 * * * *", "ten"))
    gevent.sleep(3610)
    assert len(runs) == 6
    assert kernel.timers.failures == 0


def test_a_timer_that_was_made_anew_keeps_its_rhythm(start):
    kernel = start(timer(10.0, "old"))
    for _ in range(4):
        gevent.sleep(4.0)
        kernel.timers.adopt(table(timer(10.0, "new")).timers)
    gevent.sleep(6.0)
    assert marks() == ["new", "new"]


def test_a_timer_with_another_interval_counts_from_its_last_run(start):
    kernel = start(timer(10.0, "old"))
    gevent.sleep(11.0)
    kernel.timers.adopt(table(timer(2.0, "new")).timers)
    gevent.sleep(3.5)
    assert marks() == ["old", "new", "new"]


def test_a_run_that_is_under_way_ends_as_it_began(start):
    ended = []

    @every(1.0)
    def tick(ctx):
        gevent.sleep(0.8)
        ended.append("old")

    kernel = start(tick)
    gevent.sleep(1.5)
    kernel.timers.adopt(collect([]).timers)
    gevent.sleep(10)
    assert ended == ["old"]


def test_a_timer_that_is_gone_runs_no_more_and_a_new_one_begins(start):
    kernel = start(timer(1.0, "a", name="a"))
    gevent.sleep(1.5)
    kernel.timers.adopt(table(timer(1.0, "b", name="b")).timers)
    gevent.sleep(3.2)
    assert marks() == ["a", "b", "b", "b"]


def test_one_function_may_have_several_rhythms(start):
    def tick(ctx):
        runs.append(("both", 0))

    start(every(1.0)(every(3.0)(tick)))
    gevent.sleep(3.5)
    assert len(runs) == 4


def test_nothing_runs_after_the_stop(start):
    kernel = start(timer(1.0, "a"))
    gevent.sleep(1.5)
    kernel.timers.stop()
    kernel.timers.adopt(table(timer(1.0, "b")).timers)
    gevent.sleep(5)
    assert marks() == ["a"]
