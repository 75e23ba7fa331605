import pytest

from firefly_core.kernel.config.config import config, integer, key, keys
from firefly_core.kernel.config.sections import ServerConfig
from firefly_core.kernel.plugins.offers import OFFERS, RESERVED
from firefly_core.kernel.service import Phase, Service
from firefly_core.wire.codec import Codec
from firefly_core.wire.protocol import Protocol

SERVICES, PROTOCOLS, CODECS, CACHES = OFFERS


@config
class Config:
    x: int = key(integer(), "x", default=1)


def service(**changes):
    body = {
        "name": "door",
        "phase": Phase.DOOR,
        "Config": Config,
        "start": lambda self: None,
        "stop": lambda self: None,
    }
    return type("Door", (Service,), {**body, **changes})


def test_whole_service_has_no_fault():
    assert SERVICES.fault(service()) == ""
    assert SERVICES.name_of(service()) == "door"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"name": None}, "Door.name is None, needs a word of a-z, 0-9 and -, at most 32 characters"),
        ({"name": ""}, "Door.name is ''"),
        ({"name": "Big Name"}, "Door.name is 'Big Name'"),
        ({"name": "a" * 33}, "Door.name is"),
        ({"name": "handlers"}, 'Door.name is "handlers", which is a key of [servers.X] itself'),
        ({"phase": 7}, "Door.phase needs to be a Phase"),
        ({"Config": None}, "Door.Config: None is not an attrs class made by @config"),
        ({"Config": dict}, "Door.Config: <class 'dict'> is not an attrs class made by @config"),
    ],
)
def test_unfit_service_is_told(changes, said):
    assert SERVICES.fault(service(**changes)).startswith(said)


def test_abstract_service_is_told_what_it_lacks():
    cls = type("Door", (Service,), {"name": "door", "phase": Phase.DOOR, "Config": Config})
    assert SERVICES.fault(cls) == "Door lacks the methods start, stop"


def test_class_without_a_config_is_told():
    cls = type("Bare", (Service,), {"start": None, "stop": None, "name": "bare", "phase": Phase.DOOR})
    assert SERVICES.fault(cls).startswith("Bare.Config: ")


@pytest.mark.parametrize("item", [int, 5, None, Service, "door"])
def test_what_is_no_service_is_told(item):
    assert SERVICES.fault(item)


def test_protocols_are_classes_and_codecs_objects():
    assert "not a subclass of Protocol" in PROTOCOLS.fault(Codec)
    assert "Protocol lacks the methods" in PROTOCOLS.fault(Protocol)
    assert "not an object of a Codec class" in CODECS.fault(Codec)
    assert "not a class" in CACHES.fault(5)
    assert CACHES.fault(type("Cache", (), {"scheme": "memory"})) == ""
    assert CACHES.fault(type("Cache", (), {})).startswith("Cache.scheme is None")


def test_no_service_may_be_named_like_a_key_of_a_server():
    assert set(keys(ServerConfig)) == RESERVED
