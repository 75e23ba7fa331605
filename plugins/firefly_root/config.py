"""The keys of `[servers.X.root]`."""

from __future__ import annotations

from firefly_core.kernel.config.config import Listen, boolean, config, integer, key, listeners
from firefly_core.kernel.config.credentials import Credentials

__all__ = ["RootConfig"]


@config
class RootConfig:
    """Where other servers connect."""

    listen: tuple[Listen, ...] = key(
        listeners("tcp", "tls", own=Credentials, spread=True),
        "where nodes connect, at the first if there are several; replica i of the server listens on port + i - 1",
    )
    open: bool = key(
        boolean(), "loopback only: whether programs without the secret may call @remote(open=True)", default=False
    )
    max_channels: int = key(integer(1, 100_000), "channels at most; a further one is closed", default=1024)
