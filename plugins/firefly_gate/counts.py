"""What a gate counts: plain ints, and words that games choose, of which there are so many at most."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from firefly_core.kernel.tally import Tally

__all__ = ["Counts"]


@attrs.define
class Counts:
    """The counters of one gate."""

    accepted: int = 0
    refused: int = 0
    dropped: int = 0
    """Pushes that their policy let go."""
    throttled: int = 0
    errors: Tally = attrs.Factory(Tally)
    """What clients were told, by code."""
    closed: Tally = attrs.Factory(Tally)
    """Why connections ended; a game that kicks gives reasons of its own."""

    def figures(self) -> Mapping[str, float]:
        """Give all of them; the names end in `_total`."""
        return {
            "accepted_total": self.accepted,
            "refused_total": self.refused,
            "throttled_total": self.throttled,
            "pushes_dropped_total": self.dropped,
            "errors_total": self.errors.total(),
            **{f"errors_{code}_total": count for code, count in self.errors.items()},
            **{f"closed_{reason}_total": count for reason, count in self.closed.items()},
        }
