"""What an in-process cluster is made of: a firefly.toml, real or made up, and handlers handed in beside it."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from firefly_core.errors import ConfigurationError
from firefly_core.kernel.config.cluster import Cluster, Draft, draft
from firefly_core.kernel.config.listen import Listen
from firefly_core.kernel.handlers.handlers import HandlerTable, collect
from firefly_core.testing.client_wire import ClientWire, DatapackWire, JsonWire
from firefly_core.testing.msgpack_wire import MsgpackWire
from firefly_core.testing.pomelo_wire import PomeloWire

__all__ = ["Declaration", "Handlers", "wire_of"]

SHARED = 0
"""What stands for a listening socket that the replicas of a server share."""
Handlers = Mapping[str, ModuleType | Iterable[ModuleType | Callable[..., Any]]]


class Declaration:
    """One firefly.toml with the handlers of its servers; `close` takes back what reading it did to `sys.path`."""

    def __init__(
        self, source: str | Path, *, handlers: Handlers, folder: Path | None, environ: Mapping[str, str]
    ) -> None:
        self._path_before = list(sys.path)
        self._temporary: str | None = None
        try:
            self.cluster: Cluster = _cluster(self._draft(source, folder, environ))
        except BaseException:
            self.close()
            raise
        self._modules = {server: _modules(server, given) for server, given in handlers.items()}

    def handlers(self, server: str) -> HandlerTable | None:
        """Give the handlers that were handed in for a server; None: its file's own count."""
        modules = self._modules.get(server)
        return None if modules is None else collect(modules)

    def descriptors(self, server: str) -> dict[str, int]:
        """Give what a supervisor would: a socket for each listener that replicas share, here no more than a word."""
        declared = self.cluster.servers[server]
        if declared.replicas == 1:
            return {}
        return {str(listen.url): SHARED for listen in _listeners(declared.services.values())}

    def find_listener(self, server: str | None, protocol: str | None, scheme: str | None) -> Listen:
        """Give the first listener for clients that fits; raises LookupError."""
        for declared in self.cluster.servers.values():
            if server not in (None, declared.name):
                continue
            for listen in _listeners(declared.services.values()):
                if listen.protocol is None or protocol not in (None, listen.protocol.name):
                    continue
                if scheme in (None, listen.url.scheme):
                    return listen
        raise LookupError(f"no listener for clients: server {server!r}, protocol {protocol!r}, scheme {scheme!r}")

    def close(self) -> None:
        """Restore `sys.path` and remove the temporary folder."""
        sys.path[:] = self._path_before
        if self._temporary is not None:
            shutil.rmtree(self._temporary, ignore_errors=True)

    def _draft(self, source: str | Path, folder: Path | None, environ: Mapping[str, str]) -> Draft:
        if isinstance(source, Path):
            return draft(source, environ)
        if folder is None:
            self._temporary = tempfile.mkdtemp(prefix="firefly-")
            folder = Path(self._temporary)
        return draft(folder / "firefly.toml", environ, text=source)


def wire_of(listen: Listen) -> ClientWire:
    """Give the client side of a listener's format; raises LookupError where the test kit has none."""
    stream = listen.url.scheme == "tcp"
    match listen.protocol.name if listen.protocol is not None else None:
        case "json":
            return JsonWire(stream=stream)
        case "msgpack":
            return MsgpackWire(stream=stream)
        case "pomelo":
            return PomeloWire()
        case "datapack":
            keys = listen.settings
            return DatapackWire(header=keys.header, codec=listen.codec, error_command=keys.error_command)
    raise LookupError(f"{listen.url} speaks a format of which the test kit has no client side: give wire=")


def _cluster(made: Draft) -> Cluster:
    made.problems.raise_any()
    if made.cluster is None:
        raise ConfigurationError(["[firefly] cannot be read"])
    return made.cluster


def _modules(server: str, given: ModuleType | Iterable[ModuleType | Callable[..., Any]]) -> list[ModuleType]:
    """Give a server's modules; loose functions are put into a module of their own."""
    items = [given] if isinstance(given, ModuleType) else list(given)
    modules = [item for item in items if isinstance(item, ModuleType)]
    loose = [item for item in items if not isinstance(item, ModuleType)]
    if loose:
        module = ModuleType(f"handlers_of_{server}")
        vars(module).update({f"handler_{number}": item for number, item in enumerate(loose)})
        modules.append(module)
    return modules


def _listeners(configs: Iterable[Any]) -> Iterator[Listen]:
    for config in configs:
        for value in getattr(config, "listen", None) or ():
            if isinstance(value, Listen):
                yield value
