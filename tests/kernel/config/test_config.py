import attrs
import pytest

from firefly_core.errors import ConfigurationError
from firefly_core.kernel.config import config as public
from firefly_core.kernel.config.config import (
    REQUIRED,
    Misfit,
    Rate,
    Site,
    boolean,
    config,
    duration,
    fields_of,
    integer,
    key,
    keys,
    list_of,
    optional,
    path,
    rate,
    read,
    read_alone,
    secret,
    server,
    size,
    text,
)
from firefly_core.kernel.config.problems import Problems


@config
class Sample:
    allowed: Rate | None = key(rate(), "messages a session may send", default="30/s")
    max_frame: int = key(size(1024, 65536), "largest frame", default=65536)
    from_: str = key(text(), "where from")
    folder: object = key(path(), "where", default="var")
    token: str | None = key(optional(secret()), "a secret", default=None)


def problems_of(table, cls=Sample):
    with pytest.raises(ConfigurationError) as caught:
        read_alone(cls, table)
    return caught.value.problems


def test_defaults_are_parsed_like_values_of_the_file():
    made = Sample(from_="x")
    assert made.allowed == Rate(30.0, 1.0)
    assert made.max_frame == 65536


def test_config_object_is_frozen_and_made_by_keywords():
    made = Sample(from_="x")
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        made.max_frame = 1
    with pytest.raises(TypeError):
        Sample("x")


def test_table_becomes_an_object_and_defaults_settle_too(tmp_path):
    made = read_alone(Sample, {"from": "there", "allowed": "off", "max_frame": 2048}, folder=tmp_path)
    assert made == Sample(from_="there", allowed=None, max_frame=2048, folder=tmp_path / "var")


def test_all_problems_of_a_table_are_told_at_once():
    assert problems_of({"allowed": 5, "max_frame": True, "token": "short", "fron": 1}) == [
        "firefly.toml: fron: got an unknown key; needs one of: allowed, max_frame, from, folder, token; "
        'did you mean "from"?',
        'firefly.toml: allowed: got 5; needs a rate such as "30/s", "100/min" or "5/10s", or "off"',
        "firefly.toml: max_frame: got true; needs a size in bytes from 1024 to 65536",
        "firefly.toml: from: got nothing; needs a text of 1 to 1000 characters",
        "firefly.toml: token: got a text of 5 characters, not shown; "
        "needs a secret of 16 to 1024 printable characters, best as ${NAME} from the environment",
    ]


def test_true_is_no_integer_and_one_is_no_boolean():
    @config
    class Ports:
        port: int = key(integer(0, 65535), "a port")
        open: bool = key(boolean(), "open?")

    assert problems_of({"port": True, "open": 1}, Ports) == [
        "firefly.toml: port: got true; needs an integer from 0 to 65535",
        "firefly.toml: open: got 1; needs true or false",
    ]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf"), -1, -0.001, True, "15", 10**400])
def test_what_is_no_duration_is_told(value):
    @config
    class Times:
        timeout: float = key(duration(0, 3600), "seconds")

    (problem,) = problems_of({"timeout": value}, Times)
    assert "needs a duration in seconds from 0 to 3600" in problem


@pytest.mark.parametrize("value", [0, 2**40, 1023])
def test_frame_size_has_two_ends(value):
    (problem,) = problems_of({"from": "x", "max_frame": value})
    assert problem == f"firefly.toml: max_frame: got {value}; needs a size in bytes from 1024 to 65536"


def test_secret_is_not_in_the_objects_text():
    made = Sample(from_="x", token="canary-canary-canary")
    assert "canary" not in repr(made)
    assert "***" in repr(made)
    assert "token=None" in repr(Sample(from_="x"))


def test_key_may_be_secret_whatever_its_rule():
    @config
    class Hidden:
        word: str = key(text(), "hidden", secret=True)

    assert "canary" not in repr(Hidden(word="canary"))
    (problem,) = problems_of({"word": "canary\n"}, Hidden)
    assert "canary" not in problem


def test_default_that_does_not_fit_its_rule_is_the_authors_error():
    with pytest.raises(Misfit):
        key(integer(), "a number", default="x")


def test_keys_tell_rule_help_and_default_as_written():
    known = keys(Sample)
    assert list(known) == ["allowed", "max_frame", "from", "folder", "token"]
    assert known["allowed"].default == "30/s"
    assert known["allowed"].help == "messages a session may send"
    assert known["from"].required
    assert known["from"].default is REQUIRED
    assert repr(REQUIRED) == "REQUIRED"
    assert known["token"].secret


@pytest.mark.parametrize("cls", [int, None, attrs.make_class("Plain", ["x"])])
def test_what_is_no_config_class_is_said(cls):
    with pytest.raises(TypeError):
        keys(cls)


def test_classes_own_validation_becomes_a_problem():

    @config
    class Span:
        high: int = key(integer(), "high")
        low: int = key(integer(), "low")

        def __attrs_post_init__(self):
            if self.low > self.high:
                raise Misfit("a low that is not above high", ("low",))
            if self.low == self.high:
                raise ValueError("low and high are the same")

    assert problems_of({"low": 5, "high": 1}, Span) == ["firefly.toml: low: got 5; needs a low that is not above high"]
    assert problems_of({"low": 5, "high": 5}, Span) == [
        "firefly.toml: got values that do not go together; needs a change: low and high are the same"
    ]


def test_rules_that_look_at_the_file_are_settled(tmp_path):
    @config
    class Peers:
        roots: tuple = key(list_of(server()), "roots", default=())

    problems = Problems()
    site = Site(tmp_path, ["gate", "world"])
    assert read(Peers, {"roots": ["gate"]}, site, problems, ("servers", "x", "node")).roots == ("gate",)
    assert read(Peers, {"roots": ["gate", "wrld"]}, site, problems, ("servers", "x", "node")) is None
    assert problems.texts() == [
        'firefly.toml: servers.x.node.roots[1]: got "wrld"; needs the name of a server of this file (gate, world); '
        'did you mean "world"?'
    ]


def test_fields_of_gives_each_key_with_its_value():
    found = {entry.name: value for entry, value in fields_of(Sample(from_="x"))}
    assert found["from"] == "x"
    assert list(found) == ["allowed", "max_frame", "from", "folder", "token"]


def test_every_public_name_is_there():
    for name in public.__all__:
        assert hasattr(public, name)


def test_two_classes_do_not_share_anything():
    @config
    class One:
        x: int = key(integer(), "x", default=1)

    @config
    class Two:
        x: int = key(integer(), "x", default=2)

    assert (One().x, Two().x) == (1, 2)
