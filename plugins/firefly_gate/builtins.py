"""Commands of the gate itself; their names begin with `firefly.`, which no handler's may."""

from __future__ import annotations

from typing import TYPE_CHECKING

from firefly_core.kernel.handlers.handlers import Handler
from firefly_core.kernel.handlers.run import Run
from firefly_gate.authentication import LOGIN
from firefly_gate.commands import Command
from firefly_gate.resume import RESUME, TOKEN

if TYPE_CHECKING:
    from firefly_gate.gate import Gate

__all__ = ["builtins"]


def builtins(gate: Gate, *, resumable: bool) -> dict[int | str, Command]:
    """Give the gate's own commands; the login has an id too, where the file gives it one."""
    login = _builtin(gate, LOGIN, gate.authentication.on_login, public=True)
    commands: dict[int | str, Command] = {LOGIN: login}
    if gate.config.login_command is not None:
        login.id = gate.config.login_command
        commands[login.id] = login
    if resumable:
        commands[TOKEN] = _builtin(gate, TOKEN, gate.resumption.on_token, public=False)
        commands[RESUME] = _builtin(gate, RESUME, gate.resumption.on_resume, public=True)
    return commands


def _builtin(gate: Gate, name: str, run: Run, *, public: bool) -> Command:
    command = Command(0, name, public, gate.config.timeout)
    command.run = run
    command.handler = Handler(kind="command", name=name, function=run, source=__name__, public=public)
    return command
