"""One process of a firefly.toml, from its first line to its exit status.

1. it learns from the supervisor, or counts for itself, which epoch this is, and reads the configuration
2. the kernel is built and started; the supervisor is told that it is ready
3. SIGTERM or SIGINT: drain, then stop. A second one, or SIGQUIT: stop at once. A third: end here and now
4. a supervisor that vanishes: stop at once, and be gone within two seconds
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import gevent
from gevent import config, get_hub
from gevent.event import Event
from gevent.monkey import get_original, is_module_patched
from gevent.resolver.thread import Resolver as ThreadResolver

from firefly_core.channel.resolver import Resolver
from firefly_core.errors import ConfigurationError, ExitStatus, Unavailable
from firefly_core.kernel.config.cluster import Cluster, load
from firefly_core.kernel.kernel import Kernel
from firefly_core.kernel.process.control import Begin, Control, inherit
from firefly_core.kernel.process.foreground import begin_alone
from firefly_core.kernel.process.log_lines import start_logging
from firefly_core.kernel.reload.reload_report import ReloadReport

__all__ = ["Process", "run"]

PATCHED = ("socket", "select", "threading", "ssl", "subprocess", "time")
FAREWELL = 2.0
HEARD = 2.0
"""Seconds that the roots are given to hear of a server before it is ready without them."""
CRASHED = 1


class Process:
    """Runs a kernel until somebody wants it to end."""

    def __init__(self, kernel: Kernel, control: Control | None = None) -> None:
        self._kernel = kernel
        self._control = kernel.supervisor = control
        self._signals = 0
        self._wanted = Event()
        """Set when the server is to stop."""
        self._at_once = Event()
        """Set when it is to stop without finishing what it has."""
        self._bell = get_hub().loop.async_()

    def run(self) -> int:
        """Start, serve, stop; gives the exit status. Raises what kept the kernel from starting."""
        self._bell.start(self._rung)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
            # Not gevent's own: a handler of Python's runs although the hub is busy, so the third signal always works.
            signal.signal(number, self._signalled)
        if self._control is not None:
            self._control.on_order = self._ordered
            self._control.start()
            gevent.spawn(self._watch_supervisor, self._control)
        self._kernel.gave_up.rawlink(lambda _: self._wanted.set())
        if self._either(self._start, self._wanted):
            # Not before: what is imported while it starts holds up nobody.
            self._kernel.hub_watch.start()
            if self._control is not None:
                self._control.say("ready", code=self._kernel.code.version.plain())
            self._kernel.log.info("ready")
            self._wanted.wait()
            self._finish()
        return ExitStatus.GAVE_UP if self._kernel.gave_up.ready() else ExitStatus.STOPPED

    def _start(self) -> None:
        self._kernel.start()
        # So that whoever connects when all are ready finds every command; a root that is away holds nobody up for long.
        self._kernel.mesh.wait_heard(HEARD)

    def _finish(self) -> None:
        if not self._kernel.gave_up.ready() and not self._at_once.is_set():
            if self._control is not None:
                self._control.say("draining")
            self._kernel.log.info("draining")
            self._either(self._kernel.drain, self._at_once)
            self._tell_cut(self._kernel.unfinished())
        self._kernel.log.info("stopping")
        self._kernel.stop()
        self._kernel.hub_watch.stop()

    def _tell_cut(self, unfinished: Mapping[str, int]) -> None:
        """Say what was accepted and is dropped now."""
        dropped = sum(unfinished.values())
        if dropped:
            shown = ", ".join(f"{count} {what}" for what, count in unfinished.items() if count)
            self._kernel.log.error("the time to finish is over: %s dropped", shown)
            if self._control is not None:
                self._control.say("cut", dropped=dropped)

    def _ordered(self, order: Mapping[str, Any]) -> None:
        if order["do"] == "reload":
            gevent.spawn(self._reload, order)

    def _reload(self, order: Mapping[str, Any]) -> None:
        code = self._kernel.code
        try:
            report = code.reload(dry_run=order["dry_run"], force=order["force"])
        except Exception as error:
            self._kernel.log.exception("a reload failed")
            report = ReloadReport(problems=(f"{self._kernel.name}: a fault of the reload's own: {error!r}",))
        assert self._control is not None
        self._control.say("reloaded", number=order["number"], report=report.plain(), code=code.version.plain())

    @staticmethod
    def _either(function: Callable[[], Any], cut: Event) -> bool:
        """Run `function` until it returns, or until `cut` is set; whether it returned. Raises what it raises."""
        failures: list[BaseException] = []

        def attempt() -> None:
            try:
                function()
            except BaseException as error:
                failures.append(error)

        greenlet = gevent.spawn(attempt)
        first = Event()
        greenlet.rawlink(lambda _: first.set())
        cut.rawlink(lambda _: first.set())
        first.wait()
        if not greenlet.ready():
            greenlet.kill()
            return False
        if failures:
            raise failures[0]
        return True

    def _signalled(self, number: int, _frame: FrameType | None) -> None:
        self._signals += 2 if number == signal.SIGQUIT and not self._signals else 1
        if self._signals > 2:
            os._exit(ExitStatus.GAVE_UP)
        self._bell.send()

    def _rung(self) -> None:
        if self._signals:
            self._wanted.set()
        if self._signals > 1:
            self._at_once.set()

    def _watch_supervisor(self, control: Control) -> None:
        control.ended.wait()
        self._kernel.log.error("the supervisor is gone")
        # A native thread: it does its work even when the hub never runs again.
        get_original("_thread", "start_new_thread")(_end_group, (FAREWELL,))
        self._at_once.set()
        self._wanted.set()


def _end_group(delay: float) -> None:
    get_original("time", "sleep")(delay)
    os.killpg(0, signal.SIGKILL)


def run(path: Path, name: str, overrides: Sequence[str] = ()) -> int:
    """Be the process `name` (`world-1`, or `world` for its first); gives the exit status.

    Raises ConfigurationError. What else keeps it from starting is logged, and the status is 1: worth another try.
    """
    unpatched = [module for module in PATCHED if not is_module_patched(module)]
    if unpatched:
        raise ConfigurationError([f"gevent has not patched {', '.join(unpatched)}: start by firefly-run"])
    if config.resolver is ThreadResolver:
        # Whoever chose another one for gevent keeps it.
        get_hub().resolver = Resolver(get_hub())  # type: ignore[assignment]  # as gevent's own one is no AbstractResolver
    control = inherit()
    try:
        begin = control.read_begin() if control is not None else None
    except Unavailable:
        return CRASHED
    # A supervisor hands over what it has checked; each server would import every model of the game to check it again.
    text = begin.source if begin is not None else None
    cluster = load(path, overrides=overrides, text=text, accepted=begin is not None)
    server, replica = cluster.find_process(name)
    name = f"{server.name}-{replica}"
    if cpus := server.cpus_of(replica):
        os.sched_setaffinity(0, cpus)
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    start_logging(name, json_lines=cluster.firefly.log == "json", level=cluster.firefly.log_level)
    if begin is None:
        begin = begin_alone(cluster, server.name, replica)
    try:
        return Process(_kernel(cluster, server.name, replica, begin), control).run()
    except ConfigurationError:
        raise
    except Exception:
        logging.getLogger(f"firefly.{name}").exception("cannot start")
        return CRASHED


def _kernel(cluster: Cluster, server: str, replica: int, begin: Begin) -> Kernel:
    configured = cluster.firefly.secret
    secret = configured.encode() if configured is not None else begin.secret
    return Kernel(cluster, server, replica, secret=secret, epoch=begin.epoch, descriptors=begin.listeners)
