"""All processes of the plan in force, by their names."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from firefly_core.kernel.supervisor import listeners, log_folder
from firefly_core.kernel.supervisor.child import Child, State
from firefly_core.kernel.supervisor.equipment import Equipment
from firefly_core.kernel.supervisor.plan import Plan, stop_waves
from firefly_core.kernel.supervisor.reload import Stage

__all__ = ["Fleet"]

OVER = (State.FATAL, State.STOPPED)


class Fleet:
    """Makes the processes of a plan, and says what has to be done when another plan comes."""

    def __init__(
        self,
        equipment: Equipment,
        plan: Plan,
        on_change: Callable[[Child], None],
        on_ask: Callable[[Child, dict[str, Any]], None],
    ) -> None:
        self._equipment = equipment
        self._on_change = on_change
        self._on_ask = on_ask
        self._children: dict[str, Child] = {}
        self._leaving: list[Child] = []
        """Processes that the plan does not name any more, and that may not have ended yet."""
        self.plan = plan
        self._make()

    def __iter__(self) -> Iterator[Child]:
        return iter(self._children.values())

    def get(self, name: object) -> Child | None:
        """Give a process by its name."""
        return self._children.get(name) if isinstance(name, str) else None

    def find(self, name: str) -> list[Child]:
        """Give the process of that name, or all of the server of that name; empty: there is neither."""
        child = self._children.get(name)
        return [child] if child is not None else [child for child in self if child.server.name == name]

    def unchanged(self, plan: Plan) -> list[Child]:
        """Give the processes that run on when that plan is taken."""
        before = {server.name: server.fingerprint for server in self.plan.servers}
        names = {
            name
            for server in plan.servers
            if server.fingerprint == before.get(server.name)
            for name in server.process_names()
        }
        return [child for child in self if child.name in names]

    def all_ready(self) -> bool:
        """Whether everything that the plan names can be used."""
        return all(child.state is State.READY for child in self)

    def all_settled(self) -> bool:
        """Whether every process is ready, or rests until somebody says otherwise."""
        return all(child.state is State.READY or child.state in OVER for child in self)

    def all_over(self) -> bool:
        """Whether nothing runs and nothing will start again."""
        return all(child.state in OVER for child in self)

    def stop_waves(self) -> list[list[Child]]:
        """Give all processes in the order in which they stop."""
        waves = [[child for child in self if child.server.name in names] for names in stop_waves(self.plan.servers)]
        return [[child for child in self._leaving if child.running], *waves]

    def obstacles(self, plan: Plan) -> list[str]:
        """Give what keeps a new plan from being taken: addresses that somebody else has, and what never changes."""
        old = self.plan
        problems = []
        if (plan.var, plan.secret) != (old.var, old.secret):
            problems.append("firefly.var, and whether there is a firefly.secret, need a new start of firefly-run")
        if unfit := log_folder.problem_of(plan):
            problems.append(unfit)
        ours = {address.port for address in old.addresses()}
        fresh = [address for address in plan.addresses() if address.port not in ours]
        return problems + [problem for address in fresh if (problem := listeners.problem_of(address))]

    def adopt(self, plan: Plan) -> list[Stage]:
        """Take a new plan; gives what is to be stopped and started, stage after stage, to make it true.

        Whose declaration is the same runs on; who had given up is tried again; who was stopped or drained stays away.
        """
        resting = [child for child in self if child.state is State.STOPPED]
        before = dict(self._children)
        former = {server.name: server for server in self.plan.servers}
        moved = _moved(self.plan, plan)
        self.plan = plan
        self._make()
        gone = self._leaving = [child for name, child in before.items() if name not in self._children]
        changed = [
            child
            for child in before.values()
            if child not in (*gone, *resting) and child.server.fingerprint != former[child.server.name].fingerprint
        ]
        tried = [child for child in self if child.state in OVER and child not in (*changed, *resting)]
        if moved:
            return [Stage(stop=gone + changed, start=changed + tried)]
        rolling = [Stage(stop=[child], start=[child]) for child in changed]
        return [Stage(stop=gone), *rolling, Stage(start=tried)]

    def _make(self) -> None:
        children = {}
        for server in self.plan.servers:
            for name in server.process_names():
                child = self._children.get(name)
                if child is None:
                    child = Child(self._equipment, server, name, self.plan, self._on_change, self._on_ask)
                child.adopt(server, self.plan)
                children[name] = child
        self._children = children
        self._equipment.log.introduce(children)


def _moved(old: Plan, new: Plan) -> bool:
    """Whether an address goes from one server to another: then the one must let go before the other begins."""
    owners = {address.port: server.name for server in old.servers for address in (*server.held, *server.own)}
    return any(
        owners.get(address.port, server.name) != server.name
        for server in new.servers
        for address in (*server.held, *server.own)
    )
