"""The answer to a resume may be lost with its line, whenever that breaks: the client comes back, nobody else does."""

import contextlib

import gevent
import pytest

from firefly_core import command, on_disconnect, push
from firefly_core.errors import Disconnected, RemoteError, Unavailable
from firefly_core.testing import Conditions, InProcessCluster, MemoryNetwork, virtual_time

TOML = """
[firefly]
plugins = ["gate", "root", "node", "protocols"]
directory = "hub"
[servers.hub.root]
listen = "tcp://127.0.0.1:10100"
[servers.east.gate]
listen = { url = "tcp://127.0.0.1:11010", protocol = "json" }
rate = "off"
resume_timeout = 30.0
[servers.east.root]
listen = "tcp://127.0.0.1:10001"
[servers.west.gate]
listen = { url = "tcp://127.0.0.1:11020", protocol = "json" }
rate = "off"
resume_timeout = 30.0
[servers.west.root]
listen = "tcp://127.0.0.1:10002"
[servers.world.node]
roots = ["east", "west"]
"""
DELAY = 0.01
STEPS = 6
"""Ways of a message from the dialling to the answer of the first command."""
NONCE = "a nonce of the client's"
news = push(2001, name="news")
departed = []
runs = []


@command(1, public=True)
def login(ctx, uid: int):
    ctx.session.bind(uid)
    ctx.session.data["name"] = f"player {uid}"
    ctx.group("meadow").join(ctx.session)


@command(2)
def name(ctx):
    return ctx.session.data["name"]


@command(3)
def tell(ctx, text: str):
    ctx.group("meadow").push(news, text)


@command(4)
def count(ctx, number: int):
    runs.append(number)


@on_disconnect
def depart(ctx):
    departed.append(ctx.uid)


@pytest.fixture
def cluster():
    departed.clear()
    runs.clear()
    handlers = {"world": [login, name, tell, count, depart]}
    with virtual_time(seed=1):
        network = MemoryNetwork(1, conditions=Conditions(delay=DELAY))
        with InProcessCluster(TOML, handlers=handlers, network=network) as cluster:
            cluster.start()
            cluster.wait(lambda: len(cluster.kernel("hub").mesh.peers) == 2)
            yield cluster


class Player:
    """A client that resumes: it keeps token and nonce until it has the answer with the next token."""

    def __init__(self, cluster, gate="east"):
        self.cluster = cluster
        self.client = cluster.connect(gate, host="ann")
        self.client.request("login", 7)
        self.token = self.client.request("firefly.token")["token"]
        self.uses = 0
        gevent.sleep(1)

    def come_back(self, gate="east"):
        """Dial, resume, and show that the answer has come; give it."""
        self.client = self.cluster.connect(gate, host="ann")
        self.client._number = 1000 * (self.uses + 1)
        answer = self.client.request("firefly.resume", {"token": self.token, "nonce": f"{NONCE} {self.uses}"})
        self.token, self.uses = answer["token"], self.uses + 1
        assert self.client.request("name") == "player 7"
        return answer

    def try_to(self, gate="east"):
        with contextlib.suppress(Disconnected, RemoteError):
            self.come_back(gate)

    def insist(self, gate="east"):
        """Come back, as soon as the gate can say that it is he."""
        while True:
            try:
                return self.come_back(gate)
            except RemoteError as error:
                if error.code != "unavailable":
                    raise
                gevent.sleep(0.2)


def code_of(cluster, body, gate="east"):
    with pytest.raises(RemoteError) as caught:
        cluster.connect(gate).request("firefly.resume", body)
    return caught.value.code


def moments(step):
    """Give moments from before the request is there until the first command is answered."""
    return [index * step for index in range(int(STEPS * DELAY / step) + 1)]


def test_whenever_the_line_breaks_the_session_goes_on(cluster):
    player = Player(cluster)
    reached = set()
    for moment in moments(0.002):
        before = player.uses
        player.client.abort()
        gevent.spawn_later(moment, cluster.network.reset, "ann", "east-1")
        player.try_to()
        gevent.sleep(STEPS * DELAY)
        reached.add(player.uses - before)
        assert player.come_back()["repeats"] is True, moment
    assert reached == {0, 1}, "lines that broke before the answer, and behind it"
    assert departed == []
    gate = cluster.kernel("east").services["gate"]
    assert (len(gate.crowd.sessions), len(gate.resumption._sessions), len(gate.resumption._former)) == (1, 1, 0)
    assert len(cluster.kernel("hub").directory.refuge) == 1


@pytest.mark.parametrize("link", [("ann", "west-1"), ("west-1", "hub-1")])
def test_whenever_a_line_breaks_while_another_gate_takes_the_player_over_he_goes_on(cluster, link):
    player = Player(cluster)
    for moment in moments(0.01):
        cluster.crash("east")
        gevent.spawn_later(moment, cluster.network.reset, *link)
        player.try_to("west")
        gevent.sleep(STEPS * DELAY)
        answer = player.insist("west")
        assert answer["uid"] == 7
        cluster.restart("east")
        cluster.wait(lambda: len(cluster.kernel("hub").mesh.peers) == 2)
        player.insist("east")
        gevent.sleep(1)
    gevent.sleep(60)
    assert len(cluster.kernel("hub").directory.refuge) == 1
    assert len(cluster.kernel("hub").directory) == 1


def test_who_lost_the_answer_at_one_gate_may_come_to_the_other(cluster):
    player = Player(cluster)
    player.client.abort()
    lost = cluster.connect("east", host="ann")
    lost.request("firefly.resume", {"token": player.token, "nonce": f"{NONCE} 0"})
    lost.abort()
    gevent.sleep(1)
    assert player.come_back("west")["repeats"] is False
    assert len(cluster.kernel("east").services["gate"].crowd.sessions) == 0


def test_who_does_not_know_yet_that_another_gate_took_him_over_is_told_again(cluster):
    player = Player(cluster)
    pending = player.client.ask("count", 1)
    cluster.crash("east")
    with pytest.raises(Disconnected):
        pending.get()
    lost = cluster.connect("west", host="ann")
    lost.request("firefly.resume", {"token": player.token, "nonce": f"{NONCE} 0"})
    lost.abort()
    answer = player.come_back("west")
    assert (answer["repeats"], answer["resync"]) == (False, True), "or he would send again what was executed"
    player.client.abort()
    answer = player.come_back("west")
    assert (answer["repeats"], answer["resync"]) == (True, False)


def test_only_with_the_same_nonce_a_used_token_is_good(cluster):
    player = Player(cluster)
    used = player.token
    player.client.abort()
    lost = cluster.connect("east", host="ann")
    lost.request("firefly.resume", {"token": used, "nonce": f"{NONCE} 0"})
    for gate in ("east", "west"):
        assert code_of(cluster, {"token": used}, gate) == "bad_token"
        assert code_of(cluster, {"token": used, "nonce": f"{NONCE} 1"}, gate) == "bad_token"
        assert code_of(cluster, {"token": "x" * 43, "nonce": f"{NONCE} 0"}, gate) == "bad_token"
    assert lost.closed is None
    assert player.come_back()["uid"] == 7


def test_whoever_has_the_new_token_or_says_anything_makes_the_old_one_worthless(cluster):
    player = Player(cluster)
    for say in (lambda client: client.request("name"), lambda client: client.write(b'{"cmd": "ack", "ack": 0}\n')):
        used, nonce = player.token, f"{NONCE} {player.uses}"
        player.client.abort()
        line = cluster.connect("east", host="ann")
        player.token, player.uses = line.request("firefly.resume", {"token": used, "nonce": nonce})["token"], 5
        say(line)
        gevent.sleep(3 * DELAY)
        for gate in ("east", "west"):
            assert code_of(cluster, {"token": used, "nonce": nonce}, gate) == "bad_token"
        player.client = line
    player.client.abort()
    silent = cluster.connect("east", host="ann")
    newest = silent.request("firefly.resume", {"token": player.token, "nonce": f"{NONCE} 5"})["token"]
    silent.abort()
    again = cluster.connect("east", host="ann")
    again.request("firefly.resume", {"token": newest})
    assert code_of(cluster, {"token": player.token, "nonce": f"{NONCE} 5"}) == "bad_token"


def test_of_two_lines_with_the_same_token_and_nonce_one_has_the_session(cluster):
    player = Player(cluster)
    player.client.abort()
    body = {"token": player.token, "nonce": f"{NONCE} 0"}
    lines = [cluster.connect("east", host="ann") for _ in range(2)]
    answers = [line.ask("firefly.resume", body) for line in lines]
    tokens = [answer.get()["token"] for answer in answers]
    gevent.sleep(1)
    assert sum(line.closed is None for line in lines) == 1
    assert code_of(cluster, {"token": tokens[0]}) == "bad_token", "the line that has the session has the other one"
    assert len(cluster.kernel("east").services["gate"].crowd.sessions) == 2, "the refused one, and his"
    assert departed == []


@pytest.mark.parametrize("nonce", ["short", "x" * 65, 7])
def test_a_nonce_that_is_none_is_refused_and_costs_nothing(cluster, nonce):
    player = Player(cluster)
    player.client.abort()
    assert code_of(cluster, {"token": player.token, "nonce": nonce}) == "bad_request"
    assert player.come_back()["uid"] == 7


def test_what_was_pushed_on_a_line_that_lost_the_answer_comes_again(cluster):
    player = Player(cluster)
    other = cluster.connect("east", host="bob")
    other.request("login", 8)
    player.client.abort()
    other.request("tell", "while he was away")
    line = cluster.connect("east", host="ann")
    line.request("firefly.resume", {"token": player.token, "nonce": f"{NONCE} 0"})
    line.abort()
    player.come_back()
    assert player.client.wait_push("news") == "while he was away"


def test_a_claim_that_leads_to_nothing_takes_nothing_away(cluster):
    player = Player(cluster)
    refuge = cluster.kernel("hub").directory.refuge
    before = dict(refuge._kept)
    west = cluster.kernel("west").services["gate"]
    enter, west.logins.enter = west.logins.enter, refuse
    for nonce in ({"nonce": f"{NONCE} 0"}, {}):
        assert code_of(cluster, {"token": player.token, **nonce}, "west") == "unavailable"
        gevent.sleep(60)
        assert refuge._kept == before
    west.logins.enter = enter
    player.client.request("tell", "still here")


def refuse(*_, **__):
    raise Unavailable("nobody can say just now who is logged in")
