import pytest
from firefly_admin.view import View


def report(boot="1", runs=0, buckets=(), errors=None, cpu=0.0, lag=(), requests=0, kind="command"):
    meter = {"kind": kind, "name": "echo", "id": 2, "off": False, "runs": runs, "buckets": list(buckets), "total": 0}
    return {
        "about": {"boot": boot},
        "peers": [{"name": "gate-1", "connected": True, "calls": 0, "figures": {"requests_total": requests}}],
        "statistics": {
            "services": {"node": {"sessions": 3}},
            "parts": {"process": {"cpu_seconds_total": cpu}},
            "hub_lag": {"buckets": list(lag), "total": 0},
        },
        "meters": [{**meter, "errors": errors or {}}],
    }


@pytest.fixture
def view():
    return View("world-1", "world", apart=False)


def test_rates_come_from_two_looks(view):
    view.answered(report(runs=100, buckets=[100], cpu=1.0, requests=50), 10.0, 0.0)
    assert view.rates["commands"] == 0.0
    view.answered(
        report(runs=140, buckets=[100, 0, 40], errors={"internal": 4}, cpu=1.5, requests=90, lag=[0, 8]), 12.0, 0.0
    )
    assert view.rates["commands"] == 20.0
    assert view.rates["errors"] == view.rates["faults"] == 2.0
    assert view.rates["cpu"] == 0.25
    assert 2048e-9 <= view.rates["p50"] <= 4096e-9
    assert 1024e-9 <= view.rates["lag"] <= 2048e-9
    assert view.channels == {"gate-1": 20.0}
    assert view.meters["command", "echo"]["window"] == [0, 0, 40]


def test_what_the_game_refuses_is_no_fault(view):
    view.answered(report(runs=100), 10.0, 0.0)
    view.answered(report(runs=140, errors={"too_far": 6, "rate_limited": 2, "unavailable": 4}), 12.0, 0.0)
    assert (view.rates["errors"], view.rates["faults"]) == (6.0, 2.0)


def test_a_process_that_was_started_anew_begins_at_nothing(view):
    view.answered(report(runs=100, buckets=[100], cpu=9.0), 10.0, 0.0)
    view.answered(report(boot="2", runs=5, buckets=[5], cpu=0.1), 12.0, 0.0)
    assert view.rates["commands"] == 0.0
    assert view.rates["cpu"] == 0.0


def test_a_counter_that_fell_is_no_negative_rate(view):
    view.answered(report(runs=100, requests=80), 10.0, 0.0)
    view.answered(report(runs=40, requests=3), 12.0, 0.0)
    assert view.rates["commands"] == 0.0
    assert view.channels == {"gate-1": 0.0}


def test_timers_are_no_commands(view):
    view.answered(report(kind="every"), 10.0, 0.0)
    view.answered(report(kind="every", runs=50), 12.0, 0.0)
    assert view.rates["commands"] == 0.0
    assert view.meters["every", "echo"]["per_second"] == 25.0


def test_who_does_not_answer_has_no_figures(view):
    view.answered(report(), 10.0, 5.0)
    assert view.up
    assert view.part("node") == {"sessions": 3}
    view.failed("it is gone")
    assert not view.up
    assert (view.problem, view.rates, view.meters, view.part("node"), view.boot) == ("it is gone", {}, {}, {}, "")
    assert view.seen == 5.0
