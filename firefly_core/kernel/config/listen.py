"""Listen keys: a URL, a table with a URL and more, or a list of either; extra keys belong to the protocol."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import attrs

from firefly_core.kernel.config.misfit import Misfit, Tries, nearest
from firefly_core.kernel.config.rules import Rule, Site
from firefly_core.kernel.config.url import Url, url

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
        super().__init__(f"{self._url.needs}, a table with such a url, or a list of either", self.parse)

    def parse(self, value: Any) -> tuple[Listen, ...]:
        """Give the listeners with their URLs read, and the other keys as they were written."""
        return self._each(value, self._parse_one)

    def settle(self, value: Any, site: Site) -> Any:
        """Divide the other keys among the service and the protocol."""
        return None if value is None else self._each(value, self._settle_one, site)

    def read(self, value: Any, site: Site) -> tuple[Listen, ...]:
        """Do both, for each listener whatever is wrong with the others."""
        return self._each(value, self._read_one, site)

    def _each(self, value: Any, step: Callable[..., Listen], *about: Any) -> tuple[Listen, ...]:
        items = value if isinstance(value, list | tuple) else [value]
        if not items:
            raise Misfit(self.needs)
        tries = Tries()
        found = [tries.run(step, item, *about, at=(index,)) for index, item in enumerate(items)]
        tries.end()
        return tuple(found)

    def _parse_one(self, value: Any) -> Listen:
        if isinstance(value, str):
            return Listen(url=self._url.parse(value))
        options = self._options(value)
        if "url" not in value:
            raise Misfit(self._url.needs, ("url",), got="nothing")
        tries = Tries()
        place = tries.run(self._url.parse, value["url"], at=("url",))
        tries.end()
        return Listen(url=place, options=options)

    def _options(self, value: Any) -> dict[str, Any]:
        if isinstance(value, str):
            return {}
        if not isinstance(value, Mapping):
            raise Misfit(self.needs)
        return {name: item for name, item in value.items() if name != "url"}

    def _read_one(self, value: Any, site: Site) -> Listen:
        options = self._options(value)
        tries = Tries()
        listen = tries.run(self._parse_one, value)
        # without a URL the other keys are looked at all the same
        settled = tries.run(self._settle_one, listen or Listen(url=Url(scheme=""), options=options), site)
        tries.end()
        found: Listen = settled
        return found

    def _settle_one(self, listen: Listen, site: Site) -> Listen:
        """Divide the keys of one listener among the service, the choice of protocol and codec, and the protocol."""
        from firefly_core.kernel.config.config import build, keys

        rest = dict(listen.options)
        tries = Tries()
        own_class = self.own or NoKeys
        common = ["url", *keys(own_class)]
        mine = {name: rest.pop(name) for name in list(rest) if name in keys(own_class)}
        own = tries.run(build, own_class, mine, site)
        if self._protocol is None:
            tries.run(build, NoKeys, rest, site, common)
            tries.end()
            return attrs.evolve(listen, own=own if self.own else None)
        common += ["protocol", "codec"]
        chosen, wanted = rest.pop("protocol", self._protocol), rest.pop("codec", None)
        protocol = tries.run(self._find_protocol, chosen, site)
        codec, settings = "", None
        if protocol is not None:
            codec = tries.run(self._find_codec, protocol, wanted, site)
            settings = tries.run(build, protocol.Config, rest, site, common)
        tries.end()
        return attrs.evolve(listen, own=own if self.own else None, protocol=protocol, codec=codec, settings=settings)

    def _find_protocol(self, name: Any, site: Site) -> type[Protocol] | None:
        if site.plugins is None:
            return None
        known = site.plugins.protocols
        if isinstance(name, str) and name in known:
            return known[name]
        hint = nearest(name, known)
        if isinstance(name, str) and name and not (site.complete or hint):
            return None
        needs = f"a protocol that a plugin offers ({', '.join(known) or 'none'})"
        raise Misfit(needs, ("protocol",), hint=hint, got="" if name else "nothing")

    def _find_codec(self, protocol: type[Protocol], name: Any, site: Site) -> str:
        offered = site.plugins.codecs if site.plugins is not None else {}
        known = [codec for codec in offered if protocol.codecs is None or codec in protocol.codecs]
        wanted = protocol.default_codec if name is None else name
        hint = nearest(name, known)
        perhaps = isinstance(wanted, str) and wanted not in offered and not (site.complete or hint)
        if wanted in known or perhaps:
            return str(wanted)
        needs = f'a codec that fits protocol "{protocol.name}" ({", ".join(known) or "none is offered"})'
        got = f'"{wanted}", its default' if name is None else ""
        raise Misfit(needs, ("codec",), hint=hint, got=got)


def listeners(*schemes: str, own: type | None = None, protocol: str | None = None, spread: bool = False) -> Rule:
    """Accept a URL, a table with `url`, or a list of either; gives a tuple of Listen.

    `own` is a Config class of keys that the service itself takes for each listener. With `protocol` (the name of the
    one to use when the file names none, or "" to require it) the rest belongs to the protocol's Config, and `protocol`
    and `codec` are looked up among what the plugins offer. `spread`: replica i listens on port + i - 1; otherwise
    replicas share the port.
    """
    return Listeners(schemes, own, protocol, spread)
