"""The keys of `[servers.NAME.db-cache]`."""

from __future__ import annotations

from pathlib import Path

from firefly_core.kernel.config.config import (
    KiB,
    MiB,
    Misfit,
    Rule,
    Site,
    Url,
    boolean,
    choice,
    config,
    duration,
    import_path,
    integer,
    key,
    list_of,
    nearest,
    path,
    server,
    size,
    url,
)
from firefly_core.kernel.config.url import split

__all__ = ["DbCacheConfig"]

MODES = ("cache", "async", "journal", "fsync", "through")


class _CacheUrl(Rule):
    """A URL of a cache that a plugin offers."""

    __slots__ = ()

    def settle(self, value: Url, site: Site) -> Url:
        if site.plugins is not None and value.scheme not in site.plugins.caches:
            known = [f"{name}://" for name in site.plugins.caches]
            raise Misfit(f"a URL that begins with {' or '.join(known)}", hint=nearest(f"{value.scheme}://", known))
        return value


def cache_url() -> Rule:
    """Accept `memory://`, `memcached://host:port,host2:port`, or the scheme of a cache that a plugin offers."""
    needs = "a cache's URL, as in memory:// or memcached://127.0.0.1:11211,127.0.0.1:11212"

    def parse(value: object) -> Url:
        if not isinstance(value, str) or "://" not in value or not value.isprintable() or " " in value:
            raise Misfit(needs)
        return split(value, (), True)

    return _CacheUrl(needs, parse)


@config
class DbCacheConfig:
    """With `database` this server owns it; with `owner` it uses the db-cache of that server."""

    database: Url | None = key(
        url("sqlite", "postgresql", "mysql", files=("sqlite",)), "the database that this server owns", default=None
    )
    owner: str | None = key(server(), "the server whose db-cache is used here, instead of a database", default=None)
    models: tuple[str, ...] = key(
        list_of(import_path()), "modules whose CachedModel classes live in the db-cache", default=[]
    )
    cache: Url = key(
        cache_url(),
        "the second level behind the owner's memory: memory:// (none), or memcached://host:port,host2:port",
        default="memory://",
    )
    durability: str = key(
        choice(*MODES), "what save() promises where a model does not say: see docs/db-cache.md", default="journal"
    )
    journal: Path | None = key(path(), "the journal's folder; default: var/SERVER.journal", default=None)
    journal_cap: int = key(size(64 * KiB), "journal bytes beyond which changes are refused", default=1024 * MiB)
    segment: int = key(size(4 * KiB, 1024 * MiB), "bytes after which the journal begins a new file", default=16 * MiB)
    slack: int = key(size(), "bytes reserved on the journal's disk, for deletions when it is full", default=64 * MiB)
    sync_interval: float = key(duration(0.01, 60), "the journal is brought to the disk at least so often", default=1.0)
    flush_interval: float = key(duration(0.001, 60), "changes wait so long for others of the same row", default=0.25)
    flush_batch: int = key(integer(1, 10000), "rows in one transaction", default=500)
    max_age: float = key(duration(1), "changes are refused while one waits so long for the database", default=900.0)
    max_row: int = key(size(1 * KiB, 64 * MiB), "largest row; a unit of rows may have sixteen times that", default=MiB)
    memory: int = key(size(64 * KiB), "bytes of rows in the owner's memory, estimated", default=256 * MiB)
    max_list: int = key(integer(1), "most rows that where() may give", default=10000)
    list_keys: int = key(integer(1), "most keys in all the lists that where() uses", default=1000000)
    dead_letters: int = key(integer(1), "most refused changes kept aside", default=10000)
    tombstone_age: float = key(duration(1), "how long a deleted row's version is remembered", default=86400.0)
    connections: int = key(integer(2, 100), "most connections to the database", default=4)
    timeout: float = key(duration(0.1, 600), "longest wait for an answer of the database", default=10.0)
    connect_timeout: float = key(duration(0.1, 60), "longest wait for a connection to it", default=3.0)
    cache_timeout: float = key(duration(0.01, 60), "longest wait for the second level", default=0.5)
    start_timeout: float = key(duration(0, 600), "longest wait for the database at start", default=15.0)
    create_tables: bool = key(boolean(), "create tables that are missing; columns are never altered", default=True)
    schema: str = key(
        choice("strict", "read-only"),
        "what to do when the tables differ from the models: refuse, or only read",
        default="strict",
    )
