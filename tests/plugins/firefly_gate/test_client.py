"""One client at one gate: every command is answered, once, in order, within bounds."""

import gevent
import pytest

from firefly_core import Refuse, command, on_connect, on_disconnect, on_login, push
from firefly_core.errors import Disconnected, RemoteError
from firefly_core.testing import InProcessCluster, virtual_time

TOML = """
[firefly]
plugins = ["gate", "protocols"]

[servers.gate.gate]
listen = [
  {{ url = "tcp://127.0.0.1:11009", protocol = "datapack" }},
  {{ url = "tcp://127.0.0.1:11010", protocol = "json" }},
  {{ url = "ws://127.0.0.1:11011/", protocol = "json", origins = ["none"] }},
  {{ url = "tcp://127.0.0.1:11012", protocol = "datapack", codec = "raw" }},
]
{keys}
"""
world = push(2001, name="world")
moments = []


@on_connect
def arrive(ctx):
    moments.append("connect")


@on_login
def enter(ctx):
    moments.append(f"login {ctx.uid}")


@on_disconnect
def depart(ctx):
    moments.append(f"disconnect {ctx.uid}")


@command(1, public=True)
def login(ctx, uid: int) -> int:
    ctx.session.bind(uid)
    return uid


@command(2)
def echo(ctx, request):
    return request


@command(3)
def rest(ctx, seconds: float) -> float:
    gevent.sleep(seconds)
    return seconds


@command(4, timeout=0.5)
def hang(ctx):
    gevent.sleep(3600)


@command(5)
def broken(ctx):
    raise KeyError("a secret of the server")


@command(6)
def refuse(ctx):
    raise Refuse("too_far", "that firefly is out of reach")


@command(7)
def nothing(ctx):
    return None


@command(8)
def shout(ctx, text: str) -> str:
    ctx.session.push(world, text)
    ctx.push_to(ctx.uid, 2002, text)
    return text


@command(9)
def leave(ctx):
    ctx.session.kick("as you wish")


@command(10)
def leak(ctx):
    gevent.Timeout(0.01).start()
    return "left a timer behind"


@command(11, public=True)
def upper(ctx, body: bytes) -> bytes:
    return body.upper()


HANDLERS = {
    "gate": [
        arrive, enter, depart, login, echo, rest, hang, broken, refuse, nothing, shout, leave, leak, upper,
    ]
}  # fmt: skip


@pytest.fixture
def make():
    moments.clear()
    worlds = []

    def make(keys=""):
        world = virtual_time(seed=1)
        world.__enter__()
        cluster = InProcessCluster(TOML.format(keys=keys), handlers=HANDLERS)
        cluster.__enter__()
        worlds.extend([cluster, world])
        cluster.start()
        return cluster

    yield make
    for entered in worlds:
        entered.__exit__(None, None, None)


@pytest.fixture
def player(make):
    client = make('rate = "off"').connect(protocol="json", scheme="tcp")
    client.request("login", 7)
    return client


def code_of(client, name, body=None, **options):
    with pytest.raises(RemoteError) as caught:
        client.request(name, body, **options)
    return caught.value.code


def test_a_command_is_answered_in_every_format(make):
    cluster = make()
    for options in ({"protocol": "json", "scheme": "tcp"}, {"protocol": "json", "scheme": "ws"}):
        client = cluster.connect(**options)
        client.request("login", 1)
        assert client.request("echo", {"a": [1, None, "ä"]}) == {"a": [1, None, "ä"]}
        assert client.request(2, "by id") == "by id"
    client = cluster.connect(protocol="datapack")
    client.request(1, 2)
    assert client.request(2, {"a": 1}) == {"a": 1}


def test_none_is_answered(player):
    assert player.request("nothing") is None


def test_answers_come_in_order_though_the_first_command_waits(player):
    asked = [player.ask("rest", 0.2), player.ask("echo", 1), player.ask("rest", 0.1), player.ask("echo", 2)]
    assert [pending.get() for pending in asked] == [0.2, 1, 0.1, 2]


def test_two_players_do_not_wait_for_one_another(make):
    cluster = make()
    slow, quick = cluster.connect(protocol="json"), cluster.connect(protocol="json")
    slow.request("login", 1)
    quick.request("login", 2)
    waiting = slow.ask("rest", 5.0)
    assert quick.request("echo", "now", timeout=1) == "now"
    assert not waiting.ready
    assert waiting.get() == 5.0


def test_before_login_only_public_commands_run(make):
    client = make().connect(protocol="json")
    assert code_of(client, "echo", 1) == "login_first"
    client.request("login", 3)
    assert client.request("echo", 1) == 1


def test_an_unknown_command_is_said_to_be_unknown(player):
    assert code_of(player, "dance") == "unknown_command"
    assert code_of(player, 99) == "unknown_command"


def test_a_body_of_another_type_is_a_bad_request_with_the_path(player):
    with pytest.raises(RemoteError, match=r"bad_request: .*float") as caught:
        player.request("rest", "soon")
    assert caught.value.code == "bad_request"


def test_a_refusal_reaches_the_client_as_it_is(player):
    with pytest.raises(RemoteError) as caught:
        player.request("refuse")
    assert (caught.value.code, caught.value.message) == ("too_far", "that firefly is out of reach")


def test_what_a_handler_raises_stays_on_the_server(player):
    with pytest.raises(RemoteError) as caught:
        player.request("broken")
    assert caught.value.code == "internal"
    assert "secret" not in caught.value.message
    assert "trace" in caught.value.message
    assert player.request("echo", "still here") == "still here"


def test_a_command_that_hangs_is_cut_at_its_deadline(player):
    asked = player.ask("hang"), player.ask("echo", "next")
    with pytest.raises(RemoteError) as caught:
        asked[0].get(1.0)
    assert caught.value.code == "timeout"
    assert asked[1].get() == "next"


def test_a_timer_that_a_handler_left_behind_hits_nobody_else(player):
    player.request("leak")
    gevent.sleep(0.1)
    assert [player.request("echo", number) for number in range(20)] == list(range(20))


def test_a_push_comes_before_the_answer_of_its_command(player):
    assert player.request("shout", "hey") == "hey"
    assert [(got.name, got.body) for got in player.pushes] == [("world", "hey"), ("push_2002", "hey")]


def test_a_kick_says_why_before_it_closes(player):
    player.ask("leave")
    player.wait_closed()
    assert player.goodbye == "as you wish"
    assert moments == ["connect", "login 7", "disconnect 7"]


def test_a_second_login_ends_the_first_session(make):
    cluster = make()
    first, second = cluster.connect(protocol="json"), cluster.connect(protocol="json")
    first.request("login", 7)
    second.request("login", 7)
    first.wait_closed()
    assert first.goodbye == "logged_in_elsewhere"
    assert second.request("echo", 1) == 1
    assert moments.count("disconnect 7") == 1


def test_a_second_login_is_refused_where_the_file_says_so(make):
    cluster = make('second_login = "refuse"')
    first, second = cluster.connect(protocol="json"), cluster.connect(protocol="json")
    first.request("login", 7)
    assert code_of(second, "login", 7) == "logged_in_elsewhere"
    assert first.request("echo", 1) == 1


def test_a_session_is_one_player_only(player):
    assert code_of(player, "login", 8) == "internal"
    assert player.request("echo", 1) == 1


def test_a_client_that_never_logs_in_is_closed(make):
    client = make("login_timeout = 2.0").connect(protocol="json")
    gevent.sleep(1.9)
    assert client.closed is None
    client.wait_closed(timeout=0.5)
    assert client.goodbye == "login_timeout"


def test_a_frame_that_does_not_end_is_given_five_seconds(player):
    player.write(b'{"id": 1, "cmd": ')
    gevent.sleep(4.5)
    assert player.closed is None
    player.wait_closed(timeout=1)
    assert player.goodbye == "frame_timeout"


def test_strangers_may_send_small_messages_only(make):
    cluster = make("login_frame = 100")
    stranger, player = cluster.connect(protocol="json"), cluster.connect(protocol="json")
    player.request("login", 1)
    assert player.request("echo", "x" * 200) == "x" * 200
    stranger.notify("login", "x" * 200)
    stranger.wait_closed()


@pytest.mark.parametrize(
    "garbage",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\xff" * 100,
        b"\x16\x03\x01\x02\x00",
        b"{}\n",
        b"[1]\n",
        b"null\n",
        b"\0\n",
    ],
)
def test_garbage_ends_its_connection_and_nobody_elses(make, garbage):
    cluster = make()
    bad, good = cluster.connect(protocol="json", scheme="tcp"), cluster.connect(protocol="json", scheme="tcp")
    good.request("login", 1)
    bad.write(garbage)
    bad.wait_closed(timeout=20)
    assert good.request("echo", 1) == 1
    assert cluster.kernel("gate").services["gate"].counts.closed.total() == 1


def test_commands_before_the_garbage_are_answered(make):
    client = make().connect(protocol="json", scheme="tcp")
    client.request("login", 1)
    client.write(b'{"id": 77, "cmd": "rest", "body": 0.5}\nrubbish\n')
    asked = client.ask("echo", 1)
    client.wait_closed(timeout=5)
    with pytest.raises(Disconnected):
        asked.get()
    assert "77" in client.closed


def test_a_client_over_its_rate_is_read_slower_and_answered_all_the_same(make):
    cluster = make('rate = "10/s"')
    client = cluster.connect(protocol="json")
    client.request("login", 1)
    begin = cluster.clock("gate").monotonic()
    for number in range(60):
        assert client.request("echo", number, timeout=30) == number
    assert 3.5 <= cluster.clock("gate").monotonic() - begin <= 6.5


def test_a_full_gate_tells_the_next_client_so(make):
    cluster = make("max_sessions = 2")
    kept = [cluster.connect(protocol="json", scheme="tcp") for _ in range(2)]
    turned_away = cluster.connect(protocol="json", scheme="tcp")
    turned_away.wait_closed()
    assert turned_away.goodbye == "busy"
    assert [client.closed for client in kept] == [None, None]
    with pytest.raises(ConnectionError, match="503"):
        cluster.connect(protocol="json", scheme="ws")


def test_one_address_may_have_so_many_connections(make):
    cluster = make("per_address = 3")
    many = [cluster.connect(protocol="json", scheme="tcp", address="10.0.0.1") for _ in range(5)]
    other = cluster.connect(protocol="json", scheme="tcp", address="10.0.0.2")
    gevent.sleep(0.5)
    assert [client.goodbye for client in many] == [None, None, None, "too_many_connections", "too_many_connections"]
    many[0].close()
    gevent.sleep(0.1)
    assert cluster.connect(protocol="json", scheme="tcp", address="10.0.0.1").request("login", 1) == 1
    assert other.request("login", 2) == 2


def test_silence_is_asked_for_a_sign_of_life(player):
    gevent.sleep(120)
    assert player.request("echo", "the wire answers pings") == "the wire answers pings"


def test_a_client_that_answers_no_ping_is_closed(player):
    player.pause()
    gevent.sleep(60)
    player.resume()
    player.wait_closed()


def test_a_slow_reader_is_closed_and_its_queue_let_go(make):
    cluster = make('rate = "off"\nqueue = 65536')
    slow, other = cluster.connect(protocol="json", scheme="tcp"), cluster.connect(protocol="json", scheme="tcp")
    slow.request("login", 1)
    other.request("login", 2)
    slow.pause()
    gate = cluster.kernel("gate").services["gate"]
    session = gate.crowd.players[1]
    for _ in range(4000):
        session.push(2001, "x" * 1000)
        if session.closed:
            break
    assert gate.counts.closed["slow_consumer"] == 1
    assert session.stream.queued == 0
    assert other.request("echo", 1) == 1
