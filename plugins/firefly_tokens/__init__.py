"""The tokens plugin: players who come with a signed token, as a website or a launcher gives them out.

    [servers.gate.tokens]
    secrets = ["${GAME_TOKENS}"]

Whoever knows the secret signs (`firefly_tokens.sign`); clients send the token as `{"token": ...}` in `firefly.login`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from firefly_core.kernel.hookspecs import hookimpl
from firefly_core.kernel.service import Service
from firefly_tokens.token import BadToken, sign, verify

if TYPE_CHECKING:
    from firefly_core.kernel.kernel import Kernel

__all__ = ["BadToken", "sign", "verify"]

FIREFLY_API = 1


@hookimpl
def firefly_services() -> list[type[Service]]:
    """Offer the service `tokens`."""
    from firefly_tokens.tokens import Tokens

    return [Tokens]


@hookimpl
def firefly_authenticate(kernel: Kernel, credentials: Any) -> int | str | None:
    """Say who bears a token, on servers that have the service."""
    from firefly_tokens.tokens import Tokens

    tokens = kernel.services.get(Tokens.name)
    return tokens.player(credentials) if isinstance(tokens, Tokens) else None
