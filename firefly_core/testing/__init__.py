"""The test kit: a whole cluster in one process, in virtual time, over links in memory, with faults on demand.

`pytest -p firefly_core.testing` patches gevent in before anything else is imported and offers the fixtures.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from firefly_core.testing.cache_contract import CacheContract
    from firefly_core.testing.client import FakeClient
    from firefly_core.testing.client_wire import DatapackWire, JsonWire, PushReceived
    from firefly_core.testing.clock import VirtualClock
    from firefly_core.testing.cluster import InProcessCluster
    from firefly_core.testing.context import Called, FakeContext, Pushed
    from firefly_core.testing.faults import BAD_LINK, Chaos
    from firefly_core.testing.memory_network import ANY, MemoryNetwork
    from firefly_core.testing.memory_pipe import Conditions
    from firefly_core.testing.msgpack_wire import MsgpackWire
    from firefly_core.testing.pomelo_wire import PomeloWire
    from firefly_core.testing.protocol_contract import ProtocolContract
    from firefly_core.testing.service_contract import ServiceContract
    from firefly_core.testing.session import FakeSession
    from firefly_core.testing.still_clock import StillClock
    from firefly_core.testing.world import World, virtual_time

pytest_plugins = ("firefly_core.testing.fixtures",)

__all__ = [
    "ANY",
    "BAD_LINK",
    "CacheContract",
    "Called",
    "Chaos",
    "Conditions",
    "DatapackWire",
    "FakeClient",
    "FakeContext",
    "FakeSession",
    "InProcessCluster",
    "JsonWire",
    "MemoryNetwork",
    "MsgpackWire",
    "PomeloWire",
    "ProtocolContract",
    "PushReceived",
    "Pushed",
    "ServiceContract",
    "StillClock",
    "VirtualClock",
    "World",
    "virtual_time",
]

_WHERE = {
    "ANY": "memory_network",
    "BAD_LINK": "faults",
    "CacheContract": "cache_contract",
    "Called": "context",
    "Chaos": "faults",
    "Conditions": "memory_pipe",
    "DatapackWire": "client_wire",
    "FakeClient": "client",
    "FakeContext": "context",
    "FakeSession": "session",
    "InProcessCluster": "cluster",
    "JsonWire": "client_wire",
    "MemoryNetwork": "memory_network",
    "MsgpackWire": "msgpack_wire",
    "PomeloWire": "pomelo_wire",
    "ProtocolContract": "protocol_contract",
    "PushReceived": "client_wire",
    "Pushed": "context",
    "ServiceContract": "service_contract",
    "StillClock": "still_clock",
    "VirtualClock": "clock",
    "World": "world",
    "virtual_time": "world",
}


def __getattr__(name: str) -> Any:
    # Lazily, so that `-p firefly_core.testing` can patch before anything here imports gevent's users.
    try:
        module = importlib.import_module(f"{__name__}.{_WHERE[name]}")
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
    return getattr(module, name)
