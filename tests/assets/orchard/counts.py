"""What is asked after the storm, of every server through the hub's open root."""

from __future__ import annotations

from typing import Any

from baskets import Basket

from firefly_core import remote


@remote("counts")
def counts(ctx: Any) -> dict[str, float]:
    """Give what this server still holds."""
    kernel = ctx._kernel
    found = {
        f"{service}.{name}": value for service, table in kernel.statistics().items() for name, value in table.items()
    }
    if kernel.directory is not None:
        found |= {"directory.players": len(kernel.directory), "directory.kept": len(kernel.directory.refuge)}
    with open("/proc/self/statm", "rb") as file:
        found["resident_mib"] = int(file.read().split()[1]) * 4096 / 2**20
    return found


@remote("counts.of", open=True)
def counts_of(ctx: Any, process: str) -> dict[str, float]:
    """Give what one server still holds."""
    found: dict[str, float] = ctx.call("counts", to=process)
    return found


@remote("baskets", open=True)
def baskets(ctx: Any, first: int, last: int) -> list[list[Any]]:
    """Give what was counted for some players: player, catches, their numbers."""
    found = ctx.db.many(Basket, range(first, last))
    return [[basket.player, basket.catches, basket.numbers] for basket in found]
