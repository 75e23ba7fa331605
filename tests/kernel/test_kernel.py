"""The life of one server: services by phase, `@on_start` before the doors, and everything undone on the way back."""

from types import ModuleType

import gevent
import pytest

from firefly_core import every, on_start, on_stop, remote
from firefly_core.errors import ConfigurationError, Refuse
from firefly_core.kernel.handlers.handlers import collect
from firefly_core.kernel.kernel import Kernel
from firefly_core.kernel.service import Phase, Service
from firefly_core.testing import InProcessCluster, virtual_time

TOML = '[firefly]\nplugins = ["root"]\n[servers.a.root]\nlisten = "tcp://127.0.0.1:10000"\n'
happened = []
clocks = []


@pytest.fixture(autouse=True)
def virtual():
    happened.clear()
    with virtual_time(seed=1) as world:
        clocks[:] = [world.clock]
        yield


def service(name_, phase_, *, fails=""):
    class Made(Service):
        name = name_
        phase = phase_
        Config = type(None)

        def start(self):
            happened.append(f"start {name_}")
            if fails == "start":
                raise OSError("no room")

        def stop(self):
            happened.append(f"stop {name_}")
            if fails == "stop":
                raise OSError("stuck")

        def drain(self):
            happened.append(f"drain {name_}")
            if fails == "drain":
                gevent.sleep(3600)

        def statistics(self):
            return {"things": 1.0}

    return Made


def make(*services, handlers=()):
    module = ModuleType("handlers")
    for number, handler in enumerate(handlers):
        setattr(module, f"h{number}", handler)
    cluster = InProcessCluster(TOML)
    kernel = Kernel(cluster.declared, "a", clock=clocks[0], handlers=collect([module]) if handlers else collect([]))
    kernel.services = {made.name: made(kernel, None) for made in services}
    return kernel


@on_start
def start(ctx):
    happened.append("on_start")
    return "the state"


@on_stop
def stop(ctx):
    happened.append(f"on_stop {ctx.state}")


STORAGE = service("storage", Phase.STORAGE)
MESH = service("mesh", Phase.MESH)
DOOR = service("door", Phase.DOOR)


def test_services_start_by_phase_and_stop_backwards():
    kernel = make(DOOR, STORAGE, MESH, handlers=[start, stop])
    kernel.start()
    assert happened == ["start storage", "start mesh", "on_start", "start door"]
    assert kernel.state == "the state"
    happened.clear()
    kernel.drain()
    kernel.stop()
    assert happened == [
        "drain door", "drain mesh", "drain storage", "stop door", "on_stop the state", "stop mesh", "stop storage",
    ]  # fmt: skip


def test_a_service_that_cannot_start_undoes_those_before_it():
    kernel = make(STORAGE, service("broken", Phase.MESH, fails="start"), DOOR)
    with pytest.raises(OSError, match="no room"):
        kernel.start()
    assert happened == ["start storage", "start broken", "stop broken", "stop storage"]


def test_a_service_that_cannot_stop_is_logged_and_the_others_stop(caplog):
    kernel = make(STORAGE, service("stuck", Phase.DOOR, fails="stop"))
    kernel.start()
    kernel.stop()
    assert happened[-1] == "stop storage"
    assert "service stuck did not stop cleanly" in caplog.text


def test_a_drain_that_takes_too_long_is_cut(caplog):
    kernel = make(STORAGE, service("busy", Phase.DOOR, fails="drain"))
    kernel.start()
    assert kernel.drain(timeout=0.5) is False
    kernel.stop()


def test_stopping_twice_is_stopping_once():
    kernel = make(DOOR)
    kernel.start()
    kernel.stop()
    kernel.stop()
    assert happened == ["start door", "stop door"]


def test_two_states_are_one_too_many():
    @on_start
    def other(ctx):
        return "another state"

    with pytest.raises(ConfigurationError, match="both return a state"):
        make(handlers=[start, other]).start()


def test_what_on_start_raises_keeps_the_server_from_starting():
    @on_start
    def refuse(ctx):
        raise Refuse("no", "not today")

    kernel = make(STORAGE, DOOR, handlers=[refuse])
    with pytest.raises(Refuse):
        kernel.start()
    assert happened == ["start storage", "stop storage"]


def test_timers_run_and_never_overlap_themselves_and_survive_an_error():
    @every(1.0)
    def slow(ctx):
        happened.append(ctx.clock.monotonic())
        gevent.sleep(2.5)
        if len(happened) == 1:
            raise ValueError("once")

    kernel = make(handlers=[slow])
    kernel.start()
    begin = kernel.clock.monotonic()
    gevent.sleep(10)
    kernel.stop()
    assert [round(when - begin) for when in happened] in ([1, 4, 7], [1, 4, 7, 10])
    assert kernel.timers.failures == 1
    assert kernel.timers.skipped >= 4


def test_statistics_come_by_service():
    assert make(DOOR).statistics() == {"door": {"things": 1.0}}


def test_two_kernels_live_side_by_side():
    @remote("own")
    def own(ctx):
        return ctx.state

    @on_start
    def first(ctx):
        return "first"

    @on_start
    def second(ctx):
        return "second"

    kernels = make(handlers=[own, first]), make(handlers=[own, second])
    for kernel in kernels:
        kernel.start()
    assert [kernel.mesh.call("own", ()) for kernel in kernels] == ["first", "second"]
    for kernel in kernels:
        kernel.stop()
