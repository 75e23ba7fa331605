"""Players' commands through gate and node as a state machine: commands of every kind, faults and time in any order."""

from collections import Counter, defaultdict
from contextlib import ExitStack

import gevent
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from firefly_core import Refuse, command, on_connect, on_disconnect, on_start
from firefly_core.errors import RemoteError
from firefly_core.testing import BAD_LINK, InProcessCluster, virtual_time
from firefly_core.testing.memory_pipe import PERFECT
from tests.scenarios.player import Player

TOML = """
[firefly]
plugins = ["gate", "root", "node", "protocols"]
[servers.gate.gate]
listen = [
  { url = "tcp://127.0.0.1:11010", protocol = "json" },
  { url = "tcp://127.0.0.1:11009", protocol = "datapack" },
]
rate = "off"
[servers.gate.root]
listen = "tcp://127.0.0.1:10000"
[servers.world.node]
roots = ["gate"]
"""
LINK = ("world-1", "gate-1")
PLAYERS = st.integers(0, 3)
PAUSES = st.sampled_from([0.0, 0.0005, 0.05, 1.0, 12.0])
CODES = {"internal", "too_far", "timeout", "unavailable", "overloaded", "unknown_command"}


class MailboxMachine(RuleBasedStateMachine):
    @initialize(seed=st.integers(0, 1000))
    def begin(self, seed):
        self.stack = ExitStack()
        self.world = self.stack.enter_context(virtual_time(seed))
        self.started = defaultdict(list)
        self.everywhere = defaultdict(list)
        self.broken = False
        self.running = Counter()
        self.here = Counter()
        self.faults = []
        self.names = self.boots = 0
        handlers = {"world": self.handlers(), "gate": [self.gate_handler()]}
        self.cluster = self.stack.enter_context(InProcessCluster(TOML, handlers=handlers, seed=seed))
        self.cluster.start()
        self.players = [None] * 4
        self.gone = []
        for index in range(4):
            self.come(index)

    # ---------------------------------------------------------------------------------------------- the handlers

    def handlers(self):
        machine = self

        @on_start
        def start(ctx):
            machine.boots += 1
            return machine.boots

        @on_connect
        def connect(ctx):
            machine.here[ctx.state, ctx.session.id] += 1

        @on_disconnect
        def disconnect(ctx):
            machine.here[ctx.state, ctx.session.id] -= 1

        @command(1, public=True)
        def login(ctx, name: str) -> str:
            gevent.sleep(0.01)
            ctx.session.bind(name)
            return name

        @command(2)
        def work(ctx, order: tuple[int, float]) -> int:
            with machine.noted(ctx, order[0]):
                gevent.sleep(order[1])
            return order[0]

        @command(3)
        def quick(ctx, order: tuple[int, float]) -> int:
            with machine.noted(ctx, order[0]):
                return order[0]

        @command(4)
        def fail(ctx, order: tuple[int, float]) -> int:
            with machine.noted(ctx, order[0]):
                gevent.sleep(order[1])
                raise ZeroDivisionError

        @command(5)
        def refuse(ctx, order: tuple[int, float]) -> int:
            with machine.noted(ctx, order[0]):
                raise Refuse("too_far")

        @command(6, timeout=0.5)
        def hurry(ctx, order: tuple[int, float]) -> int:
            with machine.noted(ctx, order[0]):
                gevent.sleep(order[1])
            return order[0]

        @command(7, public=True)
        def look(ctx, order: tuple[int, float]) -> int:
            with machine.noted(ctx, order[0]):
                gevent.sleep(order[1])
            return order[0]

        return [start, connect, disconnect, login, work, quick, fail, refuse, hurry, look]

    def gate_handler(self):
        machine = self

        @command(8)
        def local(ctx, order: tuple[int, float]) -> int:
            with machine.noted(ctx, order[0], here="gate"):
                gevent.sleep(order[1])
            return order[0]

        return local

    def noted(self, ctx, number, here=None):
        return Noted(self, (here or ctx.state, ctx.uid), ctx.uid, number)

    # ------------------------------------------------------------------------------------------------- the steps

    @rule(
        player=PLAYERS,
        kind=st.sampled_from([2, 2, 3, 4, 5, 6, 7, 8, 99]),
        wait=st.sampled_from([0.0, 0.01, 0.3, 1.0, 20.0]),
        pause=PAUSES,
    )
    def ask(self, player, kind, wait, pause):
        if self.players[player].client.closed is None:
            self.players[player].ask(kind, wait)
        gevent.sleep(pause)

    @rule(player=PLAYERS, count=st.sampled_from([5, 70, 200]), kind=st.sampled_from([2, 3, 8]))
    def ask_many(self, player, count, kind):
        for _ in range(count):
            self.ask(player, kind, 0.01, 0.0)

    @rule(seconds=PAUSES)
    def let_time_pass(self, seconds):
        gevent.sleep(seconds)

    @rule(player=PLAYERS, abort=st.booleans())
    def leave_and_come_again(self, player, abort):
        leaving = self.players[player]
        (leaving.client.abort if abort else leaving.client.close)()
        self.gone.append(leaving)
        self.come(player)

    @rule()
    def reset(self):
        self.broken = True
        self.cluster.network.reset(*LINK)

    @rule(one_way=st.sampled_from([LINK, LINK[::-1], None]), pause=PAUSES)
    def cut(self, one_way, pause):
        self.broken = True
        self.cluster.network.cut(*(one_way or LINK), both=one_way is None)
        gevent.sleep(pause)

    @precondition(lambda self: self.cluster.network.is_cut(*LINK) or self.cluster.network.is_cut(*LINK[::-1]))
    @rule(pause=PAUSES)
    def heal(self, pause):
        self.cluster.network.heal()
        gevent.sleep(pause)

    @rule(conditions=st.sampled_from([PERFECT, BAD_LINK]))
    def change_the_link(self, conditions):
        self.cluster.network.set_conditions(*LINK, conditions)

    @precondition(lambda self: "world-1" in self.cluster.kernels)
    @rule(pause=PAUSES)
    def crash(self, pause):
        self.broken = True
        self.cluster.crash("world")
        gevent.sleep(pause)

    @precondition(lambda self: "world-1" not in self.cluster.kernels)
    @rule()
    def restart(self):
        self.cluster.restart("world", wait=False)

    # ----------------------------------------------------------------------------------------------- what holds

    @invariant()
    def commands_start_in_order_and_once_on_each_server(self):
        for place, numbers in self.started.items():
            assert numbers == sorted(set(numbers)), place

    @invariant()
    def as_long_as_no_link_breaks_they_start_in_order_on_all_servers_together(self):
        # When a link breaks, its commands end `unavailable` and the next ones go on, though those that were lost with
        # it may still start over there: nobody can know.
        if not self.broken:
            for uid, numbers in self.everywhere.items():
                assert numbers == sorted(set(numbers)), uid

    @invariant()
    def one_at_a_time(self):
        assert self.faults == []

    @invariant()
    def answers_come_in_order_and_to_what_was_asked(self):
        for player in (*self.players, *self.gone):
            heard = [(number, end) for number, end in player.heard if end != "closed"]
            numbers = [number for number, _ in heard]
            assert numbers == sorted(set(numbers)), player.name
            assert [pair for pair in heard if pair[1] != pair[0] and pair[1] not in CODES] == []

    @invariant()
    def a_session_comes_before_it_goes(self):
        assert set(self.here.values()) <= {0, 1}

    def teardown(self):
        if not hasattr(self, "stack"):
            return
        try:
            self.cluster.network.heal()
            self.cluster.network.set_conditions(*LINK, PERFECT)
            if "world-1" not in self.cluster.kernels:
                self.cluster.restart("world", wait=False)
            self.cluster.wait_connected(60)
            gevent.sleep(600)
            for player in (*self.players, *self.gone):
                assert [number for number, _ in player.heard] == player.asked, player.name
            self.commands_start_in_order_and_once_on_each_server()
            self.as_long_as_no_link_breaks_they_start_in_order_on_all_servers_together()
            self.answers_come_in_order_and_to_what_was_asked()
            assert self.running.total() == 0
            for player in self.players:
                player.client.close()
            gevent.sleep(60)
            boot = self.cluster.kernel("world").state
            assert not [session for (state, session), count in self.here.items() if state == boot and count]
        finally:
            self.stack.close()

    # -------------------------------------------------------------------------------------------------- details

    def come(self, index):
        self.names += 1
        name = f"player {self.names}"
        client = self.cluster.connect(protocol=("json", "datapack")[index % 2])
        while self.login(client, name) in ("unavailable", "timeout"):
            self.cluster.network.heal()
            if "world-1" not in self.cluster.kernels:
                self.cluster.restart("world", wait=False)
            gevent.sleep(0.5)
        self.players[index] = Player(name, client)

    def login(self, client, name):
        try:
            return client.request(1, name, timeout=60)
        except RemoteError as error:
            return error.code


class Noted:
    """Notes a command's start, and that no other of its player runs meanwhile on that server."""

    def __init__(self, machine, place, uid, number):
        self.machine = machine
        self.place = place
        self.uid = uid
        self.number = number

    def __enter__(self):
        machine = self.machine
        if machine.running[self.place]:
            machine.faults.append(f"{self.number} of {self.uid} began while another ran")
        machine.running[self.place] += 1
        if self.uid is not None:
            machine.started[self.place].append(self.number)
            machine.everywhere[self.uid].append(self.number)

    def __exit__(self, *_):
        self.machine.running[self.place] -= 1


TestMailbox = MailboxMachine.TestCase
TestMailbox.settings = settings(
    max_examples=16,
    stateful_step_count=25,
    deadline=None,
    derandomize=True,
    database=None,
    print_blob=False,
    phases=[Phase.generate],  # shrinking a game of thousands of commands takes minutes
)
