"""`firefly-run db`: look at a database's owner and its journal, and set right what no program may decide alone."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import click

from firefly_core.cli.invocation import Invocation, reported
from firefly_core.errors import ConfigurationError, StorageError

if TYPE_CHECKING:
    from firefly_dbcache.journal.folder import Folder
    from firefly_dbcache.owner.dead_letters import DeadLetters
    from firefly_dbcache.owner.owner import Owner

__all__ = ["db"]

SERVICE = "db-cache"


@attrs.frozen
class Place:
    """The owning server that a command is about."""

    server: str
    config: Any
    caches: Any

    @property
    def folder(self) -> Folder:
        """Its journal's folder."""
        from firefly_dbcache.journal.disk import Disk
        from firefly_dbcache.journal.folder import Folder

        return Folder(self.config.journal, Disk())

    @property
    def letters(self) -> DeadLetters:
        """Its dead letters, read from the folder."""
        import logging

        from firefly_dbcache.journal.disk import Disk
        from firefly_dbcache.owner.dead_letters import DeadLetters

        letters = DeadLetters(self.folder.dead, Disk(), self.config.dead_letters, logging.getLogger("firefly.db"))
        letters.load()
        return letters

    def owner(self) -> Owner:
        """An owner that is not started."""
        from firefly_dbcache.game_models import tables_of
        from firefly_dbcache.owner.owner import Owner

        return Owner(self.config, tables_of(self.config.models, self.config.durability), caches=self.caches)


@click.group()
@click.option("--server", help="The owning server; needed only where there are several.")
@click.pass_context
def db(context: click.Context, server: str | None) -> None:
    """Look after the db-cache: its database, its journal, its dead letters."""
    invocation = context.obj
    with reported():
        context.obj = _find(invocation, server)


def _find(invocation: Invocation, wanted: str | None) -> Place:
    from firefly_core.kernel.config.cluster import load

    cluster = load(invocation.path, os.environ, invocation.overrides)
    owners = {
        name: declared.services[SERVICE]
        for name, declared in cluster.servers.items()
        if SERVICE in declared.services and declared.services[SERVICE].database is not None
    }
    if wanted is not None and wanted not in owners:
        raise ConfigurationError([f"{wanted!r} owns no database; owners are: {', '.join(owners) or 'none'}"])
    if wanted is None and len(owners) != 1:
        raise ConfigurationError([f"say --server NAME, one of: {', '.join(owners) or 'none owns a database'}"])
    server = wanted or next(iter(owners))
    config = owners[server]
    if config.journal is None:
        config = attrs.evolve(config, journal=cluster.folder / "var" / f"{server}.journal")
    return Place(server, config, cluster.plugins.caches)


@contextmanager
def _told() -> Iterator[None]:
    with reported():
        try:
            yield
        except StorageError as error:
            raise ConfigurationError([str(error)]) from error


# ------------------------------------------------------------------------------------------------------------ looking


@db.command()
@click.pass_obj
def status(place: Place) -> None:
    """Show the owner, the journal, the dead letters and how the tables differ from the models; changes nothing."""
    with _told():
        for line in _journal_lines(place):
            click.echo(line)
        owner = place.owner()
        try:
            row = owner.ledger.peek()
            if row is None:
                click.echo("database: never owned")
            else:
                clean = "released" if row.clean else "held, or not stopped cleanly"
                click.echo(f"database: epoch {row.epoch}, version {row.version}, {clean}, journal at {row.place}")
            for name in owner.schema.missing():
                click.echo(f"missing table: {name}")
            for problem in owner.schema.differences():
                click.echo(f"difference: {problem}")
        finally:
            owner.stop()


def _journal_lines(place: Place) -> Iterator[str]:
    from firefly_dbcache.journal.replay import Replay

    folder = place.folder
    yield f"journal: {folder.path}"
    if not folder.path.is_dir():
        yield "  not there yet"
        return
    holder = folder.holder()
    yield "  nobody holds it" if holder is None else f"  held by process {holder}"
    replay = Replay(folder.path, folder.read_cursor(), salvage=True)
    size = sum(segment.size for segment in replay.segments)
    unflushed = sum(1 for _ in replay.records())
    yield f"  segments: {len(replay.segments)}, {size} bytes; records not known to be flushed: {unflushed}"
    for tail in replay.torn:
        yield f"  torn tail: {tail.path.name} at {tail.offset}, {tail.size} bytes ({tail.reason})"
    for lost in replay.lost:
        yield f"  DAMAGED: {lost}"
    yield f"dead letters: {len(place.letters.letters)}"


# ------------------------------------------------------------------------------------------------------------- acting


@db.command()
@click.option("--folder", default="migrations", show_default=True, help="Where the migrations are, as NNNN_name.py.")
@click.pass_obj
def migrate(place: Place, folder: str) -> None:
    """Run the migrations that were not run yet, then create the tables that are missing. The owner must not run."""
    with _told(), _alone(place):
        owner = place.owner()
        try:
            for name in owner.database.run(lambda database: _migrate(database, Path(folder))):
                click.echo(f"migrated: {name}")
            owner.schema.create_ledger()
            for name in owner.schema.create_missing():
                click.echo(f"created: {name}")
            problems = owner.schema.differences()
        finally:
            owner.stop()
        if problems:
            raise ConfigurationError([f"the database still differs from the models: {each}" for each in problems])


def _migrate(database: Any, folder: Path) -> list[str]:
    from playhouse.migrations import Runner

    if not folder.is_dir():
        return []
    runner = Runner(database, str(folder))
    before = set(runner.applied())
    runner.up()
    return sorted(set(runner.applied()) - before)


@contextmanager
def _alone(place: Place) -> Iterator[None]:
    """Hold the journal's lock, so that no owner runs meanwhile."""
    folder = place.folder
    folder.acquire()
    try:
        yield
    finally:
        folder.release()


@db.command()
@click.pass_obj
def flush(place: Place) -> None:
    """Write all that is in the journal of a stopped owner to the database."""
    with _told():
        _run_once(place, salvage=False, by_force=False)


@db.command()
@click.option("--take", is_flag=True, help="Take the database although another journal holds it: its changes are lost.")
@click.confirmation_option(prompt="Changes that were acknowledged may be given up. Go on?")
@click.pass_obj
def repair(place: Place, take: bool) -> None:
    """Go on without what a damaged journal has lost; damaged segments are kept aside in its folder."""
    with _told():
        for line in _journal_lines(place):
            click.echo(line)
        _keep_segments(place)
        _run_once(place, salvage=True, by_force=take)


def _keep_segments(place: Place) -> None:
    from firefly_dbcache.journal.segment import list_segments

    aside = place.folder.path / "damaged"
    aside.mkdir(parents=True, exist_ok=True, mode=0o700)
    for _, path in list_segments(place.folder.path):
        shutil.copy2(path, aside / path.name)


def _run_once(place: Place, *, salvage: bool, by_force: bool) -> None:
    owner = place.owner()
    owner.start(salvage=salvage, by_force=by_force)
    if not owner.stop(timeout=600.0):
        raise ConfigurationError(["the database did not take everything; the rest is still in the journal"])
    click.echo(f"replayed {owner.recovered} records, flushed {owner.flusher.rows} rows")
    if owner.letters.letters:
        click.echo(f"dead letters: {len(owner.letters.letters)}; see `firefly-run db dead`")


# ------------------------------------------------------------------------------------------------------- dead letters


@db.group(invoke_without_command=True)
@click.pass_context
def dead(context: click.Context) -> None:
    """List the changes that the database refused for good."""
    if context.invoked_subcommand is None:
        for letter in context.obj.letters.letters.values():
            click.echo(f"{letter.name}\t{letter.table} {letter.key!r}\t{letter.error}")


@dead.command()
@click.argument("names", nargs=-1)
@click.option("--all", "every", is_flag=True, help="All of them.")
@click.pass_obj
def retry(place: Place, names: tuple[str, ...], every: bool) -> None:
    """Let the owner give refused changes to the database again: within a second, or at its next start."""
    from firefly_dbcache.owner.graveyard import RETRY

    _ask(place, names, every, RETRY)


@dead.command()
@click.argument("names", nargs=-1)
@click.option("--all", "every", is_flag=True, help="All of them.")
@click.confirmation_option(prompt="These changes were acknowledged and will be lost. Go on?")
@click.pass_obj
def drop(place: Place, names: tuple[str, ...], every: bool) -> None:
    """Give refused changes up: the database's rows hold."""
    from firefly_dbcache.owner.graveyard import DROP

    _ask(place, names, every, DROP)


def _ask(place: Place, names: tuple[str, ...], every: bool, what: str) -> None:
    from firefly_dbcache.owner.graveyard import ASKED

    with reported():
        known = place.letters.letters
        unknown = [name for name in names if name not in known]
        if unknown or not (names or every):
            wrong = f"no such letter: {', '.join(unknown)}" if unknown else "name letters, or say --all"
            raise ConfigurationError([wrong])
        asked = place.folder.dead / ASKED
        asked.mkdir(parents=True, exist_ok=True, mode=0o700)
        for name in known if every else names:
            (asked / f"{name}{what}").touch()
            click.echo(f"asked: {name}")
