"""One player, two sessions: the older one's last command and goodbye are over before the newer one is greeted."""

import contextlib

import gevent
import pytest

from firefly_core import command, on_disconnect, on_login, push
from firefly_core.errors import Disconnected, RemoteError
from firefly_core.testing import InProcessCluster, virtual_time

TOML = """
[firefly]
plugins = ["gate", "root", "node", "protocols"]
directory = "hub"
[servers.hub.root]
listen = "tcp://127.0.0.1:10100"
[servers.east.gate]
listen = { url = "tcp://127.0.0.1:11010", protocol = "json" }
[servers.east.root]
listen = "tcp://127.0.0.1:10001"
[servers.west.gate]
listen = { url = "tcp://127.0.0.1:11020", protocol = "json" }
[servers.west.root]
listen = "tcp://127.0.0.1:10002"
[servers.world.node]
roots = ["east", "west"]
"""
news = push(2001, name="news")
story = []


@command(1, public=True)
def login(ctx, uid: int) -> int:
    ctx.session.bind(uid)
    ctx.group("meadow").join(ctx.session)
    return uid


@command(2)
def work(ctx, seconds: float):
    story.append(f"begin {seconds}")
    gevent.sleep(seconds)
    story.append(f"end {seconds}")


@command(3, public=True)
def hurry(ctx, uid: int):
    """Log in, and do something before the answer."""
    ctx.session.bind(uid)
    story.append("bound")


@command(4)
def tell(ctx, text: str):
    ctx.push_to(7, news, text)


@on_login
def hello(ctx):
    story.append("hello")


@on_disconnect
def goodbye(ctx):
    if ctx.uid is not None:
        story.append("goodbye")


@command(5, timeout=1.0)
def stubborn(ctx):
    try:
        gevent.sleep(60)
    except BaseException:
        gevent.sleep(20)


HANDLERS = [login, work, hurry, tell, stubborn, hello, goodbye]


@contextlib.contextmanager
def playing(where):
    story.clear()
    with virtual_time(seed=1), InProcessCluster(TOML, handlers={where: HANDLERS}) as cluster:
        cluster.start()
        cluster.wait(lambda: len(cluster.kernel("hub").mesh.peers) == 2)
        yield cluster


@pytest.fixture(params=["east", "world"])
def cluster(request):
    """Handlers on the gate itself, or on a node behind it."""
    with playing(request.param) as cluster:
        yield cluster


@pytest.fixture
def far():
    """Handlers on a node behind two gates."""
    with playing("world") as cluster:
        yield cluster


@pytest.fixture
def player(cluster):
    client = cluster.connect("east")
    client.request("login", 7)
    return client


def test_the_older_session_says_goodbye_before_the_newer_one_is_greeted(cluster, player):
    other = cluster.connect("east")
    assert other.request("login", 7) == 7
    assert story == ["hello", "goodbye", "hello"]
    assert player.wait_closed()
    assert player.goodbye == "logged_in_elsewhere"


def test_a_second_login_in_the_middle_of_a_command_waits_for_its_end(cluster, player):
    pending = player.ask("work", 2.0)
    gevent.sleep(0.5)
    other = cluster.connect("east")
    assert other.request("hurry", 7) is None
    assert story == ["hello", "begin 2.0", "end 2.0", "goodbye", "hello", "bound"]
    with pytest.raises(Disconnected):
        pending.get()
    assert other.request("work", 0) is None


def test_commands_that_the_older_session_had_waiting_do_not_run(cluster, player):
    for seconds in (1.0, 1.5, 0.5):
        player.ask("work", seconds)
    gevent.sleep(0.5)
    cluster.connect("east").request("login", 7)
    ended = [event for event in story if event.startswith("end")]
    assert story.index("goodbye") > story.index(ended[-1])
    assert story[-2:] == ["goodbye", "hello"]
    gevent.sleep(5)
    assert story[-2:] == ["goodbye", "hello"]


def test_of_two_logins_that_wait_the_last_one_stays(cluster, player):
    player.ask("work", 9.0)
    gevent.sleep(0.1)
    first = cluster.connect("east").ask("login", 7)
    gevent.sleep(0.1)
    assert cluster.connect("east").request("login", 7) == 7
    with pytest.raises((RemoteError, Disconnected)):
        first.get()
    crowd = cluster.kernel("east").services["gate"].crowd
    assert len(crowd.players) == 1
    assert story == ["hello", "begin 9.0", "end 9.0", "goodbye", "hello"]


def test_a_login_that_waits_too_long_is_cut_and_may_be_tried_again(cluster, player):
    player.ask("stubborn")
    gevent.sleep(0.1)
    other = cluster.connect("east")
    with pytest.raises(RemoteError, match="timeout"):
        other.request("login", 7, timeout=12)
    gevent.sleep(12)
    assert other.request("login", 7) == 7
    assert story == ["hello", "goodbye", "hello"]


def test_through_another_gate_too_the_goodbye_comes_first(far):
    player = far.connect("east")
    player.request("login", 7)
    player.ask("work", 2.0)
    gevent.sleep(0.5)
    other = far.connect("west")
    assert other.request("hurry", 7) is None
    assert story == ["hello", "begin 2.0", "end 2.0", "goodbye", "hello", "bound"]
    player.wait_closed()
    gevent.sleep(15)
    assert story.count("goodbye") == 1


def test_when_a_gate_dies_its_player_goes_on_behind_his_last_command(far):
    player = far.connect("east")
    player.request("login", 7)
    token = player.request("firefly.token")["token"]
    player.ask("work", 2.0)
    gevent.sleep(1.0)
    far.crash("east")
    client = far.connect("west")
    client.request("firefly.resume", {"token": token})
    assert client.request("work", 0.5) is None
    assert story == ["hello", "begin 2.0", "end 2.0", "goodbye", "hello", "begin 0.5", "end 0.5"]
    gevent.sleep(15)
    assert story.count("goodbye") == 1


def test_a_session_that_its_gate_has_logged_out_keeps_nobody_waiting(far):
    player = far.connect("east")
    player.request("login", 7)
    session = far.kernel("east").services["gate"].crowd.players[7]
    far.kernel("east").services["gate"].unbind(session)
    assert far.connect("west").request("login", 7) == 7
    assert story == ["hello", "goodbye", "hello"]


def test_of_two_sessions_the_one_of_the_newer_login_is_the_player(far):
    """A gate that has not heard yet that its player is elsewhere does not end the newer session at the node."""
    player = far.connect("east")
    player.request("login", 7)
    far.network.cut("east-1", "hub-1", both=True)
    client = far.connect("west")
    client.request("login", 7)
    assert story == ["hello", "goodbye", "hello"]
    with pytest.raises(RemoteError, match="unavailable"):
        player.request("work", 0)
    assert client.request("work", 0) is None
    assert story == ["hello", "goodbye", "hello", "begin 0.0", "end 0.0"]
