"""Making a server's code anew: all of it or nothing, while it is played."""

import gc
import importlib
import sys
import types
import weakref

import gevent
import pytest

from firefly_core.kernel.handlers.handlers import HandlerTable
from firefly_core.kernel.reload import reload as module
from firefly_core.kernel.reload.code_unit import digest
from firefly_core.kernel.reload.handler_changes import shape_of
from firefly_core.kernel.reload.rehearsal import Rehearsal
from tests.promises.code_lab import GAME, code_lab

WORLD = GAME["world"]


@pytest.fixture
def lab():
    with code_lab() as made:
        yield made


@pytest.fixture
def unrehearsed(monkeypatch):
    """Let every source through that can be read, so that what is wrong with it shows in the server itself."""

    def rehearse(unit, others):
        folder = sys.modules[unit.handlers[0]].__file__.rpartition("/")[0]
        names = {name: f"{folder}/{name.partition('.')[2]}.py" for name in [*unit.handlers, *others]}
        (top,) = unit.packages
        names[top] = f"{folder}/__init__.py"
        digests = {}
        for name, path in names.items():
            with open(path, "rb") as file:
                digests[name] = digest(file.read())
        return Rehearsal(digests=digests, paths=names, shape=shape_of(HandlerTable()))

    monkeypatch.setattr(module, "rehearse", rehearse)
    monkeypatch.setattr(module, "broken_promises", lambda old, new: [])


def test_new_code_is_in_force_with_the_same_state_and_the_timers_go_on(lab):
    state, before = lab.world.state, lab.world.code.version
    assert lab.ask(by=5) == 6
    lab.write("rules", "SCORE = 10\n")
    report = lab.reload()
    assert (report.problems, report.taken, report.changed) == ((), True, (f"{lab.game}.rules",))
    assert report.made == 4
    assert lab.ask(by=5) == 15
    assert lab.world.state is state
    after = lab.world.code.version
    assert (after.hash != before.hash, after.reloads) == (True, 1)
    assert lab.world.inspection.about()["code"] == after.plain()
    ticks = state.ticks
    lab.cluster.wait(lambda: state.ticks >= ticks + 20)


def test_a_dry_run_says_what_would_change_and_changes_nothing(lab):
    before = lab.snapshot()
    lab.write("rules", "SCORE = 10\n")
    report = lab.reload(dry_run=True)
    assert (report.problems, report.taken, report.changed) == ((), False, (f"{lab.game}.rules",))
    assert lab.snapshot() == before


def test_gates_learn_of_a_new_command_and_of_one_that_is_gone(lab):
    client = lab.cluster.connect()
    lab.write(
        "world",
        WORLD.replace("@command(1", "@command(2") + "\n\n@command(3, public=True)\ndef more(ctx):\n    return 3\n",
    )
    assert lab.reload(force=True).taken
    lab.cluster.wait(lambda: 2 in lab.cluster.kernel("gate").services["gate"].doors[0].commands)
    assert client.request("more") == 3
    assert client.request(2, {"by": 1}) == 2
    with pytest.raises(Exception, match="unknown_command"):
        client.request(1, {"by": 1})


def test_a_command_that_runs_ends_on_the_code_that_it_began_with(lab):
    began, may_end = lab.folder / "began", lab.folder / "may_end"
    waits = (
        "    import gevent, pathlib\n"
        f"    pathlib.Path({str(began)!r}).touch()\n"
        f"    while not pathlib.Path({str(may_end)!r}).exists():\n"
        "        gevent.sleep(0.01)\n"
        "    return rules.SCORE + by"
    )
    lab.write("world", WORLD.replace("    return rules.SCORE + by", waits))
    assert lab.reload().taken
    lab.write("rules", "SCORE = 10\n")
    running = gevent.spawn(lab.ask, 0)
    lab.cluster.wait(began.exists)
    assert lab.reload().taken
    assert not running.ready()
    may_end.touch()
    assert running.get(timeout=5) == 1
    assert lab.ask() == 10


def test_timers_follow_the_new_table(lab):
    lab.write(
        "world", WORLD.replace("@every(0.02)\ndef tick", "@every(0.01)\ndef tock").replace("+= rules.SCORE", "-= 1")
    )
    assert lab.reload().taken
    ticks = lab.world.state.ticks
    lab.cluster.wait(lambda: lab.world.state.ticks < ticks - 5)


def test_plugins_and_peers_hear_of_it(lab, monkeypatch):
    heard = []
    plugins = lab.world.plugins
    original = plugins.notify
    monkeypatch.setattr(plugins, "notify", lambda hook, **rest: (heard.append(hook), original(hook, **rest)))
    lab.reload()
    assert heard == ["firefly_reloaded"]


def test_a_new_module_is_found_and_one_that_nobody_imports_any_more_is_forgotten(lab):
    lab.write("extra", "SCORE = 7\n")
    lab.write("world", WORLD.replace("import rules", "import extra as rules"))
    assert lab.reload().taken
    assert lab.ask() == 7
    assert f"{lab.game}.extra" in sys.modules
    lab.path("extra").unlink()
    lab.write("world", WORLD)
    assert lab.reload().taken
    assert lab.ask() == 1
    assert f"{lab.game}.extra" not in sys.modules


def test_an_edit_of_the_same_size_in_the_same_second_counts(lab):
    for score in "23456":
        lab.write("rules", f"SCORE = {score}\n")
        assert lab.reload().taken
        assert lab.ask() == int(score)


def test_the_state_of_a_class_that_changed_is_mentioned(lab):
    lab.write("world", WORLD.replace("self.ticks = 0", "self.ticks = 5"))
    report = lab.reload()
    assert report.taken
    assert "ctx.state stays the State that it is" in report.notes[0]


# ------------------------------------------------------------------------------------------------------ what stays


def test_a_module_that_is_named_stable_stays_and_a_change_there_is_said():
    with code_lab('stable = ["GAME.rules"]') as lab:
        rules = sys.modules[f"{lab.game}.rules"]
        lab.write("rules", "SCORE = 10\n")
        lab.write("messages", GAME["messages"] + "# changed\n")
        report = lab.reload()
        assert (report.taken, report.restart, report.changed) == (
            True,
            (f"{lab.game}.rules",),
            (f"{lab.game}.messages",),
        )
        assert sys.modules[f"{lab.game}.rules"] is rules
        assert sys.modules[lab.game].rules is rules
        assert lab.ask() == 1


def test_a_module_that_defines_a_marked_class_stays_and_its_class_is_the_same():
    with code_lab(rules="class Row:\n    __firefly_stable__ = True\n\n\nSCORE = 1\n") as lab:
        row = sys.modules[f"{lab.game}.rules"].Row
        lab.write("world", WORLD + "\n\nRow = rules.Row\n")
        report = lab.reload()
        assert (report.taken, report.restart) == (True, ())
        assert sys.modules[f"{lab.game}.world"].Row is row


def test_a_stable_package_keeps_its_object_and_knows_the_new_modules():
    with code_lab('stable = ["GAME.__init__"]', __init__="class Row:\n    __firefly_stable__ = True\n") as lab:
        package, world = sys.modules[lab.game], sys.modules[f"{lab.game}.world"]
        assert lab.reload().taken
        assert sys.modules[lab.game] is package
        assert package.world is sys.modules[f"{lab.game}.world"] is not world
        before = lab.snapshot()
        lab.write("rules", "1 / 0\n")
        assert not lab.reload().taken
        assert lab.snapshot() == before


def test_only_the_packages_that_are_named_are_made_anew():
    with code_lab('reload = ["GAME.world"]') as lab:
        rules, world = sys.modules[f"{lab.game}.rules"], sys.modules[f"{lab.game}.world"]
        lab.write("rules", "SCORE = 10\n")
        assert lab.reload().made == 1
        assert sys.modules[f"{lab.game}.rules"] is rules
        assert sys.modules[f"{lab.game}.world"] is not world
        assert sys.modules[lab.game].world is sys.modules[f"{lab.game}.world"]


# ----------------------------------------------------------------------------------------------- what changes nothing


HERE = """\
import sys
if "pytest" in sys.modules:
    {}
SCORE = 1
"""


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("1 / 0", "ZeroDivisionError"),
        ("import gevent; gevent.sleep(0.05); 1 / 0", "ZeroDivisionError"),
        ("from GAME.world import told", "circular"),
        ("del sys.modules['GAME']; 1 / 0", "ZeroDivisionError"),
        ("import GAME.extra; 1 / 0", "ZeroDivisionError"),
    ],
)
def test_code_that_fails_only_in_the_server_changes_nothing_either(lab, code, said):
    lab.write("extra", "")
    before = lab.snapshot()
    lab.write("rules", HERE.format(code))
    report = lab.reload()
    assert not report.taken
    assert said in report.problems[0]
    assert f"{lab.path('rules')}:3: " in report.problems[0] or said == "circular"
    assert lab.snapshot() == before
    assert lab.ask() == 1


def test_code_that_hangs_only_in_the_server_is_cut(lab, monkeypatch):
    from firefly_core.kernel.reload import unit_import

    monkeypatch.setattr(unit_import, "LIMIT", 0.2)
    before = lab.snapshot()
    for hang in ("\n    while True: pass", "import gevent; gevent.sleep(3600)"):
        lab.write("rules", HERE.format(hang))
        report = lab.reload()
        assert "took longer than 0.2 s" in report.problems[0]
        assert f"{lab.path('rules')}:" in report.problems[0]
        assert lab.snapshot() == before


def test_while_new_code_waits_at_its_import_the_others_see_the_old_modules(lab, unrehearsed):
    lab.write("rules", "import gevent\ngevent.sleep(0.2)\nSCORE = 10\n")
    old = sys.modules[f"{lab.game}.rules"]
    reloading = gevent.spawn(lab.reload)
    gevent.sleep(0.1)
    assert not reloading.ready()
    assert sys.modules[f"{lab.game}.rules"] is old
    assert importlib.import_module(f"{lab.game}.rules") is old
    assert lab.ask() == 1
    assert reloading.get(timeout=5).taken
    assert lab.ask() == 10


def test_a_service_that_cannot_prepare_keeps_the_old_code(lab):
    def prepare(table):
        raise ValueError("no room for these")

    lab.world.on_reload.append(prepare)
    before = lab.snapshot()
    report = lab.reload()
    assert "no room for these" in report.problems[0]
    assert lab.snapshot() == before


def test_sources_that_change_between_the_trial_and_the_taking_are_refused(lab, monkeypatch):
    rehearse = module.rehearse

    def slow(unit, others):
        found = rehearse(unit, others)
        lab.write("rules", "SCORE = 99\n")
        return found

    monkeypatch.setattr(module, "rehearse", slow)
    before = lab.snapshot()
    assert "the sources have changed" in lab.reload().problems[0]
    assert lab.snapshot() == before


def test_one_reload_at_a_time_and_none_before_the_start_or_after_the_end(lab):
    first = gevent.spawn(lab.reload)
    gevent.sleep(0)
    assert "under way" in lab.reload().problems[0]
    assert first.get(timeout=20).taken
    kernel = lab.world
    lab.cluster.drain("world")
    assert "about to stop" in kernel.code.reload().problems[0]


def test_force_takes_what_breaks_callers(lab):
    lab.write("world", WORLD.replace('@remote("world.score")', '@remote("world.points")'))
    refused = lab.reload()
    assert f"{lab.path('world')}:" in refused.problems[0]
    assert "remote world.score is gone; a restart takes it" in refused.problems[0]
    assert lab.reload(force=True).taken
    assert lab.cluster.call("world.points", 1, by="world") == 2


def test_a_server_without_handlers_has_nothing_to_make_anew(lab):
    report = lab.cluster.kernel("gate").code.reload()
    assert (report.problems, report.taken) == ((), False)
    assert "no modules of handlers" in report.notes[0]


def test_old_modules_are_freed_but_for_those_that_made_the_state(lab):
    class Canary:
        pass

    assert lab.reload().taken
    canary = Canary()
    sys.modules[f"{lab.game}.rules"].canary = canary
    gone = weakref.ref(canary)
    del canary
    assert lab.reload().taken
    lab.cluster.wait(lambda: gc.collect() is not None and gone() is None)


def test_what_is_no_source_is_left_alone(lab):
    made = types.ModuleType(f"{lab.game}.made")
    sys.modules[made.__name__] = made
    assert lab.reload().taken
    assert sys.modules[made.__name__] is made
