from click.testing import CliRunner

from firefly_core.cli.invocation import Invocation
from firefly_core.cli.main import main
from firefly_core.cli.plugins import plugins

CHEAP = """
from firefly_core.kernel.hookspecs import hookimpl
FIREFLY_API = 1
@hookimpl
def firefly_started(kernel):
    pass
"""


def run(path, *overrides, **environ):
    return CliRunner(env=environ).invoke(plugins, obj=Invocation(path, overrides))


def test_plugins_are_listed_in_call_order_with_what_they_offer(game, distribution):
    distribution("extra-things", {"extra": CHEAP}, plugins={"extra": "extra"})
    done = run(game(changes={'["kit"]': '["extra", "kit"]'}))
    assert done.exit_code == 0
    assert done.stdout.startswith(
        "extra  (extra-things 1.0)\n"
        "    hooks: firefly_started\n"
        "kit  (firefly-kit 1.0)\n"
        "    services: door, mesh, store\n"
        "    protocols: line\n"
        "    codecs: json, raw\n"
        "    hooks: firefly_codecs, firefly_protocols, firefly_services\n"
    )


def test_installed_plugins_that_are_not_used_are_listed_and_not_imported(game, distribution):
    distribution("extra-things", {"extra": "raise AssertionError"}, plugins={"extra": "extra"})
    done = run(game())
    assert "installed, not in firefly.plugins:\n" in done.stdout
    assert "    extra  (extra-things 1.0)\n" in done.stdout


def test_plugins_are_listed_whatever_else_is_wrong_in_the_file(game):
    done = run(game(changes={"sqlite:": "sqlit:", 'name = "meadow"': "name = 5"}))
    assert done.exit_code == 0
    assert done.stdout.startswith("kit  ")


def test_variable_above_the_file_counts(game, distribution):
    distribution("extra-things", {"extra": CHEAP}, plugins={"extra": "extra"})
    assert run(game(), FIREFLY_PLUGINS='["extra"]').stdout.startswith("extra  ")


def test_broken_plugins_are_all_named_with_78(game, distribution):
    distribution("extra-things", {"extra": "1 / 0"}, plugins={"extra": "extra"})
    path = game(changes={'["kit"]': '["extra", "gone"]'})
    done = run(path)
    assert (done.exit_code, done.stdout) == (78, "")
    first, second = done.stderr.splitlines()
    assert first.startswith(f"{path}: firefly.plugins: plugin 'gone': is not installed")
    assert second == (
        f"{path}: firefly.plugins: plugin 'extra' (extra-things 1.0): extra: raised ZeroDivisionError: division by zero"
    )


def test_a_word_that_may_be_a_broken_plugins_command_is_78_and_no_traceback(game, distribution):
    distribution("extra-things", {"extra": "1 / 0"}, plugins={"extra": "extra"})
    done = CliRunner().invoke(main, ["-c", str(game(changes={'["kit"]': '["extra"]'})), "dance"])
    assert (done.exit_code, done.stdout) == (78, "")
    assert done.stderr == "plugin 'extra' (extra-things 1.0): extra: raised ZeroDivisionError: division by zero\n"


def test_missing_file_is_78(tmp_path):
    assert run(tmp_path / "firefly.toml").exit_code == 78
