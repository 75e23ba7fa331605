"""The service `together`: which process of a server takes those who have something in common."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from firefly_core.kernel.config.cluster import Cluster
from firefly_core.kernel.config.config import config, key, map_of, nearest, text
from firefly_core.kernel.kernel import Kernel
from firefly_core.kernel.mesh.providers import weight
from firefly_core.kernel.service import Phase, Service
from firefly_core.kernel.session import Session

__all__ = ["Together", "TogetherConfig"]


@config
class TogetherConfig:
    """What brings players together, by server."""

    by: Mapping[str, str] = key(
        map_of(text(64)),
        "for each server the key of session.data whose value decides which of its replicas takes a session",
    )


class Together(Service):
    """Chooses by rendezvous hashing: the same value comes to the same process, as long as that takes new sessions."""

    name = "together"
    phase = Phase.STORAGE
    Config = TogetherConfig

    def __init__(self, kernel: Kernel, config: TogetherConfig) -> None:
        super().__init__(kernel, config)
        self._chosen = 0

    @classmethod
    def check(cls, server: str, config: TogetherConfig, cluster: Cluster) -> Iterable[tuple[str, str]]:
        """Refuse servers that the file does not have, and the service where nobody is routed."""
        for name in config.by:
            if name not in cluster.servers:
                meant = nearest(name, cluster.servers)
                yield "by", f"there is no server {name!r}" + (f'; did you mean "{meant}"?' if meant else "")
        if "gate" not in cluster.servers[server].services:
            yield "by", "this server has no gate, where sessions are routed"

    def start(self) -> None:
        """Nothing: it is asked."""

    def stop(self) -> None:
        """Nothing."""

    def statistics(self) -> Mapping[str, float]:
        return {"chosen_total": self._chosen}

    def choose(self, session: Session, nodes: Sequence[str]) -> str | None:
        """Give the process that takes whoever has this session's value; None where it has none."""
        server = nodes[0].rpartition("-")[0]
        value = session.data.get(self.config.by.get(server, ""))
        if value is None:
            return None
        self._chosen += 1
        return max(nodes, key=lambda node: weight(value, node))
