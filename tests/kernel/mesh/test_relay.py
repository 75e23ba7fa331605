"""Calls that a root passes on: each ends once, says whether it may have run, and holds no greenlet meanwhile."""

import gevent
import pytest

from firefly_core import on_start, remote
from firefly_core.errors import DeadlineExceeded, Disconnected, NoSuchMethod, Overloaded
from firefly_core.testing import InProcessCluster, virtual_time

TOML = """
[firefly]
plugins = ["root", "node"]
[firefly.channel]
inflight = 20
[servers.hub.root]
listen = "tcp://127.0.0.1:10000"
[servers.world.node]
roots = ["hub"]
[servers.ranking.node]
roots = ["hub"]
"""
runs = []


@on_start
def start(ctx): ...


@remote("rest", timeout=60.0)
def rest(ctx, seconds: float):
    runs.append("begun")
    try:
        gevent.sleep(seconds)
    finally:
        runs.append("ended")
    return seconds


@remote("note")
def note(ctx, number: int):
    runs.append(number)


@pytest.fixture
def cluster():
    runs.clear()
    handlers = {"hub": [start], "world": [start], "ranking": [start, rest, note]}
    with virtual_time(seed=1) as world, InProcessCluster(TOML, handlers=handlers) as cluster:
        cluster.start()
        cluster.wait(lambda: sum(peer.announced for peer in cluster.kernel("hub").mesh.peers.values()) == 2)
        cluster.world = world
        yield cluster


def call(cluster, name, *arguments, **options):
    """Call from a node to a node, which only the root between them makes possible."""
    return cluster.kernel("world").mesh.call(name, arguments, **options)


def figures(cluster):
    return cluster.kernel("hub").mesh.relay.statistics()


def test_a_call_that_is_passed_on_holds_no_runner_of_the_root(cluster):
    runners = cluster.kernel("hub").runners
    before = runners.statistics()["started_total"]
    jobs = [gevent.spawn(call, cluster, "rest", 5.0) for _ in range(15)]
    gevent.sleep(1)
    assert figures(cluster)["open"] == 15
    assert runners.statistics()["started_total"] == before
    gevent.joinall(jobs, raise_error=True)
    assert figures(cluster)["open"] == 0
    assert cluster.kernel("hub").mesh.peers["ranking-1"].calls == 0


def test_answers_come_as_they_are_ready(cluster):
    done = []
    for seconds in (3.0, 1.0, 2.0):
        gevent.spawn(call, cluster, "rest", seconds).rawlink(lambda job: done.append(job.value))
    gevent.sleep(4)
    assert done == [1.0, 2.0, 3.0]


def test_a_provider_that_hangs_cannot_hold_more_than_its_share_of_the_root(cluster):
    jobs = [gevent.spawn(call, cluster, "rest", 30.0) for _ in range(20)]
    gevent.sleep(1)
    peer = cluster.kernel("hub").mesh.peers["world-1"].channel
    assert peer.running.count == 0
    direct = cluster.kernel("world").mesh.peers["hub-1"]
    with pytest.raises(Overloaded):
        direct.call("rest", 1.0, timeout=5)
    assert figures(cluster)["refused_total"] == 1
    gevent.joinall(jobs)
    assert runs.count("begun") == 20


def test_a_provider_that_is_gone_when_the_call_is_to_be_passed_on_says_not_executed(cluster):
    hub = cluster.kernel("hub").mesh
    peer = hub.peers["ranking-1"]
    # As between the loss of a channel and the choice of a provider: chosen, and not there any more.
    hub._providers = lambda name, to: [peer]
    cluster.crash("ranking")
    cluster.wait(lambda: not peer.connected)
    with pytest.raises(Disconnected) as caught:
        cluster.kernel("world").mesh.peers["hub-1"].call("note", 1)
    assert not caught.value.sent
    assert runs == []


def test_a_provider_that_dies_meanwhile_says_that_it_may_have_run(cluster):
    job = gevent.spawn(call, cluster, "rest", 30.0)
    cluster.wait(lambda: runs)
    cluster.crash("ranking")
    job.join(timeout=1)
    assert isinstance(job.exception, Disconnected)
    assert job.exception.sent
    assert figures(cluster)["open"] == 0


def test_a_caller_that_gives_up_ends_the_handler_two_hops_away(cluster):
    job = gevent.spawn(call, cluster, "rest", 30.0, timeout=50)
    cluster.wait(lambda: runs)
    job.kill()
    gevent.sleep(0.1)
    assert runs == ["begun", "ended"]
    assert figures(cluster)["open"] == 0
    assert cluster.kernel("hub").mesh.peers["ranking-1"].channel.pending == 0


def test_the_deadline_holds_over_two_hops_and_ends_the_work(cluster):
    begin = cluster.world.now
    with pytest.raises(DeadlineExceeded):
        call(cluster, "rest", 30.0, timeout=1.0)
    assert 0.98 <= cluster.world.now - begin <= 1.05
    gevent.sleep(0.05)
    assert runs == ["begun", "ended"]


def test_what_has_no_time_left_at_the_root_is_not_passed_on(cluster):
    with pytest.raises(DeadlineExceeded):
        call(cluster, "rest", 1.0, timeout=0.004)
    gevent.sleep(1)
    assert runs == []


def test_a_caller_that_is_lost_leaves_nothing_behind(cluster):
    gevent.spawn(call, cluster, "rest", 2.0)
    cluster.wait(lambda: runs)
    cluster.crash("world")
    gevent.sleep(3)
    assert figures(cluster)["open"] == 0
    assert runs == ["begun", "ended"]


def test_a_notification_is_passed_on_as_one(cluster):
    assert cluster.kernel("world").mesh.notify("note", (7,))
    cluster.wait(lambda: runs)
    assert runs == [7]
    assert figures(cluster)["open"] == 0
    assert cluster.kernel("hub").mesh.peers["ranking-1"].channel.statistics()["calls_total"] == 0


def test_a_call_is_passed_on_once_and_never_twice(cluster):
    peer = cluster.kernel("world").mesh.peers["hub-1"]
    with pytest.raises(NoSuchMethod):
        peer.call("note", 1, meta={"relayed": True})


def test_a_provider_that_is_away_is_unavailable_and_not_unknown(cluster):
    hub = cluster.kernel("hub").mesh.peers["ranking-1"]
    cluster.crash("ranking")
    cluster.wait(lambda: not hub.connected)
    with pytest.raises(Disconnected) as caught:
        call(cluster, "note", 1)
    assert not caught.value.sent
    with pytest.raises(Disconnected):
        call(cluster, "note", 1, to="ranking-1")
    with pytest.raises(NoSuchMethod):
        call(cluster, "no such remote")
    cluster.start("ranking")
    cluster.wait(lambda: hub.connected and hub.announced)
    call(cluster, "note", 2)
    assert runs == [2]


def test_a_root_that_has_just_started_does_not_say_that_what_it_has_not_heard_of_does_not_exist(cluster):
    cluster.crash("ranking")
    cluster.crash("hub")
    cluster.start("hub")
    cluster.wait(lambda: cluster.kernel("world").mesh.peers["hub-1"].announced)
    assert cluster.kernel("hub").mesh.expected == {"ranking-1"}
    with pytest.raises(Disconnected) as caught:
        call(cluster, "note", 1)
    assert not caught.value.sent
