import re
import sys
import time

import pytest

from firefly_core.errors import ConfigurationError
from firefly_core.kernel.config.cluster import load
from firefly_core.kernel.handlers.handler_check import check, import_modules
from firefly_core.kernel.reload import cut

WORLD = """\
from firefly_core.kernel.handlers.marks import command, remote

@command(101, public=True)
def login(ctx):
    return None

@remote("top")
def top(ctx):
    return []
"""


@pytest.fixture
def world(game):
    """Write a game whose server `world` has `handlers` and whose server `gate` has `gate_handlers`."""

    def write(handlers=("world",), gate_handlers=(), **modules):
        changes = {
            "[servers.world.mesh]": f"[servers.world]\nhandlers = {list(handlers)}\n[servers.world.mesh]",
            "[servers.gate]": f"[servers.gate]\nhandlers = {list(gate_handlers)}",
        }
        return game(changes=changes, **modules)

    return write


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(cut.cut, "__kwdefaults__", {**cut.cut.__kwdefaults__, "limit": 0.2})


def problems_of(path):
    with pytest.raises(ConfigurationError) as caught:
        check(path, {})
    at_handlers = re.compile(rf"{re.escape(str(path))}:\d+: (?=servers\.world\.handlers)")
    problems = [at_handlers.sub("", problem) for problem in caught.value.problems]
    assert not any("Traceback" in problem or "\n" in problem for problem in problems)
    return problems


def test_handlers_of_every_server_are_collected(world):
    checked = check(
        world(world=WORLD, gate_handlers=["doorman"], doorman=WORLD.replace("101", "102").replace("login", "enter")), {}
    )
    assert list(checked.handlers["world"].commands) == [101]
    assert list(checked.handlers["gate"].commands) == [102]
    assert checked.cluster.name == "meadow"


def test_modules_are_found_beside_the_file_whatever_the_folder(world, monkeypatch, tmp_path):
    path = world(world=WORLD)
    monkeypatch.chdir("/")
    assert check(path, {}).handlers["world"].remotes["top"].name == "top"


def test_one_module_on_two_servers_is_fine(world):
    checked = check(world(gate_handlers=["world"], world=WORLD), {})
    assert list(checked.handlers["gate"].commands) == list(checked.handlers["world"].commands)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("raise SystemExit(0)", "module 'world': cannot be imported: raised SystemExit: 0"),
        ("1 / 0", "module 'world': cannot be imported: raised ZeroDivisionError: division by zero"),
        (
            "import gone_module",
            "module 'world': cannot be imported: raised ModuleNotFoundError: No module named 'gone_module'",
        ),
        ("def (", "module 'world': cannot be imported: raised SyntaxError: invalid syntax (/"),
        ("\x00", "module 'world': cannot be imported: raised "),
        ("raise KeyError('\\n\\x1b[2J')", "module 'world': cannot be imported: raised KeyError"),
    ],
)
def test_module_that_cannot_be_imported_is_named(world, source, said):
    (problem,) = problems_of(world(world=source))
    assert problem.startswith(f"servers.world.handlers: {said}")
    assert problem.isprintable()


@pytest.mark.parametrize("name", ["gone", "gone.world", "world.gone"])
def test_module_that_is_not_there_is_named(world, name):
    problems = problems_of(world([name], world=WORLD))
    assert len(problems) == 1
    assert problems[0].startswith(f"servers.world.handlers: module '{name}': ")


def test_problem_with_a_module_points_at_the_line_of_its_server(world):
    path = world(["gone"])
    with pytest.raises(ConfigurationError) as caught:
        check(path, {})
    line = path.read_text().splitlines().index("handlers = ['gone']") + 1
    assert caught.value.problems[0].startswith(f"{path}:{line}: servers.world.handlers: module 'gone': ")


def test_module_that_takes_too_long_is_cut_and_named(world, quick):
    began = time.monotonic()
    (problem,) = problems_of(world(world="import time\ntime.sleep(60)"))
    assert problem == "servers.world.handlers: module 'world': cannot be imported: took longer than 0.2 s"
    assert time.monotonic() - began < 5
    assert "world" not in sys.modules


def test_module_that_spins_is_cut_and_named(world, quick):
    (problem,) = problems_of(world(world="while True: pass"))
    assert "took longer than 0.2 s" in problem


def test_module_without_handlers_is_named(world):
    (problem,) = problems_of(world(world="x = 1"))
    assert problem.startswith("world: no handlers in it")


def test_one_command_id_on_two_functions_of_a_server_is_told_with_both_places(world):
    path = world(world=WORLD + "\n@command(101)\ndef again(ctx):\n    return None\n")
    (problem,) = problems_of(path)
    assert f"{path.parent}/world.py:11" in problem
    assert "command id 101 is taken by login at" in problem


def test_one_command_id_on_two_servers_is_told_with_both_places(world):
    path = world(gate_handlers=["doorman"], world=WORLD, doorman=WORLD.replace("login", "enter"))
    (problem,) = problems_of(path)
    folder = path.parent
    assert problem == (
        f"{folder}/world.py:3: @command login: command id 101 of server world is taken by enter of server gate at "
        f"{folder}/doorman.py:3"
    )


def test_one_command_name_on_two_servers_is_told(world):
    path = world(gate_handlers=["doorman"], world=WORLD, doorman=WORLD.replace("101", "102"))
    (problem,) = problems_of(path)
    assert "command name 'login' of server world is taken by login of server gate" in problem


def test_problems_of_the_file_the_plugins_and_the_handlers_are_told_together(world):
    path = world(["world", "gone"], world="1 / 0")
    path.write_text(path.read_text().replace('"kit"', '"kit", "nobody"').replace("sqlite:", "sqlit:"))
    problems = problems_of(path)
    assert len(problems) == 4
    for said in ("plugin 'nobody'", "servers.world.store.database", "module 'world'", "module 'gone'"):
        assert any(said in problem for problem in problems)


def test_wrong_keys_of_a_server_do_not_hide_its_broken_modules(world):
    path = world(["world", "..x"], world="1 / 0")
    path.write_text(path.read_text().replace("[servers.world]", "[servers.world]\nreplicas = 0"))
    problems = problems_of(path)
    assert len(problems) == 3
    assert any("module 'world': cannot be imported" in problem for problem in problems)


def test_module_that_failed_can_be_imported_once_it_is_right(world, tmp_path):
    path = world(world="1 / 0")
    problems_of(path)
    (path.parent / "world.py").write_text(WORLD + "# longer\n")
    assert check(path, {}).handlers["world"].commands


def test_name_of_an_installed_handler_plugin_is_imported(world, distribution):
    distribution("meadow", {"meadow_world": WORLD}, handlers={"meadow-world": "meadow_world"})
    checked = check(world(["meadow-world"]), {})
    assert list(checked.handlers["world"].commands) == [101]


def test_cluster_imports_the_modules_of_one_server_only(world):
    path = world(gate_handlers=["raises"], world=WORLD, raises="1 / 0")
    (module,) = load(path, {}).handler_modules("world")
    assert module.__name__ == "world"
    assert "raises" not in sys.modules


def test_modules_are_imported_once_each_in_order(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("second_module", "first_module"):
        (tmp_path / f"{name}.py").write_text("")
    found = import_modules(["first_module", "second_module", "first_module"])
    assert [module.__name__ for module in found] == ["first_module", "second_module"]
    for name in ("second_module", "first_module"):
        del sys.modules[name]
