"""`memcached://host:port`: one memcached server, reached by a few connections.

A pymemcache Client must not be shared between greenlets (their replies interleave), so each use takes one for itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, TypeVar

from gevent.lock import BoundedSemaphore

from firefly_core.kernel.config.config import Url
from firefly_dbcache.cache import Cache, CacheUnavailable, check_key

if TYPE_CHECKING:
    from pymemcache.client.base import Client

__all__ = ["MemcachedCache"]

T = TypeVar("T")


class MemcachedCache(Cache):
    """One memcached server."""

    scheme: ClassVar[str] = "memcached"
    CONNECTIONS = 8

    def __init__(self, url: Url, *, timeout: float) -> None:
        self._server = (url.host, url.port)
        self._timeout = timeout
        self._free: list[Client] = []
        self._turns = BoundedSemaphore(self.CONNECTIONS)

    def get_many(self, keys: Sequence[str]) -> Mapping[str, bytes]:
        for key in keys:
            check_key(key)
        return self._use(lambda client: client.get_many(list(keys)))

    def set(self, key: str, value: bytes) -> None:
        check_key(key)
        self._use(lambda client: client.set(key, value, noreply=False))

    def delete(self, key: str) -> None:
        check_key(key)
        self._use(lambda client: client.delete(key, noreply=False))

    def _use(self, work: Callable[[Client], T]) -> T:
        from pymemcache.exceptions import MemcacheError

        if not self._turns.acquire(timeout=self._timeout):
            raise CacheUnavailable("all connections to memcached were busy")
        client = self._free.pop() if self._free else self._make()
        try:
            done = work(client)
        except (MemcacheError, OSError) as error:
            client.close()
            raise CacheUnavailable(f"memcached at {self._server[0]}:{self._server[1]}: {error!r}") from error
        except BaseException:
            client.close()  # a reply may still be on its way: this connection must never be read again
            raise
        finally:
            self._free.append(client)
            self._turns.release()
        return done

    def _make(self) -> Client:
        from pymemcache.client.base import Client

        return Client(
            self._server,
            connect_timeout=self._timeout,
            timeout=self._timeout,
            no_delay=True,
            default_noreply=False,
        )

    def close(self) -> None:
        while self._free:
            self._free.pop().close()
