"""The same handlers behind every format, on TCP and in WebSocket messages, all at one gate and at once."""

import attrs
import pytest

from firefly_core import Refuse, command, push
from firefly_core.errors import RemoteError
from firefly_core.testing import DatapackWire, InProcessCluster, JsonWire, MsgpackWire, PomeloWire, virtual_time

FORMATS = ("datapack", "json", "msgpack", "pomelo")
PORTS = {
    (name, scheme): 21000 + 10 * at + (scheme == "ws") for at, name in enumerate(FORMATS) for scheme in ("tcp", "ws")
}
LISTEN = ",\n".join(
    f'{{ url = "{scheme}://127.0.0.1:{port}", protocol = "{name}", origins = ["none"] }}'
    for (name, scheme), port in PORTS.items()
)
TOML = f"""
[firefly]
plugins = ["gate", "protocols"]
[servers.gate.gate]
listen = [
{LISTEN}
]
"""
glow = push(2001, name="glow")


@attrs.frozen
class Catch:
    firefly: int
    name: str = ""


@command(101, public=True)
def login(ctx, uid: int) -> int:
    ctx.session.bind(uid)
    ctx.group("meadow").join(ctx.session)
    return uid


@command(203)
def catch(ctx, request: Catch) -> Catch:
    if request.firefly < 0:
        raise Refuse("too_far", "out of reach")
    return request


@command(204)
def shine(ctx, text: str) -> None:
    ctx.group("meadow").push(glow, {"text": text})


@command(205)
def leave(ctx) -> None:
    ctx.session.kick("as you wish")


def wire(name, scheme):
    stream = scheme == "tcp"
    made = {"datapack": DatapackWire, "pomelo": PomeloWire}.get(name)
    return made() if made else {"json": JsonWire, "msgpack": MsgpackWire}[name](stream=stream)


@pytest.fixture
def players():
    with virtual_time(seed=1), InProcessCluster(TOML, handlers={"gate": [login, catch, shine, leave, glow]}) as cluster:
        cluster.start()
        clients = {}
        for uid, (name, scheme) in enumerate(PORTS, 1):
            client = clients[name, scheme] = cluster.connect(protocol=name, scheme=scheme, wire=wire(name, scheme))
            assert client.request(101, uid) == uid
        yield clients


def test_a_typed_command_is_answered_in_every_format(players):
    for client in players.values():
        assert client.request(203, {"firefly": 3, "name": "Grüße 🔥"}) == {"firefly": 3, "name": "Grüße 🔥"}


def test_refusals_and_bad_requests_reach_every_client(players):
    for client in players.values():
        with pytest.raises(RemoteError) as refused:
            client.request(203, {"firefly": -1})
        assert (refused.value.code, refused.value.message) == ("too_far", "out of reach")
        with pytest.raises(RemoteError, match=r"\$\.firefly") as refused:
            client.request(203, {"firefly": "3"})
        assert refused.value.code == "bad_request"


def test_a_command_may_be_named_where_the_format_has_names(players):
    for (name, _), client in players.items():
        if name != "datapack":
            assert client.request("catch", {"firefly": 1}) == {"firefly": 1, "name": ""}


def test_a_push_to_a_group_reaches_every_client(players):
    for text, sender in enumerate(players.values()):
        sender.request(204, str(text))
        for client in players.values():
            assert client.wait_push(2001) == {"text": str(text)}


def test_a_notify_has_no_answer_and_is_executed(players):
    for (name, _), client in players.items():
        if name != "datapack":
            client.notify(204, name)
            assert client.wait_push(2001) == {"text": name}
            assert client.request(203, {"firefly": 1}) == {"firefly": 1, "name": ""}
            for other in players.values():
                if other is not client:
                    other.wait_push(2001)


def test_a_kick_is_told_where_the_format_has_words_for_it(players):
    for (name, _), client in players.items():
        client.ask(205)
        client.wait_closed()
        assert client.goodbye == (None if name == "datapack" else "as you wish")


def test_who_is_on_the_way_out_takes_no_push_from_the_others(players):
    leaving, *staying = players.values()
    leaving.ask(205)
    staying[0].request(204, "still here")
    for client in staying:
        assert client.wait_push(2001) == {"text": "still here"}
