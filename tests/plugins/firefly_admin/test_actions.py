"""What operators do is done everywhere, told in the log, and survives restarts."""

from __future__ import annotations

import gevent
import pytest

from firefly_core.errors import RemoteError, Unavailable


class Supervisor:
    """What stands for the pipe to a supervisor: it notes what it is asked."""

    def __init__(self):
        self.asked = []
        self.answer = {"accepted": True}

    def ask(self, what, *, timeout=5.0, **values):
        if what == "status":
            return {"supervisor": {"state": "ready"}, "processes": []}
        self.asked.append((what, values))
        if isinstance(self.answer, Exception):
            raise self.answer
        if callable(self.answer):
            return self.answer()
        return self.answer


@pytest.fixture
def supervisor(desk):
    made = Supervisor()
    desk.cluster.kernel("admin").supervisor = made
    return made


def lines(caplog):
    return [(record.getMessage(), record.firefly) for record in caplog.records if record.name.endswith(".audit")]


# -------------------------------------------------------------------------------------------------------- sessions


def test_a_player_is_kicked_by_uid_and_told_why(desk, caplog):
    caplog.set_level("INFO")
    ada, bob = desk.enter("ada", scheme="ws"), desk.enter("bob")
    answer = desk.act("kick", {"uid": "ada", "reason": "a longer break"})
    assert (answer.status, answer.json) == (200, {"kicked": 1})
    ada.wait_closed()
    assert ada.goodbye == "a longer break"
    assert bob.request("echo", 1) == 1
    (line,) = lines(caplog)
    assert line[0] == "kick was done: {'kicked': 1}"
    assert line[1] == {
        "action": "kick",
        "by": "127.0.0.1",
        "order": '{"session":null,"uid":"ada","reason":"a longer break"}',
    }


def test_a_session_is_kicked_by_its_id_logged_in_or_not(desk):
    desk.cluster.connect()
    desk.wait(lambda: desk.get("/api/sessions").json["total"] == 1, "one session")
    (session,) = desk.get("/api/sessions").json["sessions"]
    assert session["uid"] is None
    assert desk.act("kick", {"session": session["id"]}).json == {"kicked": 1}
    desk.wait(lambda: desk.get("/api/sessions").json["total"] == 0, "nobody")
    assert desk.act("kick", {"session": session["id"]}).status == 404


def test_a_uid_that_is_a_number_is_found_by_its_text(make_desk):
    from firefly_core import command

    @command(1, public=True)
    def login(ctx, uid: int) -> int:
        ctx.session.bind(uid)
        return uid

    desk = make_desk(handlers={"world": [login]})
    desk.cluster.connect().request("login", 7)
    assert desk.act("kick", {"uid": "8"}).status == 404
    assert desk.act("kick", {"uid": "7"}).json == {"kicked": 1}


def test_a_notice_reaches_everybody_a_group_or_a_player(desk):
    ada, bob = desk.enter("ada"), desk.enter("bob")
    stranger = desk.cluster.connect()
    assert desk.act("notice", {"text": "at nine we rest"}).json == {"told": 2}
    assert ada.wait_push("notice") == bob.wait_push("notice") == {"text": "at nine we rest"}
    assert desk.act("notice", {"text": "to ada", "uid": "ada"}).json == {"told": 1}
    assert ada.wait_push("notice") == {"text": "to ada"}
    assert desk.act("notice", {"text": "to all of the meadow", "group": "meadow"}).json == {"told": 2}
    assert desk.act("notice", {"text": "to nobody", "group": "elsewhere"}).json == {"told": 0}
    assert bob.request("echo", 1) == 1
    assert stranger.pushes == []
    for text in ["", "  ", "x" * 1001]:
        assert desk.act("notice", {"text": text}).status == 400


# -------------------------------------------------------------------------------------------------------- switches


def code_of(client, command):
    try:
        client.request(command)
    except RemoteError as error:
        return error.code
    return "ok"


def test_a_command_is_switched_off_and_on_by_name_or_id_on_every_server(desk, caplog):
    ada = desk.enter("ada")
    assert desk.act("disable", {"command": "echo"}).json == {
        "kind": "command",
        "name": "echo",
        "off": True,
        "servers": ["admin-1", "gate-1", "world-1"],
    }
    with pytest.raises(RemoteError) as refused:
        ada.request("echo", 1)
    assert refused.value.code == "disabled"
    assert ada.request("ask", 2) == 4
    desk.look()
    (row,) = [each for each in desk.get("/api/commands").json["handlers"] if each["name"] == "echo"]
    assert row["off"] == ["world-1"]
    assert row["errors"] == {"disabled": 1}
    assert desk.act("enable", {"command": 2}).json["name"] == "echo"
    assert ada.request("echo", 1) == 1
    assert "command echo is switched off" in caplog.text


def test_a_remote_is_switched_off_for_its_callers(desk):
    ada = desk.enter("ada")
    assert desk.act("disable", {"remote": "double"}).json["kind"] == "remote"
    with pytest.raises(RemoteError):
        ada.request("ask", 2)
    assert desk.act("enable", {"remote": "double"}).status == 200
    assert ada.request("ask", 2) == 4


@pytest.mark.parametrize("order", [{}, {"command": "echo", "remote": "double"}, {"command": True}, {"command": 1.5}])
def test_what_names_nothing_or_two_things_is_refused(desk, order):
    assert desk.act("disable", order).status == 400


@pytest.mark.parametrize("order", [{"command": "never"}, {"command": 999}, {"remote": "never"}, {"remote": "echo"}])
def test_what_nobody_has_cannot_be_switched_off(desk, order):
    assert desk.act("disable", order).status == 404
    assert desk.admin.switches.off == frozenset()


def test_what_is_off_stays_off_over_the_restart_of_its_server_and_of_the_admin(desk):
    ada = desk.enter("ada")
    desk.act("disable", {"command": "refuse"})
    desk.cluster.restart("world")
    desk.wait(lambda: code_of(ada, "refuse") == "disabled", "the new world knows")
    desk.cluster.restart("admin")
    desk.wait(lambda: desk.admin.survey.views["world-1"].up, "the new admin looks")
    assert code_of(ada, "refuse") == "disabled"
    assert desk.act("enable", {"command": "refuse"}).status == 200
    assert code_of(ada, "refuse") == "too_far"


def test_a_server_that_has_forgotten_is_told_again(desk):
    """As on another host, which does not have the file."""
    ada = desk.enter("ada")
    desk.act("disable", {"command": "refuse"})
    desk.cluster.kernel("world").inspection.verbs["switch"]([])
    assert code_of(ada, "refuse") == "too_far"
    desk.look()
    assert code_of(ada, "refuse") == "disabled"


# ------------------------------------------------------------------------------------------------------ supervisor


@pytest.mark.parametrize(
    ("action", "order", "asked"),
    [
        ("reload", {}, ("reload", {})),
        (
            "reload",
            {"process": "world", "dry_run": True, "force": True},
            ("reload", {"name": "world", "dry_run": True, "force": True}),
        ),
        ("drain", {"process": "world-1"}, ("drain", {"name": "world-1"})),
        ("restart", {"process": "world"}, ("restart", {"name": "world"})),
        ("stop", {"process": "world-1", "now": True}, ("stop", {"name": "world-1", "now": True})),
        ("stop", {"everything": True}, ("stop", {})),
    ],
)
def test_what_the_supervisor_does_is_asked_of_it(desk, supervisor, action, order, asked, caplog):
    caplog.set_level("INFO")
    answer = desk.act(action, order)
    assert (answer.status, answer.json) == (200, {"supervisor": {"accepted": True}})
    assert supervisor.asked == [asked]
    assert lines(caplog)[0][1]["action"] == action


@pytest.mark.parametrize(
    ("action", "order", "status"),
    [
        ("stop", {}, 400),
        ("stop", {"process": "world-1", "everything": True}, 400),
        ("drain", {}, 400),
        ("drain", {"process": ""}, 404),
        ("drain", {"process": "world-2"}, 404),
        ("restart", {"process": "../x"}, 404),
        ("restart", {"process": ["world-1"]}, 400),
        ("reload", {"dry_run": "yes"}, 400),
    ],
)
def test_an_order_that_means_nothing_never_reaches_the_supervisor(desk, supervisor, action, order, status):
    assert desk.act(action, order).status == status
    assert supervisor.asked == []


def test_what_the_supervisor_refuses_is_told(desk, supervisor, caplog):
    supervisor.answer = RemoteError("refused", "busy with a reload")
    answer = desk.act("restart", {"process": "world-1"})
    assert (answer.status, answer.json["error"]) == (409, {"code": "refused", "message": "busy with a reload"})
    supervisor.answer = Unavailable("the supervisor is gone")
    assert desk.act("restart", {"process": "world-1"}).status == 503
    assert "restart was not done" in caplog.text


def test_one_at_a_time_the_others_are_told_to_wait(desk, supervisor):
    supervisor.answer = lambda: gevent.sleep(0.5)
    jobs = [gevent.spawn(desk.act, "reload") for _ in range(5)]
    gevent.joinall(jobs)
    assert sorted(job.value.status for job in jobs) == [200, 409, 409, 409, 409]
    assert len(supervisor.asked) == 1
    assert desk.act("reload").status == 200


def test_without_a_supervisor_it_is_said(desk):
    answer = desk.act("reload")
    assert answer.status == 503
    assert "no supervisor" in answer.json["error"]["message"]
