"""Every way in which an answer could be lost, row by row as docs/answers.md lists them."""

import re
from pathlib import Path

import gevent
import pytest

from firefly_core import Refuse, command, hookimpl, remote
from firefly_core.errors import (
    CommandTimeout,
    DeadlineExceeded,
    Disconnected,
    NoSuchMethod,
    Overloaded,
    RemoteError,
)
from firefly_core.testing import Conditions, InProcessCluster, virtual_time

PAGE = Path(__file__).parents[1] / "docs" / "answers.md"
TOML = """
[firefly]
plugins = ["gate", "root", "node", "protocols"]
[servers.gate.gate]
listen = { url = "tcp://127.0.0.1:11010", protocol = "json" }
rate = "GATE_RATE"
timeout = 5.0
parking = 1024
[servers.gate.root]
listen = "tcp://127.0.0.1:10000"
[servers.world.node]
roots = ["gate"]
queue = 8
"""
runs = []


@command(1, public=True)
def login(ctx, uid: int):
    ctx.session.bind(uid)


@command(2)
def nothing(ctx):
    return None


@command(3)
def fail(ctx, how: str):
    raise {
        "error": ZeroDivisionError,
        "exit": SystemExit,
        "timeout": gevent.Timeout,
        "refuse": Refuse("no", "not now"),
    }[how]


@command(4)
def formless(ctx):
    return object()


@command(5)
def rest(ctx, seconds: float):
    gevent.sleep(seconds)
    runs.append(seconds)
    return seconds


@command(6, timeout=0.5)
def stubborn(ctx):
    try:
        gevent.sleep(60)
    except CommandTimeout:
        gevent.sleep(1)
    return "late"


@command(7)
def large(ctx):
    return "x" * 2_000_000


@command(8, timeout=0.5)
def slow(ctx):
    gevent.sleep(60)


HANDLERS = [login, nothing, fail, formless, rest, stubborn, large, slow]


@remote("fail")
def remote_fail(ctx, how: str):
    raise {"error": ZeroDivisionError("secret"), "refuse": Refuse("no", "not now")}[how]


@remote("rest")
def remote_rest(ctx, seconds: float):
    try:
        gevent.sleep(seconds)
    finally:
        runs.append("done")
    return seconds


REMOTES = [remote_fail, remote_rest]


def make(where="world", rate="off", **options):
    runs.clear()
    handlers = {"world": [*REMOTES, *(HANDLERS if where == "world" else [])]}
    if where == "gate":
        handlers["gate"] = HANDLERS
    return InProcessCluster(TOML.replace("GATE_RATE", rate), handlers=handlers, **options)


@pytest.fixture(params=["gate", "world"])
def where(request):
    """Whether the handlers are the gate's own, or a node's."""
    return request.param


@pytest.fixture
def cluster():
    with virtual_time(seed=1), make() as cluster:
        cluster.start()
        yield cluster


@pytest.fixture
def player(where):
    with virtual_time(seed=1), make(where) as cluster:
        cluster.start()
        client = cluster.connect()
        client.request("login", 7)
        client.cluster = cluster
        yield client


@pytest.fixture
def far(cluster):
    """A player whose commands run on a node."""
    client = cluster.connect()
    client.request("login", 7)
    return client


def code_of(pending, timeout=20.0):
    with pytest.raises(RemoteError) as caught:
        pending.get(timeout)
    return caught.value.code


def test_every_row_of_the_page_has_its_test():
    named = re.findall(r"\| `(test_\w+)` \|$", PAGE.read_text(), re.MULTILINE)
    rows = [line for line in PAGE.read_text().splitlines() if line.startswith("| ") and "what happens" not in line]
    assert len(named) == len(rows) == len(set(named)) >= 35
    assert [name for name in named if name not in globals()] == []


# ------------------------------------------------------------------------------------------------- of a client


def test_nothing_is_answered(player):
    assert player.request("nothing") is None


def test_an_exception_is_answered(player):
    assert code_of(player.ask("fail", "error")) == "internal"


@pytest.mark.parametrize("how", ["exit", "timeout"])
def test_what_is_no_exception_is_answered(player, how):
    assert code_of(player.ask("fail", how)) == "internal"


def test_a_refusal_is_answered(player):
    assert code_of(player.ask("fail", "refuse")) == "no"


def test_a_result_without_a_form_is_answered(player):
    assert code_of(player.ask("formless")) == "internal"


def test_a_hanging_handler_is_answered(player):
    assert code_of(player.ask("slow"), timeout=1.0) == "timeout"


def test_a_handler_that_swallows_its_deadline_is_answered(player, where):
    pending = player.ask("stubborn")
    if where == "gate":
        assert pending.get(3) == "late"
    else:
        assert code_of(pending, timeout=3) == "timeout"
    assert player.request("nothing") is None


def test_a_wrong_body_is_answered(player):
    assert code_of(player.ask("rest", "soon")) == "bad_request"


def test_an_unknown_command_is_answered(player):
    assert code_of(player.ask("dance")) == "unknown_command"


def test_a_stranger_is_answered(player):
    assert code_of(player.cluster.connect().ask("nothing")) == "login_first"


def test_an_absent_node_is_answered_for(cluster, far):
    cluster.crash("world")
    gevent.sleep(0.1)
    assert code_of(far.ask("nothing"), timeout=0.1) == "unavailable"


def test_a_node_that_has_not_come_is_answered_for():
    with virtual_time(seed=1), make() as cluster:
        cluster.start("gate")
        assert code_of(cluster.connect().ask("login", 7), timeout=0.1) == "unavailable"


def test_a_dying_node_is_answered_for(cluster, far):
    pending = [far.ask("rest", 3.0) for _ in range(5)]
    gevent.sleep(0.1)
    cluster.crash("world")
    assert {code_of(one, timeout=0.5) for one in pending} == {"unavailable"}


def test_a_broken_link_is_answered_for(cluster, far):
    pending = far.ask("rest", 3.0)
    gevent.sleep(0.1)
    cluster.kernel("gate").mesh.peers["world-1"].channel.close("cut")
    assert code_of(pending, timeout=0.5) == "unavailable"


def test_a_silent_link_is_answered_for(cluster, far):
    cluster.network.cut("world-1", "gate-1", both=True)
    assert code_of(far.ask("rest", 0.0), timeout=20) in ("timeout", "unavailable")
    cluster.network.heal("world-1", "gate-1")
    cluster.wait_connected(timeout=30)
    assert far.request("nothing") is None


def test_a_full_node_answers(far):
    pending = [far.ask("rest", 0.1) for _ in range(40)]
    gevent.sleep(10)
    answers = [one._result.exception for one in pending]
    refused = [error.code for error in answers if error is not None]
    assert set(refused) == {"overloaded"}
    assert len(refused) + len(runs) == 40


def test_an_answer_too_large_for_the_channel_is_answered(far):
    assert code_of(far.ask("large")) == "internal"
    assert far.request("nothing") is None


class Router:
    @hookimpl
    def firefly_route(self):
        raise ZeroDivisionError


def test_a_routing_plugin_that_raises_is_answered_for():
    with virtual_time(seed=1), make() as cluster:
        cluster.declared.plugins._manager.register(Router(), "router")
        cluster.start()
        client = cluster.connect()
        cluster.wait(lambda: cluster.kernel("gate").services["gate"].crowd.sessions)
        [session] = cluster.kernel("gate").services["gate"].crowd.sessions.values()
        # Plugins are asked where a session that has a route for another server needs a new one.
        session.routes = {"elsewhere": "elsewhere-1"}
        assert code_of(client.ask("login", 7)) == "internal"
        session.routes = None
        assert client.request("login", 7) is None


class Middle:
    @hookimpl
    def firefly_middleware(self):
        def wrap(handler, function):
            def wrapped(ctx, *arguments):
                if handler.name == "nothing":
                    raise ZeroDivisionError
                return function(ctx, *arguments)

            return wrapped

        return [wrap]


def test_a_middleware_that_raises_is_answered_for(where):
    with virtual_time(seed=1), make(where) as cluster:
        cluster.declared.plugins._manager.register(Middle(), "middle")
        cluster.start()
        client = cluster.connect()
        client.request("login", 7)
        assert code_of(client.ask("nothing")) == "internal"


def test_a_late_answer_is_dropped(cluster, far):
    cluster.network.set_conditions("world-1", "gate-1", Conditions(delay=3.0))
    assert code_of(far.ask("slow"), timeout=5) in ("timeout", "unavailable")
    gevent.sleep(10)
    assert far.closed is None


def test_what_came_before_garbage_is_answered(player):
    player.write(b'{"id": 900, "cmd": "rest", "body": 0.3}\n' + b"rubbish\n")
    player.wait_closed()
    assert "900" in player.closed


def test_commands_that_wait_are_all_answered(player, where):
    count = 100 if where == "gate" else 8
    pending = [player.ask("rest", 0.01) for _ in range(count)]
    assert [one.get(60) for one in pending] == [0.01] * count


def test_a_fast_client_is_answered_later(where):
    with virtual_time(seed=1), make(where, rate="5/s") as cluster:
        cluster.start()
        client = cluster.connect()
        client.request("login", 7)
        assert [client.request("nothing", timeout=30) for _ in range(40)] == [None] * 40


def test_an_answer_survives_its_connection(player):
    token = player.request("firefly.token")["token"]
    player.ask("rest", 1.0)
    number = player._number
    gevent.sleep(0.1)
    player.abort()
    gevent.sleep(3)
    again = player.cluster.connect()
    again._number = 5000
    again.request("firefly.resume", {"token": token})
    again._number = number - 1
    assert again.request("rest", 1.0, timeout=0.1) == 1.0
    assert runs == [1.0]


def test_an_answer_survives_a_second_connection(player):
    body = {"token": player.request("firefly.token")["token"], "nonce": "a nonce of the player"}
    player.ask("rest", 1.0)
    number = player._number
    gevent.sleep(0.1)
    player.abort()
    gevent.sleep(3)
    lost, again = player.cluster.connect(), player.cluster.connect()
    for line in (lost, again):
        line._number = 5000
        line.request("firefly.resume", body)
    again._number = number - 1
    assert again.request("rest", 1.0, timeout=0.1) == 1.0
    assert runs == [1.0]
    assert lost.wait_closed()


def test_a_stopping_server_answers_what_runs(player):
    pending = player.ask("rest", 1.0)
    gevent.sleep(0.1)
    kernel = player.cluster.kernel("gate")
    assert kernel.drain()
    player.cluster.stop("gate")
    assert pending.get(2) == 1.0
    player.wait_closed()
    assert player.goodbye == "server_stopping"


def test_a_dying_gate_closes(player):
    pending = player.ask("rest", 3.0)
    gevent.sleep(0.1)
    player.cluster.crash("gate")
    with pytest.raises(Disconnected):
        pending.get(1)


# --------------------------------------------------------------------------------------------- between servers


def call(cluster, name, *arguments, **options):
    return cluster.kernel("gate").mesh.call(name, arguments, **options)


@pytest.fixture
def mesh(cluster):
    cluster.wait(lambda: cluster.kernel("gate").mesh.peers["world-1"].announced)
    return cluster


def test_a_raising_remote_is_an_error(mesh):
    with pytest.raises(RemoteError, match="internal") as caught:
        call(mesh, "fail", "error")
    assert "secret" not in str(caught.value)


def test_a_refusing_remote_is_an_error(mesh):
    with pytest.raises(RemoteError, match="no: not now"):
        call(mesh, "fail", "refuse")


def test_an_unknown_remote_is_an_error(mesh):
    with pytest.raises(NoSuchMethod):
        call(mesh, "dance")


def test_a_call_to_nobody_fails_at_once(mesh):
    mesh.crash("world")
    gevent.sleep(0.1)
    with pytest.raises(Disconnected) as caught:
        call(mesh, "rest", 1.0)
    assert not caught.value.sent


def test_a_call_to_a_dying_server_fails_at_once(mesh):
    job = gevent.spawn(call, mesh, "rest", 60.0)
    gevent.sleep(0.1)
    mesh.crash("world")
    job.join(timeout=0.5)
    assert isinstance(job.exception, Disconnected)
    assert job.exception.sent


def test_a_hanging_remote_is_cut(mesh):
    with pytest.raises(DeadlineExceeded):
        call(mesh, "rest", 60.0, timeout=0.5)
    gevent.sleep(0.5)
    assert runs == ["done"]


def test_a_call_without_time_is_not_sent(mesh):
    with pytest.raises(DeadlineExceeded):
        call(mesh, "rest", 0.0, timeout=0.0)
    gevent.sleep(0.5)
    assert runs == []


def test_a_busy_server_says_so(mesh):
    jobs = [gevent.spawn(call, mesh, "rest", 1.0) for _ in range(300)]
    gevent.joinall(jobs)
    refused = [job.exception for job in jobs if job.exception is not None]
    assert {type(error) for error in refused} == {Overloaded}
    assert len(refused) == 300 - 256
    assert runs == ["done"] * 256


def test_arguments_without_a_form_are_an_error_here(mesh):
    with pytest.raises(TypeError):
        call(mesh, "rest", object())


def test_wrong_arguments_are_an_error(mesh):
    with pytest.raises(RemoteError, match="bad_request"):
        call(mesh, "rest", "soon")


def test_a_caller_that_is_cut_leaves_nothing(mesh):
    job = gevent.spawn(call, mesh, "rest", 60.0, timeout=50)
    gevent.sleep(0.1)
    job.kill()
    gevent.sleep(0.5)
    assert runs == ["done"]
    assert mesh.kernel("gate").mesh.peers["world-1"].channel.pending == 0
