"""A bot on Firefly's own client, as a state machine over a network in memory: thousands of requests in virtual time."""

from __future__ import annotations

import random
import sys
from collections import Counter
from pathlib import Path

import gevent
from gevent import get_hub

from firefly_core.channel.transport import Transport
from firefly_core.testing import MemoryNetwork

sys.path.append(str(Path(__file__).parents[2] / "clients" / "python"))  # a distribution of its own, not installed

from firefly_client.connection import Connection
from firefly_client.errors import Ended, Overloaded
from firefly_client.events import (
    Answered,
    Changed,
    Dial,
    Event,
    Failed,
    HangUp,
    LoginNeeded,
    Pushed,
    Resumed,
    State,
)
from firefly_client.json_text import JsonText

__all__ = ["VirtualBot"]

READ = 65_536
TICK = 0.02


class VirtualBot:
    """Sends `catch` with rising numbers and notes what came of each; it dials any of `ports` each time."""

    def __init__(self, network: MemoryNetwork, ports: list[int], uid: int, chance: random.Random) -> None:
        self.uid = uid
        self.sent = 0
        self.answered: list[int] = []
        self.heard: list[int] = []
        self.errors: Counter[str] = Counter()
        self.faults: list[str] = []
        self.open: dict[int, int] = {}
        self.logins = self.resyncs = 0
        self._chance = chance
        self._network = network
        self._ports = ports
        self._connection = Connection(JsonText(), chance.random, login=True)
        self._line: Transport | None = None
        self._settling = False
        self._login: dict[int, int] = {}

    @property
    def now(self) -> float:
        """The time of the loop."""
        return float(get_hub().loop.now())

    def play(self, seconds: float, rest: float) -> None:
        """Play for so long, then only listen for `rest`."""
        ticking = gevent.spawn(self._run_ticks)
        ends = self.now + seconds
        self._connection.start(self.now)
        while self.now < ends:
            for _ in range(self._chance.randint(1, 4)):
                self._catch()
            self._settle()
            gevent.sleep(self._chance.choice((0.005, 0.02, 0.1, 0.5)))
        gevent.sleep(rest)
        ticking.kill()

    def _catch(self) -> None:
        self.sent += 1
        try:
            self.open[self._connection.request("catch", self.sent, self.now)] = self.sent
        except (Ended, Overloaded) as error:
            self.errors[error.code] += 1

    def _run_ticks(self) -> None:
        while True:
            gevent.sleep(TICK)
            self._connection.tick(self.now)
            self._settle()

    def _settle(self) -> None:
        """Write what the connection wants written, and do what it says."""
        if self._settling:
            return
        self._settling = True
        output, events = self._connection.take_output(), self._connection.take_events()
        while output or events:
            for message in output:
                self._write(message)
            for event in events:
                self._take(event)
            output, events = self._connection.take_output(), self._connection.take_events()
        self._settling = False

    def _write(self, message: bytes) -> None:
        if self._line is not None:
            try:
                self._line.send(message)
            except OSError:
                return  # it is read next that the line has ended

    def _take(self, event: Event) -> None:
        if isinstance(event, Dial):
            gevent.spawn(self._dial)
        elif isinstance(event, HangUp):
            line, self._line = self._line, None
            if line is not None:
                line.close() if event.polite else line.abort()
        elif isinstance(event, LoginNeeded):
            self._login[self._connection.request("login", self.uid, self.now, attempt=event.attempt)] = event.attempt
        elif isinstance(event, Answered | Failed):
            self._end(event)
        elif isinstance(event, Pushed):
            if self.heard and event.push.body <= self.heard[-1]:
                self.faults.append(f"push {event.push.body} behind {self.heard[-1]}")
            self.heard.append(event.push.body)
        elif isinstance(event, Resumed):
            self.resyncs += event.resync
        elif isinstance(event, Changed) and event.state is State.ENDED:
            self.faults.append(f"sent away: {event.reason}")

    def _end(self, event: Answered | Failed) -> None:
        attempt = self._login.pop(event.id, None)
        if attempt is not None and isinstance(event, Answered):
            self.logins += 1
            self._connection.logged_in(attempt, self.now)
        elif attempt is not None and isinstance(event, Failed):
            self._connection.login_failed(attempt, event.error, self.now)
        elif isinstance(event, Failed):
            del self.open[event.id]
            self.errors[event.error.code] += 1
        else:
            number = self.open.pop(event.id)
            self.answered.append(number)
            if event.body != number:
                self.faults.append(f"{event.body} answers {number}")

    def _dial(self) -> None:
        try:
            line = self._network.host("bot").dial("127.0.0.1", self._chance.choice(self._ports), timeout=5)
        except OSError as error:
            self._connection.lost(str(error), self.now)
        else:
            self._line = line
            line.start(lambda: self._on_readable(line))
            self._connection.connected(self.now, stream=True)
        self._settle()

    def _on_readable(self, line: Transport) -> None:
        try:
            data = line.recv(READ)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if line is not self._line:
            return
        if data:
            self._connection.receive(data, self.now)
        else:
            self._line = None
            line.close()
            self._connection.lost("its end", self.now)
        self._settle()
