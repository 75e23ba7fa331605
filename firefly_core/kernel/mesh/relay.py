"""Relays: a call that is meant for somebody else is passed on, once; no greenlet waits for its answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from firefly_core.channel.later import Later
from firefly_core.errors import CallError, DeadlineExceeded, Overloaded

if TYPE_CHECKING:
    from firefly_core.channel.rpc import RpcChannel
    from firefly_core.kernel.mesh.peer import Peer

__all__ = ["HOP", "Relay"]

HOP = 0.005
"""Seconds that a nested call leaves its caller to answer."""


class Relay:
    """Passes calls on, and brings the answers back in the order in which they come."""

    def __init__(self) -> None:
        self._open: Counter[str] = Counter()
        """Calls passed on to each peer that are not answered yet."""
        self._passed = 0
        self._dropped = 0
        self._refused = 0

    def pass_on(
        self,
        channel: RpcChannel,
        peer: Peer,
        method: str,
        params: Sequence[Any],
        meta: Mapping[str, Any],
        request_id: int | None,
    ) -> Later | None:
        """Send to `peer` what came in on `channel`; gives the answer to come, None for a notification.

        What is surely not executed says so: its caller may ask again.
        """
        onward = {"relayed": True}
        if meta.get("trace") is not None:
            onward["trace"] = meta["trace"]
        self._passed += 1
        if request_id is None:
            self._dropped += not peer.notify(method, *params, meta=onward)
            return None
        later = Later(channel, request_id, dict(meta))
        try:
            self._call(channel, peer, later, method, tuple(params), onward)
        except Exception as error:
            self._refused += 1
            later.fail(error, started=False)
        return later

    def refuse(
        self, channel: RpcChannel, error: CallError, meta: Mapping[str, Any], request_id: int | None
    ) -> Later | None:
        """Answer what cannot be passed on just now, and was surely not executed."""
        if request_id is None:
            self._dropped += 1
            return None
        self._refused += 1
        later = Later(channel, request_id, dict(meta))
        later.fail(error, started=False)
        return later

    def statistics(self) -> Mapping[str, float]:
        """Give the current figures; counters end in `_total`."""
        return {
            "open": self._open.total(),
            "passed_total": self._passed,
            "refused_total": self._refused,
            "notifications_dropped_total": self._dropped,
        }

    def _call(
        self,
        channel: RpcChannel,
        peer: Peer,
        later: Later,
        method: str,
        params: tuple[Any, ...],
        onward: dict[str, Any],
    ) -> None:
        # Over there no more may run for this server: beyond that a peer that hangs would hold this one's memory too.
        if self._open[peer.name] >= channel.limits.inflight:
            raise Overloaded(f"{self._open[peer.name]} calls to {peer.name} are open")
        remaining = later.expires - channel.now() - HOP
        if remaining <= 0:
            raise DeadlineExceeded("no time is left to pass it on")

        def done() -> None:
            self._open[peer.name] -= 1
            peer.calls -= 1

        def answered(error: CallError | None, result: Any) -> None:
            done()
            if error is None:
                later.reply(result)
            else:
                later.fail(error, started=False)

        def cancel() -> None:
            done()
            ahead.give_up(call)

        ahead = peer.reach()
        call = ahead.call_later(method, params, answered, timeout=remaining, meta=onward)
        self._open[peer.name] += 1
        peer.calls += 1
        later.on_cancel = cancel
