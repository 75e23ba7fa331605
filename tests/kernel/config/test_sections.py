import os
from pathlib import Path

import pytest

from firefly_core.kernel.config.config import read
from firefly_core.kernel.config.problems import Problems
from firefly_core.kernel.config.rules import Site
from firefly_core.kernel.config.sections import FireflyConfig, ServerConfig
from firefly_core.kernel.plugins.entry_points import claims

SITE = Site(Path("/game"), ["gate", "world"])


def result(cls, table, site=SITE):
    problems = Problems("f")
    made = read(cls, table, site, problems)
    return made if made is not None else problems.texts()


def test_firefly_section_has_defaults_for_all_but_the_plugins():
    made = result(FireflyConfig, {"plugins": ["gate"]})
    assert (made.name, made.plugins, made.directory, made.log) == ("firefly", ("gate",), None, "text")
    assert (made.drain_timeout, made.secret, made.secret_file, made.var) == (15.0, None, None, Path("/game/var"))
    (problem,) = result(FireflyConfig, {})
    assert problem.startswith("f: plugins: got nothing; needs a list")


@pytest.mark.parametrize(
    "table",
    [
        {"name": ""},
        {"name": "a\nb"},
        {"name": "../x"},
        {"name": 5},
        {"plugins": "gate"},
        {"plugins": [True]},
        {"directory": "gaet"},
        {"log": "jsn"},
        {"drain_timeout": float("nan")},
        {"drain_timeout": True},
        {"secret": "short"},
        {"log_level": "verbose"},
        {"var": ""},
    ],
)
def test_wrong_values_of_the_firefly_section_are_told(table):
    (problem,) = result(FireflyConfig, {"plugins": [], **table})
    assert problem.startswith(f"f: {next(iter(table))}")


def test_secret_of_the_cluster_is_in_no_text():
    made = result(FireflyConfig, {"plugins": [], "secret": "canary-canary-canary"})
    assert made.secret == "canary-canary-canary"
    assert "canary" not in repr(made)


def test_server_has_one_process_unless_told_otherwise():
    made = result(ServerConfig, {})
    assert (made.replicas, made.handlers, made.critical, made.reload, made.stable) == (1, (), False, (), ())


def test_cores_is_one_process_per_core():
    assert result(ServerConfig, {"replicas": "cores"}).replicas == len(os.sched_getaffinity(0))


@pytest.mark.parametrize("value", [0, -1, 257, True, 1.0, "2", "core", None])
def test_replicas_are_a_count_or_cores(value):
    (problem,) = result(ServerConfig, {"replicas": value})
    assert 'needs an integer from 1 to 256, or "cores"' in problem
    assert ('did you mean "cores"' in problem) == (value == "core")


@pytest.mark.parametrize(
    "value", ["os.path\n", "..x", "", "a b; rm -rf /", "x/y", 5, True, "a" * 201, "game.world:start"]
)
def test_handlers_are_import_paths(value):
    (problem,) = result(ServerConfig, {"handlers": ["game.world", value]})
    assert problem.startswith("f: handlers[1]: got ")
    assert "needs the import path of a module" in problem


def test_name_in_the_entry_point_group_is_looked_up_first(distribution):
    distribution("meadow", {}, handlers={"meadow-world": "meadow.world", "game.world": "meadow.other:thing"})
    site = Site(Path("/game"), (), None, claims("firefly.handlers"))
    made = result(ServerConfig, {"handlers": ["meadow-world", "game.world", "game.chat"]}, site)
    assert made.handlers == ("meadow.world", "meadow.other", "game.chat")


def test_misspelt_name_of_handlers_is_given_the_nearest(distribution):
    distribution("meadow", {}, handlers={"meadow-world": "meadow.world"})
    site = Site(Path("/game"), (), None, claims("firefly.handlers"))
    (problem,) = result(ServerConfig, {"handlers": ["meadow-wrld"]}, site)
    assert problem.endswith('did you mean "meadow-world"?')


def test_handlers_claimed_twice_name_both_distributions(distribution):
    distribution("alpha", {}, handlers={"world": "alpha.world"})
    distribution("beta", {}, handlers={"world": "beta.world"})
    site = Site(Path("/game"), (), None, claims("firefly.handlers"))
    assert result(ServerConfig, {"handlers": ["world"]}, site) == [
        'f: handlers[0]: got "world", claimed by alpha 1.0 (alpha.world) and beta 1.0 (beta.world); '
        "needs a name that one distribution claims"
    ]
