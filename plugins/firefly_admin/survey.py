"""Survey: a regular look at every server, from which the console, the API and the metrics are served.

1. the own server and the connected ones say who is connected to them: that is how each process can be reached
2. each process that firefly.toml names is asked for one report, all at the same time
3. who has not the wanted commands switched off is told
4. the supervisor, where there is one, says what it knows
5. what changed is noted for the charts

Nobody who asks the admin over HTTP makes it ask the servers: a thousand requests cost them nothing.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import gevent
from gevent.event import Event
from gevent.pool import Pool

from firefly_admin.switches import Switch, Switches
from firefly_admin.view import View
from firefly_core.errors import CallError, FireflyError, NoSuchMethod
from firefly_core.kernel.config.roots import ROOT

if TYPE_CHECKING:
    from firefly_core.kernel.config.cluster import Server
    from firefly_core.kernel.kernel import Kernel

__all__ = ["Survey"]

AT_ONCE = 32
TIMEOUT = 2.0
BREATH = 0.2
"""Seconds between two looks at least, however often somebody comes or goes."""


class Survey:
    """The present state of the cluster."""

    def __init__(self, kernel: Kernel, switches: Switches, *, interval: float, history: int) -> None:
        self._kernel = kernel
        self._switches = switches
        self._interval = interval
        self._pool = Pool(AT_ONCE)
        self._greenlet: gevent.Greenlet[[], None] | None = None
        self._hurry = Event()
        self.views = {
            name: View(name, server.name, apart=_is_apart(server))
            for server in kernel.cluster.servers.values()
            for name in server.process_names()
        }
        """Every process of firefly.toml, in its order."""
        self.supervisor: dict[str, Any] | None = None
        """What the supervisor said at the last look; None: there is none, or it did not answer."""
        self.looks = 0
        self.failed = 0
        self.taken = 0.0
        """When the last look was done, by the clock's `time()`."""
        self.samples: deque[dict[str, Any]] = deque(maxlen=history)

    @property
    def off(self) -> frozenset[Switch]:
        """What is to be switched off everywhere."""
        return self._switches.off

    def start(self) -> None:
        """Begin to look."""
        self._greenlet = gevent.spawn(self._run)

    def stop(self) -> None:
        """Look no more."""
        if self._greenlet is not None:
            self._greenlet.kill()
        self._pool.kill()

    def hurry(self) -> None:
        """Look again soon; never blocks."""
        self._hurry.set()

    def ask(self, process: str, verb: str, *parameters: Any, timeout: float = TIMEOUT) -> Any:
        """Ask one process; raises CallError."""
        return self._kernel.inspection.ask(process, verb, *parameters, via=self.views[process].via, timeout=timeout)

    def ask_all(self, verb: str, *parameters: Any, only: str | None = None) -> dict[str, Any]:
        """Ask every process that answered at the last look, or only those of one server, or one process.

        Gives the answers by process; of who does not answer there is none.
        """
        return self.ask_each(verb, dict.fromkeys(self.present(only), parameters))

    def ask_each(self, verb: str, parameters: Mapping[str, tuple[Any, ...]]) -> dict[str, Any]:
        """Ask processes, each with parameters of its own; as `ask_all`."""
        jobs = {name: self._pool.spawn(self._try, name, verb, given) for name, given in parameters.items()}
        gevent.joinall(list(jobs.values()))
        return {name: job.value[0] for name, job in jobs.items() if job.value is not None}

    def present(self, only: str | None = None) -> list[str]:
        """Give the processes that answered at the last look, of one server, or the one, where `only` says so."""
        return [view.name for view in self.views.values() if view.up and only in (None, view.name, view.server)]

    def _try(self, name: str, verb: str, parameters: tuple[Any, ...]) -> tuple[Any] | None:
        try:
            return (self.ask(name, verb, *parameters),)
        except NoSuchMethod:
            return None
        except FireflyError as error:
            self._kernel.log.warning("no %s from %s: %s", verb, name, error)
            return None

    # --------------------------------------------------------------------------------------------------- looking

    def look(self) -> None:
        """Look at everything once; returns when everybody has answered or was given up."""
        ways = self._ways()
        jobs = []
        for view in self.views.values():
            view.via = ways.get(view.name)
            if view.name in ways:
                jobs.append(self._pool.spawn(self._look_at, view))
            else:
                view.failed("no server that is here is connected to it")
        supervisor = gevent.spawn(self._ask_supervisor)
        gevent.joinall(jobs)
        supervisor.join()
        self.supervisor = supervisor.value
        self.looks += 1
        self.taken = self._kernel.clock.time()
        self.samples.append({"time": self.taken, "servers": dict(self._sampled())})

    def _run(self) -> None:
        while True:
            self._hurry.clear()
            try:
                self.look()
            except Exception:
                self._kernel.log.exception("a look at the cluster failed")
                self.failed += 1
            gevent.sleep(BREATH)
            self._hurry.wait(max(0.0, self._interval - BREATH))

    def _ways(self) -> dict[str, str | None]:
        """Give by which peer each process can be reached; None: it is this one, or connected."""
        own = self._kernel.name
        direct = {own, *(peer.name for peer in self._kernel.mesh.peers.values() if peer.connected)}
        ways: dict[str, str | None] = dict.fromkeys(direct)
        for name, answer in self._peers_of(direct - {own}):
            for peer in answer:
                if peer["connected"]:
                    ways.setdefault(peer["name"], name)
        return ways

    def _peers_of(self, names: set[str]) -> Iterator[tuple[str, Any]]:
        """Give what connected servers said of their peers at the last look, or ask them."""
        for name in sorted(names):
            view = self.views.get(name)
            if view is not None and view.report is not None:
                yield name, view.report["peers"]
            else:
                with contextlib.suppress(CallError):
                    yield name, self._kernel.inspection.ask(name, "peers", timeout=TIMEOUT)

    def _look_at(self, view: View) -> None:
        try:
            report = self.ask(view.name, "report")
            wanted = sorted(self._switches.off)
            if [tuple(pair) for pair in report["off"]] != wanted:
                self.ask(view.name, "switch", wanted)
        except CallError as error:
            view.failed(str(error) or error.code)
            return
        view.answered(report, self._kernel.clock.monotonic(), self._kernel.clock.time())

    def _ask_supervisor(self) -> dict[str, Any] | None:
        control = self._kernel.supervisor
        if control is None:
            return None
        try:
            answer: dict[str, Any] = control.ask("status", timeout=TIMEOUT)
        except FireflyError as error:
            self._kernel.log.warning("no status from the supervisor: %s", error)
            return None
        return answer

    def _sampled(self) -> Iterator[tuple[str, dict[str, float]]]:
        for view in self.views.values():
            if view.up:
                yield (
                    view.name,
                    {
                        **{name: round(value, 6) for name, value in view.rates.items()},
                        "sessions": view.part("gate").get("sessions", 0),
                        "resident": view.part("process").get("resident_bytes", 0),
                    },
                )


def _is_apart(server: Server) -> bool:
    """Whether a server neither has a root nor connects to one."""
    services = server.services
    return ROOT not in services and not any(
        getattr(service, "roots", None) or getattr(service, "owner", None) or name == "admin"
        for name, service in services.items()
    )
