import gevent
import pytest
from firefly_admin.meter import OFTEN, SKIP, Meter

from firefly_core import Refuse
from firefly_core.errors import CommandTimeout, Disconnected, Overloaded, PayloadError
from firefly_core.kernel.handlers.handlers import Handler


def handler(function, *parameters, kind="command"):
    return Handler(kind=kind, name=function.__name__, function=function, source=__file__, id=7, parameters=parameters)


def metered(function, *parameters, kind="command"):
    made = handler(function, *parameters, kind=kind)
    meter = Meter(made.kind, made.name, made.id)
    return meter, meter.around(made, function)


def test_runs_are_counted_and_timed_and_their_results_pass():
    def echo(ctx, request):
        gevent.sleep(0.01)
        return request

    meter, run = metered(echo, int)
    assert [run(None, number) for number in range(5)] == list(range(5))
    seen = meter.look()
    assert seen["runs"] == 5
    assert sum(seen["buckets"]) == 5
    assert seen["total"] >= 5 * 0.01 * 1e9
    assert (seen["kind"], seen["name"], seen["id"], seen["errors"], seen["off"]) == ("command", "echo", 7, {}, False)


def test_every_shape_of_handler_is_called_as_it_was():
    def nothing(ctx):
        return ctx

    def one(ctx, request):
        return ctx, request

    def several(ctx, *arguments, **named):
        return ctx, arguments, named

    assert metered(nothing)[1](1) == 1
    assert metered(one, int)[1](1, 2) == (1, 2)
    assert metered(several, int, int, kind="remote")[1](1, 2, 3) == (1, (2, 3), {})
    assert metered(several, kind="route")[1](1, 2, name="x") == (1, (2,), {"name": "x"})
    assert metered(nothing, kind="every")[1](1) == 1


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Refuse("too_far"), "too_far"),
        (PayloadError("no"), "bad_request"),
        (KeyError("x"), "internal"),
        (RecursionError(), "internal"),
        (SystemExit(), "internal"),
        (CommandTimeout("late"), "timeout"),
        (gevent.GreenletExit(), "killed"),
        (Disconnected(sent=True), "unavailable"),
        (Overloaded("full"), "overloaded"),
    ],
)
def test_failures_pass_and_are_counted_by_the_code_that_clients_see(error, code):
    def fail(ctx):
        raise error

    meter, run = metered(fail)
    with pytest.raises(type(error)):
        run(None)
    assert meter.look()["errors"] == {code: 1}
    assert meter.runs == 1
    assert meter.took.count == 1


@pytest.mark.parametrize("kind", ["command", "remote", "every"])
def test_what_is_switched_off_is_refused_and_does_not_run(kind):
    ran = []

    def work(ctx, *rest):
        ran.append(ctx)

    meter, run = metered(work, kind=kind)
    meter.off = True
    with pytest.raises(Refuse) as refused:
        run(None)
    assert refused.value.code == "disabled"
    assert ran == []
    meter.off = False
    run(None)
    assert ran == [None]
    assert meter.look()["errors"] == {"disabled": 1}


def test_a_busy_handler_is_timed_now_and_then_and_each_timing_counts_for_all():
    def work(ctx):
        return None

    meter, run = metered(work)
    for _ in range(OFTEN + 1):
        run(None)
    assert meter.took.count == OFTEN + 1
    begun = meter.took.count
    for _ in range(1600):
        run(None)
    assert meter.skip == SKIP
    assert meter.runs == OFTEN + 1 + 1600
    assert abs(meter.took.count - begun - 1600) <= SKIP + 1


def test_a_handler_that_calms_down_is_timed_each_time_again():
    def work(ctx):
        return None

    meter, run = metered(work)
    for _ in range(OFTEN * 3):
        run(None)
    meter.look()
    assert meter.skip == SKIP
    run(None)
    meter.look()
    assert meter.skip == 0
    before = meter.took.count
    for _ in range(10):
        run(None)
    assert meter.took.count == before + 10


def test_one_meter_counts_for_a_handler_and_for_the_one_that_replaces_it():
    meter = Meter("command", "work", 7)

    def old(ctx):
        return "old"

    def new(ctx, request):
        return "new"

    first, second = meter.around(handler(old), old), meter.around(handler(new, int), new)
    assert (first(None), second(None, 1)) == ("old", "new")
    assert meter.runs == 2
