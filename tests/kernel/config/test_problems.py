import pytest

from firefly_core.errors import ConfigurationError
from firefly_core.kernel.config.misfit import Misfit, Misfits
from firefly_core.kernel.config.problems import Problem, Problems, describe, quoted, spell


def test_problem_says_file_line_path_got_needs_and_the_nearest_name():
    problem = Problem(file="firefly.toml", line=7, path=("a", "b", 2), got="x", needs="y", hint="z")
    assert str(problem) == 'firefly.toml:7: a.b[2]: got x; needs y; did you mean "z"?'


def test_problem_without_place_or_got_is_one_sentence():
    assert str(Problem(file="--set", needs="is no key")) == "--set: is no key"


def test_keys_that_are_no_bare_words_are_quoted():
    assert spell(("servers", "a b", "c.d", 0)) == 'servers."a b"."c.d"[0]'


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (True, "true"),
        (False, "false"),
        (5, "5"),
        (float("nan"), "nan"),
        ("x", '"x"'),
        ({"a": 1}, "a table of 1 keys"),
        ([1, 2], "a list of 2"),
        (None, "nothing"),
        (10**50, "an integer of more than 40 digits"),
        (-(10**50), "an integer of more than 40 digits"),
    ],
)
def test_values_are_described_in_a_few_words(value, shown):
    assert describe(value) == shown


@pytest.mark.parametrize("value", ['a\n{"level":"info"}', "\x1b[2J", "\u202e", "\x00", "a" * 10_000, "\ud800"])
def test_described_text_is_one_short_printable_line(value):
    shown = describe(value)
    assert shown.isprintable()
    assert len(shown) < 100
    assert quoted(value) == shown


def test_problems_are_told_in_the_order_of_lines_each_once():
    problems = Problems("f")
    lines = {("a",): 9, ("b",): 2, ("c",): 0}
    problems.source = lambda path: ("f", lines[path]) if path else ("--set", 0)
    for path in [("a",), ("b",), ("a",), (), ("c",)]:
        problems.add(path, "x")
    assert problems.texts() == ["f: c: x", "f:2: b: x", "f:9: a: x", "--set: x"]


def test_every_misfit_of_a_value_becomes_a_problem():
    problems = Problems("f")
    problems.add_misfit(
        ("k",), [1, {"u": "v"}], Misfits([Misfit("a", (0,)), Misfit("b", (1, "u")), Misfit("c", (1, "w"))])
    )
    assert problems.texts() == [
        "f: k[0]: got 1; needs a",
        'f: k[1].u: got "v"; needs b',
        "f: k[1].w: got nothing; needs c",
    ]


def test_value_that_stands_alone_has_no_position():
    problems = Problems("f")
    problems.add_misfit(("listen",), {"url": "x"}, Misfit("a url", (0, "url")))
    assert problems.texts() == ['f: listen.url: got "x"; needs a url']


def test_secret_is_described_by_its_length_only():
    problems = Problems("f")
    problems.add_misfit(("k",), "canary", Misfit("more", secret=True))
    problems.add_misfit(("l",), [5, "canary"], Misfits([Misfit("a", (0,)), Misfit("b", (1,))]).inside(secret=True))
    assert problems.texts() == [
        "f: k: got a text of 6 characters, not shown; needs more",
        "f: l[0]: got something else, not shown; needs a",
        "f: l[1]: got a text of 6 characters, not shown; needs b",
    ]


def test_text_with_something_from_the_environment_is_shown_as_written():
    problems = Problems("f")
    problems.written = lambda path: "tcp://${HOST}:1"
    problems.add_misfit(("k",), "tcp://canary:1", Misfit("more"))
    assert problems.texts() == ['f: k: got "tcp://${HOST}:1" with what the environment says; needs more']


def test_value_that_was_told_already_is_not_told_again():
    problems = Problems("f")
    problems.told.add(("k",))
    problems.add_misfit(("k",), "", Misfit("more"))
    assert not problems


def test_raise_any_raises_all_of_them_or_nothing():
    problems = Problems("f")
    problems.raise_any()
    problems.add(("a",), "x")
    problems.add(("b",), "y")
    with pytest.raises(ConfigurationError) as caught:
        problems.raise_any()
    assert caught.value.problems == ["f: a: x", "f: b: y"]
