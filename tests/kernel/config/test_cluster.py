import random
import sys
import time
from pathlib import Path

import pytest

from firefly_core.errors import ConfigurationError
from firefly_core.kernel.config.cluster import draft, load, plugin_names
from firefly_core.kernel.config.config import keys
from firefly_core.kernel.config.sections import FireflyConfig, ServerConfig

DOOR = '[firefly]\nplugins = ["kit"]\n[servers.gate.door]\nlisten = "tcp://127.0.0.1:1"\n'


def problems_of(path, environ=(), overrides=()):
    """Load what is wrong; gives the problems without the path before them."""
    began = time.monotonic()
    with pytest.raises(ConfigurationError) as caught:
        load(path, dict(environ), overrides)
    assert time.monotonic() - began < 5  # the promise is 1 s, the ceiling leaves room for a busy machine
    problems = caught.value.problems
    assert problems
    assert not any("Traceback" in problem or "\n" in problem for problem in problems)
    return [problem.removeprefix(str(path)) for problem in problems]


def test_whole_file_becomes_a_cluster(game):
    path = game()
    cluster = load(path, {})
    assert (cluster.path, cluster.folder, cluster.name) == (path, path.parent, "meadow")
    assert list(cluster.servers) == ["gate", "world"]
    assert list(cluster.servers["gate"].services) == ["door", "mesh"]
    assert cluster.servers["world"].services["mesh"].roots == ("gate",)
    assert cluster.servers["world"].services["store"].database.path == str(path.parent / "var/meadow.db")
    assert cluster.servers["gate"].services["door"].listen[0].settings.header == (1, 2)
    assert cluster.plugins.names == ("kit",)
    assert cluster.warnings == ()


def test_folder_of_the_file_comes_first_on_the_path(game):
    path = game()
    load(path, {})
    load(path, {})
    assert sys.path[0] == str(path.parent)
    assert sys.path.count(str(path.parent)) == 1


def test_relative_path_of_the_file_is_made_absolute(game, monkeypatch):
    path = game()
    monkeypatch.chdir(path.parent)
    cluster = load("firefly.toml", {})
    assert cluster.path == path
    monkeypatch.chdir("/")
    assert cluster.servers["world"].services["store"].journal == path.parent / "var/journal"


def test_processes_are_always_numbered(game):
    cluster = load(
        game(changes={"[servers.world.mesh]": "[servers.world]\nhandlers = ['x']\n[servers.world.mesh]"}), {}
    )
    assert cluster.process_names() == ["gate-1", "world-1"]
    cluster = load(game(changes={"[servers.gate]": "[servers.gate]\nreplicas = 3"}), {})
    assert cluster.process_names() == ["gate-1", "gate-2", "gate-3", "world-1"]
    server, replica = cluster.find_process("gate-3")
    assert (server.name, replica) == ("gate", 3)
    server, replica = cluster.find_process("gate")
    assert (server.name, replica) == ("gate", 1)


@pytest.mark.parametrize("name", ["gate-4", "gate-0", "gate-01", "gate-", "gaet", "gaet-1", "-1", ""])
def test_process_that_is_not_there_is_told(game, name):
    cluster = load(game(changes={"[servers.gate]": "[servers.gate]\nreplicas = 3"}), {})
    with pytest.raises(ConfigurationError, match=r"there is no (server|process)"):
        cluster.find_process(name)


def test_server_that_is_not_there_is_told_with_the_nearest(game):
    with pytest.raises(
        ConfigurationError, match="there is no server 'gaet'; there are: gate, world; did you mean \"gate\""
    ):
        load(game(), {}).server("gaet")


# ------------------------------------------------------------------------------------------- the file itself (79-82)


def test_missing_file(tmp_path):
    assert problems_of(tmp_path / "firefly.toml") == [": there is no such file"]


def test_folder_instead_of_a_file(tmp_path):
    assert problems_of(tmp_path) == [": is a folder; needs a TOML file"]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"#" * 10 * 2**20, ": is larger than 262144 bytes"),
        ('[firefly]\nname = "é"'.encode("latin-1"), ":2: byte 0xe9 is not UTF-8; save the file as UTF-8"),
        (b"a = " + b"[" * 2000 + b"]" * 2000, ":1: is nested too deeply"),
        (b"a = " + b"9" * 5000, ":1: a number has too many digits"),
        (b"[firefly\n", ":1:9: "),
        (b"\x00", ":1:1: "),
    ],
)
def test_file_that_cannot_be_read_is_one_problem(game, data, said):
    (problem,) = problems_of(game(data))
    assert problem.startswith(said)


@pytest.mark.parametrize("change", [lambda text: b"\xef\xbb\xbf" + text, lambda text: text.replace(b"\n", b"\r\n")])
def test_byte_order_mark_and_windows_line_ends_change_nothing(game, change):
    assert load(game(change(DOOR.encode())), {}).process_names() == ["gate-1"]


@pytest.mark.parametrize(
    "text", ["", "# nothing", "[firefly]", '[firefly]\nplugins = ["kit"]', '[firefly]\nplugins = ["kit"]\n[servers]']
)
def test_file_without_servers_is_told(game, text):
    assert any(
        "servers: got nothing; needs at least one [servers.NAME]" in problem for problem in problems_of(game(text))
    )


# ------------------------------------------------------------------------------------------------ values (83-87, 95)


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("max_frame", "true", "got true; needs a size in bytes from 1024 to 16777216"),
        ("max_frame", "0", "got 0; needs"),
        ("max_frame", "1099511627776", "got 1099511627776; needs"),
        ("max_frame", "1023", "got 1023; needs"),
        ("max_frame", "65536.0", "got 65536.0; needs"),
        ("login_timeout", "nan", "got nan; needs a duration in seconds from 0.1 to 3600"),
        ("login_timeout", "inf", "got inf; needs"),
        ("login_timeout", "-1", "got -1; needs"),
        ("login_timeout", "true", "got true; needs"),
        ("login_timeout", '"15s"', 'got "15s"; needs'),
        ("login_timeout", "2024-01-01", "got 2024-01-01; needs"),
        ("open", "1", "got 1; needs true or false"),
        ("open", '"yes"', 'got "yes"; needs true or false'),
        ("share", "nan", "got nan; needs a number from 0 to 1"),
        ("allowed", "30", "got 30; needs a rate"),
        ("allowed", '"30/s/s"', 'got "30/s/s"; needs a rate'),
    ],
)
def test_value_that_does_not_fit_is_told_with_file_line_and_key(game, key, value, said):
    (problem,) = problems_of(game(f"{DOOR}{key} = {value}\n"))
    assert problem.startswith(f":5: servers.gate.door.{key}: {said}")


@pytest.mark.parametrize(
    "host",
    ["a\\u0000b", "", "::", "localhost.", "a" * 300, "1.2.3.4.5", "999.1.1.1", "a b", "[::1", "a_b..c"],
)
def test_host_that_is_none_is_told(game, host):
    text = DOOR.replace("127.0.0.1", host)
    (problem,) = problems_of(game(text))
    assert problem.startswith(":4: servers.gate.door.listen: got ")
    assert len(problem) < 300


@pytest.mark.parametrize("port", ["0x10", "65536", "-1", "", "99999999", "ü"])
def test_port_that_is_none_is_told(game, port):
    (problem,) = problems_of(game(DOOR.replace(':1"', f':{port}"')))
    assert problem.startswith(":4: servers.gate.door.listen: got ")


def test_two_services_on_one_port_are_told(game):
    (problem,) = problems_of(game(changes={"127.0.0.1:10000": "127.0.0.1:11009"}))
    assert problem == (
        ":12: servers.gate.mesh.listen: got port 11009 for gate-1; needs a port of its own: "
        "servers.gate.door.listen[0] listens there already (gate-1)"
    )


# ------------------------------------------------------------------------------------------- names and peers (88-90)


def test_unknown_section_key_and_service_are_given_the_nearest(game):
    text = '[firefly]\nplugins = ["kit"]\nnam = "x"\n[servers.gate]\nreplcas = 2\n[servers.gate.dor]\n[server.world]\n'
    assert problems_of(game(text)) == [
        f':3: firefly.nam: got an unknown key; needs one of: {", ".join(keys(FireflyConfig))}; did you mean "name"?',
        f":5: servers.gate.replcas: got an unknown key; needs one of: {', '.join(keys(ServerConfig))}; "
        'or a service\'s table; did you mean "replicas"?',
        ":6: servers.gate.dor: got an unknown service; needs a service that a plugin offers (door, mesh, store); "
        'did you mean "door"?',
        ':7: server: got an unknown section; needs [firefly] or [servers.NAME]; did you mean "servers"?',
    ]


def test_service_of_a_plugin_that_is_installed_and_not_named_says_so(game, distribution):
    distribution("extra", {}, plugins={"extra": "extra"})
    (problem,) = problems_of(game(DOOR + "[servers.gate.extra]\n"))
    assert problem.endswith('"extra" is installed, add it to firefly.plugins')


def test_unknown_services_are_not_told_where_a_plugin_is_missing(game):
    text = '[firefly]\nplugins = ["kit", "gone-plugin"]\n[servers.gate.perhaps-of-gone]\nx = 1\n'
    (problem,) = problems_of(game(text))
    assert "plugin 'gone-plugin': is not installed" in problem


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({'roots = ["gate"]': 'roots = ["gaet"]'}, 'roots[0]: got "gaet"; needs the name of a server of this file'),
        ({'roots = ["gate"]': 'roots = ["world"]'}, "roots: world cannot dial itself"),
        ({'listen = "tcp://127.0.0.1:10000"\n': "", "[servers.gate.mesh]\n": ""}, "roots: gate has no mesh"),
        ({'name = "meadow"': 'directory = "gaet"'}, 'firefly.directory: got "gaet"; needs the name of a server'),
    ],
)
def test_peer_that_is_not_there_is_told(game, change, said):
    (problem,) = problems_of(game(changes=change))
    assert said in problem


def test_many_servers_are_too_many_and_said_at_once(game):
    text = '[firefly]\nplugins = ["kit"]\n' + "".join(f"[servers.s{i}x]\n" for i in range(10_000))
    (problem,) = problems_of(game(text))
    assert problem.endswith("servers: got 10000 servers; needs at most 256 servers")


def test_as_many_servers_as_allowed_are_read_in_time(game):
    text = '[firefly]\nplugins = ["kit"]\n' + "".join(
        f'[servers.s{i}x.door]\nlisten = "tcp://127.0.0.1:{i + 1}"\n' for i in range(256)
    )
    began = time.monotonic()
    assert len(load(game(text), {}).servers) == 256
    assert time.monotonic() - began < 5


def test_too_many_processes_are_told(game):
    text = '[firefly]\nplugins = ["kit"]\n' + "".join(
        f'[servers.s{i}x]\nreplicas = 256\n[servers.s{i}x.door]\nlisten = "tcp://127.0.0.1:{i + 1}"\n' for i in range(5)
    )
    (problem,) = problems_of(game(text))
    assert problem.endswith("servers: got 1280 processes; needs at most 1024 processes")


@pytest.mark.parametrize("name", ["", "../x", "a b; rm -rf /", "-h", "😀", "a" * 300, "1gate", "a.b", "gate\\n", "é"])
def test_server_name_that_is_none_is_told(game, name):
    (problem,) = problems_of(game(DOOR.replace("[servers.gate.door]", f'[servers."{name}".door]')))
    assert "needs a server name that begins with a letter" in problem
    assert len(problem) < 400


def test_server_names_that_differ_only_in_case_are_told(game):
    text = DOOR + '[servers.GATE.door]\nlisten = "tcp://127.0.0.1:2"\n'
    (problem,) = problems_of(game(text))
    assert problem == ':5: servers.GATE: got "GATE"; needs a name that differs from "gate" in more than case'


def test_server_name_that_looks_like_a_process_is_told(game):
    (problem,) = problems_of(game(DOOR.replace("servers.gate.", "servers.gate-1.")))
    assert "needs a server name without -NUMBER at its end" in problem


def test_single_service_with_replicas_is_told(game):
    (problem,) = problems_of(
        game(changes={"[servers.world.mesh]": "[servers.world]\nreplicas = 2\n[servers.world.mesh]"})
    )
    assert problem == (
        ":15: servers.world.replicas: got 2; needs replicas = 1, "
        "because the processes of a server cannot share its store"
    )


def test_misspelt_durability_is_given_the_nearest(game):
    (problem,) = problems_of(game(changes={'meadow.db"\n': 'meadow.db"\ndurability = "fync"\n'}))
    assert problem.endswith('did you mean "fsync"?')


def test_missing_required_key_is_told(game):
    (problem,) = problems_of(game(changes={'database = "sqlite:///var/meadow.db"\n': ""}))
    assert problem.startswith(":16: servers.world.store.database: got nothing; needs a URL that begins with sqlite://")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("firefly = 1\n", "firefly: got 1; needs a table"),
        ("servers = []\n[firefly]\nplugins = []\n", "servers: got a list of 0; needs tables, each [servers.NAME]"),
        ('[firefly]\nplugins = "kit"\n', "firefly.plugins: got "),
        ('[firefly]\nplugins = ["kit"]\n[servers]\ngate = 1\n', "servers.gate: got 1; needs a table"),
        (
            '[firefly]\nplugins = ["kit"]\n[servers.gate]\ndoor = 1\n',
            "servers.gate.door: got 1; needs a table, [servers.gate.door]",
        ),
        (
            '[firefly]\nplugins = ["kit"]\n[[servers.gate.door]]\nx = 1\n',
            "servers.gate.door: got a list of 1; needs a table",
        ),
        ('[firefly]\nplugins = ["kit"]\n[servers.gate]\n', "servers.gate: got a server with nothing to do"),
    ],
)
def test_value_where_a_table_belongs_is_told(game, text, said):
    assert any(said in problem for problem in problems_of(game(text)))


def test_all_problems_of_all_rooms_are_told_at_once_in_the_order_of_lines(game):
    text = (
        '[firefly]\nplugins = ["kit", "gone"]\nsecret = "${NOPE}"\ndrain_timeout = nan\n'
        '[servers.gate]\nreplicas = true\nhandlers = ["..x"]\n'
        '[servers.gate.door]\nlisten = "tcp://:1"\nmax_frame = 0\n'
        "[extra]\n"
    )
    problems = problems_of(game(text))
    assert [int(problem.split(":")[1]) for problem in problems] == [2, 3, 4, 6, 7, 9, 10, 11]


def test_what_a_missing_plugin_may_have_offered_is_not_told_as_unknown(game):
    changes = {'["kit"]': '["kit", "gone-plugin"]', "header = [1, 2]": 'protocol = "gone", codec = "gone"'}
    (problem,) = problems_of(game(changes=changes))
    assert "plugin 'gone-plugin': is not installed" in problem


def test_no_room_hides_what_is_wrong_in_another(game):
    text = (
        '[firefly]\nplugins = ["kit"]\n[servers.gate]\nreplicas = 0\nhandlers = ["..x"]\n'
        '[servers.gate.door]\nmax_frame = 0\nlisten = [\n  "tcp://127.0.0.1:1",\n  "tcp://127.0.0.1:1",\n  5,\n]\n'
    )
    assert [problem.split(": got")[0] for problem in problems_of(game(text))] == [
        ":4: servers.gate.replicas",
        ":5: servers.gate.handlers[0]",
        ":7: servers.gate.door.max_frame",
        ":10: servers.gate.door.listen[1]",
        ":11: servers.gate.door.listen[2]",
    ]


def test_neighbour_of_a_service_that_cannot_be_read_does_not_miss_it(game):
    (problem,) = problems_of(game(changes={'"tcp://127.0.0.1:10000"': "5"}))
    assert problem.startswith(":12: servers.gate.mesh.listen: got 5; ")


def test_service_check_that_raises_is_named(game, distribution):
    source = (
        "import firefly_kit as kit\nfrom firefly_core.kernel.hookspecs import hookimpl\nFIREFLY_API = 1\n"
        "class Odd(kit.Door):\n    name = 'odd'\n"
        "    @classmethod\n    def check(cls, server, config, cluster):\n        raise KeyError(server)\n"
        "@hookimpl\ndef firefly_services():\n    return [Odd]\n"
    )
    distribution("odd", {"odd": source}, plugins={"odd": "odd"})
    text = '[firefly]\nplugins = ["kit", "odd"]\n[servers.gate.odd]\nlisten = "tcp://127.0.0.1:1"\n'
    (problem,) = problems_of(game(text))
    assert problem == ":3: servers.gate.odd: Odd.check of plugin 'odd': raised KeyError: 'gate'"


# ------------------------------------------------------------------------------------- environment and secrets (93)


def test_precedence_is_flags_environment_file_defaults(game):
    path = game(DOOR + "max_frame = 2048\n")

    def max_frame(environ, overrides=()):
        return load(path, environ, overrides).servers["gate"].services["door"].max_frame

    key = "servers.gate.door.max_frame"
    assert load(path, {}).servers["gate"].services["door"].login_timeout == 15.0
    assert max_frame({}) == 2048
    assert max_frame({"FIREFLY_SET": f"{key}=4096"}) == 4096
    assert max_frame({"FIREFLY_SET": f"{key}=4096"}, [f"{key}=8192"]) == 8192


def test_variables_stand_above_the_firefly_section(game):
    cluster = load(
        game(), {"FIREFLY_NAME": "other", "FIREFLY_SECRET": "0123456789abcdef", "FIREFLY_DRAIN_TIMEOUT": "3"}
    )
    assert (cluster.name, cluster.firefly.secret, cluster.firefly.drain_timeout) == ("other", "0123456789abcdef", 3.0)


def test_problem_of_a_variable_or_flag_names_it_instead_of_the_file(game):
    path = game()
    with pytest.raises(ConfigurationError) as caught:
        load(
            path,
            {"FIREFLY_DRAIN_TIMEOUT": "nan", "FIREFLY_SET": "servers.gate.door.max_frame=1"},
            ["servers.gate.door.open=1", "servers.gate.nobody.x=1", "firefly.name.x=1", "nonsense"],
        )
    assert caught.value.problems == [
        f"{path}:2: firefly.name: --set sets a key inside of it, but it is no table",
        "--set: a text of 8 characters without =; needs the form KEY=VALUE",
        "FIREFLY_DRAIN_TIMEOUT: firefly.drain_timeout: got nan; needs a duration in seconds from 0 to 3600",
        "FIREFLY_SET: servers.gate.door.max_frame: got 1; needs a size in bytes from 1024 to 16777216",
        "--set: servers.gate.door.open: got 1; needs true or false",
        "--set: servers.gate.nobody: got an unknown service; needs a service that a plugin offers (door, mesh, store)",
    ]


def test_names_of_the_environment_are_replaced_everywhere(game):
    text = DOOR.replace('"tcp://127.0.0.1:1"', '[{ url = "tcp://${HOST}:${PORT}", origins = ["${HOST}"] }]')
    (listen,) = load(game(text), {"HOST": "localhost", "PORT": "7"}).servers["gate"].services["door"].listen
    assert (listen.url.host, listen.url.port, listen.own.origins) == ("localhost", 7, ("localhost",))


@pytest.mark.parametrize(
    ("environ", "said"), [({}, "is not set"), ({"PORT": ""}, "is empty"), ({"PORT": "7\n"}, "line break")]
)
def test_variable_that_is_unset_empty_or_has_a_line_break_is_one_problem(game, environ, said):
    (problem,) = problems_of(game(DOOR.replace(':1"', ':${PORT}"')), environ)
    assert problem.startswith(":4: servers.gate.door.listen: got ${PORT}; needs the environment variable PORT")
    assert said in problem


def test_what_the_environment_says_is_in_no_problem(game):
    (problem,) = problems_of(game(DOOR.replace(':1"', ':${PORT}"')), {"PORT": "canary"})
    assert problem.startswith(
        ':4: servers.gate.door.listen: got "tcp://127.0.0.1:${PORT}" with what the environment says'
    )
    assert "canary" not in problem


def test_secret_in_the_file_is_allowed_with_a_warning_that_does_not_show_it(game):
    path = game(
        changes={
            'name = "meadow"': 'secret = "canary-canary-canary"',
            'var/meadow.db"': 'x.db"\ntoken = "canary-canary-canary"',
        }
    )
    cluster = load(path, {})
    assert [warning.removeprefix(str(path)) for warning in cluster.warnings] == [
        ":2: firefly.secret: a secret stands in the file; take it from the environment, as ${NAME}",
        ":18: servers.world.store.token: a secret stands in the file; take it from the environment, as ${NAME}",
    ]


def test_no_secret_is_in_any_problem_or_text_of_the_cluster(game):
    text = game().read_text()
    broken = text.replace('"meadow"', '"meadow"\nsecret = "canary"').replace(
        "sqlite:///var/meadow.db", "postgresql://u:canary@"
    )
    assert not any("canary" in problem for problem in problems_of(game(broken)))
    cluster = load(game(text), {"FIREFLY_SECRET": "canary-canary-canary"})
    assert "canary" not in repr(cluster) + repr(cluster.firefly) + str(cluster)


def test_variable_that_is_nearly_one_of_ours_is_warned_about(game):
    environ = {"FIREFLY_SECERT": "canary", "FIREFLY_SET": "", "FIREFLY_CONTROL": "3", "FIREFLY_DRAIN_TIMEOUT": "1"}
    assert load(game(), environ).warnings == (
        "FIREFLY_SECERT: is no variable of Firefly; did you mean FIREFLY_SECRET?",
    )


def test_what_the_environment_says_is_in_no_problem_of_a_listeners_own_keys(game):
    changes = {"header = [1, 2]": 'header = "${CANARY}", origins = "${CANARY}", password = "${CANARY}"'}
    problems = problems_of(game(changes=changes), {"CANARY": "canary"})
    assert [problem.split(": ")[1] for problem in problems] == [
        "servers.gate.door.listen[0].origins",
        "servers.gate.door.listen[0].password",
        "servers.gate.door.listen[0].header",
    ]
    assert not any("canary" in problem for problem in problems)


TOKENS = [
    "[", "]", "{", "}", "=", ".", ",", '"', "'", "\n", "#", "nan", "-1", "true", "9" * 30, "1e999", "[[servers]]",
    "[servers.gate.door]", 'listen = "tcp://h:1"', "${X}", "$$", "\\", "\x00", "\ud7ff", "kit", "gate", "2024-01-01",
]  # fmt: skip


def test_no_damage_to_a_file_makes_anything_but_problems(game):
    path = game()
    text = path.read_text()
    shuffle = random.Random(79)
    refused = []
    for _ in range(300):
        broken = text
        for _ in range(shuffle.randint(1, 4)):
            start = shuffle.randrange(len(broken))
            end = min(len(broken), start + shuffle.choice([0, 0, 1, 3, 12, 40]))
            broken = broken[:start] + "".join(shuffle.choices(TOKENS, k=shuffle.randint(0, 2))) + broken[end:]
        path.write_text(broken)
        try:
            load(path, {"X": "x"})
        except ConfigurationError as error:
            refused.append(error.problems)
    assert len(refused) > 150
    assert all(refused)
    assert all(problem.isprintable() and len(problem) < 1000 for problems in refused for problem in problems)


def test_draft_gives_problems_back(game):
    made = draft(game(changes={'"meadow"': "5"}), {})
    assert made.cluster is None
    assert list(made.servers) == ["gate", "world"]
    assert len(made.problems.found) == 1


def test_plugin_names_are_read_from_a_file_whose_rest_is_wrong(game):
    path = game('[firefly]\nname = 5\nplugins = ["a", "b"]\n[nonsense]\n')
    assert plugin_names(path, {}) == ["a", "b"]
    assert plugin_names(path, {"FIREFLY_PLUGINS": '["c"]'}) == ["c"]
    with pytest.raises(ConfigurationError, match=r"firefly\.plugins: got nothing; needs a list"):
        plugin_names(game("[firefly]\n"), {})


def test_two_clusters_share_nothing(game):
    path = game()
    one, two = load(path, {}), load(path, {})
    assert one.plugins is not two.plugins
    assert one.servers is not two.servers
    assert isinstance(one.folder, Path)
