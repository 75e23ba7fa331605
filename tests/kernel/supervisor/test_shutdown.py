"""Stopping in waves, by one deadline, on a clock of numbers."""

from __future__ import annotations

import heapq

import pytest

from firefly_core.kernel.supervisor.shutdown import Patience, Shutdown


class Loop:
    def __init__(self):
        self.time = 0.0
        self.timers = []

    def now(self):
        return self.time

    def later(self, delay, callback):
        timer = Timer(callback)
        heapq.heappush(self.timers, (self.time + delay, len(self.timers), timer))
        return timer

    def advance(self, until):
        while self.timers and self.timers[0][0] <= until:
            self.time, _, timer = heapq.heappop(self.timers)
            timer.callback()
        self.time = until


class Timer:
    def __init__(self, callback):
        self.callback = callback

    def cancel(self):
        self.callback = lambda: None


class Child:
    def __init__(self, name, running=True):
        self.name = name
        self.running = running
        self.asked = []

    def stop(self, quick_in, kill_in):
        self.asked.append((quick_in, kill_in))


class Desk:
    def __init__(self, *waves):
        self.loop = Loop()
        self.done = 0
        self.children = {name: Child(name) for wave in waves for name in wave}
        children = [[self.children[name] for name in wave] for wave in waves]
        self.shutdown = Shutdown(self.loop, children, Patience(drain=15.0, kill=5.0, hurry=2.0), self.finish)
        self.shutdown.proceed()

    def finish(self):
        self.done += 1

    def end(self, name):
        self.children[name].running = False
        self.shutdown.proceed()

    def asked(self):
        return {name: child.asked for name, child in self.children.items() if child.asked}


def test_each_wave_waits_for_all_of_the_one_before_and_has_the_time_that_is_left():
    desk = Desk(["gate", "door"], ["world"])
    assert desk.asked() == {"gate": [(15.0, 20.0)], "door": [(15.0, 20.0)]}
    desk.loop.advance(4.0)
    desk.end("gate")
    assert "world" not in desk.asked()
    desk.end("door")
    assert desk.asked()["world"] == [(11.0, 16.0)]
    assert desk.done == 0
    desk.end("world")
    assert desk.done == 1


def test_when_the_time_to_drain_is_over_nobody_waits_any_more():
    desk = Desk(["gate"], ["world"], ["db"])
    desk.loop.advance(15.0)
    assert desk.asked() == {"gate": [(15.0, 20.0)], "world": [(0.0, 5.0)], "db": [(0.0, 5.0)]}
    for name in ("db", "world"):
        desk.end(name)
    assert desk.done == 0
    desk.end("gate")
    assert desk.done == 1


def test_hurry_asks_everybody_at_once():
    desk = Desk(["gate"], ["world"])
    desk.loop.advance(1.0)
    desk.shutdown.hurry()
    assert desk.asked() == {"gate": [(15.0, 20.0), (0.0, 2.0)], "world": [(0.0, 2.0)]}


def test_hurry_never_gives_more_time_than_there_was():
    desk = Desk(["gate"])
    desk.loop.advance(19.5)
    desk.shutdown.hurry()
    assert desk.children["gate"].asked[-1] == pytest.approx((0.0, 0.5))


@pytest.mark.parametrize("waves", [[], [[]], [[], []]])
def test_nothing_to_stop_is_done_at_once(waves):
    assert Desk(*waves).done == 1


def test_it_is_done_once_whatever_happens_afterwards():
    desk = Desk(["gate"])
    desk.end("gate")
    desk.shutdown.proceed()
    desk.loop.advance(100.0)
    desk.shutdown.proceed()
    assert desk.done == 1
