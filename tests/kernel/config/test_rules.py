import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firefly_core.kernel.config.misfit import Misfit
from firefly_core.kernel.config.nesting import list_of, map_of
from firefly_core.kernel.config.rules import (
    Site,
    boolean,
    choice,
    duration,
    import_path,
    integer,
    number,
    path,
    secret,
    server,
    size,
    text,
)

RULES = {
    "boolean": boolean(),
    "integer": integer(0, 10),
    "number": number(0, 10),
    "duration": duration(0, 3600),
    "size": size(1, 1024),
    "text": text(10),
    "choice": choice("journal", "fsync"),
    "import_path": import_path(),
    "list_of": list_of(integer(0, 10)),
    "map_of": map_of(integer(0, 10)),
    "path": path(),
    "secret": secret(),
    "server": server(),
}

ACCEPTED = [
    ("boolean", True, True),
    ("boolean", False, False),
    ("integer", 0, 0),
    ("integer", 10, 10),
    ("number", 3, 3.0),
    ("number", 0.25, 0.25),
    ("duration", 0, 0.0),
    ("duration", 1.5, 1.5),
    ("size", 1024, 1024),
    ("text", "ü ok", "ü ok"),
    ("choice", "fsync", "fsync"),
    ("import_path", "game.world", "game.world"),
    ("import_path", "spiel.wörld", "spiel.wörld"),
    ("list_of", [1, 2], (1, 2)),
    ("list_of", [], ()),
    ("map_of", {"a": 1}, {"a": 1}),
    ("path", "var/x", Path("var/x")),
    ("secret", "0123456789abcdef", "0123456789abcdef"),
    ("server", "gate", "gate"),
]

REFUSED = [
    ("boolean", 1),
    ("boolean", "true"),
    ("boolean", None),
    ("integer", True),
    ("integer", 1.0),
    ("integer", "1"),
    ("integer", -1),
    ("integer", 11),
    ("integer", 10**400),
    ("number", True),
    ("number", math.nan),
    ("number", math.inf),
    ("number", "1"),
    ("number", 10**400),
    ("duration", True),
    ("duration", math.nan),
    ("duration", math.inf),
    ("duration", -math.inf),
    ("duration", -1),
    ("duration", "5s"),
    ("duration", 3601),
    ("size", True),
    ("size", 0),
    ("size", 2**40),
    ("size", 64.0),
    ("text", ""),
    ("text", "a\x00b"),
    ("text", "a\nb"),
    ("text", "a\x1b[2Jb"),
    ("text", "a\u202eb"),
    ("text", "01234567890"),
    ("text", 5),
    ("choice", "fync"),
    ("choice", ["fsync"]),
    ("choice", {}),
    ("import_path", "os.path\n"),
    ("import_path", "..x"),
    ("import_path", "x."),
    ("import_path", "a b"),
    ("import_path", "a-b"),
    ("import_path", "a/b"),
    ("import_path", "1a"),
    ("import_path", "game.class"),
    ("import_path", ""),
    ("import_path", "a" * 201),
    ("list_of", 5),
    ("list_of", "12"),
    ("list_of", {"a": 1}),
    ("list_of", [1] * 1025),
    ("map_of", [1]),
    ("path", ""),
    ("path", "a\x00b"),
    ("path", "a" * 4097),
    ("path", 5),
    ("secret", "short"),
    ("secret", "0123456789abcdef\n"),
    ("secret", " 0123456789abcdef"),
    ("secret", "a" * 1025),
    ("secret", 1234567890123456),
    ("server", ""),
    ("server", 5),
]


@pytest.mark.parametrize(("name", "value", "parsed"), ACCEPTED)
def test_rule_accepts_what_it_says(name, value, parsed):
    result = RULES[name].parse(value)
    assert result == parsed
    assert type(result) is type(parsed)


@pytest.mark.parametrize(("name", "value"), REFUSED)
def test_rule_refuses_what_it_does_not_say(name, value):
    with pytest.raises(Misfit) as caught:
        RULES[name].parse(value)
    assert caught.value.needs


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.datetimes(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        max_leaves=6,
    )
)
def test_no_value_makes_a_rule_raise_anything_but_misfit(value):
    for rule in RULES.values():
        try:
            rule.parse(value)
        except Misfit:
            continue


def test_default_bounds_are_not_told_as_bounds():
    assert integer().needs == "an integer"
    assert integer(1).needs == "an integer of at least 1"
    assert integer(1, 5).needs == "an integer from 1 to 5"
    assert duration().needs == "a duration in seconds of at least 0"


def test_misspelt_choice_is_given_the_nearest():
    with pytest.raises(Misfit) as caught:
        choice("cache", "journal", "fsync").parse("fync")
    assert caught.value.hint == "fsync"


def test_text_pattern_is_of_the_whole_text():
    rule = text(10, "[a-z]+")
    assert rule.parse("abc") == "abc"
    with pytest.raises(Misfit):
        rule.parse("abc1")


def test_text_may_be_empty_where_it_says_so():
    assert text(5, empty=True).parse("") == ""


def test_relative_path_is_meant_from_the_folder(tmp_path):
    rule = path()
    assert rule.settle(rule.parse("var/../x"), Site(tmp_path)) == tmp_path / "x"
    assert rule.settle(rule.parse("/abs"), Site(tmp_path)) == Path("/abs")


def test_unknown_server_is_refused_with_the_nearest(tmp_path):
    site = Site(tmp_path, ["gate", "world"])
    assert server().settle("gate", site) == "gate"
    with pytest.raises(Misfit) as caught:
        server().settle("gaet", site)
    assert caught.value.hint == "gate"
    assert "gate, world" in caught.value.needs
