"""Rates: `"30/s"` in firefly.toml and on decorators."""

from __future__ import annotations

import re
from typing import Any

import attrs

from firefly_core.kernel.config.misfit import Misfit
from firefly_core.kernel.config.rules import Rule

__all__ = ["Rate", "rate"]

FORM = re.compile(r"(\d{1,9}(?:\.\d{1,3})?)/(\d{0,6})(ms|s|min|h)")
SECONDS = {"ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0}


@attrs.frozen
class Rate:
    """So many events in so many seconds."""

    count: float
    seconds: float

    @property
    def per_second(self) -> float:
        """The same rate as events a second."""
        return self.count / self.seconds


def rate() -> Rule:
    """Accept a rate such as `"30/s"`, `"100/min"` or `"5/10s"`, or `"off"`; gives a Rate, or None for off."""
    needs = 'a rate such as "30/s", "100/min" or "5/10s", or "off"'

    def parse(value: Any) -> Rate | None:
        if value == "off":
            return None
        match = FORM.fullmatch(value) if isinstance(value, str) else None
        if match is None:
            raise Misfit(needs)
        count, units, unit = match.groups()
        seconds = float(units or 1) * SECONDS[unit]
        if float(count) <= 0 or seconds <= 0:
            raise Misfit(needs)
        return Rate(float(count), seconds)

    return Rule(needs, parse)
