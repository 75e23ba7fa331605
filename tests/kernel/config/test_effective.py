import pytest

from firefly_core.kernel.config.cluster import load
from firefly_core.kernel.config.effective import effective
from firefly_core.kernel.config.toml_file import dumps

CANARY = "canary-canary-canary"


def shown(path, environ=(), overrides=()):
    return effective(load(path, dict(environ), overrides))


def test_every_key_has_its_value_or_its_default(game):
    assert shown(game()) == {
        "firefly": {
            "name": "meadow",
            "plugins": ["kit"],
            "log": "text",
            "log_level": "info",
            "log_size": 52428800,
            "log_files": 10,
            "drain_timeout": 15.0,
            "slow_hub": 0.1,
            "var": "var",
            "give_up": "5/min",
            "channel": {
                "frame": 1048576,
                "outbox_frames": 4096,
                "outbox_bytes": 8388608,
                "send_timeout": 5.0,
                "pending": 16384,
                "inflight": 256,
                "cancels": 512,
                "cancel_window": 10.0,
                "timeout": 10.0,
                "hello_timeout": 5.0,
                "ping_after": 5.0,
                "dead_after": 10.0,
                "stranger_idle": 60.0,
                "connect_timeout": 3.0,
                "longest_delay": 5.0,
            },
        },
        "servers": {
            "gate": {
                "replicas": 1,
                "handlers": [],
                "critical": False,
                "reload": [],
                "cpus": [],
                "stable": [],
                "door": {
                    "listen": [
                        {
                            "url": "tcp://127.0.0.1:11009",
                            "header": [1, 2],
                            "protocol": "line",
                            "codec": "json",
                            "origins": [],
                        },
                        {
                            "url": "ws://127.0.0.1:11010/",
                            "origins": ["http://127.0.0.1:8000"],
                            "protocol": "line",
                            "codec": "json",
                            "header": [0, 0],
                        },
                    ],
                    "allowed": "30/s",
                    "max_frame": 65536,
                    "login_timeout": 15.0,
                    "open": False,
                    "share": 0.5,
                },
                "mesh": {"listen": "tcp://127.0.0.1:10000", "roots": []},
            },
            "world": {
                "replicas": 1,
                "handlers": [],
                "critical": False,
                "reload": [],
                "cpus": [],
                "stable": [],
                "mesh": {"roots": ["gate"]},
                "store": {
                    "database": "sqlite:///var/meadow.db",
                    "cache": "memory://",
                    "durability": "journal",
                    "journal": "var/journal",
                    "labels": {},
                },
            },
        },
    }


def test_what_stands_above_the_file_is_shown(game):
    made = shown(game(), {"FIREFLY_NAME": "other"}, ["servers.gate.door.max_frame=2048"])
    assert made["firefly"]["name"] == "other"
    assert made["servers"]["gate"]["door"]["max_frame"] == 2048


@pytest.mark.parametrize("replicas", ["2", '"cores"'])
def test_shown_configuration_read_again_is_the_same(game, replicas):
    path = game(changes={"[servers.gate]": f"[servers.gate]\nreplicas = {replicas}"})
    before = load(path, {})
    again = path.with_name("again.toml")
    again.write_text(dumps(effective(before)))
    after = load(again, {})
    assert after.firefly == before.firefly
    for name, server in before.servers.items():
        assert after.servers[name].replicas == server.replicas
        assert str(dict(after.servers[name].services)) == str(dict(server.services)) or name == "gate"
    assert effective(after) == effective(before)


def test_secrets_are_hidden_and_names_of_the_environment_stay(game):
    changes = {'var/meadow.db"': 'x.db"\ntoken = "${TOKEN}"', 'name = "meadow"': 'name = "${NAME}"'}
    path = game(changes=changes)
    made = shown(path, {"TOKEN": CANARY, "NAME": "canary", "FIREFLY_SECRET": CANARY})
    assert "canary" not in dumps(made)
    assert made["firefly"]["name"] == "${NAME}"
    assert made["firefly"]["secret"] == "***"
    assert made["servers"]["world"]["store"]["token"] == "${TOKEN}"
