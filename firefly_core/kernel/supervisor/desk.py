"""Desk: answers what servers and programs ask the supervisor; the questions are written in control_pipe.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from firefly_core.errors import ExitStatus
from firefly_core.kernel.supervisor.child import Child
from firefly_core.kernel.supervisor.overhaul import Wish
from firefly_core.kernel.supervisor.reload import Stage
from firefly_core.kernel.supervisor.shutdown import Patience

if TYPE_CHECKING:
    from firefly_core.kernel.supervisor.supervisor import Supervisor

__all__ = ["Asker", "Desk"]

LONGEST = 3600.0
Question = dict[str, Any]


class Asker(Protocol):
    """Who asks: a server, or a program."""

    def answer(self, number: object, **values: Any) -> None:
        """Give the answer to question `number`."""


class Refused(Exception):
    """A question that is not done; its text is the answer."""


class Desk:
    """Does what is asked for, one thing after another: while one is under way, the next is refused."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._known: dict[str, Callable[[Asker, Question], None]] = {
            "status": self._status,
            "reload": self._reload,
            "restart": self._restart,
            "drain": self._drain,
            "stop": self._stop,
        }

    def asked(self, asker: Asker, question: Question) -> None:
        """Answer a question, now or when it is done."""
        what = question.get("what")
        run = self._known.get(what) if isinstance(what, str) else None
        try:
            if run is None:
                raise Refused(f"unknown question {what!r}; known are {', '.join(self._known)}")
            run(asker, question)
        except Refused as error:
            asker.answer(question.get("ask"), error=str(error))

    def _status(self, asker: Asker, question: Question) -> None:
        asker.answer(question.get("ask"), result=self._supervisor.status())

    def _reload(self, asker: Asker, question: Question) -> None:
        name = question.get("name")
        if name is not None:
            self._find(name)
        self._free()
        wish = Wish(name, dry_run=question.get("dry_run") is True, force=question.get("force") is True)
        self._supervisor.overhaul(wish, lambda result: asker.answer(question.get("ask"), result=result))

    def _restart(self, asker: Asker, question: Question) -> None:
        targets = self._find(question.get("name"))
        self._free()
        works = self._supervisor.works
        assert works is not None

        def checked(problems: list[str]) -> None:
            if problems:
                asker.answer(question.get("ask"), error="\n".join([*problems, "it would not start: nothing was done"]))
                return
            stages = [Stage(stop=[child], start=[child]) for child in targets]
            self._work(asker, question, stages, targets, "started anew")

        # What runs must not be stopped for something that cannot start; who knows better says so.
        if question.get("force") is True:
            checked([])
        else:
            works.check(checked)

    def _drain(self, asker: Asker, question: Question) -> None:
        targets = self._find(question.get("name"))
        self._free()
        patience = self._supervisor.patience
        seconds = question.get("seconds")
        if seconds is not None:
            if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds <= LONGEST:
                raise Refused(f"seconds {seconds!r} is not a number up to {LONGEST:g}")
            patience = Patience(drain=seconds, kill=patience.kill, hurry=patience.hurry)
        self._work(asker, question, [Stage(stop=targets)], targets, "drained", patience)

    def _stop(self, asker: Asker, question: Question) -> None:
        supervisor = self._supervisor
        now = question.get("now") is True
        if question.get("name") is None:
            asker.answer(question.get("ask"), result={"accepted": True})
            supervisor.stop(ExitStatus.STOPPED)
            if now:
                supervisor.hurry()
            return
        targets = self._find(question["name"])
        self._free()
        patience = supervisor.patience
        if now:
            patience = Patience(drain=0.0, kill=patience.hurry, hurry=patience.hurry)
        self._work(asker, question, [Stage(stop=targets)], targets, "stopped", patience)

    def _find(self, name: object) -> list[Child]:
        fleet = self._supervisor.fleet
        found = fleet.find(name) if fleet is not None and isinstance(name, str) else []
        if not found:
            raise Refused(f"there is no process or server {name}" if name is not None else "say a process or server")
        return found

    def _free(self) -> None:
        if busy := self._supervisor.busy:
            raise Refused(f"busy: {busy} is under way")

    def _work(
        self,
        asker: Asker,
        question: Question,
        stages: list[Stage],
        targets: list[Child],
        done: str,
        patience: Patience | None = None,
    ) -> None:
        number, wait = question.get("ask"), question.get("wait") is True
        names = ", ".join(child.name for child in targets)
        if not wait:
            asker.answer(number, result={"accepted": True})

        def over() -> None:
            self._supervisor.say(f"{names}: {done}")
            if wait:
                states = {child.name: str(child.state) for child in targets}
                dropped = {child.name: child.dropped for child in targets if child.dropped}
                asker.answer(number, result={"accepted": True, "processes": states, "dropped": dropped})

        works = self._supervisor.works
        assert works is not None
        works.work_through(stages, over, patience)
