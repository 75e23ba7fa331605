"""`firefly-run commands`: what clients and servers may send, with the guards on it."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import click

from firefly_core.cli.invocation import Invocation, reported
from firefly_core.cli.typescript import declare
from firefly_core.kernel.handlers.handler_check import check
from firefly_core.kernel.handlers.handlers import Handler, HandlerTable
from firefly_core.kernel.handlers.marks import Push

__all__ = ["commands"]

HEADINGS = ("kind", "id", "name", "server", "signature", "guards", "source")
Row = tuple[str, ...]


@click.command()
@click.option("--typescript", is_flag=True, help="Write the types of commands and pushes as TypeScript declarations.")
@click.pass_obj
def commands(invocation: Invocation, typescript: bool) -> None:
    """List the commands, pushes and remotes of every server, with their signatures and guards.

    A table on a terminal; otherwise one line each, with tabs between the columns.
    """
    with reported():
        checked = check(invocation.path, overrides=invocation.overrides)
    if typescript:
        click.echo(declare(checked.cluster.name, checked.handlers.values()))
        return
    folder = f"{checked.cluster.folder}/"
    every = (row for server, table in checked.handlers.items() for row in _rows(server, table))
    rows = [(*row[:-1], row[-1].removeprefix(folder)) for row in _merged(every)]
    if sys.stdout.isatty():
        _print_table(rows)
    else:
        click.echo("\t".join(HEADINGS))
        for row in rows:
            click.echo("\t".join(row))


def _rows(server: str, table: HandlerTable) -> Iterator[Row]:
    for handler in sorted(table.commands.values(), key=lambda handler: handler.id):
        yield _row(handler, server, str(handler.id))
    for number, push in sorted(table.pushes.items()):
        yield "push", str(number), push.name, server, _type_name(push), push.policy, ""
    for name in sorted(table.remotes):
        yield _row(table.remotes[name], server, "")


def _row(handler: Handler, server: str, number: str) -> Row:
    return handler.kind, number, handler.name, server, _signature(handler), _guards(handler), handler.source


class _Written:
    """An annotation, shown as it was written."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text


def _signature(handler: Handler) -> str:
    """Give the signature without the quotes around postponed annotations."""
    signature = inspect.signature(handler.function)
    bare = [each.replace(annotation=_bare(each.annotation)) for each in signature.parameters.values()]
    return str(signature.replace(parameters=bare, return_annotation=_bare(signature.return_annotation)))


def _bare(annotation: Any) -> Any:
    return _Written(annotation) if isinstance(annotation, str) else annotation


def _guards(handler: Handler) -> str:
    guards = [word for word in ("public", "open", "idempotent") if getattr(handler, word)]
    if handler.rate is not None:
        guards.append(f"rate {handler.rate.count:g}/{_seconds(handler.rate.seconds)}")
    if handler.timeout is not None:
        guards.append(f"timeout {handler.timeout:g} s")
    return ", ".join(guards)


def _seconds(seconds: float) -> str:
    units = {1.0: "s", 60.0: "min", 3600.0: "h"}
    return units.get(seconds) or f"{seconds:g}s"


def _type_name(push: Push) -> str:
    return "" if push.type is None else inspect.formatannotation(push.type, getattr(push.type, "__module__", None))


def _merged(rows: Iterator[Row]) -> Iterator[Row]:
    """Give rows that differ in the server alone as one, in the order of kinds."""
    servers: dict[Row, list[str]] = {}
    for row in rows:
        servers.setdefault((*row[:3], *row[4:]), []).append(row[3])
    order = ("command", "push", "remote")
    for row, names in sorted(servers.items(), key=lambda item: order.index(item[0][0])):
        yield (*row[:3], ", ".join(names), *row[3:])


def _print_table(rows: Sequence[Row]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*HEADINGS)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    Console().print(table)
