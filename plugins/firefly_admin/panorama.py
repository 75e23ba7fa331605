"""Panorama: what the console shows and `GET /api/...` answers, from the last look and from fresh questions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from firefly_admin.view import View, faults_of
from firefly_core.errors import Refuse
from firefly_core.kernel.histogram import merged, quantile

if TYPE_CHECKING:
    from firefly_admin.survey import Survey
    from firefly_core.kernel.kernel import Kernel

__all__ = ["Panorama"]

DB_CACHE = "db-cache"
RECENT = 600.0
"""Seconds for which a crash is shown of a server that is up again: whoever looks a little later must see it."""
BY_SERVER = ("runs", "per_second", "off")


class Panorama:
    """Reads; changes nothing."""

    def __init__(self, kernel: Kernel, survey: Survey) -> None:
        self._kernel = kernel
        self._survey = survey

    def topology(self) -> dict[str, Any]:
        """Give every server, every channel, and what the supervisor says."""
        survey = self._survey
        supervised = {each["name"]: each for each in (survey.supervisor or {}).get("processes", ())}
        return {
            "name": self._kernel.cluster.name,
            "time": survey.taken,
            "looks": survey.looks,
            "admin": self._kernel.name,
            "supervisor": (survey.supervisor or {}).get("supervisor"),
            "off": sorted(survey.off),
            "servers": [_server(view, supervised.get(view.name), survey.taken) for view in survey.views.values()],
            "channels": list(_channels(survey.views.values())),
        }

    def ready(self) -> tuple[bool, dict[str, str]]:
        """Give whether every process can be used, and the state of each."""
        states = {server["name"]: server["state"] for server in self.topology()["servers"]}
        return all(state in ("up", "apart") for state in states.values()), states

    def history(self) -> dict[str, Any]:
        """Give what the charts show."""
        return {"samples": list(self._survey.samples)}

    def sessions(self, text: str, server: str | None, offset: int, limit: int) -> dict[str, Any]:
        """Give the sessions of all gates, or of one."""
        answers = self._survey.ask_all("sessions", text, 0, offset + limit, only=server)
        found = [{**each, "gate": gate} for gate, answer in answers.items() for each in answer["sessions"]]
        found.sort(key=lambda each: each["since"], reverse=True)
        total = sum(answer["total"] for answer in answers.values())
        return {"total": total, "sessions": found[offset : offset + limit]}

    def groups(self) -> dict[str, Any]:
        """Give the groups with their members at each gate, the largest first."""
        groups: dict[str, dict[str, int]] = {}
        for gate, sizes in self._survey.ask_all("groups").items():
            for group, size in sizes.items():
                groups.setdefault(group, {})[gate] = size
        told = [{"name": name, "members": sum(gates.values()), "gates": gates} for name, gates in groups.items()]
        return {"groups": sorted(told, key=lambda group: -group["members"])}

    def commands(self) -> dict[str, Any]:
        """Give every handler with its figures, all servers together and each by itself."""
        handlers: dict[tuple[str, str], dict[str, Any]] = {}
        for view in self._survey.views.values():
            for key, meter in view.meters.items():
                handlers.setdefault(key, {"servers": {}})["servers"][view.name] = meter
        return {"handlers": [_handler(key, found["servers"]) for key, found in sorted(handlers.items())]}

    def describe(self) -> dict[str, Any]:
        """Give what may be sent and called, each once, with the servers that take it, and where clients connect."""
        found: dict[str, dict[Any, dict[str, Any]]] = {"commands": {}, "remotes": {}, "pushes": {}}
        for server, answer in self._survey.ask_all("describe").items():
            for kind, known in found.items():
                for each in answer[kind]:
                    known.setdefault(each["name"], {**each, "servers": []})["servers"].append(server)
        doors = [
            {**listen, "server": view.name}
            for view in self._survey.views.values()
            if view.report is not None
            for listen in view.report["about"]["listens"]
            if listen["protocol"] is not None
        ]
        return {**{kind: list(known.values()) for kind, known in found.items()}, "doors": doors}

    def logs(self, server: str | None, level: str, text: str, limit: int, after: Mapping[str, int]) -> dict[str, Any]:
        """Give the newest lines of every server's log, oldest first, and where the next look goes on."""
        present = self._survey.present(server)
        answers = self._survey.ask_each("logs", {name: (after.get(name, 0), level, text, limit) for name in present})
        lines = [{**line, "server": name} for name, answer in answers.items() for line in answer["lines"]]
        lines.sort(key=lambda line: line["time"])
        return {"last": {name: answer["last"] for name, answer in answers.items()}, "lines": lines[-limit:]}

    def database(self) -> dict[str, Any]:
        """Give the figures of every db-cache, and the changes that the database has refused."""
        owners = {view.name: dict(view.part(DB_CACHE)) for view in self._survey.views.values() if view.part(DB_CACHE)}
        answers = self._survey.ask_all("db.letters") if owners else {}
        letters = [{**letter, "server": server} for server, answer in answers.items() for letter in answer]
        return {"servers": owners, "letters": letters}

    def find_command(self, wanted: int | str) -> str:
        """Give the name of a command by its name or id; raises Refuse where no server has it."""
        for view in self._survey.views.values():
            for (kind, name), meter in view.meters.items():
                if kind == "command" and str(wanted) in (name, str(meter["id"])):
                    return name
        raise Refuse("not_found", "no server that is here takes that command")


def _server(view: View, supervised: Mapping[str, Any] | None, now: float) -> dict[str, Any]:
    report = view.report
    told: dict[str, Any] = {
        "name": view.name,
        "server": view.server,
        "state": _state(view, supervised),
        "problem": view.problem,
        "seen": view.seen,
        "via": view.via,
        "supervised": dict(supervised) if supervised is not None else None,
        "crash": _crash(supervised, now),
        "rates": view.rates,
    }
    if report is not None:
        told |= {
            "about": report["about"],
            "statistics": report["statistics"]["services"],
            "parts": report["statistics"]["parts"],
            "off": [list(key) for key, meter in view.meters.items() if meter["off"]],
            "log": report["log"],
        }
    return told


def _state(view: View, supervised: Mapping[str, Any] | None) -> str:
    """Give one word: `up`; `apart` for one that is ready, but connected to nobody; or why it cannot be used."""
    said = str(supervised["state"]) if supervised is not None else ""
    if said in ("fatal", "stopped", "waiting", "starting", "stopping"):
        return said
    if view.up:
        return "up"
    return "apart" if view.apart and said == "ready" else "down"


def _crash(supervised: Mapping[str, Any] | None, now: float) -> dict[str, Any] | None:
    """Give how long ago a server ended by itself, how, and how often it has done so; None: not lately."""
    last = (supervised or {}).get("crash")
    if supervised is None or last is None or now - last["at"] > RECENT:
        return None
    return {"ago": max(0.0, now - last["at"]), "ending": last["ending"], "times": supervised["crashes"]}


def _channels(views: Iterable[View]) -> Iterable[dict[str, Any]]:
    """Give each pair of servers once, whichever of the two told of it, with what goes both ways."""
    pairs: dict[tuple[str, str], dict[str, Any]] = {}
    known = {view.name: view for view in views}
    for view in known.values():
        for peer in (view.report or {}).get("peers", ()):
            one, other = sorted((view.name, peer["name"]))
            fresh = {"between": [one, other], "connected": False, "calls": 0, "per_second": 0.0}
            here = pairs.setdefault((one, other), fresh)
            there = known.get(peer["name"])
            here["connected"] = here["connected"] or (peer["connected"] and (there is None or there.up))
            here["calls"] += peer["calls"]
            here["per_second"] += view.channels.get(peer["name"], 0.0)
    return pairs.values()


def _handler(key: tuple[str, str], servers: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    kind, name = key
    window = merged(meter["window"] for meter in servers.values())
    # Nothing within the last look: then how it was before is told.
    shown = window if any(window) else merged(meter["buckets"] for meter in servers.values())
    errors: dict[str, int] = {}
    for meter in servers.values():
        for code, count in meter["errors"].items():
            errors[code] = errors.get(code, 0) + count
    return {
        "kind": kind,
        "name": name,
        "id": next(iter(servers.values()))["id"],
        "off": [server for server, meter in servers.items() if meter["off"]],
        "runs": sum(meter["runs"] for meter in servers.values()),
        "per_second": sum(meter["per_second"] for meter in servers.values()),
        "errors": errors,
        "faults": faults_of(errors),
        "errors_per_second": sum(meter["errors_per_second"] for meter in servers.values()),
        "p50": quantile(shown, 0.5),
        "p99": quantile(shown, 0.99),
        "servers": {server: {what: meter[what] for what in BY_SERVER} for server, meter in servers.items()},
    }
