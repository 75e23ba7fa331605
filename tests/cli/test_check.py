import os
import resource
import subprocess
import sys

import pytest
from click.testing import CliRunner

from firefly_core.cli.check import check
from firefly_core.cli.invocation import Invocation

WORLD = "from firefly_core.kernel.handlers.marks import command\n@command(101)\ndef login(ctx):\n    return None\n"
CANARY = "canary-canary-canary"


def run(path, *overrides, **environ):
    return CliRunner(env=environ).invoke(check, obj=Invocation(path, overrides))


def test_file_without_problems_is_said_in_one_line(game):
    path = game(
        changes={"[servers.world.mesh]": '[servers.world]\nhandlers = ["world"]\n[servers.world.mesh]'}, world=WORLD
    )
    done = run(path)
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout == f"{path}: no problems: 2 servers, 2 processes, 1 plugin, 1 command\n"


def test_problems_are_all_that_is_printed_and_the_status_is_78(game):
    path = game(changes={'"meadow"': "5", "sqlite:": "sqlit:", 'roots = ["gate"]': "roots = 1"})
    done = run(path)
    assert done.exit_code == 78
    assert done.stdout == ""
    assert [line.split(": ")[1] for line in done.stderr.splitlines()] == [
        "firefly.name",
        "servers.world.mesh.roots",
        "servers.world.store.database",
    ]


def test_missing_file_is_78(tmp_path):
    done = run(tmp_path / "firefly.toml")
    assert (done.exit_code, done.stderr) == (78, f"{tmp_path}/firefly.toml: there is no such file\n")


def test_warnings_do_not_fail(game):
    done = run(game(changes={'name = "meadow"': f'secret = "{CANARY}"'}))
    assert done.exit_code == 0
    assert done.stderr.startswith("warning: ")
    assert "a secret stands in the file" in done.stderr
    assert CANARY not in done.output


def test_flags_and_environment_are_checked(game):
    path = game()
    assert run(path, "firefly.drain_timeout=nan").exit_code == 78
    assert run(path, FIREFLY_DRAIN_TIMEOUT="nan").exit_code == 78
    assert run(path, "firefly.drain_timeout=1", FIREFLY_DRAIN_TIMEOUT="nan").exit_code == 0


@pytest.mark.parametrize("broken", [False, True])
def test_secrets_are_in_no_output(game, broken):
    changes = {
        'name = "meadow"': f'secret = "{CANARY}"',
        "sqlite:///var/meadow.db": f"postgresql://me:{CANARY}@db{':x' if broken else ''}/game",
        "header = [1, 2]": f'password = "{CANARY if not broken else "canary"}"',
    }
    done = run(game(changes=changes), TOKEN=CANARY)
    assert done.exit_code == (78 if broken else 0)
    assert "canary" not in done.output


def cpu_of_children() -> float:
    """Give the seconds that processes have computed which have ended: no other process makes it more."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_whole_check_takes_a_second_and_starts_nothing(game, tmp_path):
    path = game(
        changes={"[servers.world.mesh]": '[servers.world]\nhandlers = ["world"]\n[servers.world.mesh]'}, world=WORLD
    )
    code = (
        "from gevent import monkey; monkey.patch_all()\n"
        "import sys; from pathlib import Path\n"
        "from firefly_core.cli.check import check; from firefly_core.cli.invocation import Invocation\n"
        "check([], obj=Invocation(Path(sys.argv[1])))\n"
    )
    paths = os.pathsep.join([str(tmp_path / "site"), *sys.path])
    before = cpu_of_children()
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert cpu_of_children() - before < 5, "five times the second that is promised"
    assert set(os.listdir(path.parent)) - {"__pycache__"} == {"firefly.toml", "world.py"}
