"""Every hook of Firefly, on one screen. A plugin module says `FIREFLY_API = 1` and marks functions with `hookimpl`.

Offers return named classes or functions and are called once, when a server is configured. Decisions take the first
answer that is not None. Notices are told to every plugin; one that raises is logged by name and the others still hear.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    import click

    from firefly_core.kernel.handlers.handlers import Handler
    from firefly_core.kernel.kernel import Kernel
    from firefly_core.kernel.mesh.peer import CommandOffer, Peer
    from firefly_core.kernel.service import Service
    from firefly_core.kernel.session import Session
    from firefly_core.wire.codec import Codec
    from firefly_core.wire.protocol import Protocol

FIREFLY_API = 1
PROJECT = "firefly"
ENTRY_POINTS = "firefly.plugins"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)

# ---------------------------------------------------------------------------------------------------------- offers


@hookspec
def firefly_services() -> Iterable[type[Service]]:
    """Offer services; the class's `name` is the table's name in `[servers.X.<name>]`."""
    return ()


@hookspec
def firefly_protocols() -> Iterable[type[Protocol]]:
    """Offer client wire formats; the class's `name` is what `protocol =` says."""
    return ()


@hookspec
def firefly_codecs() -> Iterable[Codec]:
    """Offer codecs; the object's `name` is what `codec =` says."""
    return ()


@hookspec
def firefly_caches() -> Iterable[type[Any]]:
    """Offer caches for the db-cache; the class's `scheme` is the scheme of `cache = "scheme://..."`."""
    return ()


@hookspec
def firefly_context(kernel: Kernel) -> dict[str, Callable[[Any], Any]]:
    """Offer attributes of `ctx`: name to a function from the context to the value, called at first use."""
    return {}


@hookspec
def firefly_middleware(kernel: Kernel) -> Iterable[Callable[[Handler, Callable[..., Any]], Callable[..., Any]]]:
    """Offer functions that wrap a command's or remote's callable `(ctx, *args)`; resolved when the server starts."""
    return ()


@hookspec
def firefly_cli() -> Iterable[click.Command]:
    """Offer commands of `firefly-run`."""
    return ()


# ------------------------------------------------------------------------------------------------------- decisions


@hookspec(firstresult=True)
def firefly_authenticate(kernel: Kernel, session: Session, credentials: Any) -> int | str | None:
    """Decide who logs in: the player's uid, or None when this plugin cannot tell; raise Refuse to turn him away."""
    return None


@hookspec(firstresult=True)
def firefly_route(kernel: Kernel, session: Session, command: CommandOffer, nodes: Sequence[str]) -> str | None:
    """Decide which of `nodes` (process names, never empty) takes this session's command; None: Firefly decides."""
    return None


# --------------------------------------------------------------------------------------------------------- notices


@hookspec
def firefly_started(kernel: Kernel) -> None:
    """All services of this server have started; who raises now, or takes five seconds, keeps it from starting."""


@hookspec
def firefly_stopping(kernel: Kernel) -> None:
    """This server begins to stop; its services still run."""


@hookspec
def firefly_session_opened(kernel: Kernel, session: Session) -> None:
    """A client has connected to a gate of this server."""


@hookspec
def firefly_session_closed(kernel: Kernel, session: Session, reason: str) -> None:
    """A client's session at a gate of this server has ended."""


@hookspec
def firefly_channel_changed(kernel: Kernel, peer: Peer, connected: bool) -> None:
    """A channel to another server was made or lost."""


@hookspec
def firefly_reloaded(kernel: Kernel) -> None:
    """The handlers of this server were replaced by a reload."""
