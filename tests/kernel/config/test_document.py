import pytest

from firefly_core.errors import ConfigurationError
from firefly_core.kernel.config.config import text
from firefly_core.kernel.config.document import open_document
from firefly_core.kernel.config.problems import Problems

FILE = '[firefly]\nname = "a"\n[servers.gate.door]\nlisten = [\n  "tcp://${HOST}:1",\n]\n'


def opened(tmp_path, environ=(), overrides=(), written=FILE):
    path = tmp_path / "f.toml"
    path.write_text(written)
    problems = Problems("?")
    document = open_document(path, {"HOST": "h", **dict(environ)}, overrides, {"name": text()}, problems)
    return document, problems


def test_file_is_kept_as_it_was_and_values_are_what_counts(tmp_path):
    document, problems = opened(tmp_path, {"FIREFLY_NAME": "b"}, ["servers.gate.replicas=2"])
    assert document.raw["firefly"] == {"name": "a"}
    assert document.values == {
        "firefly": {"name": "b"},
        "servers": {"gate": {"door": {"listen": ["tcp://h:1"]}, "replicas": 2}},
    }
    assert not problems


def test_every_value_knows_its_source(tmp_path):
    document, _ = opened(tmp_path, {"FIREFLY_NAME": "b"}, ["servers.gate.new.deep=2"])
    file = str(tmp_path / "f.toml")
    assert document.source(("firefly", "name")) == ("FIREFLY_NAME", 0)
    assert document.source(("servers", "gate", "door", "listen", 0)) == (file, 5)
    assert document.source(("servers", "gate", "door", "listen", 7)) == (file, 4)
    assert document.source(("servers", "gate", "new", "deep", "er")) == ("--set", 0)
    assert document.source(("servers", "gate", "new")) == ("--set", 0)
    assert document.source(("nobody",)) == (file, 0)
    assert document.source(()) == (file, 0)


def test_shown_values_have_the_names_of_the_environment_as_written(tmp_path):
    document, _ = opened(tmp_path)
    assert document.shown()["servers"]["gate"]["door"]["listen"] == ["tcp://${HOST}:1"]
    assert document.values["servers"]["gate"]["door"]["listen"] == ["tcp://h:1"]


def test_value_set_from_above_is_no_longer_the_one_that_was_written(tmp_path):
    document, _ = opened(tmp_path, overrides=['servers.gate.door.listen=["tcp://x:2"]'])
    assert document.shown()["servers"]["gate"]["door"]["listen"] == ["tcp://x:2"]
    assert document.written == {}


def test_later_flag_stands_above_the_earlier_one(tmp_path):
    document, _ = opened(tmp_path, overrides=["firefly.name=x", "firefly.name=y"])
    assert document.values["firefly"]["name"] == "y"


def test_other_text_may_stand_for_the_files(tmp_path):
    document = open_document(tmp_path / "gone.toml", {}, (), {}, Problems(), text="a = 1")
    assert document.values == {"a": 1}


def test_unreadable_file_raises(tmp_path):
    with pytest.raises(ConfigurationError):
        open_document(tmp_path / "gone.toml", {}, (), {}, Problems())
