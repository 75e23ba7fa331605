"""Listen keys: a URL, a table with a URL and more, or a list of either; extra keys belong to the protocol."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import attrs

from firefly_core.kernel.misfit import Misfit, Misfits, nearest
from firefly_core.kernel.rules import Rule, Site
from firefly_core.kernel.url import Url, url

if TYPE_CHECKING:
    from firefly_core.wire.protocol import Protocol

__all__ = ["Listen", "Listeners", "listeners"]


@attrs.frozen(kw_only=True)
class Listen:
    """One place to listen at."""

    url: Url
    options: Mapping[str, Any] = attrs.field(factory=dict)
    """The table's other keys, as they were written."""
    own: Any = None
    """The service's own keys for one listener: an object of the class given to `listeners(own=...)`."""
    protocol: type[Protocol] | None = None
    """The client wire format, where the service speaks one."""
    codec: str = ""
    """The name of the codec, where there is a protocol."""
    settings: Any = None
    """The protocol's own keys: an object of `protocol.Config`."""

    def address(self, replica: int = 1, *, spread: bool = False) -> tuple[str, int]:
        """Give host and port for a replica (from 1); `spread` replicas have a port each, one after the other."""
        return self.url.host, self.url.port + (replica - 1 if spread and self.url.port else 0)


@attrs.frozen
class NoKeys:
    """The Config of who takes no key."""


class Listeners(Rule):
    """The rule behind `listeners(...)`; it says of its listeners whether replicas spread over ports."""

    __slots__ = ("_protocol", "_url", "own", "spread")

    def __init__(self, schemes: tuple[str, ...], own: type | None, protocol: str | None, spread: bool) -> None:
        self._url = url(*schemes)
        self.own = own
        self._protocol = protocol
        self.spread = spread
        super().__init__(f"{self._url.needs}, a table with such a url, or a list of either", self._parse_all)

    def _parse_all(self, value: Any) -> tuple[Listen, ...]:
        if isinstance(value, list | tuple):
            if not value:
                raise Misfit(self.needs)
            found: list[Listen] = []
            misfits: list[Misfit] = []
            for index, item in enumerate(value):
                try:
                    found.append(self._parse_one(item))
                except Misfit as misfit:
                    misfits.append(misfit.inside(index))
            if misfits:
                raise Misfits(misfits)
            return tuple(found)
        return (self._parse_one(value),)

    def _parse_one(self, value: Any) -> Listen:
        if isinstance(value, str):
            return Listen(url=self._url.parse(value))
        if not isinstance(value, Mapping):
            raise Misfit(self.needs)
        if "url" not in value:
            raise Misfit(self._url.needs, ("url",))
        try:
            place = self._url.parse(value["url"])
        except Misfit as misfit:
            raise misfit.inside("url") from None
        return Listen(url=place, options={name: item for name, item in value.items() if name != "url"})

    def settle(self, value: Any, site: Site) -> Any:
        if value is None:
            return None
        settled: list[Listen] = []
        misfits: list[Misfit] = []
        for index, item in enumerate(value):
            try:
                settled.append(self._settle_one(item, site))
            except Misfit as misfit:
                misfits.append(misfit.inside(index))
        if misfits:
            raise Misfits(misfits)
        return tuple(settled)

    def _settle_one(self, listen: Listen, site: Site) -> Listen:
        """Divide the keys of one listener among the service, the choice of protocol and codec, and the protocol."""
        from firefly_core.kernel.config import build, keys

        rest = dict(listen.options)
        misfits: list[Misfit] = []
        own_class = self.own or NoKeys
        mine = {name: rest.pop(name) for name in list(rest) if name in keys(own_class)}
        protocol, codec = None, ""
        common = ["url", *keys(own_class)]
        if self._protocol is not None and site.plugins is not None:
            protocol = self._find_protocol(rest.pop("protocol", self._protocol), site, misfits)
            wanted = rest.pop("codec", None)
            codec = self._find_codec(protocol, wanted, site, misfits) if protocol is not None else ""
            common += ["protocol", "codec"]
        own = _tried(misfits, build, own_class, mine, site)
        settings = None
        if protocol is not None:
            settings = _tried(misfits, build, protocol.Config, rest, site, common)
        elif self._protocol is None:
            _tried(misfits, build, NoKeys, rest, site, common)
        if misfits:
            raise Misfits(misfits)
        return attrs.evolve(listen, own=own if self.own else None, protocol=protocol, codec=codec, settings=settings)

    def _find_protocol(self, name: Any, site: Site, misfits: list[Misfit]) -> type[Protocol] | None:
        known = site.plugins.protocols if site.plugins is not None else {}
        if isinstance(name, str) and name in known:
            return known[name]
        offered = ", ".join(known) or "none"
        got = "" if name else "nothing"
        misfits.append(
            Misfit(f"a protocol that a plugin offers ({offered})", ("protocol",), hint=nearest(name, known), got=got)
        )
        return None

    def _find_codec(self, protocol: type[Protocol], name: Any, site: Site, misfits: list[Misfit]) -> str:
        offered = site.plugins.codecs if site.plugins is not None else {}
        known = [codec for codec in offered if protocol.codecs is None or codec in protocol.codecs]
        wanted = protocol.default_codec if name is None else name
        if wanted in known:
            return str(wanted)
        needs = f'a codec that fits protocol "{protocol.name}" ({", ".join(known) or "none is offered"})'
        got = f'"{wanted}", its default' if name is None else ""
        misfits.append(Misfit(needs, ("codec",), hint=nearest(name, known), got=got))
        return ""


def _tried(misfits: list[Misfit], build: Callable[..., Any], *about: Any) -> Any:
    """Give what `build(*about)` gives, or None with its misfits noted."""
    try:
        return build(*about)
    except Misfit as misfit:
        misfits.append(misfit)
    return None


def listeners(*schemes: str, own: type | None = None, protocol: str | None = None, spread: bool = False) -> Rule:
    """Accept a URL, a table with `url`, or a list of either; gives a tuple of Listen.

    `own` is a Config class of keys that the service itself takes for each listener. With `protocol` (the name of the
    one to use when the file names none, or "" to require it) the rest belongs to the protocol's Config, and `protocol`
    and `codec` are looked up among what the plugins offer. `spread`: replica i listens on port + i - 1; otherwise
    replicas share the port.
    """
    return Listeners(schemes, own, protocol, spread)
