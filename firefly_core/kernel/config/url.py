"""URLs of firefly.toml: where to listen, what to dial, which database; passwords in them are never shown."""

from __future__ import annotations

import ipaddress
import os
import re
import urllib.parse
from collections.abc import Collection
from typing import Any

import attrs

from firefly_core.kernel.config.misfit import Misfit, nearest
from firefly_core.kernel.config.rules import Rule, Site

__all__ = ["Url", "url"]

PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443, "memcached": 11211, "postgresql": 5432, "mysql": 3306}
LABEL = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")


@attrs.frozen(kw_only=True)
class Url:
    """One URL, taken apart; `str()` gives it without its password."""

    scheme: str
    host: str = ""
    """A name, an IPv4 address, or an IPv6 address without brackets; empty where the scheme names a file."""
    port: int = 0
    path: str = ""
    """Begins with a slash, or is empty; of a scheme that names a file: that file."""
    hosts: tuple[tuple[str, int], ...] = ()
    """Every host and port, where the scheme allows several."""
    user: str | None = None
    password: str | None = attrs.field(default=None, repr=lambda value: "None" if value is None else "'***'")
    query: str = attrs.field(default="", repr=False)
    text: str = attrs.field(default="", repr=False, eq=False)
    """The URL as it was written, with its password."""

    def __str__(self) -> str:
        if not self.hosts:
            return f"{self.scheme}://{'/' if self.path else ''}{self.path}"
        login = "" if self.user is None else self.user + ("@" if self.password is None else ":***@")
        places = ",".join(f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in self.hosts)
        return f"{self.scheme}://{login}{places}{self.path}"


def check_host(host: str) -> None:
    """Raise Misfit unless `host` is an IPv4 address, a bracketless IPv6 address or a host name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        labels = host.split(".")
        if len(host) > 253 or labels[-1].isdigit() or not all(LABEL.fullmatch(label) for label in labels):
            raise Misfit("a URL whose host is an address or a name (IPv6 in brackets)") from None


def _place(place: str, default: int | None) -> tuple[str, int]:
    match = re.fullmatch(r"(?:\[([0-9A-Fa-f:.%a-z]+)\]|([^\[\]:]+))(?::([0-9]{1,5}))?", place)
    if match is None:
        raise Misfit("a URL with a host and a port, as in tcp://127.0.0.1:11009 (IPv6 in brackets)")
    bracketed, bare, port = match.groups()
    check_host(bracketed or bare)
    if bracketed and ":" not in bracketed:
        raise Misfit("a URL with brackets only around an IPv6 address")
    if port is None and default is None:
        raise Misfit("a URL with a port, as in tcp://127.0.0.1:11009")
    number = int(port) if port is not None else int(default or 0)
    if number > 65535:
        raise Misfit("a URL whose port is at most 65535")
    return bracketed or bare, number


def split(value: str, files: Collection[str] = (), many: bool = False) -> Url:
    """Take a URL apart; raises Misfit. `files` are schemes that name a file, `many` allows several hosts."""
    scheme, _, rest = value.partition("://")
    if scheme in files:
        name, _, query = rest.partition("?")
        if not name.startswith("/") or len(name) < 2:
            raise Misfit(f"a URL with three slashes before the file, as in {scheme}:///var/game.db")
        return Url(scheme=scheme, path=urllib.parse.unquote(name[1:]), query=query, text=value)
    match = re.fullmatch(r"([^/?#]*)(/[^?#]*)?(?:\?([^#]*))?", rest)
    if match is None:
        raise Misfit("a URL without #")
    place, path, query = match[1], match[2] or "", match[3] or ""
    login, at, place = place.rpartition("@")
    user, colon, password = login.partition(":")
    if not place:
        if scheme in PORTS or scheme in ("tcp", "tls"):
            raise Misfit(f"a URL with a host, as in {scheme}://127.0.0.1:11009")
        return Url(scheme=scheme, path=path, query=query, text=value)
    hosts = tuple(_place(item, PORTS.get(scheme)) for item in (place.split(",") if many else [place]))
    return Url(
        scheme=scheme,
        host=hosts[0][0],
        port=hosts[0][1],
        path=path,
        hosts=hosts,
        user=urllib.parse.unquote(user) if at else None,
        password=urllib.parse.unquote(password) if colon else None,
        query=query,
        text=value,
    )


class _Url(Rule):
    __slots__ = ()

    def settle(self, value: Any, site: Site) -> Any:
        if value is None or value.hosts or not value.path or value.path == ":memory:":
            return value
        return attrs.evolve(value, path=os.path.normpath(site.folder / value.path))


def url(*schemes: str, files: Collection[str] = (), many: bool = False) -> Rule:
    """Accept a URL of one of `schemes`; gives a Url.

    `files` are those schemes that name a file (`sqlite:///var/game.db` is relative to firefly.toml, four slashes make
    it absolute); `many` allows several hosts (`memcached://a:11211,b:11211`).
    """
    needs = "a URL that begins with " + " or ".join(f"{scheme}://" for scheme in schemes)

    def parse(value: Any) -> Url:
        if not isinstance(value, str) or len(value) > 2000 or not value.isprintable() or " " in value:
            raise Misfit(needs)
        scheme, colon, _ = value.partition("://")
        if not colon or scheme not in schemes:
            raise Misfit(needs, hint=nearest(scheme, schemes) and f"{nearest(scheme, schemes)}://")
        return split(value, files, many)

    return _Url(needs, parse)
