"""What callers of the old handlers could not do with the new ones."""

from types import ModuleType
from typing import Annotated, Any

import attrs
import pytest
from msgspec import Meta

from firefly_core import command, remote
from firefly_core.kernel.handlers.handlers import collect
from firefly_core.kernel.reload.handler_changes import broken_promises, shape_of


@attrs.frozen
class Old:
    a: int


@attrs.frozen
class Wider:
    a: int
    b: int = 0


@attrs.frozen
class Narrower:
    a: int
    b: int


def table(function):
    module = ModuleType("handlers")
    module.handler = function
    return collect([module])


def broken(old, new):
    return broken_promises(shape_of(table(old)), shape_of(table(new)))


def taking(declared, default=...):
    if default is ...:

        def told(ctx, value):
            return None

    else:

        def told(ctx, value=default):
            return None

    told.__annotations__ = {"value": declared}
    return told


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (Old, Old),
        (Old, Wider),
        (Narrower, Old),
        (int, int),
        (int, Any),
        (list[int], list[int]),
        (Annotated[int, Meta(ge=0)], Annotated[int, Meta(ge=0)]),
    ],
)
def test_what_takes_all_that_was_taken_breaks_nothing(old, new):
    assert broken(command(1)(taking(old)), command(1)(taking(new))) == []
    assert broken(remote("x")(taking(old)), remote("x")(taking(new))) == []


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (Old, Narrower, "needs b, which nobody sends yet"),
        (int, str, "takes str where it took int"),
        (Any, int, "takes int where it took anything"),
        (Old, int, "takes int where it took Old"),
        (list[int], list[str], "takes list[str] where it took list[int]"),
    ],
)
def test_what_refuses_something_that_was_taken_is_named(old, new, said):
    (problem,) = broken(command(7, name="go")(taking(old)), command(7, name="go")(taking(new)))
    assert problem.startswith(f"{__file__}:")
    assert problem.endswith(f": command 7 (go) {said}")


def test_arguments_may_be_added_with_a_default_only():
    def none():
        def told(ctx):
            return None

        return remote("x")(told)

    with_default, without = remote("x")(taking(int, 0)), remote("x")(taking(int))
    assert broken(none(), with_default) == []
    assert broken(with_default, without)[0].endswith("remote x takes 1 argument where it took 0 to 1 arguments")
    assert broken(without, with_default) == []
    assert broken(with_default, none())[0].endswith("takes 0 arguments where it took 0 to 1 arguments")


def test_what_is_gone_or_renamed_is_named():
    assert broken(command(7)(taking(int)), command(8)(taking(int)))[0].endswith("command 7 (told) is gone")
    assert broken(remote("x")(taking(int)), remote("y")(taking(int)))[0].endswith("remote x is gone")
    renamed = broken(command(7)(taking(int)), command(7, name="go")(taking(int)))
    assert renamed[0].endswith("command 7 (told) is called go now")


def test_what_is_new_breaks_nothing():
    def nothing(ctx):
        return None

    assert broken_promises(shape_of(collect([])), shape_of(table(command(1)(nothing)))) == []
