"""The keys of `[servers.X.web]`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from firefly_core.kernel.config.config import (
    KiB,
    Listen,
    MiB,
    config,
    duration,
    import_path,
    integer,
    key,
    list_of,
    listeners,
    map_of,
    optional,
    path,
    size,
    text,
)

__all__ = ["POLICY", "WebConfig"]

POLICY = (
    "default-src 'self'; connect-src 'self' ws: wss:; img-src 'self' data:; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"
)


@config
class WebConfig:
    """What a web service serves, and within which bounds."""

    listen: tuple[Listen, ...] = key(listeners("http"), "where to serve; a URL, or a list of them")
    static: Path | None = key(
        optional(path()), "folder of files to serve; `index.html` stands for a folder", default=None
    )
    files: Mapping[str, Path] = key(
        map_of(path()), 'more folders, each below a path of its own: `{ "/client" = "clients/javascript" }`', default={}
    )
    routes: tuple[str, ...] = key(list_of(import_path()), "modules of functions marked with `@route`", default=[])
    hosts: tuple[str, ...] = key(
        list_of(text(max=253)),
        "names by which browsers may call this server; empty: loopback names where it listens on loopback, else any",
        default=[],
    )
    content_policy: str = key(text(max=2000), "the Content-Security-Policy of every answer", default=POLICY)
    max_age: float = key(
        duration(), "seconds a browser keeps a file without asking; 0: it asks each time, by ETag", default=0.0
    )
    timeout: float = key(duration(low=0.1, high=600), "seconds until an answer must have been sent", default=30.0)
    head_timeout: float = key(
        duration(low=0.1, high=600), "seconds from a request's first byte to its last", default=5.0
    )
    idle_timeout: float = key(
        duration(low=0.1, high=3600), "seconds a connection may stay open without a request", default=15.0
    )
    max_connections: int = key(integer(1, 65536), "connections at once; one more is told 503 and closed", default=256)
    max_head: int = key(size(low=1 * KiB, high=1 * MiB), "largest request line and headers, in bytes", default=16 * KiB)
    max_body: int = key(size(high=64 * MiB), "largest request body, in bytes", default=64 * KiB)
