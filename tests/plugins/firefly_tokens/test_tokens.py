"""Players who log in by a signed token."""

import gevent
import pytest
from firefly_tokens import sign

from firefly_core import command
from firefly_core.errors import ConfigurationError, RemoteError
from firefly_core.testing import InProcessCluster, ServiceContract, virtual_time

SECRET = "a secret of the website"
TOML = """
[firefly]
plugins = ["gate", "protocols", "tokens"]
[servers.gate.gate]
listen = { url = "tcp://127.0.0.1:11010", protocol = "json" }
[servers.gate.tokens]
secrets = ["${GAME_TOKENS}"]
lifetime = 3600.0
"""


@command(1)
def who(ctx):
    return ctx.uid


class TestTokens(ServiceContract):
    service = "tokens"
    declaration = TOML.replace("${GAME_TOKENS}", SECRET)


@pytest.fixture
def cluster():
    environ = {"GAME_TOKENS": SECRET}
    with virtual_time(seed=1), InProcessCluster(TOML, handlers={"gate": [who]}, environ=environ) as cluster:
        cluster.start()
        yield cluster


def code_of(client, body):
    with pytest.raises(RemoteError) as caught:
        client.request("firefly.login", body)
    return caught.value.code


def test_who_bears_a_token_is_logged_in(cluster):
    token = sign("ada", SECRET, expires=cluster.clock("gate").time() + 60)
    client = cluster.connect()
    assert client.request("firefly.login", {"token": token}) == {"uid": "ada"}
    assert client.request("who") == "ada"
    gevent.sleep(61)
    assert code_of(cluster.connect(), {"token": token}) == "login_failed"
    assert client.request("who") == "ada", "he stays who he is"
    assert cluster.kernel("gate").services["tokens"].statistics() == {"accepted_total": 1, "refused_total": 1}


@pytest.mark.parametrize("body", [{}, {"token": 7}, {"name": "ada"}, "token", None])
def test_other_credentials_are_left_to_other_plugins(cluster, body):
    assert code_of(cluster.connect(), body) == "login_failed"
    assert cluster.kernel("gate").services["tokens"].statistics() == {"accepted_total": 0, "refused_total": 0}


def test_without_the_service_the_plugin_knows_nobody():
    toml = TOML.partition("[servers.gate.tokens]")[0]
    with virtual_time(seed=1), InProcessCluster(toml, handlers={"gate": [who]}) as cluster:
        cluster.start()
        token = sign("ada", SECRET, expires=cluster.clock("gate").time() + 60)
        assert code_of(cluster.connect(), {"token": token}) == "login_failed"


def test_a_configuration_that_lets_nobody_in_is_refused_and_no_secret_is_shown():
    bad = TOML.replace('["${GAME_TOKENS}"]', "[]") + '[servers.other.tokens]\nsecrets = ["too short"]\n'
    with pytest.raises(ConfigurationError) as caught:
        InProcessCluster(bad)
    said = str(caught.value)
    assert "a secret of 16 to 1024 printable characters" in said
    assert "too short" not in said
    with pytest.raises(ConfigurationError, match="a list of at least 1"):
        InProcessCluster(TOML.replace('["${GAME_TOKENS}"]', "[]"))
    elsewhere = TOML + '[servers.other.tokens]\nsecrets = ["${GAME_TOKENS}"]\n'
    with pytest.raises(ConfigurationError, match="no gate"):
        InProcessCluster(elsewhere, environ={"GAME_TOKENS": SECRET})
