"""Beside the peers: Firefly's channel alone, with its hello, deadlines and bounds as they are shipped.

channel_rpc.py serve PORT
channel_rpc.py call PORT IN_FLIGHT SECONDS WATCHED_PID

Like theirs, this caller has one connection and no choice of servers; a game's `ctx.call` stands on this and chooses.
"""

from gevent import monkey

monkey.patch_all()

import os  # noqa: E402
import sys  # noqa: E402

import gevent  # noqa: E402

from firefly_core.channel.clock import SystemClock  # noqa: E402
from firefly_core.channel.deadlines import Deadlines  # noqa: E402
from firefly_core.channel.limits import ChannelLimits  # noqa: E402
from firefly_core.channel.network import SocketNetwork  # noqa: E402
from firefly_core.channel.rpc import RpcChannel  # noqa: E402
from firefly_core.channel.runners import Runners  # noqa: E402
from firefly_core.errors import NoSuchMethod  # noqa: E402
from firefly_core.wire.hello import Acceptor, Initiator, PeerIdentity  # noqa: E402

SECRET = b"x" * 32
METHODS = {"echo": lambda value: value}
runners = Runners()
deadlines = Deadlines(gevent.get_hub().loop, SystemClock())
channels = []


def dispatch(_channel, method, params, _meta, _identifier):
    function = METHODS.get(method)
    if function is None:
        raise NoSuchMethod(method)
    return function(*params)


def open_channel(transport, hello):
    channel = RpcChannel(
        transport,
        runners,
        deadlines,
        dispatch,
        limits=ChannelLimits(),
        on_lost=lambda channel, _reason: channels.remove(channel),
        hello=hello,
    )
    channels.append(channel)
    channel.start()
    return channel


def identity(name, *roles):
    return PeerIdentity(f"{name}-1", name, roles, int.from_bytes(os.urandom(7), "big"), 1)


def accept(transport):
    open_channel(transport, Acceptor(identity("callee", "root"), [SECRET], os.urandom(32), None))


if __name__ == "__main__":
    port = int(sys.argv[2])
    network = SocketNetwork()
    if sys.argv[1] == "serve":
        listener = network.listen("127.0.0.1", port, accept)
        gevent.event.Event().wait()
    else:
        from callers import run_greenlets

        hello = Initiator(identity("caller", "node"), [SECRET], os.urandom(32), None)
        channel = open_channel(network.dial("127.0.0.1", port, timeout=3), hello)
        with gevent.Timeout(5):
            while not channel.authenticated:
                gevent.sleep(0.001)
        run_greenlets(lambda body: channel.call("echo", body), *sys.argv[3:])
