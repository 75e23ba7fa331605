"""How lines look: what the servers print, with their name before it, and what the supervisor has to say itself."""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from firefly_core.kernel.supervisor.log_folder import LogFolder
from firefly_core.kernel.supervisor.log_writer import LogWriter
from firefly_core.kernel.supervisor.plan import Plan

__all__ = ["OWN_NAME", "Log"]

OWN_NAME = "firefly-run"
COLOURS = (36, 33, 32, 35, 34, 96, 93, 92, 95, 94)
CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


class Log:
    """Formats lines as text (`world-1 | ...`) or JSON (one object a line) and hands them to the writer."""

    def __init__(
        self,
        writer: LogWriter,
        *,
        colours: bool = False,
        terminal: bool = False,
        clock: Callable[[], datetime.datetime] = _now,
    ) -> None:
        self._writer = writer
        self._colours = colours
        self._terminal = terminal
        self._clock = clock
        self._prefixes: dict[str, bytes] = {}
        self._width = len(OWN_NAME)
        self.json = False
        """Whether lines are JSON objects; a server's own JSON lines then pass as they are."""
        self.folder: LogFolder | None = None
        """Where lines are kept in files."""
        self.lost: dict[str, int] = {}
        """How many lines of each source were dropped, ever."""

    def introduce(self, names: Iterable[str]) -> None:
        """Learn the names that will stand before lines, to give each its colour and all one width."""
        known = dict.fromkeys([*self._prefixes, *names])
        self._width = max(map(len, [OWN_NAME, *known]))
        for index, name in enumerate(known):
            text = f"{name:<{self._width}} |"
            if self._colours:
                text = f"\x1b[{COLOURS[index % len(COLOURS)]}m{text}\x1b[0m"
            self._prefixes[name] = text.encode() + b" "

    def lines(self, name: str, lines: Iterable[bytes]) -> None:
        """Write what the server `name` printed; `lines` are without their ends."""
        if self.json:
            whole = [self._as_json(name, line) for line in lines]
        else:
            whole = [CONTROL.sub(_escape, line) + b"\n" for line in lines]
        if not whole:
            return
        if self.folder is not None:
            self.folder.write(name, b"".join(whole))
        if self.folder is None or self._terminal:
            prefix = b"" if self.json else self._prefixes.get(name) or name.encode() + b" | "
            self._writer.write(name, b"".join(prefix + line for line in whole))

    def say(self, level: str, event: str, **values: object) -> None:
        """Write an event of the supervisor; `level` is info, warning or error, `values` are shown by name."""
        moment = self._clock()
        if self.folder is not None:
            self.folder.write(OWN_NAME, self._kept(moment, level, event, values))
        self._show(moment, level, event, values)

    def _show(self, moment: datetime.datetime, level: str, event: str, values: Mapping[str, object]) -> None:
        if self.json:
            record = {"time": _stamp(moment), "level": level, "server": OWN_NAME, "event": event, **values}
            line = json.dumps(record, default=str)
        else:
            shown = "".join(f" {key}={value}" for key, value in values.items())
            mark = "" if level == "info" else f"{level}: "
            line = f"{OWN_NAME}: {mark}{event}{shown}"
            line = CONTROL.sub(_escape, line.encode("utf-8", "backslashreplace")).decode()
            if self._colours:
                line = f"\x1b[{'1' if level == 'info' else '1;31'}m{line}\x1b[0m"
        self._writer.write(OWN_NAME, line.encode("utf-8", "backslashreplace") + b"\n")

    def tell_lost(self) -> None:
        """Say how many lines were dropped since the last time; to be called about once a second."""
        for writer in (self._writer, self.folder):
            if writer is None:
                continue
            why, writer.trouble = writer.trouble or "they came too fast", ""
            for name, lines in writer.take_lost().items():
                self.lost[name] = self.lost.get(name, 0) + lines
                event = f"lines of {name} were dropped: {why}"
                if writer is self._writer:
                    self.say("warning", event, lines=lines)
                else:  # not into files that cannot be written: that would be one more line to tell of
                    self._show(self._clock(), "warning", event, {"lines": lines})

    def lose(self, name: str, lines: int) -> None:
        """Count lines of the server `name` that were dropped before they got here."""
        self._writer.lose(name, lines)

    def follow(self, plan: Plan) -> None:
        """Write lines as a plan says, and where it says; first of all its warnings."""
        self.json = plan.json_log
        self.keep(Path(plan.log_folder) if plan.log_folder else None, plan.log_size, plan.log_files)
        for warning in plan.warnings:
            self.say("warning", warning)

    def keep(self, folder: Path | None, size: int, files: int) -> None:
        """Keep lines in files from now on, as LogFolder says; None: in none."""
        now = self.folder
        if now is not None and (now.folder, now.size, now.files) == (folder, size, files):
            return
        self.folder = LogFolder(folder, size=size, files=files) if folder is not None else None
        if now is not None:
            now.close()

    def reopen(self) -> None:
        """Open the files anew, because somebody has moved them away."""
        if self.folder is not None:
            self.folder.reopen()

    def close(self) -> None:
        """Write what waits for the files, within a moment."""
        if self.folder is not None:
            self.folder.close()

    def _kept(self, moment: datetime.datetime, level: str, event: str, values: Mapping[str, object]) -> bytes:
        record = {"time": _stamp(moment), "level": level, "server": OWN_NAME, "event": event, **values}
        if self.json:
            return json.dumps(record, default=str).encode() + b"\n"
        line = " ".join(f"{key}={json.dumps(value, default=str)}" for key, value in record.items())
        return CONTROL.sub(_escape, line.encode()) + b"\n"

    def _as_json(self, name: str, line: bytes) -> bytes:
        if line.startswith(b"{") and line.endswith(b"}"):
            return line + b"\n"
        record = {
            "time": _stamp(self._clock()),
            "level": "info",
            "server": name,
            "text": line.decode("utf-8", "replace"),
        }
        return json.dumps(record).encode() + b"\n"


def _stamp(moment: datetime.datetime) -> str:
    return moment.isoformat(timespec="milliseconds")


def _escape(match: re.Match[bytes]) -> bytes:
    return b"\\x%02x" % match[0][0]
