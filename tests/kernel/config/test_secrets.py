import os

import pytest

from firefly_core.errors import ConfigurationError
from firefly_core.kernel.config.cluster import load
from firefly_core.kernel.config.secrets import HIDDEN, mask

CANARY = "canary-canary-canary"


def loaded(path, environ=()):
    return load(path, dict(environ))


def masked(cluster):
    return mask(cluster.document, cluster.firefly, cluster.servers)


def test_secret_of_a_file_is_taken_without_its_line_break(game):
    path = game(changes={'name = "meadow"': 'secret_file = "s"'})
    (path.parent / "s").write_text(CANARY + "\n")
    (path.parent / "s").chmod(0o600)
    cluster = loaded(path)
    assert cluster.firefly.secret == CANARY
    assert cluster.warnings == ()
    assert masked(cluster)["firefly"]["secret_file"] == "s"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660, 0o610])
def test_secret_file_that_others_may_touch_is_refused(game, mode):
    path = game(changes={'name = "meadow"': 'secret_file = "s"'})
    (path.parent / "s").write_text(CANARY)
    (path.parent / "s").chmod(mode)
    with pytest.raises(ConfigurationError, match=rf"got mode {mode:o}; needs a file that only its owner may read"):
        loaded(path)


@pytest.mark.parametrize("content", [b"", b"short", b"\xff" * 20, b"a" * 5000])
def test_secret_file_that_holds_no_secret_is_refused_and_not_shown(game, content):
    path = game(changes={'name = "meadow"': 'secret_file = "s"'})
    (path.parent / "s").write_bytes(content)
    (path.parent / "s").chmod(0o600)
    with pytest.raises(ConfigurationError, match=r"got something else, not shown; needs a file that holds") as caught:
        loaded(path)
    assert "short" not in str(caught.value)


def test_secret_file_that_is_not_there_or_no_file_is_refused(game):
    path = game(changes={'name = "meadow"': 'secret_file = "s"'})
    with pytest.raises(ConfigurationError, match="No such file"):
        loaded(path)
    os.mkfifo(path.parent / "s", 0o600)
    with pytest.raises(ConfigurationError, match="only its owner may read"):
        loaded(path)


def test_secret_and_secret_file_together_are_refused(game):
    path = game(changes={'name = "meadow"': 'secret_file = "s"'})
    with pytest.raises(ConfigurationError, match="either secret or secret_file, not both"):
        loaded(path, {"FIREFLY_SECRET": CANARY})


def test_every_kind_of_secret_is_masked(game):
    path = game(
        changes={
            'name = "meadow"': f'secret = "{CANARY}"',
            'database = "sqlite:///var/meadow.db"': (
                f'database = "postgresql://me:{CANARY}@db:5432/game?sslmode={CANARY}"\ntoken = "${{TOKEN}}"'
            ),
            "header = [1, 2]": f'password = "{CANARY}"',
        }
    )
    cluster = loaded(path, {"TOKEN": CANARY})
    shown = masked(cluster)
    assert CANARY not in str(shown)
    assert shown["firefly"]["secret"] == HIDDEN
    assert shown["servers"]["world"]["store"] == {"database": "postgresql://me:***@db:5432/game", "token": "${TOKEN}"}
    assert shown["servers"]["gate"]["door"]["listen"][0]["password"] == HIDDEN
    assert CANARY in str(cluster.document.values)


def test_every_secret_in_clear_is_warned_about_and_no_other_one(game):
    path = game(
        changes={
            'name = "meadow"': f'secret = "{CANARY}"',
            'database = "sqlite:///var/meadow.db"': (
                f'database = "postgresql://me:{CANARY}@db/game"\ntoken = "${{TOKEN}}"'
            ),
            "header = [1, 2]": f'password = "{CANARY}"',
        }
    )
    warnings = loaded(path, {"TOKEN": CANARY}).warnings
    assert [warning.split(": ")[1] for warning in warnings] == [
        "firefly.secret",
        "servers.gate.door.listen[0].password",
        "servers.world.store.database",
    ]
    assert CANARY not in str(warnings)


def test_secret_from_the_environment_above_the_file_is_not_warned_about(game):
    path = game(changes={'name = "meadow"': f'secret = "{CANARY}"'})
    assert loaded(path, {"FIREFLY_SECRET": CANARY}).warnings == ()


def test_secret_of_a_listener_that_stands_alone_is_masked_too(game):
    path = game(
        changes={
            'listen = [\n  { url = "tcp://127.0.0.1:11009", header = [1, 2] },': "listen = [",
            '  { url = "ws://127.0.0.1:11010/", origins = ["http://127.0.0.1:8000"] },\n]': "]",
            "listen = [\n]": f'listen = {{ url = "tcp://127.0.0.1:1", password = "{CANARY}" }}',
        }
    )
    cluster = loaded(path)
    assert masked(cluster)["servers"]["gate"]["door"]["listen"] == {"url": "tcp://127.0.0.1:1", "password": HIDDEN}
    assert len(cluster.warnings) == 1
