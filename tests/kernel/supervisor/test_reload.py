"""Stages: first all of one end, then others begin."""

from __future__ import annotations

from firefly_core.kernel.supervisor.child import State
from firefly_core.kernel.supervisor.reload import Reload, Stage
from firefly_core.kernel.supervisor.shutdown import Patience


class Child:
    def __init__(self, name, log):
        self.name = name
        self.log = log
        self.running = True
        self.state = State.READY

    def stop(self, quick_in, kill_in):
        self.log.append(f"stop {self.name} {quick_in:g} {kill_in:g}")
        self.state = State.STOPPING

    def revive(self):
        self.log.append(f"start {self.name}")
        self.state = State.STARTING
        self.running = True

    def end(self):
        self.running = False
        self.state = State.STOPPED


class Desk:
    def __init__(self, *stages):
        self.log = []
        names = {name for stop, start in stages for name in (*stop, *start)}
        self.child = {name: Child(name, self.log) for name in names}
        made = [
            Stage(stop=[self.child[n] for n in stop], start=[self.child[n] for n in start]) for stop, start in stages
        ]
        self.reload = Reload(made, Patience(), lambda: self.log.append("done"))
        self.reload.proceed()

    def take_log(self):
        log = list(self.log)
        self.log.clear()
        return log


def test_one_after_another_and_the_next_only_when_the_one_before_is_ready():
    desk = Desk((["a"], ["a"]), (["b"], ["b"]))
    assert desk.take_log() == ["stop a 15 20"]
    assert desk.reload.restarts(desk.child["a"])
    assert not desk.reload.restarts(desk.child["b"])
    desk.reload.proceed()
    desk.child["a"].end()
    desk.reload.proceed()
    assert desk.take_log() == ["start a"]
    desk.child["a"].state = State.WAITING
    desk.reload.proceed()
    assert desk.take_log() == []
    desk.child["a"].state = State.READY
    desk.reload.proceed()
    assert desk.take_log() == ["stop b 15 20"]
    desk.child["b"].end()
    desk.reload.proceed()
    desk.child["b"].state = State.READY
    desk.reload.proceed()
    assert desk.take_log() == ["start b", "done"]


def test_one_that_is_given_up_does_not_hold_the_others():
    desk = Desk((["a"], ["a"]), ([], ["b"]))
    desk.child["a"].end()
    desk.reload.proceed()
    desk.child["a"].state = State.FATAL
    desk.reload.proceed()
    assert desk.take_log() == ["stop a 15 20", "start a", "start b"]


def test_in_one_stage_all_have_ended_before_any_begins():
    desk = Desk((["a", "b"], ["b", "c"]))
    desk.take_log()
    desk.child["a"].end()
    desk.reload.proceed()
    assert desk.take_log() == []
    desk.child["b"].end()
    desk.reload.proceed()
    assert desk.take_log() == ["start b", "start c"]


def test_nothing_to_do_is_done():
    assert Desk(([], [])).take_log() == ["done"]
