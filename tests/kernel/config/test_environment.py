import pytest

from firefly_core.errors import ConfigurationError
from firefly_core.kernel.config.config import duration, list_of, text
from firefly_core.kernel.config.environment import (
    Override,
    assignments,
    key_path,
    place,
    substitute,
    value_of,
    variables,
)
from firefly_core.kernel.config.misfit import Misfit
from firefly_core.kernel.config.problems import Problems

ENVIRON = {"HOST": "example.org", "PORT": "80", "EMPTY": "", "BLANK": "  ", "LINE": "secret\n", "DOLLAR": "a$${x}"}


def replaced(value):
    problems, written = Problems("f"), {}
    return substitute(value, ENVIRON, problems, written), written, problems.texts()


def test_names_are_replaced_in_texts_at_every_depth():
    value, written, problems = replaced(
        {"a": "tcp://${HOST}:${PORT}", "b": {"c": ["x", {"d": "${HOST}"}]}, "n": 5, "t": True, "plain": "$5 {x}"}
    )
    assert value == {
        "a": "tcp://example.org:80",
        "b": {"c": ["x", {"d": "example.org"}]},
        "n": 5,
        "t": True,
        "plain": "$5 {x}",
    }
    assert written == {("a",): "tcp://${HOST}:${PORT}", ("b", "c", 1, "d"): "${HOST}"}
    assert problems == []


def test_what_comes_from_the_environment_is_not_replaced_again():
    assert replaced("${DOLLAR}")[0] == "a$${x}"


def test_two_dollars_are_one():
    assert replaced("$${HOST} costs $$5")[0] == "${HOST} costs $5"


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("${NOPE}", "f: k: got ${NOPE}; needs the environment variable NOPE, which is not set"),
        ("${EMPTY}", "f: k: got ${EMPTY}; needs the environment variable EMPTY, which is empty"),
        ("${BLANK}", "f: k: got ${BLANK}; needs the environment variable BLANK, which is empty"),
    ],
)
def test_variable_that_is_not_there_is_named(value, problem):
    assert replaced({"k": value})[2] == [problem]


def test_variable_with_a_line_break_at_its_end_is_named_and_not_shown():
    (problem,) = replaced({"k": "${LINE}"})[2]
    assert "LINE without the blank or line break" in problem
    assert "secret" not in problem


@pytest.mark.parametrize("value", ["${}", "${1A}", "${A-B}", "${A:-x}", "${A", "a ${ b"])
def test_what_is_no_reference_is_a_problem(value):
    (problem,) = replaced({"k": value})[2]
    assert problem.startswith("f: k: got ")
    assert "needs ${NAME} with the name of an environment variable, or $$ for a dollar" in problem


def test_every_missing_variable_of_a_text_is_told():
    assert len(replaced({"k": "${A}${B}", "l": ["${C}"]})[2]) == 3


@pytest.mark.parametrize(
    ("written", "path"),
    [
        ("a", ("a",)),
        ("servers.gate.db-cache.x", ("servers", "gate", "db-cache", "x")),
        ('a."b.c"', ("a", "b.c")),
        (" a . b ", ("a", "b")),
    ],
)
def test_dotted_key_is_taken_apart_as_in_toml(written, path):
    assert key_path(written) == path


@pytest.mark.parametrize(
    "written", ["", " ", ".", "a.", ".a", "a b", "a[0]", "a = 1\nb", "a#", "[a]", "a=b", "é", "\x00"]
)
def test_what_is_no_key_is_refused(written):
    with pytest.raises(ConfigurationError, match="is not a key"):
        key_path(written)


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("15", 15),
        ("1.5", 1.5),
        ("true", True),
        ('"15"', "15"),
        ("[1, 'a']", [1, "a"]),
        ("{ a = 1 }", {"a": 1}),
        ("30/s", "30/s"),
        ("tcp://127.0.0.1:1", "tcp://127.0.0.1:1"),
        ("", ""),
        ("a\nb = 1", "a\nb = 1"),
        ("1\nb = 1", "1\nb = 1"),
        ("[" * 2000, "[" * 2000),
        ("9" * 5000, "9" * 5000),
    ],
)
def test_value_is_toml_where_it_reads_as_toml_and_a_text_otherwise(written, value):
    assert value_of(written) == value


def test_assignments_are_read_and_faults_named():
    problems = Problems("f")
    found = list(assignments(["a.b=1", "nothing", "=x", "c d=1", "e=f=g"], "--set", problems))
    assert [(each.path, each.value, each.source) for each in found] == [
        (("a", "b"), 1, "--set"),
        (("e",), "f=g", "--set"),
    ]
    assert len(problems.found) == 3
    assert all(text.startswith("--set: ") for text in problems.texts())


def test_keys_of_the_firefly_section_have_variables():
    rules = {"name": text(), "drain_timeout": duration(), "plugins": list_of(text()), "secret": text()}
    environ = {
        "FIREFLY_NAME": "123",
        "FIREFLY_DRAIN_TIMEOUT": "2.5",
        "FIREFLY_PLUGINS": '["gate"]',
        "FIREFLY_OTHER": "x",
        "NAME": "y",
    }
    found = {each.path[-1]: (each.value, each.source) for each in variables(environ, rules, Problems())}
    assert found == {
        "name": ("123", "FIREFLY_NAME"),
        "drain_timeout": (2.5, "FIREFLY_DRAIN_TIMEOUT"),
        "plugins": (["gate"], "FIREFLY_PLUGINS"),
    }


@pytest.mark.parametrize(("value", "how"), [("", "is empty"), (" ", "is empty"), ("x\n", "begins or ends with")])
def test_variable_of_the_firefly_section_must_have_a_value(value, how):
    problems = Problems("f")
    assert list(variables({"FIREFLY_NAME": value}, {"name": text()}, problems)) == []
    assert problems.texts()[0].startswith(f"FIREFLY_NAME: the environment variable {how}")


def test_firefly_set_takes_one_key_a_line():
    environ = {"FIREFLY_SET": "servers.gate.gate.rate=60/s\n\n  firefly.log=json\n"}
    found = [(each.path, each.value) for each in variables(environ, {}, Problems())]
    assert found == [(("servers", "gate", "gate", "rate"), "60/s"), (("firefly", "log"), "json")]


def test_placing_makes_missing_tables_and_refuses_values_in_the_way():
    document = {"a": {"b": 1}}
    place(document, ("a", "c", "d"), 2)
    assert document == {"a": {"b": 1, "c": {"d": 2}}}
    with pytest.raises(Misfit) as caught:
        place(document, ("a", "b", "x"), 1)
    assert caught.value.at == ("a", "b")


def test_override_does_not_show_its_value():
    assert "canary" not in repr(Override(("a",), "canary", "FIREFLY_A"))
