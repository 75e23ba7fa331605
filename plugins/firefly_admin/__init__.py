"""The plugin `admin`: a console and an API for operators, metrics for Prometheus, and switches for commands.

It counts in every server that loads it; the service `admin`, declared in one of them, shows what all have counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from firefly_core.kernel.hookspecs import hookimpl

if TYPE_CHECKING:
    import click

    from firefly_core.kernel.handlers.handlers import Handler
    from firefly_core.kernel.kernel import Kernel
    from firefly_core.kernel.mesh.peer import Peer
    from firefly_core.kernel.service import Service
    from firefly_core.kernel.session import Session

FIREFLY_API = 1


@hookimpl
def firefly_services() -> Iterable[type[Service]]:
    """Offer the service `admin`."""
    from firefly_admin.admin import Admin

    return (Admin,)


@hookimpl
def firefly_middleware(kernel: Kernel) -> Iterable[Callable[[Handler, Callable[..., Any]], Callable[..., Any]]]:
    """Count what every handler does, and refuse what is switched off."""
    from firefly_admin.telemetry import telemetry_of

    return (telemetry_of(kernel).meter,)


@hookimpl
def firefly_cli() -> Iterable[click.Command]:
    """Offer `firefly-run status`."""
    from firefly_admin.status import status

    return (status,)


@hookimpl
def firefly_started(kernel: Kernel) -> None:
    """Look at the cluster as soon as this server is part of it, where it has the service."""
    from firefly_admin.admin import Admin

    admin = kernel.services.get(Admin.name)
    if isinstance(admin, Admin):
        admin.survey.hurry()


@hookimpl
def firefly_channel_changed(kernel: Kernel, peer: Peer, connected: bool) -> None:  # noqa: ARG001
    """Look again: somebody has come or gone."""
    from firefly_admin.admin import Admin

    admin = kernel.services.get(Admin.name)
    if isinstance(admin, Admin):
        admin.survey.hurry()


@hookimpl
def firefly_reloaded(kernel: Kernel) -> None:
    """Let go of what counted handlers that are gone, and look again where this server has the service."""
    from firefly_admin.admin import Admin
    from firefly_admin.telemetry import telemetry_of

    telemetry_of(kernel).settle()
    admin = kernel.services.get(Admin.name)
    if isinstance(admin, Admin):
        admin.survey.hurry()


@hookimpl
def firefly_stopping(kernel: Kernel) -> None:
    """Let go of the log."""
    from firefly_admin.telemetry import telemetry_of

    telemetry_of(kernel).close()


@hookimpl
def firefly_session_opened(kernel: Kernel, session: Session) -> None:
    """Take a session into the roster."""
    from firefly_admin.telemetry import telemetry_of

    telemetry_of(kernel).roster.enter(session)


@hookimpl
def firefly_session_closed(kernel: Kernel, session: Session) -> None:
    """Let a session go from the roster."""
    from firefly_admin.telemetry import telemetry_of

    telemetry_of(kernel).roster.leave(session)
