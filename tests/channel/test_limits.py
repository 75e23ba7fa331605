"""The defaults are those that the documentation promises."""

from __future__ import annotations

import re
from pathlib import Path

import attrs
import pytest

from firefly_core.channel.limits import ChannelLimits

DOCUMENT = Path(__file__).parents[2] / "docs" / "channels.md"


def test_the_defaults_of_the_channel_contract() -> None:
    limits = ChannelLimits()
    assert (limits.frame, limits.outbox_frames, limits.outbox_bytes) == (1 << 20, 4096, 8 << 20)
    assert (limits.inflight, limits.cancels, limits.cancel_window) == (256, 512, 10.0)
    assert (limits.timeout, limits.hello_timeout, limits.send_timeout) == (10.0, 5.0, 5.0)
    assert (limits.ping_after, limits.dead_after) == (5.0, 10.0)


def test_every_documented_bound_exists_with_its_default() -> None:
    table = DOCUMENT.read_text().split("## Bounds")[1].split("\n##")[0]
    documented = dict(re.findall(r"^\| ([^|]+) \| ([^|]+) \|", table, re.MULTILINE))
    scale = {"MiB": 1 << 20, "s": 1, "": 1}
    checked = 0
    for names, values in documented.items():
        for name, value in zip(re.findall(r"`(\w+)`", names), values.split(", "), strict=False):
            number, unit = re.match(r"([\d,]+) ?(MiB|s|)", value).groups()  # type: ignore[union-attr]
            assert getattr(ChannelLimits(), name) == int(number.replace(",", "")) * scale[unit], name
            checked += 1
    assert checked >= 10


def test_limits_are_one_object_that_nobody_changes() -> None:
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        ChannelLimits().frame = 1  # type: ignore[misc]
