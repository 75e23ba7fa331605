"""A session that outlives its connection: nothing is lost, nothing runs twice, and a token is good once."""

import gevent
import pytest

from firefly_core import command, on_disconnect, push
from firefly_core.errors import RemoteError
from firefly_core.testing import InProcessCluster, MsgpackWire, virtual_time

TOML = """
[firefly]
plugins = ["gate", "root", "node", "protocols"]

[servers.gate]
handlers = []
[servers.gate.gate]
listen = [
  { url = "tcp://127.0.0.1:11010", protocol = "json" },
  { url = "ws://127.0.0.1:11011/", protocol = "json", origins = ["none"] },
  { url = "tcp://127.0.0.1:11012", protocol = "msgpack" },
]
rate = "off"
resume_buffer = 2048
resume_answers = 4096
[servers.gate.root]
listen = "tcp://127.0.0.1:10000"
[servers.world.node]
roots = ["gate"]
"""
news = push(2001, name="news")
moments = []
runs = []


@on_disconnect
def depart(ctx):
    moments.append(f"disconnect {ctx.uid}")


@command(1, public=True)
def login(ctx, uid: int) -> int:
    ctx.session.bind(uid)
    ctx.group("meadow").join(ctx.session)
    return uid


@command(2)
def catch(ctx, seconds: float):
    runs.append(seconds)
    gevent.sleep(seconds)
    return len(runs)


@command(3)
def tell(ctx, text: str):
    ctx.group("meadow").push(news, text)


@command(4)
def echo(ctx, text: str):
    return text


@command(5)
def catch_much(ctx, size: int):
    runs.append(size)
    return "x" * size


@pytest.fixture(params=["gate", "world"])
def cluster(request):
    """Handlers on the gate itself, or on a node behind it: it must make no difference."""
    moments.clear()
    runs.clear()
    handlers = {request.param: [depart, login, catch, tell, echo, catch_much]}
    with virtual_time(seed=1), InProcessCluster(TOML, handlers=handlers) as cluster:
        cluster.start()
        yield cluster


@pytest.fixture
def player(cluster):
    client = cluster.connect(scheme="tcp")
    client.request("login", 7)
    client.token = client.request("firefly.token")["token"]
    return client


@pytest.fixture
def other(cluster):
    client = cluster.connect(scheme="tcp")
    client.request("login", 8)
    return client


def resumed(cluster, token):
    client = cluster.connect(scheme="tcp")
    client._number = 1000
    return client, client.request("firefly.resume", {"token": token})


def code_of(client, name, body=None):
    with pytest.raises(RemoteError) as caught:
        client.request(name, body)
    return caught.value.code


def test_a_session_goes_on_over_another_connection(cluster, player):
    player.abort()
    gevent.sleep(30)
    client, answer = resumed(cluster, player.token)
    assert (answer["uid"], answer["resync"]) == (7, False)
    assert client.request("catch", 0) == 1
    assert "disconnect 7" not in moments


def test_it_ends_once_when_nobody_comes_back(cluster, player):
    player.abort()
    gevent.sleep(59)
    assert "disconnect 7" not in moments
    gevent.sleep(5)
    assert moments == ["disconnect 7"]
    client = cluster.connect(scheme="tcp")
    assert code_of(client, "firefly.resume", {"token": player.token}) == "bad_token"


def test_pushes_missed_meanwhile_come_in_order(cluster, player, other):
    other.request("tell", "seen")
    player.wait_push("news")
    player.abort()
    for number in range(5):
        other.request("tell", f"missed {number}")
    client, answer = resumed(cluster, player.token)
    gevent.sleep(0.1)
    assert answer["seq"] == 6
    # The client acknowledged nothing, so what it had seen is repeated too.
    assert [got.body for got in client.pushes] == ["seen", *[f"missed {number}" for number in range(5)]]


def test_what_was_acknowledged_is_not_repeated(cluster, player, other):
    other.request("tell", "seen")
    player.wait_push("news")
    player.write(b'{"cmd": "ack", "ack": 1}\n')
    gevent.sleep(0.1)
    player.abort()
    other.request("tell", "missed")
    client, _ = resumed(cluster, player.token)
    assert client.wait_push("news") == "missed"
    assert len(client.pushes) == 1


def test_a_request_that_was_executed_is_answered_again_and_not_executed_again(cluster, player):
    assert player.request("catch", 0) == 1
    number = player._number
    player.abort()
    client, _ = resumed(cluster, player.token)
    client._number = number - 1
    assert client.request("catch", 0) == 1
    assert runs == [0]
    assert client.request("catch", 0) == 2


def test_the_answer_to_a_request_that_still_runs_comes_on_the_new_connection(cluster, player):
    player.ask("catch", 5.0)
    number = player._number
    gevent.sleep(0.5)
    player.abort()
    gevent.sleep(0.5)
    client, _ = resumed(cluster, player.token)
    client._number = number - 1
    assert client.request("catch", 5.0) == 1
    assert runs == [5.0]


def test_a_token_is_good_once_and_the_new_one_is_good_again(cluster, player):
    player.abort()
    first, answer = resumed(cluster, player.token)
    assert answer["token"] != player.token
    thief = cluster.connect(scheme="tcp")
    assert code_of(thief, "firefly.resume", {"token": player.token}) == "bad_token"
    first.abort()
    second, _ = resumed(cluster, answer["token"])
    assert second.request("catch", 0) == 1


@pytest.mark.parametrize("token", ["", "x", "A" * 43, "ä" * 43, 7, None])
def test_a_token_that_is_none_opens_nothing(cluster, player, token):
    client = cluster.connect(scheme="tcp")
    assert code_of(client, "firefly.resume", {"token": token}) in ("bad_token", "bad_request")
    assert code_of(client, "catch", 0) == "login_first"
    assert player.request("catch", 0) == 1


def test_a_truncated_token_opens_nothing(cluster, player):
    client = cluster.connect(scheme="tcp")
    assert code_of(client, "firefly.resume", {"token": player.token[:-1]}) == "bad_token"


def test_a_token_is_not_given_before_login(cluster):
    assert code_of(cluster.connect(scheme="tcp"), "firefly.token") == "login_first"


def test_the_old_connection_is_left_when_the_client_resumes_before_it_is_noticed(cluster, player):
    client, _ = resumed(cluster, player.token)
    player.wait_closed()
    assert client.request("catch", 0) == 1
    assert "disconnect 7" not in moments


@pytest.mark.parametrize("scheme", ["tcp", "ws"])
def test_who_has_come_back_need_not_log_in_again(cluster, player, scheme):
    player.abort()
    client = cluster.connect(scheme=scheme)
    client._number = 1000
    client.request("firefly.resume", {"token": player.token})
    gevent.sleep(cluster.kernel("gate").services["gate"].config.login_timeout + 1)
    assert client.goodbye is None
    assert client.request("echo", "still here") == "still here"


def test_a_frame_that_had_begun_before_somebody_came_back_must_end_in_time(cluster, player):
    player.abort()
    client = cluster.connect(scheme="tcp")
    client._number = 1000
    answer = client.ask("firefly.resume", {"token": player.token})
    client.write(b'{"id": 1001, ')
    answer.get()
    gevent.sleep(cluster.kernel("gate").services["gate"].config.frame_timeout + 1)
    assert client.goodbye == "frame_timeout"


def test_a_session_resumes_from_tcp_to_websocket(cluster, player):
    player.abort()
    client = cluster.connect(scheme="ws")
    client._number = 1000
    assert client.request("firefly.resume", {"token": player.token})["uid"] == 7
    assert client.request("catch", 0) == 1


def test_without_a_token_a_session_ends_with_its_connection(cluster, other):
    other.abort()
    gevent.sleep(0.5)
    assert moments == ["disconnect 8"]


def test_pushes_that_did_not_fit_are_told_as_resync(cluster, player, other):
    player.abort()
    for number in range(10):
        other.request("tell", f"{number} " + "x" * 500)
    client, answer = resumed(cluster, player.token)
    gevent.sleep(0.1)
    assert answer["resync"] is True
    assert client.pushes[-1].body.startswith("9 ")
    gate = cluster.kernel("gate").services["gate"]
    assert gate.resumption.kept_bytes <= 2048


def test_a_login_elsewhere_ends_a_session_that_waits(cluster, player):
    player.abort()
    client = cluster.connect(scheme="tcp")
    client.request("login", 7)
    gevent.sleep(0.5)
    assert moments == ["disconnect 7"]
    again = cluster.connect(scheme="tcp")
    assert code_of(again, "firefly.resume", {"token": player.token}) == "bad_token"
    assert client.request("catch", 0) == 1


def test_a_kicked_session_does_not_come_back(cluster, player):
    cluster.kernel("gate").services["gate"].crowd.players[7].kick("go")
    player.wait_closed()
    gevent.sleep(0.1)
    assert moments == ["disconnect 7"]
    client = cluster.connect(scheme="tcp")
    assert code_of(client, "firefly.resume", {"token": player.token}) == "bad_token"


def test_a_goodbye_of_the_client_ends_the_session_once_what_runs_is_done(cluster, player):
    player.ask("catch", 1.0)
    gevent.sleep(0.1)
    player.write(b'{"cmd": "goodbye"}\n')
    player.wait_closed()
    assert moments == []
    gevent.sleep(1.5)
    assert runs == [1.0]
    assert moments == ["disconnect 7"]
    client = cluster.connect(scheme="tcp")
    assert code_of(client, "firefly.resume", {"token": player.token}) == "bad_token"


def test_a_client_that_says_goodbye_and_hangs_up_is_not_waited_for(cluster, player):
    player.ask("catch", 1.0)
    gevent.sleep(0.1)
    player.write(b'{"cmd": "goodbye"}\n')
    player.abort()
    gevent.sleep(1.5)
    assert moments == ["disconnect 7"]


def test_a_player_who_is_logged_in_cannot_take_over_another_one(cluster, player, other):
    assert code_of(other, "firefly.resume", {"token": player.token}) == "bad_token"
    assert other.request("catch", 0) == 1
    player.abort()
    client, answer = resumed(cluster, player.token)
    assert answer["uid"] == 7
    assert client.request("catch", 0) == 2


def test_a_token_for_another_format_opens_nothing_and_stays_good(cluster, player):
    player.abort()
    client = cluster.connect(protocol="msgpack", wire=MsgpackWire())
    assert code_of(client, "firefly.resume", {"token": player.token}) == "bad_token"
    assert resumed(cluster, player.token)[1]["uid"] == 7


def test_an_expired_token_opens_nothing(cluster, player):
    player.abort()
    gevent.sleep(65)
    client = cluster.connect(scheme="tcp")
    assert code_of(client, "firefly.resume", {"token": player.token}) == "bad_token"
    assert client.request("login", 7) == 7


def test_a_request_id_from_the_future_is_a_request_like_any_other(cluster, player):
    player.request("catch", 0)
    number = player._number
    player.abort()
    client, _ = resumed(cluster, player.token)
    client._number = 2**62
    assert client.request("catch", 0) == 2
    client._number = number - 1
    assert client.request("catch", 0) == 1
    assert runs == [0, 0]


def test_an_acknowledgement_from_the_future_lets_go_what_was_pushed_and_no_more(cluster, player, other):
    other.request("tell", "seen")
    player.wait_push("news")
    player.write(b'{"cmd": "ack", "ack": 9000000000000000000}\n')
    gevent.sleep(0.1)
    player.abort()
    other.request("tell", "missed")
    client, answer = resumed(cluster, player.token)
    assert (answer["seq"], answer["resync"]) == (2, False)
    assert client.wait_push("news") == "missed"


def test_the_answers_and_pushes_that_are_kept_are_bounded(cluster, player, other):
    for _ in range(100):
        player.request("catch", 0)
        other.request("tell", "x" * 100)
        player.request("echo", "x" * 300)
    gate = cluster.kernel("gate").services["gate"]
    assert len(gate.crowd.players[7].kept.answers) == 32
    assert 4096 < gate.statistics()["resume_bytes"] <= 2048 + 4096
    player.close()
    gevent.sleep(0.1)
    cluster.kernel("gate").services["gate"].crowd.players[7].kick("go")
    gevent.sleep(0.1)
    assert gate.statistics()["resume_bytes"] == 0


def test_a_request_whose_answer_was_too_long_to_keep_is_not_executed_again(cluster, player):
    assert player.request("catch_much", 5000) == "x" * 5000
    number = player._number
    player.abort()
    client, _ = resumed(cluster, player.token)
    client._number = number - 1
    assert code_of(client, "catch_much", 5000) == "unavailable"
    assert runs == [5000]
    assert client.request("catch", 0) == 2


def test_a_client_says_what_it_has_while_a_command_of_its_runs(cluster, player, other):
    """Else what is kept for it would grow over its bound, and the session could not be resumed."""
    pending = player.ask("catch", 5.0)
    gevent.sleep(0.1)
    for number in range(20):
        other.request("tell", f"{number} " + "x" * 500)
        player.write(b'{"cmd":"ack","ack":%d}\n' % (number + 1))
        gevent.sleep(0.01)
    assert cluster.kernel("gate").services["gate"].statistics()["resume_bytes"] < 1000
    assert pending.get() == 1
    player.abort()
    resumed(cluster, player.token)
