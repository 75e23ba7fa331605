"""What the API answers: logs, sessions, groups and descriptions of all servers together."""

from __future__ import annotations


def test_logs_of_every_server_come_together_and_go_on_where_they_ended(desk):
    desk.cluster.kernel("world").log.warning("the world says so", extra={"firefly": {"uid": "ada"}})
    desk.cluster.kernel("gate").log.warning("the gate says so")
    answer = desk.get("/api/logs?q=says&level=warning").json
    assert [(line["server"], line["event"]) for line in answer["lines"]] == [
        ("world-1", "the world says so"),
        ("gate-1", "the gate says so"),
    ]
    assert answer["lines"][0]["fields"] == {"uid": "ada"}
    after = "&".join(f"after.{name}={number}" for name, number in answer["last"].items())
    desk.cluster.kernel("world").log.warning("and says so again")
    assert [line["event"] for line in desk.get(f"/api/logs?q=says&{after}").json["lines"]] == ["and says so again"]
    assert [line["event"] for line in desk.get("/api/logs?q=says&server=gate").json["lines"]] == ["the gate says so"]


def test_sessions_are_found_and_paged(desk):
    for number in range(5):
        desk.enter(f"player{number}")
    desk.cluster.connect()
    desk.wait(lambda: desk.get("/api/sessions").json["total"] == 6, "six")
    assert desk.get("/api/sessions?q=PLAYER3").json["sessions"][0]["uid"] == "player3"
    assert desk.get("/api/sessions?q=meadow").json["total"] == 5
    assert desk.get("/api/sessions?q=nobody").json == {"total": 0, "sessions": []}
    first = desk.get("/api/sessions?limit=4").json
    rest = desk.get("/api/sessions?limit=4&offset=4").json
    assert (first["total"], len(first["sessions"]), len(rest["sessions"])) == (6, 4, 2)
    assert len({session["id"] for session in first["sessions"] + rest["sessions"]}) == 6
    (session,) = desk.get("/api/sessions?q=player0").json["sessions"]
    assert session["gate"] == "gate-1"
    assert session["groups"] == ["meadow"]
    assert session["protocol"] == "json"


def test_groups_are_told_with_their_members(desk):
    assert desk.get("/api/groups").json == {"groups": []}
    desk.enter("ada")
    desk.enter("bob")
    assert desk.get("/api/groups").json == {"groups": [{"name": "meadow", "members": 2, "gates": {"gate-1": 2}}]}


def test_a_session_that_leaves_is_gone_from_the_roster(desk):
    ada = desk.enter("ada")
    ada.close()
    desk.wait(lambda: desk.get("/api/sessions").json["total"] == 0, "nobody")


def test_what_may_be_sent_is_described_with_its_schema(desk):
    told = desk.get("/api/describe").json
    (login,) = [each for each in told["commands"] if each["name"] == "login"]
    assert (login["id"], login["public"], login["help"], login["servers"]) == (1, True, "Come in.", ["world-1"])
    assert login["schema"]["$defs"]["Login"]["required"] == ["uid"]
    assert [each["name"] for each in told["remotes"]] == ["double"]
    assert told["pushes"] == [{"id": 2001, "name": "caught", "policy": "reliable", "servers": ["world-1"]}]
    assert [(door["url"], door["protocol"]) for door in told["doors"]] == [
        ("tcp://127.0.0.1:11009", "json"),
        ("ws://127.0.0.1:11010/", "json"),
    ]


def test_without_a_db_cache_there_is_nothing_to_tell_of_one(desk):
    assert desk.get("/api/db").json == {"servers": {}, "letters": []}


def test_a_crash_is_told_for_ten_minutes_although_the_server_is_up_again(desk, supervisor):
    now = desk.cluster.kernel("admin").clock.time()
    supervisor.processes["world-1"].update(crashes=2, crash={"at": now - 30, "ending": "SIGSEGV"})
    supervisor.processes["gate-1"].update(crashes=1, crash={"at": now - 700, "ending": "exit 1"})
    desk.look()
    told = {server["name"]: server for server in desk.get("/api/topology").json["servers"]}
    assert told["world-1"]["state"] == "up"
    assert told["world-1"]["crash"].pop("ago") >= 30
    assert told["world-1"]["crash"] == {"ending": "SIGSEGV", "times": 2}
    assert told["gate-1"]["crash"] is None
