"""The kernel: one server, put together from its declaration, its plugins and its handlers.

1. `Kernel(...)` builds: services, handlers with the middleware around them; nothing runs yet.
2. `start()`: storage services, then the mesh, then `@on_start` and the timers, then the doors. Ready when it returns.
3. `drain()`: every service takes nothing new and finishes what it has, doors first.
4. `stop()`: the doors close first and the floor goes last, whatever fails on the way.

Nothing here is global: two kernels live side by side in one process.
"""

from __future__ import annotations

import logging
import random as random_module
import secrets
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import gevent
import gevent.event
from gevent import get_hub

from firefly_core.channel.clock import Clock, SystemClock
from firefly_core.channel.deadlines import Deadlines
from firefly_core.channel.network import SocketNetwork
from firefly_core.channel.runners import Runners
from firefly_core.channel.transport import Network
from firefly_core.errors import ConfigurationError
from firefly_core.kernel.config.cluster import Cluster
from firefly_core.kernel.groups import Groups
from firefly_core.kernel.handlers.context import Context, HandlerContext
from firefly_core.kernel.handlers.handlers import Handler, HandlerTable, collect
from firefly_core.kernel.handlers.timers import Timers
from firefly_core.kernel.mesh.directory import Directory
from firefly_core.kernel.mesh.inspection import Inspection
from firefly_core.kernel.mesh.links import Links
from firefly_core.kernel.mesh.mesh import Mesh
from firefly_core.kernel.process.hub_watch import HubWatch
from firefly_core.kernel.reload.reload import Prepare, Reload
from firefly_core.kernel.service import Phase, Service

if TYPE_CHECKING:
    from firefly_core.kernel.process.control import Control

__all__ = ["Kernel"]

DRAIN_LOOK = 0.02
"""Seconds between two looks whether everything is done."""


class Kernel:
    """One server process (or one of several in a test's process).

    `server` and `replica` say which server of `cluster` it is. `network`, `clock` and `random` are the real ones unless
    handed in. `secret` is what servers prove to each other that they belong together. `descriptors` are listening
    sockets that a supervisor bound already, by listen URL.
    """

    def __init__(
        self,
        cluster: Cluster,
        server: str,
        replica: int = 1,
        *,
        network: Network | None = None,
        clock: Clock | None = None,
        random: random_module.Random | None = None,
        secret: bytes | None = None,
        epoch: int = 1,
        descriptors: Mapping[str, int] | None = None,
        handlers: HandlerTable | None = None,
    ) -> None:
        self.cluster = cluster
        self.plugins = cluster.plugins
        self.declaration = cluster.servers[server]
        self.server = server
        self.replica = replica
        self.name = f"{server}-{replica}"
        self.epoch = epoch
        self.network: Network = network if network is not None else SocketNetwork()
        self.clock: Clock = clock if clock is not None else SystemClock()
        self.random = random if random is not None else random_module.SystemRandom()
        self.boot_id = self.random.getrandbits(64)
        old = cluster.firefly.old_secret
        self.secrets = [secret or secrets.token_bytes(32), *([old.encode()] if old is not None else [])]
        """What peers prove that they know: the first one, or while secrets are being changed another."""
        self.descriptors = dict(descriptors or {})
        self.log = logging.getLogger(f"firefly.{self.name}")
        self.runners = Runners(self.clock.monotonic)
        self.deadlines = Deadlines(get_hub().loop, self.clock)
        self.handlers = handlers if handlers is not None else collect(cluster.handler_modules(server))
        self.mesh = Mesh(self)
        self.links = Links(self)
        self.groups = Groups(self)
        self.timers = Timers(self)
        self.inspection = Inspection(self)
        self.hub_watch = HubWatch(self.log, cluster.firefly.slow_hub, lambda: self.handlers)
        """Started by whoever owns the process: the hub belongs to all kernels in it."""
        self.supervisor: Control | None = None
        """The pipe to the supervisor, where there is one."""
        self.extensions: dict[str, Any] = {}
        """What plugins keep for this server where they have no service in it, by the plugin's name."""
        self.directory: Directory | None = None
        """Who is at which gate, where this process has the directory."""
        self.state: Any = None
        """What `@on_start` returned."""
        self.context_offers = self.plugins.context(self)
        self._middleware = self.plugins.middleware(self)
        self._callables: dict[Handler, Callable[..., Any]] = {}
        self.code = Reload(self)
        """The version of this server's handlers and what belongs to them, and how it is made anew."""
        self.on_reload: list[Prepare] = []
        """Called with the new handlers before they are in force; services add to it before the server starts."""
        self.serving = False
        """Whether the server is ready, and neither draining nor stopping."""
        self.services: dict[str, Service] = {
            name: self.plugins.services[name](self, config) for name, config in self.declaration.services.items()
        }
        self._started: list[Service] = []
        self.gave_up: gevent.event.AsyncResult[str] = gevent.event.AsyncResult()
        """Set, to the reason, when this server must end (exit 70)."""

    def new_trace(self) -> str:
        """Give a new id that follows a command through every server's log."""
        return f"{self.random.getrandbits(64):016x}"

    def give_up(self, reason: str) -> None:
        """Ask whoever runs this server to stop it, because it cannot go on; returns at once."""
        self.log.error("giving up: %s", reason)
        self.gave_up.set(reason)

    def callable(self, handler: Handler) -> Callable[..., Any]:
        """Give a handler's function with the middleware of all plugins around it; the first plugin's is outermost."""
        function = self._callables.get(handler)
        if function is None:
            function = self._callables[handler] = self.wrapped(handler)
        return function

    def wrapped(self, handler: Handler) -> Callable[..., Any]:
        """Put the middleware around a handler's function anew."""
        function = handler.function
        for wrap in reversed(self._middleware):
            function = wrap(handler, function)
        return function

    def take_handlers(self, handlers: HandlerTable, callables: dict[Handler, Callable[..., Any]]) -> None:
        """Put other handlers in force, each with the function that `callable` gives; neither yields nor raises."""
        self.handlers, self._callables = handlers, callables
        self.timers.adopt(handlers.timers)

    # ----------------------------------------------------------------------------------------------- life

    def start(self) -> None:
        """Start everything, in order; when it returns, the server is ready.

        Raises what kept a service from starting; everything that had started is stopped again by then.
        """
        try:
            self._start_phase(Phase.STORAGE)
            self._start_phase(Phase.MESH)
            self._run_on_start()
            self.mesh.announce()
            self.timers.start()
            self._start_phase(Phase.DOOR)
            self.plugins.started(self)
        except BaseException:
            self.stop()
            raise
        self.serving = True
        self.log.info("code %s is in force", self.code.version.hash)

    def drain(self, timeout: float | None = None) -> bool:
        """Take nothing new and finish what was accepted, within `timeout` seconds; False: the deadline cut it."""
        self.serving = False
        limit = self.cluster.firefly.drain_timeout if timeout is None else timeout
        with gevent.Timeout(limit, False):  # type: ignore[arg-type]  # the stubs do not know of False
            self.mesh.withdraw()
            for phase in (Phase.DOOR, Phase.MESH):
                self._drain_phase(phase)
            # What peers still wait for may write rows: storage finishes last.
            while self.mesh.unfinished:
                gevent.sleep(DRAIN_LOOK)
            self._drain_phase(Phase.STORAGE)
            return True
        return False

    def unfinished(self) -> dict[str, int]:
        """Give how much of what was accepted is not done, by where it came from."""
        found = {service.name: service.unfinished() for service in self._started}
        return {"calls": self.mesh.unfinished, **found}

    def stop(self) -> None:
        """Stop everything that started, backwards; a service that fails to stop is logged and the next one goes on."""
        self.serving = False
        self.plugins.notify("firefly_stopping", kernel=self)
        self._stop_phase(Phase.DOOR)
        self.timers.stop()
        if self._started:
            self.run_on("stop")
        self.links.stop()
        self._stop_phase(Phase.MESH)
        self._stop_phase(Phase.STORAGE)
        self.runners.close()
        self.deadlines.close()

    def run_on(self, moment: str, context: Callable[[Handler], Context] | None = None) -> None:
        """Run the handlers of a moment (`connect`, `login`, `disconnect`, `stop`); one that fails is logged."""
        for handler in self.handlers.on.get(moment, ()):
            made = context(handler) if context is not None else HandlerContext(self, handler)
            try:
                self.callable(handler)(made)
            except gevent.GreenletExit:
                raise
            except BaseException:
                made.log.exception("@on_%s %s failed", moment, handler.name)

    def statistics(self) -> dict[str, dict[str, float]]:
        """Give every service's figures, by service."""
        return {name: dict(service.statistics()) for name, service in self.services.items()}

    def _run_on_start(self) -> None:
        states = []
        for handler in self.handlers.on.get("start", ()):
            state = self.callable(handler)(HandlerContext(self, handler))
            if state is not None:
                states.append((handler, state))
        if len(states) > 1:
            both = " and ".join(f"{handler.name} at {handler.source}" for handler, _ in states)
            raise ConfigurationError([f"{self.name}: {both} both return a state; a server has one"])
        self.state = states[0][1] if states else None

    def _start_phase(self, phase: Phase) -> None:
        for service in self.services.values():
            if service.phase is phase:
                # Before it starts: a service that fails half-way must still be stopped.
                self._started.append(service)
                service.start()

    def _drain_phase(self, phase: Phase) -> None:
        for service in reversed([s for s in self._started if s.phase is phase]):
            service.drain()

    def _stop_phase(self, phase: Phase) -> None:
        for service in reversed([s for s in self._started if s.phase is phase]):
            self._started.remove(service)
            try:
                service.stop()
            except Exception:
                self.log.exception("service %s did not stop cleanly", service.name)
