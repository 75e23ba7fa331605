"""Channels of a server: the bounds that the file says, secrets that are being changed, TLS, and why channels ended."""

import subprocess

import gevent
import pytest

from firefly_core import on_start, remote
from firefly_core.errors import ConfigurationError, Overloaded
from firefly_core.testing import InProcessCluster, MemoryNetwork, virtual_time

TOML = """
[firefly]
plugins = ["root", "node"]
{firefly}
[servers.hub.root]
listen = {listen}
[servers.world.node]
roots = ["hub"]
"""
OLD, NEW = "the old secret of these tests", "the new secret of these tests"


@on_start
def start(ctx): ...


@remote("echo")
def echo(ctx, value: str) -> str:
    return value


@remote("rest")
def rest(ctx, seconds: float):
    gevent.sleep(seconds)


def make(firefly="", listen='"tcp://127.0.0.1:10000"', **options):
    handlers = {"hub": [start, echo, rest], "world": [start, echo, rest]}
    return InProcessCluster(TOML.format(firefly=firefly, listen=listen), handlers=handlers, **options)


def call(cluster, value="hello", by="world", name="echo"):
    other = "hub-1" if by == "world" else "world-1"
    return cluster.kernel(by).mesh.peers[other].call(name, value)


# ------------------------------------------------------------------------------------------------------- bounds


def test_a_frame_has_the_size_that_the_file_says():
    with virtual_time(seed=1), make("[firefly.channel]\nframe = 8192") as cluster:
        cluster.start()
        assert call(cluster, "x" * 8000) == "x" * 8000
        with pytest.raises(Overloaded):
            call(cluster, "x" * 8192)


@pytest.mark.parametrize("by", ["hub", "world"])
def test_as_many_handlers_run_for_a_peer_as_the_file_says(by):
    with virtual_time(seed=1), make("[firefly.channel]\ninflight = 5") as cluster:
        cluster.start()
        jobs = [gevent.spawn(call, cluster, 1.0, by, "rest") for _ in range(8)]
        gevent.joinall(jobs)
        assert sum(isinstance(job.exception, Overloaded) for job in jobs) == 3
        other = cluster.kernel("hub" if by == "world" else "world").mesh.peers[f"{by}-1"]
        assert other.channel.statistics()["requests_refused_total"] == 3


def test_a_root_that_is_away_is_dialed_as_often_as_the_file_says():
    with virtual_time(seed=1), make("[firefly.channel]\nlongest_delay = 0.5") as cluster:
        cluster.start("world", wait=False)
        gevent.sleep(60)
        dials = cluster.kernel("world").links.statistics()["dials_total"]
        assert 60 / 0.6 <= dials <= 60 / 0.4 + 10


# ------------------------------------------------------------------------------------------------------ secrets


def both(network, hub, world):
    """Give the two servers of one cluster, each started with a firefly.toml of its own age."""
    return (make(keys, network=network, secret=keys.split('"')[1].encode()) for keys in (hub, world))


AGES = [f'secret = "{OLD}"', f'secret = "{NEW}"\nold_secret = "{OLD}"', f'secret = "{NEW}"']


@pytest.mark.parametrize(("hub", "world"), [(0, 0), (0, 1), (1, 0), (1, 1), (1, 2), (2, 1), (2, 2)])
def test_while_the_secret_is_changed_server_by_server_all_of_them_understand_each_other(hub, world):
    with virtual_time(seed=1):
        one, other = both(MemoryNetwork(1), AGES[hub], AGES[world])
        with one, other:
            one.start("hub")
            other.start("world", wait=False)
            other.wait(lambda: "hub-1" in other.kernel("world").mesh.peers, timeout=2)
            assert call(other) == "hello"


@pytest.mark.parametrize(("hub", "world"), [(0, 2), (2, 0)])
def test_servers_that_share_no_secret_do_not(hub, world, caplog):
    with virtual_time(seed=1):
        one, other = both(MemoryNetwork(1), AGES[hub], AGES[world])
        with one, other:
            one.start("hub")
            other.start("world", wait=False)
            gevent.sleep(60)
            assert one.kernel("hub").mesh.peers == other.kernel("world").mesh.peers == {}
            assert one.kernel("hub").links.closed["wrong_proof"] > 5
            assert [record.message for record in caplog.records if "refuses this server" in record.message]


def test_a_node_that_has_to_use_the_old_secret_does_not_complain(caplog):
    with virtual_time(seed=1):
        one, other = both(MemoryNetwork(1), AGES[0], AGES[1])
        with one, other:
            one.start("hub")
            other.start("world", wait=False)
            other.wait(lambda: "hub-1" in other.kernel("world").mesh.peers, timeout=2)
            assert not [record for record in caplog.records if record.levelname == "ERROR"]
            # And it begins with the right one when the channel is lost.
            one.network.reset()
            before = other.kernel("world").links.statistics()["dials_total"]
            gevent.sleep(1)
            assert other.kernel("world").links.statistics()["dials_total"] == before + 1


def test_an_old_secret_alone_is_no_secret():
    with pytest.raises(ConfigurationError, match="old_secret: got only the old one"):
        make(f'old_secret = "{OLD}"')


# -------------------------------------------------------------------------------------------------------- counts


def test_the_end_of_every_channel_is_counted_by_its_reason():
    with virtual_time(seed=1), make() as cluster:
        cluster.start()
        cluster.network.reset()
        gevent.sleep(1)
        cluster.wait_connected()
        cluster.network.cut("hub-1", "world-1", both=True)
        gevent.sleep(15)
        cluster.network.heal()
        cluster.wait_connected()
        hub, world = (cluster.kernel(name).links.statistics() for name in ("hub", "world"))
        assert hub["closed_reset_total"] == world["closed_reset_total"] == 1
        assert hub["closed_dead_total"] == world["closed_dead_total"] == 1
        assert world["made_total"] >= 3
        assert world["down"] == 0


# ----------------------------------------------------------------------------------------------------------- TLS


@pytest.fixture(scope="module")
def papers(tmp_path_factory):
    """Give a folder with an authority, a root's and a node's certificate, and a second authority with the same."""
    folder = tmp_path_factory.mktemp("papers")
    for place in (folder, folder / "other"):
        place.mkdir(exist_ok=True)
        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout"]

        def run(*command, at=place):
            subprocess.run(["openssl", *command], cwd=at, check=True, capture_output=True)

        run("req", "-x509", *key, "ca.key", "-subj", "/CN=tests", "-days", "2", "-out", "ca.pem")
        for name, subject in (("root", "IP:127.0.0.1"), ("node", "DNS:node"), ("elsewhere", "DNS:elsewhere.example")):
            (place / "ext").write_text(f"subjectAltName = {subject}\n")
            run("req", *key, f"{name}.key", "-subj", f"/CN={name}", "-out", "csr")
            signed = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "ext"]
            run("x509", "-req", "-in", "csr", *signed, "-out", f"{name}.pem")
    return folder


KEYS = 'url = "tls://127.0.0.1:10000", authority = "ca.pem", certificate = "root.pem", private_key = "root.key"'
MUTUAL = KEYS + ', node_certificate = "node.pem", node_key = "node.key"'


@pytest.mark.parametrize("keys", [KEYS, MUTUAL])
def test_servers_talk_over_tls(papers, keys):
    with virtual_time(seed=1), make(listen=f"{{ {keys} }}", folder=papers) as cluster:
        cluster.network.trace = []
        cluster.start()
        assert call(cluster, "can anybody read this?" * 20) == "can anybody read this?" * 20
        assert call(cluster, by="hub") == "hello"
        cluster.network.reset()
        gevent.sleep(1)
        cluster.wait_connected()
        assert call(cluster, "x" * 500_000) == "x" * 500_000


def test_nobody_between_them_reads_anything(papers):
    with virtual_time(seed=1), make(listen=f"{{ {KEYS} }}", folder=papers) as cluster:
        heard = []
        dial = cluster.network.connect

        def listening(source, listener):
            client = dial(source, listener)
            send = client.send
            client.send = lambda data: heard.append(bytes(data)) or send(data)
            return client

        cluster.network.connect = listening
        cluster.start()
        call(cluster, "a very secret word")
        assert sum(map(len, heard)) > 500
        assert b"secret word" not in b"".join(heard)
        assert b"firefly.hello" not in b"".join(heard)


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        (KEYS.replace("root.", "elsewhere."), "another name"),
        (KEYS.replace('"root.', '"other/root.'), "another authority"),
        (MUTUAL.replace('"node.', '"other/node.'), "a node of another authority"),
    ],
)
def test_whoever_has_the_wrong_papers_stays_outside(papers, keys, reason):
    with virtual_time(seed=1), make(listen=f"{{ {keys} }}", folder=papers) as cluster:
        cluster.start(wait=False)
        gevent.sleep(30)
        assert cluster.kernel("hub").mesh.peers == cluster.kernel("world").mesh.peers == {}, reason
        assert cluster.kernel("world").links.statistics()["dials_total"] > 3


def test_a_plain_dialer_gets_nothing_from_a_root_with_tls(papers):
    with virtual_time(seed=1) as world, make(listen=f"{{ {KEYS} }}", folder=papers) as cluster:
        cluster.start("hub")
        plain = cluster.network.host("stranger").dial("127.0.0.1", 10000, timeout=1)
        plain.start(lambda: None)
        begin = world.now
        cluster.wait(lambda: cluster.kernel("hub").services["root"].statistics()["channels"] == 0, timeout=10)
        assert world.now - begin <= 5.2


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ('url = "tls://127.0.0.1:10000"', "authority: tls://127.0.0.1:10000 needs this"),
        ('url = "tls://127.0.0.1:10000", authority = "ca.pem"', "certificate: tls://127.0.0.1:10000 needs this"),
        (KEYS.replace("root.key", "node.key"), "certificate: tls://127.0.0.1:10000: these files cannot be used"),
        (KEYS.replace('"ca.pem"', '"root.key"'), "authority: tls://127.0.0.1:10000: these files cannot be used"),
        ('url = "tcp://127.0.0.1:10000", authority = "ca.pem"', "does not use it; say tls://"),
    ],
)
def test_papers_that_cannot_do_are_told_before_anything_starts(papers, keys, told):
    with pytest.raises(ConfigurationError) as caught:
        make(listen=f"{{ {keys} }}", folder=papers)
    assert told in str(caught.value)


def test_files_of_another_machine_are_missed_by_who_needs_them_only(papers):
    away = KEYS.replace("root.pem", "away.pem")
    with virtual_time(seed=1), make(listen=f"{{ {away} }}", folder=papers) as cluster:
        cluster.start("world", wait=False)
        with pytest.raises(ConfigurationError, match=r"its certificate and key cannot be used"):
            cluster.start("hub")
    away = KEYS.replace('"ca.pem"', '"away.pem"')
    with virtual_time(seed=1), make(listen=f"{{ {away} }}", folder=papers) as cluster:
        cluster.start("hub")
        with pytest.raises(ConfigurationError, match=r"the files of its nodes cannot be used"):
            cluster.start("world")
