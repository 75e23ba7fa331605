"""The contract of a service: one running part of a server, offered by a plugin and declared by a table of its name."""

from __future__ import annotations

import abc
import enum
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from firefly_core.kernel.config.cluster import Cluster
    from firefly_core.kernel.kernel import Kernel

__all__ = ["Phase", "Service"]


class Phase(enum.IntEnum):
    """When a service starts; it stops in the opposite order, so that doors close first and the floor goes last."""

    STORAGE = 1
    MESH = 2
    DOOR = 3


class Service(abc.ABC):
    """A part of a server. `[servers.X.NAME]` in firefly.toml starts it in X with that table as its `Config`."""

    name: ClassVar[str]
    phase: ClassVar[Phase]
    Config: ClassVar[type]
    """A frozen attrs class whose fields are made by `firefly_core.kernel.config.config.key`."""
    single: ClassVar[bool] = False
    """Whether a server with `replicas` may not have it."""

    def __init__(self, kernel: Kernel, config: Any) -> None:
        self.kernel = kernel
        self.config = config

    @classmethod
    def check(cls, server: str, config: Any, cluster: Cluster) -> Iterable[tuple[str, str]]:  # noqa: ARG003
        """Give the problems that only show beside the other servers, as `(key, problem)`; called by `check`."""
        return ()

    @abc.abstractmethod
    def start(self) -> None:
        """Begin; when it returns, the service is ready. May block. Raises what stops the server from starting."""

    def drain(self) -> None:
        """Take nothing new, finish what was accepted; may block until the kernel's drain deadline cuts it."""
        return

    @abc.abstractmethod
    def stop(self) -> None:
        """End and release everything; must not raise. A service that was never started can be stopped."""

    def unfinished(self) -> int:
        """Give how much of what was accepted is not done yet; what is left at the end of the drain is dropped."""
        return 0

    def statistics(self) -> Mapping[str, float]:
        """Give the current figures, by metric name without prefix; counters end in `_total`."""
        return {}
