"""The service `tokens`: which tokens are good at a gate."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from firefly_core.errors import Refuse
from firefly_core.kernel.config.cluster import Cluster
from firefly_core.kernel.config.config import config, duration, key, list_of, secret
from firefly_core.kernel.kernel import Kernel
from firefly_core.kernel.service import Phase, Service
from firefly_core.kernel.session import Uid
from firefly_tokens.token import BadToken, verify

__all__ = ["Tokens", "TokensConfig"]

REFUSED = "login_failed"
"""The code by which gates count failed logins."""


@config
class TokensConfig:
    """Whose signature counts, and for how long."""

    secrets: tuple[str, ...] = key(
        list_of(secret(), low=1),
        "what tokens are signed with; several while one takes the place of another",
        secret=True,
    )
    lifetime: float = key(
        duration(1, 31_536_000), "seconds that a token may still be good for when it is shown, at most", 86_400.0
    )


class Tokens(Service):
    """Says who bears a token."""

    name = "tokens"
    phase = Phase.STORAGE
    Config = TokensConfig

    def __init__(self, kernel: Kernel, config: TokensConfig) -> None:
        super().__init__(kernel, config)
        self._accepted = 0
        self._refused = 0

    @classmethod
    def check(cls, server: str, config: TokensConfig, cluster: Cluster) -> Iterable[tuple[str, str]]:  # noqa: ARG003
        """Refuse tokens where nobody logs in."""
        if "gate" not in cluster.servers[server].services:
            yield "secrets", "this server has no gate, where players log in"

    def start(self) -> None:
        """Nothing: it is asked."""

    def stop(self) -> None:
        """Nothing."""

    def statistics(self) -> Mapping[str, float]:
        return {"accepted_total": self._accepted, "refused_total": self._refused}

    def player(self, credentials: Any) -> Uid | None:
        """Give the uid of whoever sends `{"token": ...}`; None for other credentials; raises Refuse for a bad token."""
        token = credentials.get("token") if isinstance(credentials, dict) else None
        if not isinstance(token, str):
            return None
        try:
            now = self.kernel.clock.time()
            uid = verify(token, self.config.secrets, now=now, lifetime=self.config.lifetime)
        except BadToken as error:
            self._refused += 1
            raise Refuse(REFUSED, str(error)) from None
        self._accepted += 1
        return uid
