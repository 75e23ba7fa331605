import pytest

from firefly_core.kernel.config.misfit import Misfit
from firefly_core.kernel.config.rules import Site
from firefly_core.kernel.config.url import Url, url


@pytest.mark.parametrize(
    ("written", "host", "port", "path"),
    [
        ("tcp://127.0.0.1:11009", "127.0.0.1", 11009, ""),
        ("tcp://[::1]:10000", "::1", 10000, ""),
        ("tcp://[fe80::1%eth0]:10000", "fe80::1%eth0", 10000, ""),
        ("ws://localhost:11010/", "localhost", 11010, "/"),
        ("ws://game.example.com:1/a/b", "game.example.com", 1, "/a/b"),
        ("ws://localhost", "localhost", 80, ""),
        ("tcp://0.0.0.0:0", "0.0.0.0", 0, ""),
        ("tcp://my_host-1:65535", "my_host-1", 65535, ""),
    ],
)
def test_listening_url_is_taken_apart(written, host, port, path):
    made = url("tcp", "ws").parse(written)
    assert (made.host, made.port, made.path) == (host, port, path)


@pytest.mark.parametrize(
    "written",
    [
        "tcp://a\x00b:1",
        "tcp://:10000",
        "tcp://",
        "tcp:///x",
        "tcp://:::10000",
        "tcp://::1",
        "tcp://localhost.:1",
        "tcp://" + "a" * 300 + ":1",
        "tcp://" + ".".join(["a" * 60] * 5) + ":1",
        "tcp://" + "a" * 64 + ".b:1",
        "tcp://1.2.3:5",
        "tcp://256.1.1.1:5",
        "tcp://2130706433:5",
        "tcp://a..b:5",
        "tcp://-a:5",
        "tcp://a b:5",
        "tcp://[127.0.0.1]:5",
        "tcp://[zz]:5",
        "tcp://127.0.0.1",
        "tcp://127.0.0.1:",
        "tcp://127.0.0.1:65536",
        "tcp://127.0.0.1:-1",
        "tcp://127.0.0.1:999999",
        "tcp://127.0.0.1:0x10",
        "tcp://127.0.0.1:1#x",
        "tcp://127.0.0.1:1\n",
        "tcp://löcal:1",
        "tpc://127.0.0.1:1",
        "127.0.0.1:1",
        "http://127.0.0.1:1",
        "x" * 3000,
        "",
        5,
        True,
        None,
    ],
)
def test_malformed_url_is_refused(written):
    with pytest.raises(Misfit, match="needs a URL"):
        url("tcp", "ws").parse(written)


def test_misspelt_scheme_is_given_the_nearest():
    with pytest.raises(Misfit) as caught:
        url("tcp", "ws").parse("tpc://127.0.0.1:1")
    assert caught.value.hint == "tcp://"


def test_file_url_is_relative_with_three_slashes_and_absolute_with_four(tmp_path):
    rule = url("sqlite", files=["sqlite"])
    assert rule.settle(rule.parse("sqlite:///var/game.db"), Site(tmp_path)).path == str(tmp_path / "var/game.db")
    assert rule.settle(rule.parse("sqlite:////abs/game.db"), Site(tmp_path)).path == "/abs/game.db"
    assert rule.settle(rule.parse("sqlite:///:memory:"), Site(tmp_path)).path == ":memory:"


@pytest.mark.parametrize("written", ["sqlite://var/game.db", "sqlite://", "sqlite:///"])
def test_file_url_needs_a_file(written):
    with pytest.raises(Misfit, match="three slashes"):
        url("sqlite", files=["sqlite"]).parse(written)


def test_file_url_keeps_its_question(tmp_path):
    assert url("sqlite", files=["sqlite"]).parse("sqlite:///a.db?timeout=5").query == "timeout=5"


def test_database_url_has_user_password_and_query_unquoted():
    made = url("postgresql").parse("postgresql://me:p%40ss@db.local/game?sslmode=require")
    assert (made.user, made.password, made.host, made.port) == ("me", "p@ss", "db.local", 5432)
    assert (made.path, made.query) == ("/game", "sslmode=require")


def test_password_is_in_no_text_of_the_url():
    made = url("postgresql").parse("postgresql://me:canary@db/game?password=canary")
    assert "canary" not in str(made) + repr(made)
    assert str(made) == "postgresql://me:***@db:5432/game"
    assert "canary" in made.text


def test_several_hosts_where_the_rule_allows_them():
    made = url("memcached", many=True).parse("memcached://a:11211,b,[::1]:7")
    assert made.hosts == (("a", 11211), ("b", 11211), ("::1", 7))
    assert str(made) == "memcached://a:11211,b:11211,[::1]:7"
    with pytest.raises(Misfit):
        url("memcached").parse("memcached://a:1,b:2")


def test_scheme_without_place_stands_alone():
    assert url("memory", "memcached").parse("memory://") == Url(scheme="memory")
    assert str(url("memory").parse("memory://")) == "memory://"


def test_relative_path_is_not_touched_by_settling_a_url_with_a_host(tmp_path):
    rule = url("ws")
    made = rule.parse("ws://h:1/a/../b")
    assert rule.settle(made, Site(tmp_path)) == made
