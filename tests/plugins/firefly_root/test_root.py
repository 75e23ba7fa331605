"""A root lets in who knows the secret, and strangers only to what is open."""

import msgpack
import pytest

from firefly_core import on_start, remote
from firefly_core.errors import ConfigurationError
from firefly_core.testing import InProcessCluster, virtual_time

TOML = """
[firefly]
plugins = ["root", "node"]
{firefly}
[servers.hub.root]
listen = "tcp://{host}:10000"
{root}
[servers.world.node]
roots = ["hub"]
"""


@on_start
def start(ctx): ...


@remote("ranking.top", open=True)
def top(ctx, count: int = 3):
    return list(range(count))


@remote("ranking.reset")
def reset(ctx):
    return "done"


def make(*, firefly="", host="127.0.0.1", root="open = true", **options):
    return InProcessCluster(
        TOML.format(firefly=firefly, host=host, root=root), handlers={"hub": [start], "world": [top, reset]}, **options
    )


class Stranger:
    """A MessagePack-RPC client without a hello, in a few lines."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.transport = cluster.network.host("stranger").dial("127.0.0.1", 10000, timeout=1)
        self.unpacker = msgpack.Unpacker()
        self.answers = []
        self.closed = False
        self.transport.start(self._on_readable)

    def _on_readable(self):
        data = self.transport.recv(65536)
        self.closed = self.closed or not data
        self.unpacker.feed(data)
        self.answers.extend(self.unpacker)

    def send(self, message):
        self.transport.send(msgpack.packb(message))

    def ask(self, *message):
        count = len(self.answers)
        self.send(list(message))
        self.cluster.wait(lambda: len(self.answers) > count or self.closed)
        return self.answers[-1] if len(self.answers) > count else None


@pytest.fixture
def cluster():
    with virtual_time(seed=1), make() as cluster:
        cluster.start()
        cluster.wait(lambda: cluster.kernel("hub").mesh.peers["world-1"].announced)
        yield cluster


def test_a_stranger_calls_what_is_open_through_the_root(cluster):
    stranger = Stranger(cluster)
    assert stranger.ask(0, 1, "ranking.top", []) == [1, 1, None, [0, 1, 2]]
    assert stranger.ask(0, 2, "ranking.top", [1]) == [1, 2, None, [0]]


@pytest.mark.parametrize(
    ("method", "code"),
    [
        ("ranking.reset", "not_authorized"),
        ("dance", "no_such_method"),
        ("firefly.announce", "not_authorized"),
        ("firefly.session", "not_authorized"),
        ("firefly.login", "not_authorized"),
        ("firefly.command", "not_authorized"),
        ("firefly.push", "not_authorized"),
        ("__init__", "no_such_method"),
        ("os.system", "no_such_method"),
    ],
)
def test_a_stranger_may_do_nothing_else(cluster, method, code):
    kind, number, error, result = Stranger(cluster).ask(0, 1, method, [])
    assert (kind, number, result) == (1, 1, None)
    assert error[0] == code


def test_a_closed_root_answers_no_stranger():
    with virtual_time(seed=1), make(root="open = false") as cluster:
        cluster.start()
        stranger = Stranger(cluster)
        stranger.send([0, 1, "ranking.top", []])
        cluster.wait(lambda: stranger.closed, timeout=20)
        assert all(answer[2] is not None for answer in stranger.answers)


def test_a_peer_with_another_secret_is_refused_and_hears_nothing():
    with (
        virtual_time(seed=1),
        make(root="") as cluster,
        make(root="", network=cluster.network, secret=b"x" * 32) as wrong,
    ):
        cluster.start("hub")
        wrong.start("world", wait=False)
        cluster.wait(lambda: cluster.kernel("hub").services["root"].statistics()["channels"] == 0)
        assert cluster.kernel("hub").mesh.peers == {}
        assert wrong.kernel("world").mesh.peers == {}


def test_more_channels_than_allowed_are_closed():
    with virtual_time(seed=1), make(root="open = true\nmax_channels = 2") as cluster:
        cluster.start("hub")
        strangers = [Stranger(cluster) for _ in range(3)]
        cluster.wait(lambda: strangers[2].closed)
        assert not strangers[0].closed
        assert cluster.kernel("hub").services["root"].statistics()["refused_total"] == 1


def test_off_loopback_a_root_needs_a_secret_and_is_never_open():
    with pytest.raises(ConfigurationError) as caught:
        make(host="0.0.0.0")
    assert "an open root listens on loopback only" in str(caught.value)
    assert "secret" in str(caught.value)
    make(host="0.0.0.0", root="", firefly='secret = "sixteen bytes at least"')


def test_a_node_must_name_a_root():
    with pytest.raises(ConfigurationError, match="has no root"):
        InProcessCluster(
            TOML.format(firefly="", host="127.0.0.1", root="").replace("hub.root", "other.root")
            + "[servers.hub.node]\nroots = []\n"
        )
