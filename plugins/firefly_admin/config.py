"""The keys of `[servers.X.admin]`."""

from __future__ import annotations

from firefly_core.kernel.config.config import (
    Listen,
    config,
    duration,
    integer,
    key,
    list_of,
    listeners,
    optional,
    secret,
    server,
    text,
)

__all__ = ["AdminConfig"]


@config
class AdminConfig:
    """Where the console and its API are served, and to whom."""

    listen: tuple[Listen, ...] = key(listeners("http"), "where to serve; a URL, or a list of them")
    token: str | None = key(
        optional(secret(32)),
        "what whoever looks or acts must show; by default one is made and kept in `admin.token` in the folder `var`",
        default=None,
    )
    hosts: tuple[str, ...] = key(
        list_of(text(max=253)),
        "names by which browsers may call this server, beside loopback's and those it listens at",
        default=[],
    )
    roots: tuple[str, ...] = key(
        list_of(server()),
        "servers with a root that it connects to, by name; empty: every server that has one",
        default=[],
    )
    interval: float = key(duration(0.2, 60.0), "seconds between two looks at every server", default=2.0)
    history: int = key(integer(10, 3600), "looks that are kept for the charts", default=300)
    bad_tokens: int = key(
        integer(1, 1000), "wrong tokens that one address may show in a minute before it is turned away", default=5
    )
    notice_push: int = key(integer(0, 2**32 - 1), "the id of the push `notice` that carries a notice", default=9000)
