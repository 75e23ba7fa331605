"""Calls between servers: who is asked, what comes back, and how each call ends when it cannot be answered."""

import gevent
import pytest

from firefly_core import Refuse, command, on_start, remote
from firefly_core.errors import DeadlineExceeded, Disconnected, NoSuchMethod, RemoteError
from firefly_core.testing import InProcessCluster, virtual_time

TOML = """
[firefly]
plugins = ["gate", "root", "node", "protocols"]

[servers.hub.root]
listen = "tcp://127.0.0.1:10000"
[servers.world.node]
roots = ["hub"]
[servers.ranking]
replicas = 2
[servers.ranking.node]
roots = ["hub"]
"""
runs = []


@on_start
def start(ctx):
    return ctx._kernel.name


@remote("who")
def who(ctx):
    runs.append(ctx.state)
    return ctx.state


@remote("add")
def add(ctx, a: int, b: int = 10) -> int:
    return a + b


@remote("rest", timeout=0.5)
def rest(ctx, seconds: float):
    runs.append("rest")
    gevent.sleep(seconds)
    return seconds


@remote("safe", idempotent=True)
def safe(ctx, seconds: float):
    runs.append(ctx.state)
    gevent.sleep(seconds)
    return ctx.state


@remote("remaining")
def remaining(ctx):
    return ctx.remaining()


@remote("onward")
def onward(ctx, name: str):
    return ctx.call(name)


@remote("fail")
def fail(ctx, how: str):
    if how == "refuse":
        raise Refuse("too_far", "out of reach")
    raise ZeroDivisionError("a secret")


@remote("trace")
def trace(ctx):
    return ctx.trace


@remote("here")
def here(ctx):
    return "the world's own"


@command(1)
def unused(ctx): ...


@pytest.fixture
def cluster():
    runs.clear()
    everywhere = [start, who, add, rest, safe, remaining, fail, trace]
    handlers = {"hub": [start, unused], "world": [start, here, onward, unused], "ranking": everywhere}
    with virtual_time(seed=1), InProcessCluster(TOML, handlers=handlers) as cluster:
        cluster.start()
        cluster.wait(lambda: sum(peer.announced for peer in cluster.kernel("hub").mesh.peers.values()) == 3)
        yield cluster


def call(cluster, name, *arguments, by="hub", **options):
    return cluster.kernel(by).mesh.call(name, arguments, **options)


def test_a_root_calls_its_nodes(cluster):
    assert call(cluster, "add", 1) == 11
    assert call(cluster, "add", 1, 2) == 3


def test_a_node_reaches_another_through_the_root(cluster):
    assert call(cluster, "add", 5, by="world") == 15


def test_the_own_server_is_asked_first(cluster):
    assert call(cluster, "here", by="world") == "the world's own"


def test_a_key_always_finds_the_same_server_and_keys_spread(cluster):
    found = {key: {call(cluster, "who", key=key) for _ in range(3)} for key in range(30)}
    assert all(len(names) == 1 for names in found.values())
    assert len(set.union(*found.values())) == 2
    assert all(call(cluster, "who", key=key, by="world") in names for key, names in found.items())


def test_a_server_can_be_named(cluster):
    for name in ("ranking-1", "ranking-2"):
        assert call(cluster, "who", to=name) == name
        assert call(cluster, "who", to=name, by="world") == name
    assert call(cluster, "who", to="ranking") in ("ranking-1", "ranking-2")


def test_of_several_the_least_busy_is_asked(cluster):
    jobs = [gevent.spawn(call, cluster, "safe", 1.0) for _ in range(10)]
    gevent.joinall(jobs)
    assert sorted(job.value for job in jobs) == ["ranking-1"] * 5 + ["ranking-2"] * 5


def test_what_nobody_provides_is_no_such_method(cluster):
    for by in ("hub", "world"):
        with pytest.raises(NoSuchMethod):
            call(cluster, "dance", by=by)
    with pytest.raises(NoSuchMethod):
        call(cluster, "add", 1, to="world-1")


def test_a_refusal_comes_with_its_code_and_an_error_without_its_text(cluster):
    for by in ("hub", "world"):
        with pytest.raises(RemoteError) as caught:
            call(cluster, "fail", "refuse", by=by)
        assert (caught.value.code, caught.value.message) == ("too_far", "out of reach")
        with pytest.raises(RemoteError) as caught:
            call(cluster, "fail", "error", by=by)
        assert caught.value.code == "internal"
        assert "secret" not in str(caught.value)


@pytest.mark.parametrize("arguments", [(), (1, 2, 3), ("one",), (None,), (True,)])
def test_arguments_that_do_not_fit_are_a_bad_request(cluster, arguments):
    with pytest.raises(RemoteError) as caught:
        call(cluster, "add", *arguments)
    assert caught.value.code == "bad_request"


def test_a_call_ends_at_its_deadline_however_it_is_given(cluster):
    clock = cluster.clock("hub")
    for options, limit in (({}, 0.5), ({"timeout": 0.2}, 0.2)):
        begin = clock.monotonic()
        with pytest.raises(DeadlineExceeded):
            call(cluster, "rest", 60.0, **options)
        assert limit - 1e-6 <= clock.monotonic() - begin <= limit + 0.1


def test_the_deadline_travels_as_remaining_time(cluster):
    assert 0.9 <= call(cluster, "remaining", timeout=1.0) <= 1.0
    assert 0.8 <= call(cluster, "remaining", timeout=1.0, by="world") <= 1.0
    cluster.clock("ranking-1").jump(3600)
    cluster.clock("ranking-2").jump(-3600)
    assert 0.8 <= call(cluster, "remaining", timeout=1.0, by="world") <= 1.0


def test_a_nested_call_inherits_what_is_left(cluster):
    assert 0.7 <= call(cluster, "onward", "remaining", timeout=1.0) <= 1.0


def test_a_nested_call_has_the_trace_of_the_first(cluster):
    assert len(call(cluster, "trace")) == 16


def test_calls_to_a_server_that_dies_end_at_once_and_say_that_they_were_sent(cluster):
    jobs = [gevent.spawn(call, cluster, "rest", 60.0, to="ranking-1", timeout=50) for _ in range(20)]
    gevent.sleep(0.1)
    cluster.crash("ranking-1")
    gevent.joinall(jobs, timeout=1)
    assert all(isinstance(job.exception, Disconnected) and job.exception.sent for job in jobs)


def test_an_idempotent_call_is_tried_at_another_server(cluster):
    job = gevent.spawn(call, cluster, "safe", 1.0)
    cluster.wait(lambda: runs)
    cluster.crash(runs[0])
    assert job.get(timeout=5) != runs[0]
    assert len(set(runs)) == 2


def test_a_call_that_may_have_run_is_not_tried_again_unless_it_is_idempotent(cluster):
    job = gevent.spawn(call, cluster, "rest", 1.0, timeout=5)
    cluster.wait(lambda: runs)
    for name in ("ranking-1", "ranking-2"):
        cluster.crash(name)
    job.join()
    assert isinstance(job.exception, Disconnected)
    assert runs == ["rest"]


def test_while_a_server_is_away_a_call_to_it_fails_at_once(cluster):
    for name in ("ranking-1", "ranking-2"):
        cluster.crash(name)
    gevent.sleep(0.1)
    begin = cluster.clock("hub").monotonic()
    with pytest.raises(Disconnected) as caught:
        call(cluster, "add", 1)
    assert not caught.value.sent
    assert cluster.clock("hub").monotonic() == begin


def test_a_server_that_comes_back_is_callable_under_its_name(cluster):
    for _ in range(5):
        cluster.crash("ranking-1")
        cluster.restart("ranking-1")
        cluster.wait(lambda: cluster.kernel("hub").mesh.peers["ranking-1"].announced)
        assert call(cluster, "who", to="ranking-1") == "ranking-1"


@pytest.mark.parametrize("by", ["hub", "world"])
def test_a_call_may_wait_for_somebody_who_can_answer(cluster, by):
    cluster.crash("ranking-1")
    cluster.crash("ranking-2")
    gevent.sleep(1)
    with pytest.raises(Disconnected) as away:
        call(cluster, "add", 1, by=by)
    assert not away.value.sent
    waiting = gevent.spawn(call, cluster, "add", 1, by=by, timeout=30, wait_for_ready=True)
    gevent.sleep(5)
    assert not waiting.ready()
    cluster.restart("ranking-2")
    assert waiting.get(timeout=1) == 11


def test_a_call_that_waits_ends_in_its_time_and_says_that_it_was_not_executed(cluster):
    cluster.crash("ranking-1")
    cluster.crash("ranking-2")
    gevent.sleep(1)
    begin = cluster.clock("hub").monotonic()
    with pytest.raises(Disconnected) as away:
        call(cluster, "rest", 1, wait_for_ready=True)
    assert not away.value.sent
    assert cluster.clock("hub").monotonic() - begin <= 0.55  # the remote's own timeout
    runs.clear()


def test_a_call_that_waited_is_not_sent_twice(cluster):
    waiting = gevent.spawn(call, cluster, "rest", 0.4, to="ranking-1", timeout=5, wait_for_ready=True)
    gevent.sleep(0.1)
    cluster.crash("ranking-1")
    with pytest.raises(Disconnected) as lost:
        waiting.get(timeout=1)
    assert lost.value.sent
    assert runs == ["rest"]


def test_a_notify_runs_without_an_answer(cluster):
    assert cluster.kernel("hub").mesh.notify("who", ())
    cluster.wait(lambda: runs)
    assert not cluster.kernel("hub").mesh.notify("dance", ())


def test_a_newer_process_of_a_name_replaces_the_older_which_gives_up(cluster):
    old = cluster.kernel("world")
    hub = cluster.kernel("hub")
    del cluster.kernels["world-1"]
    new = cluster.restart("world")
    assert new.epoch > old.epoch
    cluster.wait(old.gave_up.ready)
    assert hub.mesh.peers["world-1"].boot_id == new.boot_id
    old.stop()


def test_a_second_try_has_only_the_time_that_is_left(cluster):
    clock = cluster.clock("hub")
    begin = clock.monotonic()
    job = gevent.spawn(call, cluster, "safe", 60.0, timeout=2.0)
    cluster.wait(lambda: runs)
    gevent.sleep(1.5)
    cluster.crash(runs[0])
    job.join()
    assert isinstance(job.exception, DeadlineExceeded)
    assert len(set(runs)) == 2
    assert clock.monotonic() - begin <= 2.1


TWO_ROOTS = """
[firefly]
plugins = ["root", "node"]
[servers.left.root]
listen = "tcp://127.0.0.1:10000"
[servers.right.root]
listen = "tcp://127.0.0.1:10001"
[servers.world.node]
roots = ["left", "right"]
[servers.ranking.node]
roots = ["right"]
"""


@pytest.fixture
def forked():
    runs.clear()
    everywhere = {name: [start] for name in ("left", "right", "world")}
    with (
        virtual_time(seed=1),
        InProcessCluster(TWO_ROOTS, handlers={**everywhere, "ranking": [start, add, who]}) as made,
    ):
        made.start()
        made.wait(lambda: "add" in made.kernel("right").mesh.peers["ranking-1"].remotes)
        yield made


def test_of_several_roots_the_one_that_knows_a_provider_is_found(forked):
    assert call(forked, "add", 1, by="world") == 11
    assert call(forked, "add", 1, by="world", to="ranking") == 11
    assert call(forked, "add", 1, by="world", key="any") == 11


def test_what_no_root_knows_is_no_such_method(forked):
    with pytest.raises(NoSuchMethod):
        call(forked, "dance", by="world")


def test_a_notify_finds_its_way_through_several_roots_too(forked):
    assert forked.kernel("world").mesh.notify("who", ())
    forked.wait(lambda: runs)
    gevent.sleep(1)
    assert runs == ["ranking-1"]


def test_while_a_root_is_away_what_it_may_know_is_not_said_not_to_exist(forked):
    forked.crash("right")
    gevent.sleep(0.1)
    with pytest.raises(Disconnected) as caught:
        call(forked, "add", 1, by="world")
    assert not caught.value.sent


@pytest.mark.parametrize("by", ["world", "left"])
def test_a_provider_that_is_away_behind_one_of_two_roots_is_not_asked_for_without_end(forked, by):
    forked.crash("ranking")
    gevent.sleep(0.1)
    left = forked.kernel("left").services["root"]._channels
    asked = [channel.statistics()["requests_total"] for channel in left]
    begin = forked.clock("world").monotonic()
    with pytest.raises((Disconnected, NoSuchMethod)):
        call(forked, "add", 1, by=by)
    assert forked.clock("world").monotonic() - begin < 0.1
    again = [channel.statistics()["requests_total"] for channel in left]
    assert sum(again) - sum(asked) <= 3


def test_a_server_is_heard_of_when_every_root_has_taken_what_it_says(forked):
    ranking, right = forked.kernel("ranking"), forked.kernel("right")
    right.mesh.peers["ranking-1"].remotes.clear()
    assert ranking.mesh.wait_heard(1.0)
    assert "who" in right.mesh.peers["ranking-1"].remotes


def test_a_root_that_is_away_holds_nobody_up_for_longer_than_that(forked):
    forked.crash("right")
    gevent.sleep(0.1)
    clock = forked.clock("world")
    begin = clock.monotonic()
    assert not forked.kernel("world").mesh.wait_heard(2.0)
    assert clock.monotonic() - begin <= 2.1
