"""A channel as a state machine: calls both ways, faults and time in any order, and what must hold after each step."""

from collections import Counter
from contextlib import ExitStack

import gevent
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from firefly_core.errors import CallError, Disconnected, Overloaded, RemoteError
from firefly_core.testing import BAD_LINK, virtual_time
from firefly_core.testing.memory_pipe import PERFECT
from tests.scenarios.house import House

WAITS = st.sampled_from([0.0, 0.001, 0.3, 5.0, 20.0])
TIMEOUTS = st.sampled_from([0.01, 0.3, 1.0, 10.0, 30.0])
SIDES = st.sampled_from(["there", "back"])
PAUSES = st.sampled_from([0.0, 0.0005, 0.05, 1.0, 2.0, 12.0])
LINK = ("world-1", "gate-1")


class Call:
    """One call, how it ended, and how often its handler began."""

    def __init__(self, number, channel, expires):
        self.number = number
        self.channel = channel
        self.expires = expires
        self.outcomes = []
        self.value = None

    def end(self, error, value=None):
        self.outcomes.append(error)
        self.value = value

    @property
    def certainly_not_executed(self):
        return any(
            isinstance(error, Overloaded) or (isinstance(error, Disconnected) and not error.sent)
            for error in self.outcomes
        )


class ChannelMachine(RuleBasedStateMachine):
    @initialize(seed=st.integers(0, 1000))
    def begin(self, seed):
        self.stack = ExitStack()
        self.world = self.stack.enter_context(virtual_time(seed))
        self.executed = Counter()
        self.running = Counter()
        self.calls = []
        self.numbers = self.notified = 0
        self.house = House(self.world, methods={"work": self.work, "refuse": self.refuse, "note": self.note})
        self.channels = {"there": None, "back": None}
        self.house.on_accepted = lambda channel: self.channels.update(back=channel)
        self.house.open()
        self.dialer = self.house.dialer(LINK[0], on_connected=lambda channel: self.channels.update(there=channel))
        gevent.sleep(1)

    # ---------------------------------------------------------------------------------------------- the handlers

    def work(self, _channel, number, wait, _padding):
        self.executed[number] += 1
        self.running[number] += 1
        try:
            gevent.sleep(wait)
        finally:
            self.running[number] -= 1
        return number

    def refuse(self, _channel, number, _wait, _padding):
        self.executed[number] += 1
        raise RemoteError("too_far", str(number))

    def note(self, _channel):
        self.notified += 1

    # ------------------------------------------------------------------------------------------------- the steps

    @rule(
        side=SIDES,
        method=st.sampled_from(["work", "work", "refuse", "unknown"]),
        wait=WAITS,
        timeout=TIMEOUTS,
        padding=st.sampled_from([0, 0, 10_000, 200_000]),
        pause=PAUSES,
    )
    def call(self, side, method, wait, timeout, padding, pause):
        made = self.new_call(side, timeout)
        gevent.spawn(self.run_call, made, method, (made.number, wait, b"x" * padding), timeout)
        gevent.sleep(pause)

    @rule(side=SIDES, wait=WAITS, timeout=TIMEOUTS, pause=PAUSES)
    def call_later(self, side, wait, timeout, pause):
        made = self.new_call(side, timeout)
        try:
            made.channel.call_later("work", (made.number, wait, b""), made.end, timeout=timeout)
        except CallError as error:
            made.end(error)
        gevent.sleep(pause)

    @rule(side=SIDES, wait=WAITS, timeout=TIMEOUTS)
    def call_later_and_cancel(self, side, wait, timeout):
        made = self.new_call(side, timeout)
        try:
            call = made.channel.call_later("work", (made.number, wait, b""), made.end, timeout=timeout)
        except CallError as error:
            made.end(error)
        else:
            made.channel.give_up(call)
            self.calls.remove(made)

    @rule(side=SIDES, count=st.integers(1, 50))
    def notify(self, side, count):
        for _ in range(count):
            self.channels[side].notify("note")

    @rule(count=st.sampled_from([3, 20, 20, 300]), side=SIDES)
    def call_many_at_once(self, count, side):
        for _ in range(count):
            self.call(side, "work", 0.3, 10.0, 0, 0.0)

    @rule(seconds=PAUSES)
    def let_time_pass(self, seconds):
        gevent.sleep(seconds)

    @rule()
    def reset(self):
        self.house.network.reset(*LINK)

    @rule(one_way=st.sampled_from([LINK, LINK[::-1], None]))
    def cut(self, one_way):
        if one_way is None:
            self.house.network.cut(*LINK, both=True)
        else:
            self.house.network.cut(*one_way)

    @precondition(lambda self: self.house.network.is_cut(*LINK) or self.house.network.is_cut(*LINK[::-1]))
    @rule()
    def heal(self):
        self.house.network.heal()

    @rule(conditions=st.sampled_from([PERFECT, BAD_LINK]))
    def change_the_link(self, conditions):
        self.house.network.set_conditions(*LINK, conditions)

    @rule(side=SIDES)
    def close(self, side):
        self.channels[side].close("the test's wish")

    @precondition(lambda self: self.dialer.channel is None)
    @rule()
    def wait_for_the_link(self):
        self.house.network.heal()
        self.house.network.set_conditions(*LINK, PERFECT)
        assert self.dialer.wait_connected(30) is not None

    # ----------------------------------------------------------------------------------------------- what holds

    @invariant()
    def each_call_has_one_outcome_at_most(self):
        assert all(len(call.outcomes) <= 1 for call in self.calls)

    @invariant()
    def no_call_outlives_its_deadline(self):
        late = [call.number for call in self.calls if not call.outcomes and self.world.now > call.expires + 0.1]
        assert late == []

    @invariant()
    def no_handler_runs_twice_for_one_call(self):
        assert all(count == 1 for count in self.executed.values())

    @invariant()
    def a_value_belongs_to_its_call(self):
        for call in self.calls:
            if call.outcomes == [None]:
                assert call.value == call.number
                assert self.executed[call.number] == 1

    @invariant()
    def what_was_not_sent_is_not_executed(self):
        assert not [call.number for call in self.calls if call.certainly_not_executed and self.executed[call.number]]

    @invariant()
    def a_closed_channel_waits_for_nothing(self):
        gevent.sleep(0.001)
        assert all(channel.pending == 0 for channel in self.channels.values() if channel.closed)

    def teardown(self):
        if not hasattr(self, "stack"):
            return
        try:
            self.house.network.heal()
            gevent.sleep(60)
            assert all(len(call.outcomes) == 1 for call in self.calls)
            assert self.running.total() == 0
            assert all(channel.pending == 0 for channel in self.channels.values())
            assert all(channel.running.count == 0 for channel in self.channels.values())
            self.each_call_has_one_outcome_at_most()
            self.no_handler_runs_twice_for_one_call()
            self.what_was_not_sent_is_not_executed()
            self.house.close()
        finally:
            self.stack.close()

    # -------------------------------------------------------------------------------------------------- details

    def new_call(self, side, timeout):
        self.numbers += 1
        self.calls.append(Call(self.numbers, self.channels[side], self.world.now + timeout))
        return self.calls[-1]

    def run_call(self, call, method, params, timeout):
        try:
            value = call.channel.call(method, *params, timeout=timeout)
        except CallError as error:
            call.end(error)
        else:
            call.end(None, value)


TestChannel = ChannelMachine.TestCase
TestChannel.settings = settings(
    max_examples=40,
    stateful_step_count=30,
    deadline=None,
    derandomize=True,
    database=None,
    print_blob=False,
    phases=[Phase.generate],  # shrinking hundreds of calls takes minutes
)
