"""Count promises: `python -m tests.promises A15 A31`, `--count 1000`, `--list`. Every row is bounded."""

from __future__ import annotations

from gevent import monkey

monkey.patch_all()

import logging  # noqa: E402
import sys  # noqa: E402

import click  # noqa: E402

from tests.promises.ledger import append  # noqa: E402
from tests.promises.rows import ROWS  # noqa: E402


@click.command()
@click.argument("names", nargs=-1)
@click.option("--count", type=int, help="Tries, instead of the row's full number.")
@click.option("--list", "listed", is_flag=True, help="Say which rows there are.")
def main(names: tuple[str, ...], count: int | None, listed: bool) -> None:
    """Count the rows NAMES, all without names, and add what came out to docs/promises.json."""
    # Thousands of handlers fail here on purpose.
    logging.disable(logging.CRITICAL)
    rows = {row.name: row for row in ROWS}
    unknown = [name for name in names if name not in rows]
    if unknown:
        raise click.UsageError(f"no row {', '.join(unknown)}; there are {', '.join(rows)}")
    broken = 0
    for name in names or rows:
        row = rows[name]
        if listed:
            click.echo(f"{name}\t{row.full:,} tries\t{row.promise}")
            continue
        outcome = row.run(count or row.full)
        entry = append(row, outcome)
        broken += not outcome.kept
        click.echo(f"{name}  {'kept' if outcome.kept else 'BROKEN'}  {entry['figure']}")
    sys.exit(1 if broken else 0)


if __name__ == "__main__":
    main()
