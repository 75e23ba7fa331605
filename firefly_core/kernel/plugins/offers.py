"""Offers: what plugins may hand in for services, protocols, codecs and caches, and what makes one unfit."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any

import attrs

from firefly_core.kernel.config.config import keys
from firefly_core.kernel.service import Phase, Service
from firefly_core.wire.codec import Codec
from firefly_core.wire.protocol import Protocol

__all__ = ["OFFERS", "RESERVED", "Offer"]

NAME = re.compile(r"[a-z][a-z0-9+._-]{0,31}")
RESERVED = frozenset({"replicas", "handlers", "critical", "reload", "stable", "cpus"})
"""Keys of `[servers.X]` itself, which no service may be named after."""


@attrs.frozen
class Offer:
    """One kind of offer: its hook, where it is kept, and how an item is checked and named."""

    kind: str
    one: str
    hook: str
    needs: str
    fault: Callable[[Any], str]
    """What is wrong with an item; empty when nothing is."""
    attribute: str = "name"

    def name_of(self, item: Any) -> str:
        """Give the word under which firefly.toml knows the item."""
        return str(getattr(item, self.attribute))


def _shown(item: Any) -> str:
    return item.__qualname__ if isinstance(item, type) else f"{type(item).__name__} object"


def _name_fault(item: Any, attribute: str = "name") -> str:
    name = getattr(item, attribute, None)
    if isinstance(name, str) and NAME.fullmatch(name):
        return ""
    return f"{_shown(item)}.{attribute} is {name!r}, needs a word of a-z, 0-9 and -, at most 32 characters"


def _class_fault(item: Any, parent: type) -> str:
    if not isinstance(item, type) or not issubclass(item, parent):
        return f"offers {_shown(item)}, which is not a subclass of {parent.__name__}"
    if inspect.isabstract(item):
        return f"{_shown(item)} lacks the methods {', '.join(sorted(getattr(item, '__abstractmethods__', ())))}"
    try:
        keys(getattr(item, "Config", None))  # type: ignore[arg-type]
    except TypeError as error:
        return f"{_shown(item)}.Config: {error}"
    return _name_fault(item)


def _service_fault(item: Any) -> str:
    fault = _class_fault(item, Service)
    if not fault and item.name in RESERVED:
        return f'{_shown(item)}.name is "{item.name}", which is a key of [servers.X] itself'
    if not fault and not isinstance(getattr(item, "phase", None), Phase):
        return f"{_shown(item)}.phase needs to be a Phase"
    return fault


def _protocol_fault(item: Any) -> str:
    return _class_fault(item, Protocol)


def _codec_fault(item: Any) -> str:
    if not isinstance(item, Codec):
        return f"offers {_shown(item)}, which is not an object of a Codec class"
    return _name_fault(item)


def _cache_fault(item: Any) -> str:
    if not isinstance(item, type):
        return f"offers {_shown(item)}, which is not a class"
    return _name_fault(item, "scheme")


OFFERS = (
    Offer("services", "service", "firefly_services", "Service classes", _service_fault),
    Offer("protocols", "protocol", "firefly_protocols", "Protocol classes", _protocol_fault),
    Offer("codecs", "codec", "firefly_codecs", "Codec objects", _codec_fault),
    Offer("caches", "cache", "firefly_caches", "cache classes", _cache_fault, "scheme"),
)
