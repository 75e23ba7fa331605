import pytest

from firefly_core.errors import ConfigurationError
from firefly_core.kernel.config.config import config, key, list_of, optional, read, read_alone, secret, size, text
from firefly_core.kernel.config.listen import Listen, listeners
from firefly_core.kernel.config.misfit import Misfit
from firefly_core.kernel.config.problems import Problems
from firefly_core.kernel.config.rules import Site
from firefly_core.kernel.plugins.plugins import load_plugins


@config
class Own:
    origins: tuple = key(list_of(text()), "origins", default=())
    token: str | None = key(optional(secret()), "hidden", default=None)


@config
class Plain:
    listen: tuple = key(listeners("tcp", "http", own=Own), "where")


@config
class Spoken:
    listen: tuple = key(listeners("tcp", "ws", own=Own, protocol="line"), "where")


@config
class Required:
    listen: tuple = key(listeners("tcp", protocol=""), "where")


def settled(cls, value, tmp_path, plugins=("kit",)):
    problems = Problems("f")
    made = read(cls, {"listen": value}, Site(tmp_path, (), load_plugins(plugins)), problems)
    return made.listen if made else problems.texts()


@pytest.mark.parametrize(
    "value",
    ["tcp://127.0.0.1:1", {"url": "tcp://127.0.0.1:1"}, ["tcp://127.0.0.1:1"], [{"url": "tcp://127.0.0.1:1"}]],
)
def test_url_table_and_list_of_either_mean_the_same(value):
    (listen,) = read_alone(Plain, {"listen": value}).listen
    assert (listen.url.host, listen.url.port, listen.own) == ("127.0.0.1", 1, Own())


def test_several_listeners_keep_their_order():
    made = read_alone(Plain, {"listen": ["tcp://a:1", {"url": "http://b:2", "origins": ["x"]}]}).listen
    assert [(each.url.host, each.own.origins) for each in made] == [("a", ()), ("b", ("x",))]


@pytest.mark.parametrize(
    ("value", "at"),
    [
        (5, "listen: got 5; "),
        (True, "listen: got true; "),
        ([], "listen: got a list of 0; "),
        ([5], "listen[0]: got 5; "),
        ({}, "listen.url: got nothing; "),
        ({"url": 5}, "listen.url: got 5; "),
        ({"url": "tcp://a:1", "url2": "x"}, "listen.url2: got an unknown key; "),
        ([{"url": "tcp://a:1"}, {"orgins": []}], "listen[1].url: got nothing; "),
        ({"url": "tcp://a:1", "origins": "x"}, 'listen.origins: got "x"; '),
        ("tcp://:1", 'listen: got "tcp://:1"; '),
    ],
)
def test_what_is_no_listener_is_told_at_its_place(value, at):
    with pytest.raises(ConfigurationError) as caught:
        read_alone(Plain, {"listen": value})
    assert caught.value.problems[0].startswith(f"firefly.toml: {at}")


def test_misspelt_key_of_a_listener_is_given_the_nearest():
    with pytest.raises(ConfigurationError) as caught:
        read_alone(Plain, {"listen": {"url": "tcp://a:1", "orgins": []}})
    assert caught.value.problems == [
        'firefly.toml: listen.orgins: got an unknown key; needs one of: url, origins, token; did you mean "origins"?'
    ]


def test_default_protocol_and_its_default_codec(kit, tmp_path):
    (listen,) = settled(Spoken, "tcp://a:1", tmp_path)
    assert (listen.protocol.name, listen.codec, listen.settings.header) == ("line", "json", (0, 0))


def test_extra_keys_belong_to_the_protocol_and_to_the_service(kit, tmp_path):
    table = {"url": "ws://a:1", "protocol": "line", "codec": "json", "header": [1, 2], "origins": ["x"]}
    (listen,) = settled(Spoken, table, tmp_path)
    assert listen.settings.header == (1, 2)
    assert listen.own.origins == ("x",)
    assert listen.options == {name: table[name] for name in table if name != "url"}


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (
            {"protocol": "lien"},
            'f: listen.protocol: got "lien"; needs a protocol that a plugin offers (line); did you mean "line"?',
        ),
        ({"protocol": 5}, "f: listen.protocol: got 5; needs a protocol that a plugin offers (line)"),
        ({"codec": "raw"}, 'f: listen.codec: got "raw"; needs a codec that fits protocol "line" (json)'),
        (
            {"codec": "jsn"},
            'f: listen.codec: got "jsn"; needs a codec that fits protocol "line" (json); did you mean "json"?',
        ),
        ({"codec": ["json"]}, 'f: listen.codec: got a list of 1; needs a codec that fits protocol "line" (json)'),
        ({"header": [300]}, "f: listen.header[0]: got 300; needs a size in bytes from 0 to 255"),
        (
            {"hedar": 5},
            "f: listen.hedar: got an unknown key; needs one of: url, origins, token, protocol, codec, header; "
            'did you mean "header"?',
        ),
        ({"token": "canary"}, "f: listen.token: got a text of 6 characters, not shown; needs a secret of 16 to 1024"),
    ],
)
def test_protocol_codec_and_their_keys_are_checked(kit, tmp_path, table, said):
    (problem,) = settled(Spoken, {"url": "tcp://a:1", **table}, tmp_path)
    assert problem.startswith(said)


def test_all_problems_of_all_listeners_are_told(kit, tmp_path):
    value = [
        {"url": "tcp://a:1", "codec": "x", "header": 5, "what": 1},
        {"url": "tcp://a:2", "protocol": "y"},
        {"url": "tcp://a:3", "origins": 1},
    ]
    assert len(settled(Spoken, value, tmp_path)) == 5


def test_unknown_protocol_and_codec_may_be_of_a_plugin_that_failed(kit, tmp_path):
    site = Site(tmp_path, (), load_plugins(["kit"]), complete=False)
    for table in ({"protocol": "perhaps", "whatever": 1}, {"codec": "perhaps"}):
        (listen,) = listeners("tcp", protocol="line").read({"url": "tcp://a:1", **table}, site)
        assert listen.url.port == 1
    for table in ({"protocol": 5}, {"protocol": "lien"}, {"codec": "jsn"}, {"codec": "raw"}):
        with pytest.raises(Misfit):
            listeners("tcp", protocol="line").read({"url": "tcp://a:1", **table}, site)


def test_wrong_url_hides_no_other_key(kit, tmp_path):
    value = [{"url": "tcp://:1", "codec": "x", "header": 5, "what": 1, "origins": 1}, {"protocol": "y"}, 5]
    assert [text.split(": got")[0] for text in settled(Spoken, value, tmp_path)] == [
        "f: listen[0].url",
        "f: listen[0].origins",
        "f: listen[0].codec",
        "f: listen[0].what",
        "f: listen[0].header",
        "f: listen[1].url",
        "f: listen[1].protocol",
        "f: listen[2]",
    ]


def test_protocol_may_have_to_be_named(kit, tmp_path):
    assert settled(Required, "tcp://a:1", tmp_path) == [
        "f: listen.protocol: got nothing; needs a protocol that a plugin offers (line)"
    ]
    (listen,) = settled(Required, {"url": "tcp://a:1", "protocol": "line"}, tmp_path)
    assert listen.protocol.name == "line"


def test_default_codec_that_nobody_offers_is_told(kit, distribution, tmp_path):
    source = (
        "import firefly_kit as kit\nfrom firefly_core.kernel.hookspecs import hookimpl\nFIREFLY_API = 1\n"
        "@hookimpl\ndef firefly_protocols():\n    return [kit.Line]\n"
    )
    distribution("lines", {"lines": source}, plugins={"lines": "lines"})
    assert settled(Spoken, "tcp://a:1", tmp_path, ["lines"]) == [
        'f: listen.codec: got "json", its default; needs a codec that fits protocol "line" (none is offered)'
    ]


def test_replicas_share_a_port_or_spread_over_several():
    listen = read_alone(Plain, {"listen": "tcp://a:10"}).listen[0]
    assert listen.address(3) == ("a", 10)
    assert listen.address(1, spread=True) == ("a", 10)
    assert listen.address(3, spread=True) == ("a", 12)


def test_port_zero_is_any_port_for_every_replica():
    listen = read_alone(Plain, {"listen": "tcp://a:0"}).listen[0]
    assert listen.address(3, spread=True) == ("a", 0)


def test_optional_listener_may_be_absent(tmp_path):
    @config
    class Perhaps:
        listen: tuple[Listen, ...] | None = key(optional(listeners("tcp")), "where", default=None)

    assert read_alone(Perhaps, {}).listen is None


def test_rule_says_what_it_needs():
    assert listeners("tcp", "ws").needs == (
        "a URL that begins with tcp:// or ws://, a table with such a url, or a list of either"
    )


def test_size_of_keys_is_checked_in_own_keys_too():
    @config
    class Big:
        backlog: int = key(size(1, 10), "backlog", default=5)

    @config
    class Uses:
        listen: tuple = key(listeners("tcp", own=Big), "where")

    with pytest.raises(ConfigurationError) as caught:
        read_alone(Uses, {"listen": ["tcp://a:1", {"url": "tcp://a:2", "backlog": True}]})
    assert caught.value.problems == ["firefly.toml: listen[1].backlog: got true; needs a size in bytes from 1 to 10"]
