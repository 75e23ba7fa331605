"""From URLs to databases and caches; drivers are imported only when a URL asks for them."""

from __future__ import annotations

import urllib.parse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import attrs

from firefly_core.errors import ConfigurationError
from firefly_core.kernel.config.config import Url
from firefly_dbcache.cache import Cache
from firefly_dbcache.caches.memory_cache import MemoryCache
from firefly_dbcache.config import DbCacheConfig
from firefly_dbcache.database.database import Database

__all__ = ["connect", "open_caches"]


def connect(config: DbCacheConfig) -> Database:
    """Give the database of a configuration, not connected yet. Raises ConfigurationError for a missing driver."""
    url = config.database
    assert url is not None
    if url.scheme == "sqlite":
        from firefly_dbcache.database.sqlite_database import SqliteDatabase

        return SqliteDatabase(url.path or str(Path.cwd()), config.timeout)
    name = url.path.lstrip("/")
    if not name or "/" in name:
        raise ConfigurationError([f"{url} needs the database's name at its end, as in {url.scheme}://host/meadow"])
    parameters: dict[str, Any] = dict(urllib.parse.parse_qsl(url.query))
    parameters |= {"host": url.host, "port": url.port}
    parameters |= {"user": url.user} if url.user is not None else {}
    parameters |= {"password": url.password} if url.password is not None else {}
    if url.scheme == "postgresql":
        _need("psycopg", "postgres")
        from firefly_dbcache.database.postgres_database import PostgresDatabase

        parameters["dbname"] = urllib.parse.unquote(name)
        return PostgresDatabase(parameters, config.connections, config.timeout, config.connect_timeout)
    _need("pymysql", "mysql")
    from firefly_dbcache.database.mysql_database import MysqlDatabase

    parameters["database"] = urllib.parse.unquote(name)
    return MysqlDatabase(parameters, config.connections, config.timeout, config.connect_timeout)


def _need(driver: str, extra: str) -> None:
    try:
        __import__(driver)
    except ImportError as error:
        raise ConfigurationError([f"{error}; install it with: pip install 'firefly-core[{extra}]'"]) from None


def open_caches(url: Url, kinds: Mapping[str, Callable[..., Cache]] | None, timeout: float) -> dict[str, Cache]:
    """Give a cache for each host of a URL, by host and port; none for a plain `memory://`."""
    if url.scheme == MemoryCache.scheme and not MemoryCache.size_of(url):
        return {}
    if kinds is None:
        from firefly_dbcache.caches.memcached_cache import MemcachedCache

        kinds = {MemoryCache.scheme: MemoryCache, MemcachedCache.scheme: MemcachedCache}
    kind = kinds[url.scheme]
    if not url.hosts:
        return {url.scheme: kind(url, timeout=timeout)}
    return {
        f"{host}:{port}": kind(attrs.evolve(url, host=host, port=port, hosts=((host, port),)), timeout=timeout)
        for host, port in url.hosts
    }
