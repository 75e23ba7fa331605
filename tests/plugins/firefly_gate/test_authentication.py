"""Logins that plugins decide, and what becomes of those who keep failing."""

import gevent
import pytest

from firefly_core import Refuse, command, hookimpl
from firefly_core.errors import RemoteError
from firefly_core.testing import InProcessCluster, virtual_time

TOML = """
[firefly]
plugins = ["gate", "protocols"]
[servers.gate.gate]
listen = [
  { url = "tcp://127.0.0.1:11010", protocol = "json" },
  { url = "tcp://127.0.0.1:11009", protocol = "datapack" },
]
login_command = 100
"""


class Passwords:
    """A plugin that knows some players, refuses one, and cannot tell about others."""

    @hookimpl
    def firefly_authenticate(self, credentials):
        if credentials.get("name") == "mallory":
            raise Refuse("banned", "not you")
        if credentials.get("name") == "bug":
            raise ZeroDivisionError
        return {"ada": 7, "tom": 8}.get(credentials.get("name")) if credentials.get("password") == "right" else None


@command(1)
def who(ctx):
    return ctx.uid


@command(2, public=True)
def own_login(ctx, password: str):
    if password != "right":
        raise Refuse("login_failed", "wrong")
    ctx.session.bind(9)


@pytest.fixture
def cluster():
    with virtual_time(seed=1), InProcessCluster(TOML, handlers={"gate": [who, own_login]}) as cluster:
        cluster.declared.plugins._manager.register(Passwords(), "passwords")
        cluster.start()
        yield cluster


def code_of(client, name, body=None):
    with pytest.raises(RemoteError) as caught:
        client.request(name, body)
    return caught.value.code


@pytest.mark.parametrize(("protocol", "login"), [("json", "firefly.login"), ("json", 100), ("datapack", 100)])
def test_a_plugin_says_who_it_is(cluster, protocol, login):
    client = cluster.connect(protocol=protocol)
    assert client.request(login, {"name": "ada", "password": "right"}) == {"uid": 7}
    assert client.request(1) == 7


def test_who_is_not_known_is_refused_and_may_try_again(cluster):
    client = cluster.connect(protocol="json")
    assert code_of(client, "firefly.login", {"name": "ada", "password": "wrong"}) == "login_failed"
    assert code_of(client, "firefly.login", {"name": "mallory"}) == "banned"
    assert code_of(client, "who") == "login_first"
    assert client.request("firefly.login", {"name": "tom", "password": "right"}) == {"uid": 8}


def test_a_plugin_that_fails_ends_that_command_and_nothing_else(cluster):
    client = cluster.connect(protocol="json")
    assert code_of(client, "firefly.login", {"name": "bug"}) == "internal"
    assert client.request("firefly.login", {"name": "tom", "password": "right"}) == {"uid": 8}


def test_five_failures_lock_the_account_for_a_minute_from_wherever(cluster):
    for number in range(5):
        client = cluster.connect(protocol="json", address=f"10.0.0.{number}")
        assert code_of(client, "firefly.login", {"name": "ada", "password": "wrong"}) == "login_failed"
    client = cluster.connect(protocol="json", address="10.0.0.9")
    assert code_of(client, "firefly.login", {"name": "ada", "password": "right"}) == "locked"
    assert cluster.connect(protocol="json").request("firefly.login", {"name": "tom", "password": "right"}) == {"uid": 8}
    gevent.sleep(61)
    client = cluster.connect(protocol="json", address="10.0.0.9")
    assert client.request("firefly.login", {"name": "ada", "password": "right"}) == {"uid": 7}


@pytest.mark.parametrize(("login", "body"), [("firefly.login", {"password": "wrong"}), ("own_login", "wrong")])
def test_ten_failures_lock_the_address_for_ten_minutes(cluster, login, body):
    client = cluster.connect(protocol="json", address="10.0.0.1")
    for _ in range(9):
        assert code_of(client, login, body) == "login_failed"
    client.ask(login, body)
    client.wait_closed()
    assert client.goodbye == "too_many_failures"
    locked = cluster.connect(protocol="json", address="10.0.0.1")
    locked.wait_closed()
    assert locked.goodbye == "locked"
    other = cluster.connect(protocol="json", address="10.0.0.2")
    assert other.request("firefly.login", {"name": "tom", "password": "right"}) == {"uid": 8}
    gevent.sleep(601)
    assert cluster.connect(protocol="json", address="10.0.0.1").request("own_login", "right") is None


def test_on_loopback_only_the_account_is_locked(cluster):
    client = cluster.connect(protocol="json")
    for _ in range(12):
        assert code_of(client, "own_login", "wrong") == "login_failed"
