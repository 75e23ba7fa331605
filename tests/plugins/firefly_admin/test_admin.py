"""The service: its contract, its start, what it refuses to be, and what it never tells."""

from __future__ import annotations

import json
import logging
import os
import socket
import stat
import tomllib
from pathlib import Path
from urllib.parse import urlsplit

import gevent
import pytest

from firefly_core.errors import ConfigurationError
from firefly_core.kernel.config.cluster import load
from firefly_core.testing.service_contract import ServiceContract

ROOT = Path(__file__).parents[3]
CANARY = "canary-0123456789abcdef0123456789abcdef"

ALONE = """
[firefly]
plugins = ["gate", "root", "protocols", "admin"]
[servers.gate.gate]
listen = {{ url = "tcp://127.0.0.1:11009", protocol = "json" }}
[servers.gate.root]
listen = "tcp://127.0.0.1:10000"
[servers.admin.admin]
{keys}
"""


class TestAdminKeepsTheContract(ServiceContract):
    service = "admin"
    declaration = ALONE.format(keys='listen = "http://127.0.0.1:0"')


def problems(tmp_path, keys, more="", environ=None):
    (tmp_path / "firefly.toml").write_text(ALONE.format(keys=keys) + more)
    try:
        load(tmp_path / "firefly.toml", environ or {})
    except ConfigurationError as error:
        return "\n".join(error.problems)
    return ""


# ------------------------------------------------------------------------------------------------------ declaration


def test_a_right_declaration_has_no_problem(tmp_path):
    assert problems(tmp_path, 'listen = "http://127.0.0.1:9998"') == ""
    assert problems(tmp_path, 'listen = "http://[::1]:9998"\nroots = ["gate"]') == ""
    keys = 'listen = "http://0.0.0.0:9998"\ntoken = "${ADMIN}"'
    assert problems(tmp_path, keys, environ={"ADMIN": CANARY}) == ""


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "[::]", "admin.example"])
def test_off_loopback_it_needs_a_token_of_its_own(tmp_path, host):
    said = problems(tmp_path, f'listen = ["http://127.0.0.1:9997", "http://{host}:9998"]')
    assert "servers.admin.admin.token" in said
    assert "off loopback" in said


@pytest.mark.parametrize(
    ("keys", "key"),
    [
        ('listen = "http://127.0.0.1:9998"\ntoken = "too short"', "token"),
        ('listen = "http://127.0.0.1:9998"\ntoken = "${NOT_SET}"', "token"),
        ('listen = "tcp://127.0.0.1:9998"', "listen"),
        ('listen = "http://127.0.0.1:9998"\nroots = ["admin"]', "roots"),
        ('listen = "http://127.0.0.1:9998"\nroots = ["nowhere"]', "roots"),
        ('listen = "http://127.0.0.1:9998"\ninterval = nan', "interval"),
        ('listen = "http://127.0.0.1:9998"\nbad_tokens = true', "bad_tokens"),
        ('listen = "http://127.0.0.1:9998"\ntokens = "x"', "tokens"),
    ],
)
def test_what_is_wrong_is_named_by_its_key(tmp_path, keys, key):
    assert f"servers.admin.admin.{key}" in problems(tmp_path, keys)


def test_there_is_one_admin_and_it_has_no_replicas(tmp_path):
    second = '[servers.other.admin]\nlisten = "http://127.0.0.1:9997"\n'
    assert "no second admin" in problems(tmp_path, 'listen = "http://127.0.0.1:9998"', second)
    (tmp_path / "firefly.toml").write_text(
        ALONE.format(keys='listen = "http://127.0.0.1:9998"').replace(
            "[servers.admin.admin]", "[servers.admin]\nreplicas = 2\n[servers.admin.admin]"
        )
    )
    with pytest.raises(ConfigurationError, match="replicas = 1"):
        load(tmp_path / "firefly.toml", {})


# ------------------------------------------------------------------------------------------------------------ start


def test_a_made_token_is_for_its_owner_only_and_opens_the_door(make_desk, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    desk = make_desk(token=None)
    path = tmp_path / "var" / "admin.token"
    token = path.read_text().strip()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert desk.ask("GET", "/api/topology", f"Authorization: Bearer {token}").status == 200
    assert f"the token is in {path}" in caplog.text
    assert token not in caplog.text


def test_an_address_that_is_taken_and_a_folder_that_cannot_be_written_are_problems_of_the_configuration(
    make_desk, tmp_path
):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError, match=r"servers\.admin\.admin\.listen"):
            make_desk(
                toml=ALONE.replace("{keys}", f'listen = "http://127.0.0.1:{port}"\n{{token}}\n{{keys}}'), handlers={}
            )
    (tmp_path / "var").mkdir(exist_ok=True)
    (tmp_path / "var" / "admin.token").unlink(missing_ok=True)
    (tmp_path / "var" / "admin.token").mkdir()
    with pytest.raises(ConfigurationError, match=r"servers\.admin\.admin\.token"):
        make_desk(token=None)


@pytest.mark.parametrize("path", ["firefly.toml", "firefly_core/cli/template/firefly.toml"])
def test_by_default_nothing_of_an_example_listens_off_loopback(path):
    text = (ROOT / path).read_text().replace("@NAME@", "game")

    def listens(table):
        for name, value in table.items():
            for item in value if isinstance(value, list) else [value]:
                url = item.get("url") if isinstance(item, dict) else item
                if name == "listen":
                    yield url
                elif isinstance(item, dict):
                    yield from listens(item)

    found = list(listens(tomllib.loads(text)))
    assert len(found) >= 3
    assert [url for url in found if urlsplit(url).hostname not in ("127.0.0.1", "localhost", "::1")] == []


def test_it_listens_on_loopback_only(desk):
    """As the kernel of the machine tells it."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    mine = [row[1] for row in rows if row[3] == "0A" and int(row[1].partition(":")[2], 16) == desk.port]
    assert mine == [f"0100007F:{desk.port:04X}"]


def test_an_admin_with_a_gate_of_its_own_sees_itself(make_desk):
    toml = """
[firefly]
plugins = ["gate", "root", "protocols", "admin"]
[servers.admin.gate]
listen = {{ url = "tcp://127.0.0.1:11009", protocol = "json" }}
[servers.admin.root]
listen = "tcp://127.0.0.1:10000"
[servers.admin.admin]
listen = "http://127.0.0.1:0"
{token}
{keys}
"""
    from firefly_core import command

    @command(1, public=True)
    def login(ctx, uid: str) -> str:
        ctx.session.bind(uid)
        return uid

    desk = make_desk(toml=toml, handlers={"admin": [login]})
    desk.cluster.connect().request("login", "ada")
    assert desk.get("/api/sessions").json["sessions"][0]["uid"] == "ada"
    assert desk.get("/api/topology").json["servers"][0]["state"] == "up"


# ---------------------------------------------------------------------------------------------------------- secrets


def test_a_secret_appears_in_no_answer_no_log_no_metric_and_no_error(make_desk, tmp_path, caplog, monkeypatch):
    caplog.set_level(logging.DEBUG)
    desk = make_desk(token=CANARY)
    desk.enter("ada")
    bearer = f"Authorization: Bearer {CANARY}"
    answers = []
    for path in [
        "/",
        "/healthz",
        "/readyz",
        "/metrics",
        *(
            f"/api/{name}"
            for name in ["topology", "history", "sessions", "commands", "describe", "groups", "db", "logs", "nothing"]
        ),
    ]:
        answers += [desk.ask("GET", path, bearer), desk.ask("GET", f"{path}?token={CANARY}")]
    for action in ["reload", "drain", "stop", "restart", "kick", "notice", "disable", "enable", "retry", "drop"]:
        lines = [bearer, "Content-Type: application/json", "X-Firefly-Admin: 1"]
        for body in [b"{}", b"[", json.dumps({"uid": "ada"}).encode(), json.dumps({"command": "echo"}).encode()]:
            answers.append(desk.ask("POST", f"/api/{action}", *lines, body=body))
    monkeypatch.setattr(desk.admin.panorama, "_survey", None)
    answers.append(desk.ask("GET", "/api/topology", bearer))
    assert {answer.status for answer in answers} >= {200, 400, 401, 404, 500, 503}
    for answer in answers:
        assert CANARY.encode() not in answer.body
        assert all(CANARY not in value for value in answer.headers.values())
    assert CANARY not in caplog.text
    assert all(CANARY not in str(vars(record)) for record in caplog.records)
    assert CANARY not in repr(desk.admin.config)
    assert CANARY not in repr(desk.cluster.declared)
    assert CANARY not in Path(f"/proc/{os.getpid()}/cmdline").read_text()
    kept = [file for file in tmp_path.rglob("*") if file.is_file() and CANARY in file.read_text(errors="replace")]
    assert [file.name for file in kept] in ([], ["firefly.toml"])


# ------------------------------------------------------------------------------------------------------- slow clients


def test_slow_clients_do_not_slow_the_game_down(make_desk):
    desk = make_desk()
    ada = desk.enter("ada")
    drips = []
    for _ in range(150):
        client = socket.create_connection(("127.0.0.1", desk.port), timeout=10)
        client.sendall(b"GET /api/topology HTTP/1.1\r\nHost: local")
        drips.append(client)
    for number in range(50):
        assert ada.request("echo", number) == number
    statistics = desk.admin.statistics()
    assert statistics["connections"] <= 128
    assert statistics["turned_away_total"] >= 22
    with gevent.Timeout(15, AssertionError("slow clients stay")):
        while desk.admin.statistics()["connections"]:
            gevent.sleep(0.1)
    assert desk.get("/api/topology").status == 200
    for client in drips:
        client.close()
