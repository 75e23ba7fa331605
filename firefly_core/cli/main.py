"""The group of all commands; each is imported when it is asked for, those of plugins only then too."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path

import click

from firefly_core.cli.invocation import Invocation, reported

__all__ = ["main"]

OWN = {
    "check": "Check firefly.toml, its plugins and handlers; start nothing.",
    "commands": "List the commands, pushes and remotes of every server.",
    "config": "Print or change the effective configuration.",
    "drain": "Let a process or server finish what it has, and end it.",
    "init": "Make a new game in a new folder.",
    "plugins": "List the plugins, in the order in which they are called.",
    "reload": "Make handlers anew while the servers run.",
    "restart": "End a process or server and start it anew.",
    "stop": "End a process, a server, or everything.",
}
HIDDEN = ("plan",)
FALLBACK = {"status": "Say how every process does."}
"""Own commands that a plugin may replace by a better one."""
PLUGINS_TITLE = "Commands of plugins"


class Commands(click.Group):
    """Knows its own commands by name, and asks the plugins of firefly.toml for others."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Give the names of all commands, own ones first."""
        return list(dict.fromkeys((*OWN, *FALLBACK, *sorted(_of_plugins(ctx, quiet=True)))))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command; None when neither Firefly nor a plugin has it."""
        if cmd_name in OWN or cmd_name in HIDDEN:
            return _own(cmd_name)
        with reported():
            offered = _of_plugins(ctx, quiet=False).get(cmd_name)
        return _own(cmd_name) if offered is None and cmd_name in FALLBACK else offered

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list for `--help` without importing our own commands."""
        with formatter.section("Commands"):
            offered = _of_plugins(ctx, quiet=True)
            kept = {name: text for name, text in FALLBACK.items() if name not in offered}
            formatter.write_dl(sorted({**OWN, **kept}.items()))
        if offered:
            with formatter.section(PLUGINS_TITLE):
                formatter.write_dl([(name, each.get_short_help_str()) for name, each in sorted(offered.items())])


def _own(name: str) -> click.Command:
    command: click.Command = getattr(importlib.import_module(f"firefly_core.cli.{name}"), name)
    return command


def _of_plugins(ctx: click.Context, *, quiet: bool) -> dict[str, click.Command]:
    """Give the commands that the plugins of the file offer; `quiet`: none where it cannot be read."""
    path = Path(ctx.params.get("config") or "firefly.toml")
    if quiet and not path.is_file():
        return {}
    from firefly_core.errors import ConfigurationError
    from firefly_core.kernel.config.cluster import plugin_names
    from firefly_core.kernel.plugins.plugins import load_plugins

    try:
        plugins = load_plugins(plugin_names(path, os.environ, ctx.params.get("overrides") or ()), offers=())
        offered = {command.name: command for command in plugins.cli_commands() if command.name}
    except ConfigurationError:
        if quiet:
            return {}
        if not path.is_file():
            return {}
        raise
    return {name: command for name, command in offered.items() if name not in OWN}


@click.group(cls=Commands, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("-c", "--config", metavar="FILE", default="firefly.toml", help="The configuration; ./firefly.toml.")
@click.option(
    "--set", "overrides", metavar="KEY=VALUE", multiple=True, help="Put a value above the file's; repeatable."
)
@click.option("--only", metavar="NAME", help="Run one server in the foreground: world, or world-2.")
@click.version_option(package_name="firefly-core", message="firefly-run %(version)s")
@click.pass_context
def main(ctx: click.Context, config: str, overrides: tuple[str, ...], only: str | None) -> None:
    """Run every server of firefly.toml, each as a process that is watched over.

    Ctrl-C stops them in order, a second one at once. SIGHUP reads the file again.

    Exits with 0 when stopped, 70 when a server gave up for good, 78 when the configuration is wrong.
    """
    ctx.obj = Invocation(Path(config), overrides)
    if ctx.invoked_subcommand is not None:
        if only is not None:
            raise click.UsageError("--only runs a server; it goes with no command.")
        return
    with reported():
        sys.exit(_supervise(ctx.obj) if only is None else _be(ctx.obj, only))


def _be(invocation: Invocation, name: str) -> int:
    from firefly_core.kernel.process.process import run

    return run(invocation.path, name, invocation.overrides)


def _supervise(invocation: Invocation) -> int:
    from firefly_core.kernel.supervisor.log import Log
    from firefly_core.kernel.supervisor.log_writer import LogWriter
    from firefly_core.kernel.supervisor.supervisor import Commands as CommandLines
    from firefly_core.kernel.supervisor.supervisor import Supervisor

    this = [sys.executable, "-m", "firefly_core.run", "-c", str(invocation.path)]
    this += [f"--set={override}" for override in invocation.overrides]
    writer = LogWriter(2)
    terminal = sys.stderr.isatty()
    log = Log(writer, colours=terminal and "NO_COLOR" not in os.environ, terminal=terminal)
    plan = [*this, "plan", "--supervisor", str(os.getpid())]
    commands = CommandLines(plan=plan, server=lambda name: [*this, "--only", name])
    try:
        return Supervisor(commands, log).run()
    finally:
        writer.close()
