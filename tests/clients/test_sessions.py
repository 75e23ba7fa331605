"""Every client and a real server, with a proxy between that cuts the line: nothing is lost, nothing runs twice."""

from __future__ import annotations

import itertools
import time

import pytest

numbers = itertools.count()

WAYS = {
    "node-ws": ("node", "ws://127.0.0.1:{port}/play", "json", "ws"),
    "threads-tcp": ("threads", "tcp://127.0.0.1:{port}", "json", "json"),
    "gevent-ws": ("gevent", "ws://127.0.0.1:{port}/play", "json", "ws"),
    "asyncio-tcp": ("asyncio", "tcp://127.0.0.1:{port}", "json", "json"),
    "asyncio-ws": ("asyncio", "ws://127.0.0.1:{port}/play", "json", "ws"),
    "threads-msgpack": ("threads", "tcp://127.0.0.1:{port}", "msgpack", "msgpack"),
}


class Game:
    """One player behind a proxy, and another one beside it."""

    def __init__(self, way, server, make_proxy, make_player):
        self.kind, self.url, self.protocol, self.door = WAYS[way]
        self.server = server
        self.make_player = make_player
        self.proxy = make_proxy(server.ports[self.door])
        self.name = f"p{next(numbers)}"

    def player(self, name=None, proxy=None, **options):
        port = (proxy or self.proxy).port
        return self.make_player(self.kind, self.url.format(port=port), name or self.name, self.protocol, **options)

    def other(self):
        url = f"tcp://127.0.0.1:{self.server.ports['json']}"
        other = self.make_player("threads", url, f"other{next(numbers)}")
        other.do("connect")
        return other


@pytest.fixture(params=list(WAYS))
def game(request, server, make_proxy, make_player):
    return Game(request.param, server, make_proxy, make_player)


def test_a_player_comes_in_asks_is_answered_and_hears_pushes_by_name_and_by_id(game, wait_until):
    player = game.player()
    assert player.do("connect") == {"you": game.name, "logins": 1}
    wait_until(lambda: player.states() == ["connecting", "open"], player.states)
    assert player.request("echo", {"a": [1, None, "ü"], "b": 0.5}) == {"a": [1, None, "ü"], "b": 0.5}
    assert player.request(7, None) is None
    player.do("notify", "tell", "hello")
    wait_until(lambda: player.of("2001"), "the push")
    wait_until(lambda: player.of("news"), "the push")
    assert player.of("push")[0] == {"event": "push", "id": 2001, "name": "news", "body": "hello"}


def test_errors_have_the_code_and_the_message_of_the_server(game):
    player = game.player()
    player.do("connect")
    error = player.error_of("refuse")
    assert (error.code, error.message) == ("no_luck", "not today: ü")
    assert player.error_of("nonsense").code == "unknown_command"
    error = player.error_of("count", {"key": 7})
    assert error.code == "bad_request"
    assert "$.key" in error.message


def test_a_login_that_is_refused_is_the_error_of_connect_and_ends_the_client(game):
    player = game.player("nobody")
    with pytest.raises(Exception, match="nobody may not come in") as caught:
        player.do("connect")
    assert caught.value.code == "bad_name"
    assert player.wait_state("ended")["reason"] == "bad_name"
    assert player.error_of("echo").code == "ended"


def test_the_session_goes_on_over_a_new_line(game, wait_until):
    player = game.player()
    player.do("connect")
    game.proxy.cut()
    player.wait_state("open")
    wait_until(lambda: player.states() == ["connecting", "open", "waiting", "connecting", "open"], player.states)
    assert player.request("counted", f"login {game.name}") == 1
    assert len(player.of("login")) == 1
    assert game.proxy.count == 2


def test_the_session_goes_on_where_the_answers_to_its_resumes_were_lost(game, wait_until):
    player = game.player()
    player.do("connect")
    game.proxy.pieces = 1 if "ws" in game.door else 0  # the answer to the opening handshake
    game.proxy.cut()
    wait_until(lambda: game.proxy.count >= 4, "three attempts")
    game.proxy.pieces = 99
    player.wait_state("open")
    assert player.request("counted", f"login {game.name}") == 1
    assert len(player.of("login")) == 1


def test_a_request_whose_answer_was_lost_is_answered_again_and_not_executed_again(game, wait_until):
    player = game.player()
    player.do("connect")
    game.proxy.deaf = True
    answers = [player.start("request", "count", {"key": f"{game.name} {n}"}) for n in range(5)]
    other = game.other()
    wait_until(lambda: other.request("counted", f"{game.name} 4") == 1, "the last one is executed")
    game.proxy.cut()
    game.proxy.deaf = False
    assert [answer.get(timeout=10) for answer in answers] == [1] * 5
    assert [other.request("counted", f"{game.name} {n}") for n in range(5)] == [1] * 5


def test_a_request_that_runs_while_the_line_is_cut_is_executed_once_and_answered(game, wait_until):
    player = game.player()
    player.do("connect")
    answer = player.start("request", "count", {"key": game.name, "seconds": 1.0})
    wait_until(lambda: game.name.encode() in game.proxy.sent.split(b"count")[-1] or game.door != "json", "it is sent")
    game.proxy.cut()
    assert answer.get(timeout=10) == 1
    assert player.request("counted", game.name) == 1


def test_requests_that_were_asked_while_the_line_was_down_are_sent_when_it_is_back(game):
    player = game.player()
    player.do("connect")
    game.proxy.open = False
    game.proxy.cut()
    player.wait_state("waiting")
    answers = [player.start("request", "count", {"key": game.name}) for _ in range(40)]
    game.proxy.open = True
    assert sorted(answer.get(timeout=15) for answer in answers) == list(range(1, 41))


def test_pushes_that_were_missed_come_in_order_and_none_comes_twice(game, wait_until):
    player, other = game.player(), game.other()
    player.do("connect")
    for number in range(20):
        other.request("tell", number)
    wait_until(lambda: len(player.news()) == 20, "the first twenty")
    game.proxy.open = False
    game.proxy.cut()
    player.wait_state("waiting")
    for number in range(20, 60):
        other.request("tell", number)
    game.proxy.open = True
    wait_until(lambda: len(player.news()) >= 60, player.news)
    other.request("tell", "end")
    wait_until(lambda: player.news()[-1] == "end", player.news)
    assert player.news() == [*range(60), "end"]
    assert player.of("resync") == []


def test_ten_cuts_in_a_row_lose_nothing_and_execute_nothing_twice(game, wait_until):
    player, other = game.player(), game.other()
    player.do("connect")
    answers = []
    for number in range(10):
        answers += [player.start("request", "count", {"key": f"{game.name} {number}"}) for _ in range(3)]
        other.request("tell", number)
        game.proxy.cut()
    assert sorted(answer.get(timeout=20) for answer in answers) == sorted([1, 2, 3] * 10)
    wait_until(lambda: player.news() == list(range(10)), player.news)
    assert all(other.request("counted", f"{game.name} {number}") == 3 for number in range(10))


def test_what_did_not_fit_is_told_as_resync(game, wait_until):
    player, other = game.player(), game.other()
    player.do("connect")
    game.proxy.open = False
    game.proxy.cut()
    player.wait_state("waiting")
    for number in range(60):
        other.request("tell", f"{number} " + "x" * 1000)
    game.proxy.open = True
    wait_until(lambda: player.of("resync"), "resync")
    wait_until(lambda: player.news() and player.news()[-1].startswith("59 "), "the last push")
    assert len(player.news()) < 60


def test_a_kick_tells_its_reason_and_nobody_comes_back(game):
    player = game.player()
    player.do("connect")
    player.do("notify", "kick", "cheating")
    assert player.wait_state("ended")["reason"] == "cheating"
    assert player.error_of("echo").reason == "cheating"
    assert game.proxy.count == 1


def test_who_logs_in_elsewhere_ends_the_first_client_for_good(game):
    player = game.player()
    player.do("connect")
    second = game.player()
    assert second.do("connect")["logins"] == 2
    assert player.wait_state("ended")["reason"] == "logged_in_elsewhere"
    assert second.request("echo", 1) == 1
    assert game.proxy.count == 2


def test_when_the_session_is_gone_the_login_is_called_again_and_what_was_sent_is_unknown(game, wait_until):
    player, other = game.player(), game.other()
    player.do("connect")
    game.proxy.deaf = True
    lost = player.start("request", "count", {"key": game.name})
    wait_until(lambda: other.request("counted", game.name) == 1, "it is executed")
    game.proxy.open = game.proxy.deaf = False
    game.proxy.cut()
    player.wait_state("waiting")
    waits = player.start("request", "counted", game.name)
    # Somebody else logs in under that name and leaves: the session that waits is ended.
    thief = game.make_player("threads", f"tcp://127.0.0.1:{game.server.ports['json']}", game.name)
    thief.do("connect")
    thief.do("close")
    game.proxy.open = True
    with pytest.raises(Exception, match="disconnected") as caught:
        lost.get(timeout=10)
    assert (caught.value.code, caught.value.sent) == ("disconnected", True)
    assert waits.get(timeout=10) == 1
    assert [event["result"]["logins"] for event in player.of("login")] == [1, 3]
    assert player.request("count", {"key": game.name}) == 2


def test_a_line_that_went_silent_is_given_up_and_the_session_goes_on(game):
    player = game.player(limits={"heartbeat": 0.3})
    player.do("connect")
    old = game.proxy
    old.frozen = True
    event = player.wait_state("waiting")
    assert event["reason"] == "timeout"
    old.frozen = False
    player.wait_state("open")
    assert player.request("count", {"key": game.name}) == 1
    assert len(player.of("login")) == 1


def test_a_request_without_an_answer_ends_in_time(game):
    player = game.player(limits={"timeout": 1.0})
    player.do("connect")
    game.proxy.deaf = True
    began = time.monotonic()
    late = player.start("request", "echo", 1)
    with pytest.raises(Exception, match="timeout") as caught:
        late.get(timeout=15)
    assert caught.value.code == "timeout"
    assert 0.9 < time.monotonic() - began < 5


def test_a_client_that_closes_says_goodbye_and_its_session_ends_at_once(game, wait_until):
    player, other = game.player(), game.other()
    player.do("connect")
    waiting = player.start("request", "count", {"key": game.name, "seconds": 0.5})
    player.do("close")
    with pytest.raises(Exception, match="closed") as caught:
        waiting.get(timeout=5)
    assert caught.value.code == "ended"
    wait_until(lambda: game.name in other.request("left"), "the server has let it go", 3)


def test_a_server_that_is_not_there_yet_is_waited_for(game, wait_until):
    game.proxy.open = False
    player = game.player()
    answer = player.start("connect")
    player.wait_state("waiting")
    game.proxy.open = True
    assert answer.get(timeout=10)["you"] == game.name


def test_a_server_that_never_comes_is_told_in_time(game):
    game.proxy.open = False
    player = game.player()
    with pytest.raises(Exception, match="no session within 1") as caught:
        player.do("connect", 1.0)
    assert (caught.value.code, caught.value.sent) == ("disconnected", False)
    assert player.wait_state("ended")["reason"] == "closed"


def test_dropping_the_line_on_purpose_is_a_cut_like_any_other(game, wait_until):
    player = game.player()
    player.do("connect")
    player.do("drop")
    assert player.request("count", {"key": game.name}) == 1
    wait_until(lambda: player.states() == ["connecting", "open", "waiting", "connecting", "open"], player.states)
    assert len(player.of("login")) == 1


def test_what_cannot_be_sent_is_said_at_once(game):
    player = game.player()
    player.do("connect")
    error = player.error_of("echo", "x" * 70_000)
    assert error.code in (None, "too_long")
    assert player.request("echo", "x" * 60_000) == "x" * 60_000
