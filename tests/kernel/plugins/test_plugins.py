import logging
import random
import sys

import pytest

from firefly_core.errors import ConfigurationError
from firefly_core.kernel.plugins.plugins import gather, load_plugins
from firefly_core.kernel.reload import cut

HEAD = "from firefly_core.kernel.hookspecs import hookimpl\nFIREFLY_API = 1\n"
HEARS = HEAD + (
    "heard = []\n"
    "@hookimpl\n"
    "def firefly_stopping(kernel):\n"
    "    kernel.append(__name__)\n"
    "@hookimpl\n"
    "def firefly_route(nodes):\n"
    "    return nodes[0] + __name__ if __name__ != 'nobody' else None\n"
)


@pytest.fixture
def plugin(distribution):
    """Install a plugin of its own distribution: `plugin("name", "source after the head")`."""

    def install(name, source, *, head=HEAD):
        distribution(f"dist-{name}", {name: head + source}, plugins={name: name})

    return install


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(cut, "LIMIT", 0.2)
    monkeypatch.setattr(cut.cut, "__kwdefaults__", {**cut.cut.__kwdefaults__, "limit": 0.2})


def problems_of(*names):
    with pytest.raises(ConfigurationError) as caught:
        load_plugins(names)
    assert not any("\n" in problem or "Traceback" in problem for problem in caught.value.problems)
    return caught.value.problems


def test_offers_are_found_under_their_names(kit):
    plugins = load_plugins(["kit"])
    assert list(plugins.services) == ["door", "mesh", "store"]
    assert list(plugins.protocols) == ["line"]
    assert list(plugins.codecs) == ["json", "raw"]
    assert plugins.codecs["raw"].name == "raw"
    assert plugins.names == ("kit",)
    assert plugins.distribution_of("kit") == "firefly-kit 1.0"
    assert plugins.provider("services", "door") == "kit"
    assert plugins.hooks_of("kit") == ["firefly_codecs", "firefly_protocols", "firefly_services"]
    assert plugins.module("kit").FIREFLY_API == 1


def test_what_nobody_loaded_has_no_distribution_and_no_provider():
    plugins = load_plugins([])
    assert plugins.distribution_of("x") == "an unknown distribution"
    assert plugins.provider("services", "x") == ""


def test_plugin_that_is_not_named_is_not_imported(plugin):
    plugin("ours", HEARS)
    plugin("theirs", "raise AssertionError('imported')")
    load_plugins(["ours"])
    assert "theirs" not in sys.modules


def test_two_loads_share_nothing(kit):
    one, two = load_plugins(["kit"]), load_plugins([])
    assert one.hook is not two.hook
    assert two.services == {}


def test_order_of_the_file_is_the_call_order_whatever_the_order_of_discovery(distribution, tmp_path, monkeypatch):
    names = ["one", "two", "three", "four"]
    folders = []
    for name in names:
        folder = distribution(f"dist-{name}", {name: HEARS}, plugins={name: name}, folder=tmp_path / name)
        monkeypatch.syspath_prepend(str(folder))
        folders.append(str(folder))
    shuffle = random.Random(2)
    orders = set()
    for _ in range(100):
        shuffle.shuffle(folders)
        monkeypatch.setattr(sys, "path", folders + [path for path in sys.path if path not in folders])
        for name in names:
            sys.modules.pop(name, None)
        plugins = load_plugins(names)
        heard = []
        plugins.notify("firefly_stopping", kernel=heard)
        by_relay = []
        plugins.hook.firefly_stopping(kernel=by_relay)
        assert by_relay == heard
        decided = plugins.hook.firefly_route(kernel=None, session=None, command=None, nodes=["to-"])
        orders.add((*heard, decided))
    assert orders == {("one", "two", "three", "four", "to-one")}


def test_first_answer_of_a_decision_is_taken(plugin):
    plugin("nobody", HEARS)
    plugin("somebody", HEARS)
    hook = load_plugins(["nobody", "somebody"]).hook
    assert hook.firefly_route(kernel=None, session=None, command=None, nodes=["n"]) == "nsomebody"


def test_missing_plugin_is_told_with_the_nearest_name(plugin):
    plugin("meadow_gate", HEARS)
    (problem,) = problems_of("meadow_gaet")
    assert problem.startswith("plugin 'meadow_gaet': is not installed; installed are: ")
    assert problem.endswith('; did you mean "meadow_gate"?')


def test_plugin_named_twice_is_told(plugin):
    plugin("ours", HEARS)
    assert problems_of("ours", "ours") == ["plugin 'ours': is listed twice"]


def test_name_claimed_by_two_distributions_names_both(distribution):
    distribution("alpha", {"alpha": HEARS}, plugins={"same": "alpha"})
    distribution("beta", {"beta": HEARS}, plugins={"same": "beta"}, version="2.0")
    assert problems_of("same") == ["plugin 'same': is claimed by alpha 1.0 (alpha) and beta 2.0 (beta); uninstall one"]
    assert "alpha" not in sys.modules


def test_one_object_under_two_names_is_told(distribution):
    distribution("alpha", {"alpha": HEARS}, plugins={"first": "alpha", "second": "alpha"})
    assert problems_of("first", "second") == ["plugin 'second' (alpha 1.0): is the same object as plugin 'first'"]


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("raise ValueError('no luck')", "broken: raised ValueError: no luck"),
        ("import sys; sys.exit(5)", "broken: raised SystemExit: 5"),
        ("raise BaseException('x')", "broken: raised BaseException: x"),
        ("import gone_for_good", "broken: raised ModuleNotFoundError: No module named 'gone_for_good'"),
        ("def (:", "broken: raised SyntaxError: invalid syntax"),
        ("from broken import later\nlater = 1", "broken: raised ImportError: cannot import name 'later'"),
    ],
)
def test_plugin_that_cannot_be_imported_is_named_with_its_distribution(plugin, source, said):
    plugin("broken", source)
    (problem,) = problems_of("broken")
    assert problem.startswith(f"plugin 'broken' (dist-broken 1.0): {said}")


@pytest.mark.parametrize("wait", ["while True: pass", "import time; time.sleep(60)"])
def test_plugin_that_never_ends_its_import_is_cut(plugin, quick, wait):
    plugin("slow", wait)
    assert problems_of("slow") == ["plugin 'slow' (dist-slow 1.0): slow: took longer than 0.2 s"]


def test_entry_point_to_nothing_is_told(distribution):
    distribution("alpha", {"alpha": HEARS}, plugins={"bad": "alpha:gone", "worse": "gone_module"})
    first, second = problems_of("bad", "worse")
    assert first.startswith("plugin 'bad' (alpha 1.0): alpha:gone: raised AttributeError")
    assert second.startswith("plugin 'worse' (alpha 1.0): gone_module: raised ModuleNotFoundError")


OFFER = "@hookimpl\ndef {hook}({arguments}):\n    {body}\n"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("raise ValueError('x')", "raised ValueError: x"),
        ("raise SystemExit(1)", "raised SystemExit: 1"),
        ("return None", ""),
        ("return 5", "needs to return a list of Service classes"),
        ("return 'door'", "needs to return a list of Service classes"),
        ("return [int]", "offers int, which is not a subclass of Service"),
        ("return [5]", "offers int object, which is not a subclass of Service"),
        ("return (1 / 0 for _ in [1])", "raised ZeroDivisionError: division by zero"),
    ],
)
def test_offer_that_fails_names_plugin_hook_and_distribution(plugin, body, said):
    plugin("offers", OFFER.format(hook="firefly_services", arguments="", body=body))
    if not said:
        assert load_plugins(["offers"]).services == {}
        return
    assert problems_of("offers") == [f"plugin 'offers' (dist-offers 1.0), hook firefly_services: {said}"]


def test_offer_that_never_ends_is_cut(plugin, quick):
    plugin("offers", OFFER.format(hook="firefly_services", arguments="", body="return iter(lambda: 1, 2)"))
    assert problems_of("offers") == ["plugin 'offers' (dist-offers 1.0), hook firefly_services: took longer than 0.2 s"]


@pytest.mark.parametrize(
    ("hook", "one", "name", "body"),
    [
        ("firefly_services", "service", "door", "return [firefly_kit.Door]"),
        ("firefly_protocols", "protocol", "line", "return [firefly_kit.Line]"),
        ("firefly_codecs", "codec", "json", "return [firefly_kit.Json()]"),
    ],
)
def test_two_plugins_that_offer_one_name_are_both_named(kit, plugin, hook, one, name, body):
    plugin("other", "import firefly_kit\n" + OFFER.format(hook=hook, arguments="", body=body))
    assert problems_of("kit", "other") == [
        f"plugin 'other' (dist-other 1.0), hook {hook}: offers {one} \"{name}\", and so does "
        "plugin 'kit' (firefly-kit 1.0)"
    ]


def test_two_caches_of_one_scheme_are_both_named(plugin):
    body = "return [type('Cache', (), {'scheme': 'memory'})]"
    for name in ("one", "two"):
        plugin(name, OFFER.format(hook="firefly_caches", arguments="", body=body))
    assert problems_of("one", "two") == [
        "plugin 'two' (dist-two 1.0), hook firefly_caches: offers cache \"memory\", and so does "
        "plugin 'one' (dist-one 1.0)"
    ]
    assert list(load_plugins(["one"]).caches) == ["memory"]


def test_all_problems_are_told_together_and_the_rest_is_loaded(kit, plugin):
    plugin("api", HEARS + "FIREFLY_API = 2\n", head="")
    plugin("raises", "1 / 0")
    plugin("misspelt", "@hookimpl\ndef firefly_servces():\n    return []\n")
    plugin("argument", "@hookimpl\ndef firefly_stopping(kernl):\n    pass\n")
    plugins, problems = gather(["gone", "api", "raises", "misspelt", "argument", "kit"])
    assert len(problems) == 5
    assert "'gone': is not installed" in problems[0]
    assert problems[1:] == [
        "plugin 'api' (dist-api 1.0): FIREFLY_API is 2; this Firefly needs 1",
        "plugin 'raises' (dist-raises 1.0): raises: raised ZeroDivisionError: division by zero",
        "plugin 'misspelt' (dist-misspelt 1.0), hook firefly_servces: there is no such hook; "
        'did you mean "firefly_services"?',
        "plugin 'argument' (dist-argument 1.0), hook firefly_stopping: takes no argument kernl; "
        'it is called with: kernel; did you mean "kernel"?',
    ]
    assert plugins.names == ("kit",)


def test_notice_reaches_the_others_and_the_failing_plugin_is_logged_and_counted(plugin, caplog):
    plugin("first", HEARS)
    for name, error in [("bad", "ValueError('no luck')"), ("worse", "SystemExit(3)")]:
        plugin(name, OFFER.format(hook="firefly_stopping", arguments="kernel", body=f"raise {error}"))
    plugin("last", HEARS)
    plugins = load_plugins(["first", "bad", "worse", "last"])
    heard = []
    with caplog.at_level(logging.ERROR, "firefly.plugins"):
        plugins.notify("firefly_stopping", kernel=heard)
        plugins.notify("firefly_stopping", kernel=heard)
    assert heard == ["first", "last", "first", "last"]
    assert plugins.failures == {"bad": 2, "worse": 2}
    assert "plugin bad (dist-bad 1.0) raised in firefly_stopping" in caplog.text
    assert "no luck" in caplog.text


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("raise KeyError('x')", "raised KeyError: 'x'"),
        ("raise SystemExit(3)", "raised SystemExit: 3"),
        ("while True: pass", "took longer than 0.2 s"),
    ],
)
def test_plugin_that_fails_when_its_server_has_started_keeps_it_from_starting(plugin, quick, body, said):
    plugin("first", HEARS)
    plugin("bad", OFFER.format(hook="firefly_started", arguments="kernel", body=body))
    with pytest.raises(ConfigurationError) as caught:
        load_plugins(["first", "bad"]).started(None)
    assert caught.value.problems == [f"plugin 'bad' (dist-bad 1.0), hook firefly_started: {said}"]


def test_context_of_all_plugins_is_merged(plugin):
    for name in ("one", "two"):
        body = f"return {{'{name}': lambda ctx: ctx + kernel}}"
        plugin(name, OFFER.format(hook="firefly_context", arguments="kernel", body=body))
    offered = load_plugins(["one", "two"]).context(5)
    assert list(offered) == ["one", "two"]
    assert offered["two"](1) == 6


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("return {'db': 5}", "needs to return a dict of names to functions"),
        ("return [1]", "needs to return a dict of names to functions"),
        ("raise KeyError('x')", "raised KeyError: 'x'"),
        ("return {'db': print}", "offers ctx.db, and so does plugin 'first'"),
        ("return {'session': print}", "offers ctx.session, which every ctx has already"),
        ("return {'a b': print}", "offers ctx.a b, which is no name"),
    ],
)
def test_context_that_fails_refuses_to_start(plugin, body, said):
    first = OFFER.format(hook="firefly_context", arguments="kernel", body="return {'db': print}")
    plugin("first", first)
    plugin("second", OFFER.format(hook="firefly_context", arguments="kernel", body=body))
    plugins = load_plugins(["first", "second"])
    with pytest.raises(ConfigurationError) as caught:
        plugins.context(None)
    assert caught.value.problems == [f"plugin 'second' (dist-second 1.0), hook firefly_context: {said}"]


def test_plugin_that_answers_none_offers_nothing(plugin):
    hooks = [
        ("firefly_context", "kernel"),
        ("firefly_middleware", "kernel"),
        ("firefly_cli", ""),
        ("firefly_caches", ""),
    ]
    plugin("quiet", "".join(OFFER.format(hook=hook, arguments=taken, body="return None") for hook, taken in hooks))
    plugins = load_plugins(["quiet"])
    assert (plugins.context(None), plugins.middleware(None), plugins.cli_commands()) == ({}, [], [])


def test_middleware_is_given_in_the_files_order_outermost_first(plugin):
    for name in ("one", "two"):
        body = f"return [lambda handler, call: '{name}']"
        plugin(name, OFFER.format(hook="firefly_middleware", arguments="kernel", body=body))
    found = load_plugins(["one", "two"]).middleware(None)
    assert [wrap(None, None) for wrap in found] == ["one", "two"]


@pytest.mark.parametrize("body", ["return [5]", "return 5", "1 / 0"])
def test_middleware_that_fails_refuses_to_start(plugin, body):
    plugin("bad", OFFER.format(hook="firefly_middleware", arguments="kernel", body=body))
    with pytest.raises(ConfigurationError, match=r"plugin 'bad' \(dist-bad 1.0\), hook firefly_middleware: "):
        load_plugins(["bad"]).middleware(None)


def test_commands_of_plugins_are_checked(plugin):
    plugin(
        "good", "import click\n" + OFFER.format(hook="firefly_cli", arguments="", body="return [click.Command('x')]")
    )
    plugin("bad", OFFER.format(hook="firefly_cli", arguments="", body="return [print]"))
    assert [command.name for command in load_plugins(["good"]).cli_commands()] == ["x"]
    with pytest.raises(ConfigurationError, match="needs to return a list of click commands"):
        load_plugins(["good", "bad"]).cli_commands()
