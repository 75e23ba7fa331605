from pathlib import Path

import attrs
import pytest

from firefly_core.cli.invocation import Invocation, loading, reported
from firefly_core.errors import ConfigurationError


def test_invocation_is_frozen():
    made = Invocation(Path("firefly.toml"))
    assert made.overrides == ()
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        made.path = Path("x")


def test_every_problem_is_a_line_on_stderr_and_the_status_is_78(capsys):
    with pytest.raises(SystemExit) as caught, reported():
        raise ConfigurationError(["one", "two"])
    assert caught.value.code == 78
    assert capsys.readouterr().err == "one\ntwo\n"


def test_other_errors_pass():
    with pytest.raises(KeyError), reported():
        raise KeyError


def test_what_is_printed_while_loading_goes_to_stderr(capsys):
    with loading():
        print("hello")
    print("answer")
    assert capsys.readouterr() == ("answer\n", "hello\n")


def test_problems_while_loading_are_reported_too():
    with pytest.raises(SystemExit), loading():
        raise ConfigurationError(["one"])
