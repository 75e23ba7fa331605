"""Which modules a reload makes anew."""

import sys
from types import ModuleType

import pytest

from firefly_core.kernel.reload.code_unit import (
    CodeUnit,
    defines_stable,
    digest,
    digests_on_disk,
    is_stable,
    source_of,
    unit_of,
)


@pytest.mark.parametrize(
    ("handlers", "packages", "plugins", "expected"),
    [
        (["game.world"], [], [], {"game"}),
        (["game.deep.world", "other"], [], [], {"game", "other"}),
        (["game.world"], ["game.rules"], [], {"game.rules"}),
        (["kit.handlers", "game.world"], [], ["kit"], {"kit.handlers", "game"}),
        (["kit.handlers"], ["kit"], ["kit"], {"kit"}),
        ([], [], [], set()),
    ],
)
def test_it_is_the_packages_that_are_named_or_else_those_of_the_handlers_without_plugins(
    handlers, packages, plugins, expected
):
    assert unit_of(handlers, packages, [], plugins).packages == expected


def test_it_holds_what_is_in_its_packages_and_not_stable():
    unit = CodeUnit(("game.world",), frozenset({"game"}), frozenset({"game.models", "elsewhere"}))
    assert [name for name in ("game", "game.world", "game.a.b", "games", "gam") if unit.holds(name)] == [
        "game", "game.world", "game.a.b",
    ]  # fmt: skip
    assert not unit.holds("game.models.hero")
    assert unit.owns("game.models.hero")
    assert unit.owns("elsewhere.x")
    assert not unit.holds("elsewhere.x")


def test_a_class_that_is_marked_keeps_the_module_that_defines_it_and_no_other(distribution):
    distribution("firefly-marked", {"marked_one": "class Row:\n    __firefly_stable__ = True\n"})
    distribution("firefly-user", {"user_one": "from marked_one import Row\n\n\nclass Mine(Row):\n    pass\n"})
    distribution("firefly-bystander", {"bystander_one": "from marked_one import Row\n"})
    import bystander_one
    import marked_one
    import user_one

    assert defines_stable(marked_one)
    assert defines_stable(user_one)
    assert not defines_stable(bystander_one)
    assert is_stable(marked_one)
    assert not is_stable(bystander_one)


def test_what_was_not_loaded_from_a_source_file_stays():
    assert is_stable(ModuleType("made"))
    assert is_stable(sys)
    assert source_of(sys) is None


def test_digests_follow_the_files(distribution):
    home = distribution("firefly-text", {"text_one": "A = 1\n"})
    import text_one

    assert digests_on_disk({"text_one": text_one, "sys": sys}) == {"text_one": digest(b"A = 1\n")}
    (home / "text_one.py").unlink()
    assert digests_on_disk({"text_one": text_one}) == {"text_one": ""}
