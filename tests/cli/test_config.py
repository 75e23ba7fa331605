import tomllib

import pytest
from click.testing import CliRunner

from firefly_core.cli.config import config
from firefly_core.cli.invocation import Invocation
from firefly_core.kernel.config.cluster import load
from firefly_core.kernel.config.effective import effective

CANARY = "canary-canary-canary"


def run(path, *arguments, overrides=(), **environ):
    return CliRunner(env=environ).invoke(config, list(arguments), obj=Invocation(path, tuple(overrides)))


def test_effective_configuration_is_printed_as_toml(game):
    path = game()
    done = run(path, FIREFLY_NAME="other")
    assert (done.exit_code, done.stderr) == (0, "")
    assert tomllib.loads(done.stdout) == effective(load(path, {"FIREFLY_NAME": "other"}))


def test_flags_count_too(game):
    done = run(game(), overrides=["firefly.drain_timeout=3"])
    assert tomllib.loads(done.stdout)["firefly"]["drain_timeout"] == 3


def test_secrets_are_not_printed(game):
    path = game(changes={'var/meadow.db"': 'x.db"\ntoken = "${TOKEN}"'})
    done = run(path, TOKEN=CANARY, FIREFLY_SECRET=CANARY)
    assert done.exit_code == 0
    assert "canary" not in done.output
    assert 'token = "${TOKEN}"' in done.stdout


def test_broken_file_has_no_effective_configuration(game):
    done = run(game(changes={'"meadow"': "5"}))
    assert (done.exit_code, done.stdout) == (78, "")


def test_key_is_set_and_everything_else_stays(game):
    path = game(changes={'"meadow"': '"meadow"  # its name'})
    before = path.read_text()
    done = run(path, "set", "firefly.name", "glade")
    assert (done.exit_code, done.stdout) == (0, f"{path}: firefly.name is set\n")
    assert path.read_text() == before.replace('"meadow"', '"glade"')


@pytest.mark.parametrize(
    ("key", "value", "means"),
    [
        ("servers.gate.door.max_frame", "2048", 2048),
        ("servers.gate.door.allowed", "60/s", "60/s"),
        ("servers.gate.door.open", "true", True),
        ("servers.gate.door.listen", '["tcp://127.0.0.1:1"]', ["tcp://127.0.0.1:1"]),
        ("servers.gate.critical", "true", True),
        ("servers.gate.door.share", "0.25", 0.25),
        ("servers.world.store.labels.a-b", '"15"', "15"),
    ],
)
def test_value_is_toml_or_a_text(game, key, value, means):
    path = game()
    done = run(path, "set", key, value)
    assert done.exit_code == 0, done.output
    found = tomllib.loads(path.read_text())
    for part in key.split("."):
        found = found[part]
    assert found == means


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("servers.gate.door.max_frame", "true", "servers.gate.door.max_frame: got true; needs a size"),
        ("servers.gate.door.max_fram", "2048", 'did you mean "max_frame"?'),
        ("servers.gate.door.listen", "tcp://127.0.0.1:10000", "needs a port of its own"),
        ("servers.world.store", "5", "cannot be set without changing other lines"),
        ("firefly.name.x", "5", "firefly.name: is no table"),
        ("a b", "5", "is not a key"),
        ("servers.gate.door.share", "-1", "got -1; needs a number from 0 to 1"),
        ("firefly.plugins", '["gone"]', "plugin 'gone': is not installed"),
    ],
)
def test_change_that_makes_a_problem_is_refused_and_the_file_is_as_it_was(game, key, value, said):
    path = game()
    before = path.read_bytes()
    done = run(path, "set", key, value)
    assert done.exit_code == 78
    assert said in done.stderr
    assert path.read_bytes() == before


def test_broken_file_can_be_mended_key_by_key(game):
    path = game(changes={'"meadow"': "5", "sqlite:": "sqlit:"})
    assert run(path, "set", "firefly.name", "glade").exit_code == 0
    assert run(path, "set", "servers.world.store.database", "sqlite:///x.db").exit_code == 0
    assert load(path, {}).name == "glade"


def test_value_that_is_a_secret_is_not_printed(game):
    path = game()
    done = run(path, "set", "firefly.secret", CANARY)
    assert done.exit_code == 0
    assert CANARY not in done.output
    assert load(path, {}).firefly.secret == CANARY
    refused = run(path, "set", "firefly.secret", "canary")
    assert refused.exit_code == 78
    assert "canary" not in refused.output


def test_file_that_cannot_be_written_is_said(game, monkeypatch):
    path = game()
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError(30, "Read-only file system")))
    done = run(path, "set", "firefly.name", "glade")
    assert done.exit_code == 78
    assert done.stderr == f"{path}: cannot be written: Read-only file system\n"


def test_missing_argument_is_a_usage_error(game):
    assert run(game(), "set", "firefly.name").exit_code == 2
