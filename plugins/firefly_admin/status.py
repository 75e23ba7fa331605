"""`firefly-run status`: how every server does, as the admin server tells it.

Exits with 0 when everything is up, 1 when something is not or nobody answers; then the supervisor's word is shown.
"""

from __future__ import annotations

import http.client
import json
import sys
import time
from typing import Any

import attrs
import click

from firefly_admin.access import TOKEN_FILE, kept_token
from firefly_core.cli.invocation import Invocation, loading
from firefly_core.cli.status import show_processes
from firefly_core.errors import ConfigurationError
from firefly_core.kernel.config.cluster import Cluster, load

__all__ = ["COLUMNS", "show", "status"]

TIMEOUT = 5.0
MOST = 16 * 1024 * 1024
FINE = ("up", "apart")
ANY = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  an address to ask, not to listen at
NARROW = ("server", "state", "sessions", "commands/s", "p99")
"""The columns where the terminal is narrower than `WIDTH`."""
WIDTH = 100
COLOURS = {"up": "green", "apart": "white", "down": "bold red", "fatal": "bold red"}
COLUMNS = (
    "server",
    "state",
    "up for",
    "sessions",
    "commands/s",
    "errors/s",
    "p99",
    "hub lag",
    "cpu",
    "memory",
    "starts",
)


@attrs.frozen
class Desk:
    """Where the admin server is, and what it wants to see."""

    host: str
    port: int
    token: str = attrs.field(repr=False)

    @classmethod
    def of(cls, cluster: Cluster) -> Desk:
        """Find it; raises ConfigurationError where firefly.toml has no admin, or the token cannot be read."""
        for server in cluster.servers.values():
            config = server.services.get("admin")
            if config is None:
                continue
            url = config.listen[0].url
            token = config.token or kept_token(cluster.firefly.var / TOKEN_FILE)
            if token is None:
                problem = f"{cluster.firefly.var / TOKEN_FILE}: has no token that you may read; does the admin run?"
                raise ConfigurationError([problem])
            return cls(ANY.get(url.host, url.host), url.port, token)
        raise ConfigurationError([f"{cluster.path}: no server has an admin; add [servers.admin.admin]"])

    def get(self, path: str) -> dict[str, Any]:
        """Ask the admin server; raises ClickException when it does not answer as it should."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=TIMEOUT)
        try:
            connection.request("GET", path, headers={"Authorization": f"Bearer {self.token}"})
            response = connection.getresponse()
            body = response.read(MOST)
            told: dict[str, Any] = json.loads(body)
        except (OSError, http.client.HTTPException, ValueError) as error:
            problem = f"nobody answers at http://{self.host}:{self.port}: {error or type(error).__name__}"
            raise click.ClickException(problem) from None
        finally:
            connection.close()
        if response.status != 200:
            message = told.get("error", {}).get("message", "no reason given")
            raise click.ClickException(f"http://{self.host}:{self.port} says {response.status}: {message}")
        return told


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Everything there is, as JSON.")
@click.pass_obj
def status(invocation: Invocation, as_json: bool) -> None:
    """Say how every server does."""
    with loading():
        desk = Desk.of(load(invocation.path, overrides=invocation.overrides))
    try:
        topology = desk.get("/api/topology")
    except click.ClickException as problem:
        problem.show()
        show_processes(invocation, as_json=as_json)
        sys.exit(1)
    if as_json:
        click.echo(json.dumps(topology, indent=2))
    elif sys.stdout.isatty():
        show(topology)
    else:
        _print(topology)
    sys.exit(0 if all(server["state"] in FINE for server in topology["servers"]) else 1)


def _print(topology: dict[str, Any]) -> None:
    """Print for programs: columns between tabs."""
    click.echo("\t".join(COLUMNS))
    for server in topology["servers"]:
        click.echo("\t".join(_row(server, topology["time"])))
    for line in _remarks(topology):
        click.echo(f"# {line}")


def show(topology: dict[str, Any]) -> None:
    """Print for people; a narrow terminal gets fewer columns."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    supervisor = topology["supervisor"]
    how = supervisor["state"] if supervisor else "without a supervisor"
    table = Table(title=f"{topology['name']}, {how}", box=None, expand=False)
    shown = [at for at, column in enumerate(COLUMNS) if console.width >= WIDTH or column in NARROW]
    for at in shown:
        table.add_column(COLUMNS[at], justify="left" if at < 2 else "right", header_style="dim", no_wrap=True)
    for server in topology["servers"]:
        cells = [Text(cell) for cell in _row(server, topology["time"])]
        cells[0].stylize("bold")
        cells[1].stylize(COLOURS.get(server["state"], "yellow"))
        table.add_row(*(cells[at] for at in shown))
    console.print(table)
    for line in _remarks(topology):
        console.print(Text(f"  {line}", "yellow"))


def _row(server: dict[str, Any], now: float) -> list[str]:
    about, rates, parts = server.get("about"), server["rates"], server.get("parts", {})
    supervised = server["supervised"] or {}
    gate = server.get("statistics", {}).get("gate")
    return [
        server["name"],
        server["state"],
        _span(now - about["since"]) if about else "",
        str(gate["sessions"]) if gate else "",
        f"{rates['commands']:.1f}" if rates else "",
        f"{rates['errors']:.1f}" if rates else "",
        _seconds(rates["p99"]) if rates else "",
        _seconds(rates["lag"]) if rates else "",
        f"{rates['cpu']:.1%}" if rates else "",
        f"{parts['process']['resident_bytes'] / 2**20:.1f} MiB" if parts else "",
        str(supervised.get("starts", "")),
    ]


def _remarks(topology: dict[str, Any]) -> list[str]:
    """Give what somebody should look at."""
    remarks = []
    for server in topology["servers"]:
        ending = (server["supervised"] or {}).get("ending")
        if server["state"] not in FINE:
            why = f"ended: {ending}" if ending else server["problem"]
            remarks.append(f"{server['name']} is {server['state']}: {why}")
        elif crash := server["crash"]:
            often = f", {crash['times']} times so far" if crash["times"] > 1 else ""
            ago = _span(crash["ago"])
            remarks.append(f"{server['name']} is {server['state']} again: it ended {ago} ago: {crash['ending']}{often}")
    remarks += [
        f"{' and '.join(each['between'])} are not connected" for each in topology["channels"] if not each["connected"]
    ]
    remarks += [f"{kind} {name} is switched off" for kind, name in topology["off"]]
    age = time.time() - topology["time"]
    if age > 30:
        remarks.append(f"this is {_span(age)} old")
    return remarks


def _seconds(value: float) -> str:
    return f"{value * 1000:.2f} ms" if value < 0.01 else f"{value * 1000:.0f} ms" if value < 1 else f"{value:.1f} s"


def _span(seconds: float) -> str:
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min"
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours} h {minutes} min" if hours < 24 else f"{hours // 24} d {hours % 24} h"
