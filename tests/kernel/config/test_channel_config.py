import attrs
import pytest

from firefly_core.channel.limits import ChannelLimits
from firefly_core.errors import ConfigurationError
from firefly_core.kernel.config.channel_config import ChannelConfig
from firefly_core.kernel.config.config import keys, read_alone

FIXED = {"uncounted", "flush_frames", "flush_bytes"}
"""How the work is shared and batched: no bounds."""


def test_every_bound_of_a_channel_is_a_key_with_the_same_default():
    assert set(keys(ChannelConfig)) - {"connect_timeout", "longest_delay"} == set(
        attrs.fields_dict(ChannelLimits)
    ).difference(FIXED)
    assert read_alone(ChannelConfig).limits() == ChannelLimits()


@pytest.mark.parametrize("name", sorted(set(attrs.fields_dict(ChannelLimits)) - FIXED))
def test_every_key_reaches_the_bound_of_its_name(name):
    value = getattr(ChannelLimits(), name)
    changed = value + 1 if name != "ping_after" else value - 1
    limits = read_alone(ChannelConfig, {name: changed}).limits()
    assert limits == attrs.evolve(ChannelLimits(), **{name: changed})


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ({"ping_after": 10.0}, "dead_after must be longer than ping_after"),
        ({"outbox_bytes": 65536}, "outbox_bytes must hold a whole frame"),
        ({"frame": 0}, "frame: got 0"),
        ({"frame": 2**40}, "frame: got 1099511627776"),
        ({"frame": 4096}, "frame: got 4096"),
        ({"timeout": float("nan")}, "timeout: got"),
        ({"dead_after": float("inf")}, "dead_after: got"),
        ({"hello_timeout": -1}, "hello_timeout: got"),
        ({"inflight": True}, "inflight: got true"),
        ({"cancels": 1}, "cancels: got 1"),
    ],
)
def test_bounds_that_would_hold_nothing_are_refused(table, told):
    with pytest.raises(ConfigurationError) as caught:
        read_alone(ChannelConfig, table)
    assert told in str(caught.value)
