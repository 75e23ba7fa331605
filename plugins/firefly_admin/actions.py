"""Actions: what `POST /api/...` has done; each is one line in the log, whether it was done or not."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec
from gevent.lock import BoundedSemaphore

from firefly_admin.switches import Switches
from firefly_core.errors import Refuse, RemoteError, Unavailable

if TYPE_CHECKING:
    from firefly_admin.panorama import Panorama
    from firefly_admin.survey import Survey
    from firefly_core.kernel.kernel import Kernel

__all__ = ["ACTIONS", "Actions"]

REASON = "kicked"


class Order(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The body of an action."""


class Process(Order, frozen=True):
    """An action on one process (`world-1`), or on all of a server (`world`), one after another."""

    process: str


class Reload(Order, frozen=True):
    """What to make anew: one server's handlers, or all and firefly.toml; `dry_run`: only whether it would go."""

    process: str | None = None
    dry_run: bool = False
    force: bool = False


class Stop(Order, frozen=True):
    """What to stop: a process, a server, or, when that is said so, everything."""

    process: str | None = None
    everything: bool = False
    now: bool = False


class Kick(Order, frozen=True):
    """Whom to kick: a session by its id, or every session of a player."""

    session: str | None = None
    uid: int | str | None = None
    reason: str = REASON


class Notice(Order, frozen=True):
    """What to tell everybody who has logged in, or a group, or a player."""

    text: str
    group: str | None = None
    uid: int | str | None = None


class Which(Order, frozen=True):
    """A command by its name or id, or a remote by its name."""

    command: int | str | None = None
    remote: str | None = None


class Letter(Order, frozen=True):
    """A change that the database has refused, by the server that keeps it and its name."""

    server: str
    name: str


ACTIONS: dict[str, type[Order]] = {
    "reload": Reload,
    "drain": Process,
    "restart": Process,
    "stop": Stop,
    "kick": Kick,
    "notice": Notice,
    "disable": Which,
    "enable": Which,
    "retry": Letter,
    "drop": Letter,
}
"""Every action with what its body has to be."""
TEXT = 1000
NUMBER = re.compile("[0-9]{1,20}")
SUPERVISED = 120.0
"""Seconds that the supervisor may take for its answer: a reload is answered when it is done."""


class Actions:
    """Does what operators want. Those that the supervisor carries out are done one at a time."""

    def __init__(
        self, kernel: Kernel, survey: Survey, panorama: Panorama, switches: Switches, notice_push: int
    ) -> None:
        self._kernel = kernel
        self._survey = survey
        self._panorama = panorama
        self._switches = switches
        self._notice_push = notice_push
        self._one = BoundedSemaphore(1)
        self._log = logging.getLogger(f"{kernel.log.name}.audit")
        self.done = 0
        self.refused = 0

    def do(self, action: str, order: Order, by: str) -> dict[str, Any]:
        """Do one of ACTIONS and give what came of it; `by` is who asked, for the log.

        Raises Refuse, Unavailable or CallError; that is logged too.
        """
        known: dict[str, Callable[[Any], dict[str, Any]]] = {
            "kick": self._kick,
            "notice": self._notice,
            "disable": lambda which: self._turn(which, off=True),
            "enable": lambda which: self._turn(which, off=False),
            "retry": lambda letter: self._post("db.retry", letter),
            "drop": lambda letter: self._post("db.drop", letter),
        }
        run = known.get(action, lambda order: self._supervise(action, order))
        fields = {"action": action, "by": by, "order": msgspec.json.encode(order).decode()}
        try:
            result = run(order)
        except Exception as error:
            self.refused += 1
            self._log.warning("%s was not done: %s", action, error, extra={"firefly": fields})
            raise
        self.done += 1
        self._log.info("%s was done: %s", action, result, extra={"firefly": fields})
        self._survey.hurry()
        return result

    def _supervise(self, action: str, order: Any) -> dict[str, Any]:
        """Have the supervisor do it."""
        process = order.process
        if process is not None and process not in self._survey.views and process not in self._kernel.cluster.servers:
            raise Refuse("not_found", "firefly.toml has no such process or server")
        if isinstance(order, Stop) and (process is None) != order.everything:
            raise Refuse("bad_request", "either a process, or everything")
        if self._kernel.supervisor is None:
            raise Unavailable("this server has no supervisor: firefly-run has not started it")
        if not self._one.acquire(blocking=False):
            raise Refuse("busy", "the one before is not done yet")
        try:
            told = self._kernel.supervisor.ask(action, timeout=SUPERVISED, **_asked(order))
        except RemoteError as error:
            raise Refuse("refused", error.message) from error
        finally:
            self._one.release()
        return {"supervisor": told}

    def _kick(self, order: Kick) -> dict[str, Any]:
        if (order.session is None) == (order.uid is None):
            raise Refuse("bad_request", "either a session or a uid")
        if order.session is not None and not NUMBER.fullmatch(order.session):
            raise Refuse("bad_request", "a session's id is a number")
        answers = self._survey.ask_all("kick", order.session, order.uid, order.reason[:TEXT])
        ended = sum(answers.values())
        if not ended:
            raise Refuse("not_found", "nobody like that is here")
        return {"kicked": ended}

    def _notice(self, order: Notice) -> dict[str, Any]:
        if not order.text.strip() or len(order.text) > TEXT:
            raise Refuse("bad_request", f"a notice has 1 to {TEXT} characters")
        answers = self._survey.ask_all("notice", order.text, self._notice_push, order.group, order.uid)
        return {"told": sum(answers.values())}

    def _turn(self, order: Which, *, off: bool) -> dict[str, Any]:
        if (order.command is None) == (order.remote is None):
            raise Refuse("bad_request", "either a command or a remote")
        if order.command is not None:
            pair = ("command", self._panorama.find_command(order.command))
        else:
            pair = ("remote", str(order.remote))
        if pair[0] == "remote" and off and not any(pair in view.meters for view in self._survey.views.values()):
            raise Refuse("not_found", "no server that is here has that remote")
        try:
            self._switches.turn([pair], off=off)
        except OSError as error:
            raise Unavailable(f"it cannot be written down: {error.strerror}") from error
        answers = self._survey.ask_all("switch", sorted(self._switches.off))
        return {"kind": pair[0], "name": pair[1], "off": off, "servers": sorted(answers)}

    def _post(self, verb: str, order: Letter) -> dict[str, Any]:
        if order.server not in self._survey.views:
            raise Refuse("not_found", "firefly.toml has no such process")
        return {"result": self._survey.ask(order.server, verb, order.name)}


def _asked(order: Order) -> dict[str, Any]:
    """Give what the supervisor is asked with; it calls a process by `name`, and is told only what was said."""
    said: dict[str, Any] = {key: value for key, value in msgspec.to_builtins(order).items() if value}
    said.pop("everything", None)
    if "process" in said:
        said["name"] = said.pop("process")
    return said
