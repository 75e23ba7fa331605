"""The db-cache: rows in memory, the database behind, and nothing that was acknowledged is ever lost.

    from firefly_dbcache import CachedModel       # what a game's models inherit from
    from firefly_dbcache.cache import Cache       # what another cache than memcached implements

Handlers use it as `ctx.db` (firefly_dbcache.handle.Handle).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from firefly_core.kernel.hookspecs import hookimpl

if TYPE_CHECKING:
    import click

    from firefly_core.kernel.kernel import Kernel
    from firefly_core.kernel.service import Service
    from firefly_dbcache.model import CachedModel

__all__ = ["FIREFLY_API", "CachedModel"]

FIREFLY_API = 1


def __getattr__(name: str) -> Any:
    if name == "CachedModel":  # not before it is wanted: peewee takes a while to import
        from firefly_dbcache.model import CachedModel

        return CachedModel
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


@hookimpl
def firefly_services() -> Iterable[type[Service]]:
    """Offer the service `db-cache`."""
    from firefly_dbcache.service import DbCache

    return (DbCache,)


@hookimpl
def firefly_caches() -> Iterable[type[Any]]:
    """Offer `memory://` and `memcached://`."""
    from firefly_dbcache.caches.memcached_cache import MemcachedCache
    from firefly_dbcache.caches.memory_cache import MemoryCache

    return (MemoryCache, MemcachedCache)


@hookimpl
def firefly_context(kernel: Kernel) -> dict[str, Callable[[Any], Any]]:
    """Offer `ctx.db` where the server has the service."""
    if "db-cache" not in kernel.declaration.services:
        return {}
    return {"db": lambda context: kernel.services["db-cache"].handle(context)}  # type: ignore[attr-defined]


@hookimpl
def firefly_cli() -> Iterable[click.Command]:
    """Offer `firefly-run db`."""
    from firefly_dbcache.cli import db

    return (db,)
