"""The service `db-cache`: the owner of a database, or the way to the one on another server."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from firefly_core.errors import ConfigurationError, Refuse
from firefly_core.kernel.config.roots import ROOT, root_addresses
from firefly_core.kernel.service import Phase, Service
from firefly_dbcache.config import DbCacheConfig
from firefly_dbcache.game_models import tables_of

if TYPE_CHECKING:
    from firefly_core.kernel.config.cluster import Cluster
    from firefly_core.kernel.handlers.context import Context
    from firefly_core.kernel.kernel import Kernel
    from firefly_dbcache.handle import Handle
    from firefly_dbcache.owner.owner import Owner
    from firefly_dbcache.remote_store import Link

__all__ = ["DbCache"]

STOP_TIMEOUT = 15.0
LETTERS = 200
"""Dead letters in one answer to the admin."""


class DbCache(Service):
    """One server's db-cache. The engine, and with it peewee and the drivers, is imported when it starts, not before."""

    name: ClassVar[str] = "db-cache"
    phase: ClassVar[Phase] = Phase.STORAGE
    Config: ClassVar[type] = DbCacheConfig

    config: DbCacheConfig

    def __init__(self, kernel: Kernel, config: Any) -> None:
        super().__init__(kernel, config)
        self.log = kernel.log.getChild("db-cache")
        self.owner: Owner | None = None
        self._link: Link | None = None
        self._handle: Handle | None = None

    @classmethod
    def check(cls, server: str, config: DbCacheConfig, cluster: Cluster) -> Iterable[tuple[str, str]]:
        """Find what is missing or contradicts itself, in this table and beside the others."""
        if (config.database is None) == (config.owner is None):
            yield "", "either `database`, which this server then owns, or the `owner` on another server"
        if config.database is not None and cluster.server(server).replicas > 1:
            yield "database", "a server without replicas: a database has one owner"
        if config.owner is not None:
            yield from cls._check_owner(server, config.owner, cluster)
        if config.database is not None:
            yield from cls._check_alone(server, config, cluster)
        if not config.models:
            yield "models", "at least one module of models"
        try:
            tables_of(config.models, config.durability)
        except ConfigurationError as error:
            for problem in error.problems:
                yield "models", problem

    @classmethod
    def _check_owner(cls, server: str, owner: str, cluster: Cluster) -> Iterable[tuple[str, str]]:
        other = cluster.servers.get(owner)
        if other is None:
            return
        there = other.services.get(cls.name)
        if owner == server or there is None or there.database is None:
            yield "owner", f"a server that owns a database; [servers.{owner}.{cls.name}] has none"
        elif ROOT not in other.services:
            yield "owner", f"a server with a root to connect to; add [servers.{owner}.{ROOT}]"

    @classmethod
    def _check_alone(cls, server: str, config: DbCacheConfig, cluster: Cluster) -> Iterable[tuple[str, str]]:
        for name, other in cluster.servers.items():
            there = other.services.get(cls.name)
            if there is not None and name != server and there.database == config.database:
                yield "database", f'one owner for a database; {name} has it too, say `owner = "{name}"` in one of them'

    # --------------------------------------------------------------------------------------------------- the life

    def start(self) -> None:
        from gevent import monkey

        if not monkey.is_module_patched("threading") or not monkey.is_module_patched("socket"):
            raise ConfigurationError(["gevent must patch before peewee is imported; start servers by firefly-run"])
        tables = tables_of(self.config.models, self.config.durability)
        if self.config.owner is not None:
            self._start_link(self.config.owner, tables)
        else:
            self._start_owner(tables)

    def _start_link(self, owner: str, tables: list[Any]) -> None:
        from firefly_dbcache.remote_store import Link

        self._link = Link(self.kernel, f"{owner}-1", tables)
        for address in root_addresses(self.kernel.cluster, owner):
            self.kernel.links.reach(address)

    def _start_owner(self, tables: list[Any]) -> None:
        import attrs

        from firefly_dbcache.handle import Handle
        from firefly_dbcache.local_store import LocalStore
        from firefly_dbcache.owner.owner import Owner
        from firefly_dbcache.remote_methods import RemoteMethods

        config = self.config
        if config.journal is None:
            folder = self.kernel.cluster.folder / "var" / f"{self.kernel.server}.journal"
            config = attrs.evolve(config, journal=folder)  # type: ignore[misc]  # an attrs class, by @config
        self.owner = Owner(
            config,
            tables,
            clock=self.kernel.clock,
            caches=self.kernel.plugins.caches,
            fatal=lambda error: self.kernel.give_up(f"db-cache: {error}"),
            log=self.log,
        )
        self.owner.start()
        store = LocalStore(self.owner)
        self._handle = Handle(store, self.kernel.random)
        self.kernel.mesh.methods |= RemoteMethods(store, tables).methods()
        graveyard = self.owner.graveyard
        self.kernel.inspection.verbs |= {
            "db.letters": self._letters,
            "db.retry": lambda name: self._bury(graveyard.retry, name),
            "db.drop": lambda name: self._bury(graveyard.drop, name),
        }

    def _letters(self) -> list[dict[str, Any]]:
        """Give the newest of what the database has refused, for people."""
        found = list(self.owner.letters.letters.values()) if self.owner is not None else []
        return [
            {"name": each.name, "table": each.table, "key": str(each.key), "error": each.error, "time": each.time}
            for each in found[-LETTERS:]
        ]

    @staticmethod
    def _bury(work: Callable[[str], None], name: str) -> bool:
        try:
            work(name)
        except KeyError:
            raise Refuse("not_found", "there is no such letter") from None
        return True

    def handle(self, context: Context) -> Handle:
        """Give `ctx.db` for one run of a handler."""
        if self._handle is not None:
            return self._handle
        if self._link is None:
            raise ConfigurationError(["the db-cache of this server has not started"])
        return self._link.handle(context)

    def drain(self) -> None:
        if self.owner is not None:
            self.owner.flusher.flush(STOP_TIMEOUT)

    def stop(self) -> None:
        if self._link is not None:
            self._link.close()
        if self.owner is not None:
            self.owner.stop(STOP_TIMEOUT)

    def statistics(self) -> Mapping[str, float]:
        if self.owner is not None:
            from firefly_dbcache.owner.statistics import statistics

            return statistics(self.owner)
        return {"calls_total": 0 if self._link is None else self._link.calls}
