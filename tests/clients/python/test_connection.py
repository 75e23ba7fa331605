"""The client's connection without a socket or a clock, message by message."""

from __future__ import annotations

import json
from unittest.mock import ANY

import pytest
from firefly_client.connection import Connection
from firefly_client.datapack import Datapack
from firefly_client.errors import Disconnected, Ended, Overloaded, RequestTimeout, ServerError
from firefly_client.events import Answered, Changed, Dial, Failed, HangUp, LoginNeeded, Pushed, Resumed, State
from firefly_client.json_text import JsonText
from firefly_client.limits import Limits
from firefly_client.phase import PASSING_REASONS

LIMITS = Limits(timeout=10, connect_timeout=5, heartbeat=15, window=4, queue=3)


class Driver:
    """Plays the socket, the clock and the server."""

    def __init__(self, *, login=True, resume=True, wire=None, limits=LIMITS):
        self.connection = Connection(wire or JsonText(), lambda: 0.5, login=login, resume=resume, limits=limits)
        self.now = 100.0
        self.events = []
        self.written = []

    def __getattr__(self, name):
        """Call a method of the connection, with the time where it wants that, and take what it says."""

        def call(*arguments, **options):
            method = getattr(self.connection, name)
            timed = () if name in ("close", "cancel") else (self.now,)
            result = method(*arguments, *timed, **options)
            self.settle()
            return result

        return call

    def settle(self):
        for message in self.connection.take_output():
            assert message.endswith(b"\n")
            self.written.append(json.loads(message))
        self.events += self.connection.take_events()

    def pass_time(self, seconds):
        """Let time pass, ticking whenever the connection is due."""
        ends = self.now + seconds
        while (due := self.connection.due) is not None and due <= ends:
            self.now = max(self.now, due)
            self.tick()
        self.now = ends

    def server(self, **message):
        self.receive(json.dumps(message).encode() + b"\n")

    def answer(self, body=None, **other):
        """Answer what was written last."""
        self.server(id=self.written[-1]["id"], cmd=self.written[-1]["cmd"], body=body, **other)

    def take(self):
        events, self.events = self.events, []
        return events

    def open(self, token="t1"):
        self.start()
        self.connected(stream=True)
        attempt = self.take()[-1].attempt
        self.request(1, "ann", attempt=attempt)
        self.answer("welcome")
        self.logged_in(attempt)
        self.answer({"token": token, "timeout": 60.0})
        self.take()
        self.written.clear()

    def reconnect(self):
        self.lost("cut")
        self.pass_time(0.1)
        self.connected(stream=True)


@pytest.fixture
def driver():
    return Driver()


@pytest.fixture
def opened(driver):
    driver.open()
    return driver


def kinds(events):
    return [type(event) for event in events]


def test_it_dials_logs_in_asks_for_a_token_and_is_open(driver):
    driver.start()
    assert driver.take() == [Changed(State.CONNECTING), Dial()]
    driver.connected(stream=True)
    assert driver.take() == [LoginNeeded(1)]
    identity = driver.request("login", {"name": "ann"}, attempt=1)
    assert driver.written == [{"id": identity, "cmd": "login", "body": {"name": "ann"}}]
    driver.answer("welcome")
    assert driver.take() == [Answered(identity, "welcome")]
    driver.logged_in(1)
    assert driver.written[-1]["cmd"] == "firefly.token"
    driver.answer({"token": "t1"})
    assert driver.take() == [Changed(State.OPEN)]


def test_a_server_without_resume_is_played_without(driver):
    driver.start()
    driver.connected(stream=True)
    driver.logged_in(1)
    driver.answer(error={"code": "unknown_command", "message": ""})
    assert driver.connection.state is State.OPEN
    identity = driver.request("echo", 1)
    driver.take()
    driver.lost("cut")
    assert [event.id for event in driver.take() if isinstance(event, Failed)] == [identity]


def test_without_a_login_it_is_open_at_once_and_has_nothing_to_resume():
    driver = Driver(login=False)
    driver.start()
    driver.connected(stream=True)
    assert driver.connection.state is State.OPEN
    assert driver.written == []


def test_requests_that_are_asked_before_the_session_stands_wait_for_it(driver):
    driver.start()
    first = driver.request("echo", 1)
    driver.connected(stream=True)
    driver.notify("move", 2)
    assert driver.written == []
    driver.logged_in(1)
    driver.answer({"token": "t1"})
    assert [message["cmd"] for message in driver.written] == ["firefly.token", "echo", "move"]
    assert driver.written[1]["id"] == first
    assert "id" not in driver.written[2]


def test_an_answer_ends_its_request_once_and_an_error_has_the_servers_code(opened):
    first, second = opened.request("a", 1), opened.request("b", 2)
    opened.server(id=second, error={"code": "too_far", "message": "out of reach"})
    opened.server(id=first, cmd="a", body=None)
    opened.server(id=first, cmd="a", body="again")
    failed, answered = opened.take()
    assert (failed.id, failed.error.code, failed.error.message) == (second, "too_far", "out of reach")
    assert isinstance(failed.error, ServerError)
    assert answered == Answered(first, None)


def test_no_more_than_the_window_is_on_the_line_and_answers_make_room(opened):
    identities = [opened.request("a", number) for number in range(6)]
    assert [message["id"] for message in opened.written] == identities[:4]
    opened.server(id=identities[2], cmd="a", body=0)
    assert [message["id"] for message in opened.written] == identities[:5]


def test_more_than_the_queue_holds_is_refused_and_not_sent_later(opened):
    identities = [opened.request("a", number) for number in range(7)]
    with pytest.raises(Overloaded):
        opened.request("a", 7)
    with pytest.raises(Overloaded):
        opened.notify("a", 7)
    opened.cancel(identities[-1])
    opened.request("a", 8)


def test_notifies_that_waited_too_long_are_let_go(opened):
    opened.lost("cut")
    opened.notify("move", "old")
    opened.pass_time(11)
    opened.notify("move", "new")
    opened.connected(stream=True)
    opened.answer({"token": "t2"})
    assert [message["body"] for message in opened.written[-1:]] == ["new"]
    assert "old" not in [message["body"] for message in opened.written]


def test_a_request_without_an_answer_ends_when_its_time_is_over(opened):
    slow, fast = opened.request("a", 1), opened.request("b", 2, timeout=2)
    opened.pass_time(3)
    (failed,) = opened.take()
    assert failed.id == fast
    assert isinstance(failed.error, RequestTimeout)
    opened.server(id=slow, cmd="a", body=1)
    opened.server(id=fast, cmd="b", body=1)
    assert opened.take() == [Answered(slow, 1)]


def test_attempts_come_at_growing_intervals_up_to_five_seconds_and_short_ones_again_after_success(opened):
    delays = []
    opened.lost("cut")
    for _ in range(12):
        opened.take()
        before = opened.now
        opened.now = opened.connection.due
        opened.tick()
        assert opened.take() == [Changed(State.CONNECTING), Dial()]
        delays.append(round(opened.now - before, 4))
        opened.lost("refused")
    assert delays[:4] == [0.1, 0.16, 0.256, 0.4096]
    assert delays[-3:] == [5.0, 5.0, 5.0]
    opened.hurry()
    opened.connected(stream=True)
    opened.answer({"token": "t2"})
    opened.lost("cut")
    assert opened.connection.due - opened.now == pytest.approx(0.1)


def test_delays_are_a_fifth_more_or_less_by_chance():
    dues = []
    for chance in (0.0, 1.0):
        connection = Connection(JsonText(), lambda chance=chance: chance, login=False)
        connection.start(0.0)
        connection.lost("refused", 0.0)
        dues.append(connection.due)
    assert dues == [pytest.approx(0.08), pytest.approx(0.12)]


def test_after_a_cut_the_session_is_resumed_and_what_has_no_answer_is_sent_again_under_its_old_id(opened):
    done, lost, waits = opened.request("a", 1), opened.request("b", 2), None
    opened.server(id=done, cmd="a", body=0)
    opened.server(seq=3, cmd=2001, name="news", body="x")
    opened.lost("cut")
    waits = opened.request("c", 3)
    opened.pass_time(0.1)
    opened.written.clear()
    opened.take()
    opened.connected(stream=True)
    (resume,) = opened.written
    assert (resume["cmd"], resume["body"], resume["ack"]) == ("firefly.resume", {"token": "t1", "nonce": ANY}, 3)
    opened.answer({"token": "t2", "uid": 7, "seq": 3, "resync": False})
    assert [(message["id"], message["cmd"]) for message in opened.written[1:]] == [(lost, "b"), (waits, "c")]
    assert opened.take() == [Resumed(False), Changed(State.OPEN)]
    opened.reconnect()
    assert opened.written[-1]["body"]["token"] == "t2"


def test_token_and_nonce_stay_the_same_until_the_answer_with_the_next_token_has_come(opened):
    said = []
    for _ in range(3):
        opened.lost("cut")
        opened.pass_time(5)
        opened.connected(stream=True)
        said.append(opened.written[-1]["body"])
    assert [said[0]] * 3 == said
    opened.answer({"token": "t2", "uid": 7, "seq": 3, "resync": False})
    opened.reconnect()
    body = opened.written[-1]["body"]
    assert body["token"] == "t2"
    assert len(body["nonce"]) >= 16
    assert body["nonce"] != said[0]["nonce"]


def test_where_answers_are_not_repeated_what_was_sent_is_unknown_and_not_sent_again(opened):
    lost = opened.request("b", 2)
    opened.lost("cut")
    waits = opened.request("c", 3)
    opened.pass_time(0.1)
    opened.connected(stream=True)
    opened.take()
    opened.answer({"token": "t2", "uid": 7, "seq": 0, "resync": True, "repeats": False})
    assert [(message["id"], message["cmd"]) for message in opened.written[2:]] == [(waits, "c")]
    failed, resumed, changed = opened.take()
    assert (failed.id, failed.error.code, failed.error.sent) == (lost, "disconnected", True)
    assert (resumed, changed) == (Resumed(True), Changed(State.OPEN))


def test_a_resume_that_cannot_be_answered_just_now_is_tried_again_with_the_same_token(opened):
    lost = opened.request("b", 2)
    opened.reconnect()
    opened.take()
    opened.answer(error={"code": "unavailable", "message": ""})
    assert opened.take() == [HangUp(polite=False), Changed(State.WAITING, "unavailable")]
    opened.pass_time(1.0)
    opened.connected(stream=True)
    assert opened.written[-1]["body"] == {"token": "t1", "nonce": ANY}
    opened.answer({"token": "t2", "uid": 7, "seq": 0, "resync": False, "repeats": True})
    assert (opened.written[-1]["id"], opened.written[-1]["cmd"]) == (lost, "b")


def test_a_push_that_is_repeated_after_a_cut_is_told_once(opened):
    opened.server(seq=1, cmd=2001, name="news", body="a")
    opened.server(seq=2, cmd=2001, name="news", body="b")
    opened.reconnect()
    opened.answer({"token": "t2"})
    for seq, body in [(1, "a"), (2, "b"), (3, "c")]:
        opened.server(seq=seq, cmd=2001, name="news", body=body)
    opened.server(cmd=2001, name="news", body="unnumbered")
    assert [event.push.body for event in opened.take() if isinstance(event, Pushed)] == ["a", "b", "c", "unnumbered"]


def test_pushes_are_acknowledged_with_whatever_is_sent_and_after_eight_by_themselves(opened):
    for seq in range(1, 8):
        opened.server(seq=seq, cmd=2001, name="news", body="")
    assert opened.written == []
    opened.server(seq=8, cmd=2001, name="news", body="")
    assert opened.written == [{"cmd": "ack", "body": None, "ack": 8}]
    opened.server(seq=9, cmd=2001, name="news", body="")
    opened.notify("move", 1)
    assert opened.written[-1]["ack"] == 9


def test_large_pushes_are_acknowledged_earlier(opened):
    opened.server(seq=1, cmd=2001, name="news", body="x" * 5000)
    assert opened.written == [{"cmd": "ack", "body": None, "ack": 1}]


def test_a_token_that_is_good_no_more_leads_to_a_login_and_what_was_sent_is_unknown(opened):
    sent = opened.request("a", 1)
    opened.server(seq=9, cmd=2001, name="news", body="")
    opened.lost("cut")
    waits = opened.request("b", 2)
    opened.pass_time(0.1)
    opened.take()
    opened.connected(stream=True)
    opened.answer(error={"code": "bad_token", "message": ""})
    failed, login = opened.take()
    assert (failed.id, failed.error.sent) == (sent, True)
    assert isinstance(failed.error, Disconnected)
    assert login == LoginNeeded(2)
    opened.request(1, "ann", attempt=2)
    assert "ack" not in opened.written[-1], "the numbers of the new session begin anew"
    opened.answer("welcome")
    opened.logged_in(2)
    opened.answer({"token": "t9"})
    assert opened.written[-1]["id"] == waits
    opened.server(seq=1, cmd=2001, name="news", body="first")
    assert Pushed in kinds(opened.take())


def test_a_login_that_was_overtaken_by_the_loss_of_its_line_says_nothing_any_more(driver):
    driver.start()
    driver.connected(stream=True)
    driver.request(1, "ann", attempt=1)
    driver.lost("cut")
    driver.pass_time(0.1)
    driver.connected(stream=True)
    driver.take()
    driver.login_failed(1, Disconnected("", sent=True))
    driver.logged_in(1)
    with pytest.raises(Disconnected):
        driver.request(1, "ann", attempt=1)
    assert driver.take() == []
    driver.logged_in(2)
    assert driver.written[-1]["cmd"] == "firefly.token"


@pytest.mark.parametrize("code", ["unavailable", "overloaded", "timeout", "rate_limited"])
def test_a_login_that_may_succeed_later_is_tried_again(driver, code):
    driver.start()
    driver.connected(stream=True)
    driver.login_failed(1, ServerError(code, ""))
    assert HangUp(polite=False) in driver.events
    assert driver.connection.state is State.WAITING


def test_a_login_that_is_refused_ends_the_client(driver):
    driver.start()
    driver.connected(stream=True)
    error = ServerError("bad_name", "")
    driver.login_failed(1, error)
    assert driver.take()[-2:] == [HangUp(polite=True), Changed(State.ENDED, "bad_name", error)]
    assert driver.connection.due is None
    driver.start()
    assert driver.connection.state is State.CONNECTING


def test_a_goodbye_ends_the_client_with_its_reason(opened):
    identity = opened.request("a", 1)
    opened.server(cmd="goodbye", body={"reason": "logged_in_elsewhere"})
    hang_up, failed, changed = opened.take()
    assert hang_up == HangUp(polite=True)
    assert (failed.id, failed.error.reason) == (identity, "logged_in_elsewhere")
    assert changed == Changed(State.ENDED, "logged_in_elsewhere")
    with pytest.raises(Ended) as caught:
        opened.request("a", 1)
    assert caught.value.reason == "logged_in_elsewhere"
    assert opened.connection.due is None


@pytest.mark.parametrize("reason", sorted(PASSING_REASONS))
def test_a_goodbye_that_will_pass_is_a_lost_line(opened, reason):
    opened.server(cmd="goodbye", body={"reason": reason})
    assert opened.take() == [HangUp(polite=False), Changed(State.WAITING, reason)]


def test_a_silent_line_is_asked_for_a_sign_of_life_and_then_given_up(opened):
    opened.pass_time(15)
    assert opened.written == [{"cmd": "ping", "body": None}]
    opened.server(cmd="pong")
    opened.pass_time(14)
    assert len(opened.written) == 1
    opened.pass_time(16)
    assert opened.take() == [HangUp(polite=False), Changed(State.WAITING, "timeout")]


def test_a_ping_is_answered(opened):
    opened.server(cmd="ping")
    assert opened.written[-1]["cmd"] == "pong"


def test_a_line_that_does_not_come_in_time_is_dialled_again(driver):
    driver.start()
    driver.take()
    driver.pass_time(5.2)
    assert kinds(driver.take()) == [HangUp, Changed, Changed, Dial]


def test_a_resume_without_an_answer_is_tried_again_on_another_line(opened):
    opened.reconnect()
    opened.take()
    opened.pass_time(10)
    assert opened.take()[:2] == [HangUp(polite=False), Changed(State.WAITING, "timeout")]
    opened.pass_time(1)
    opened.connected(stream=True)
    assert opened.written[-1]["body"] == {"token": "t1", "nonce": ANY}


@pytest.mark.parametrize("data", [b"\xff\n", b"[]\n", b"{}\n", b'{"cmd": []}\n', b"[" * 100_000 + b"\n"])
def test_what_is_not_of_the_format_ends_the_line(opened, data):
    opened.receive(data)
    assert opened.take() == [HangUp(polite=False), Changed(State.WAITING, "bad_message")]


def test_closing_says_goodbye_and_ends_everything(opened):
    identity = opened.request("a", 1)
    opened.lost("cut")
    opened.reconnect()
    opened.answer({"token": "t2"})
    opened.take()
    opened.close()
    assert opened.written[-1]["cmd"] == "goodbye"
    events = opened.take()
    assert kinds(events) == [HangUp, Failed, Changed]
    assert events[1].id == identity
    opened.close()
    assert opened.take() == []


def test_a_body_that_cannot_be_sent_is_refused_before_it_has_an_id(opened):
    for body in (float("nan"), {1, 2}, "x" * 70_000, "\ud800"):
        with pytest.raises((TypeError, ValueError)):
            opened.request("a", body)
    assert opened.written == []


def test_the_body_is_what_it_was_when_it_was_asked(opened):
    body = {"n": 1}
    opened.lost("cut")
    opened.request("a", body)
    body["n"] = 2
    opened.pass_time(0.1)
    opened.connected(stream=True)
    opened.answer({"token": "t2"})
    assert opened.written[-1]["body"] == {"n": 1}


def test_datapack_has_no_session_to_resume():
    connection = Connection(Datapack(), lambda: 0.5, login=True)
    connection.start(0.0)
    connection.connected(0.0, stream=True)
    connection.logged_in(1, 0.0)
    assert connection.state is State.OPEN
    identity = connection.request(203, {}, 0.0)
    connection.take_events()
    connection.lost("cut", 0.0)
    assert [event.id for event in connection.take_events() if isinstance(event, Failed)] == [identity]
