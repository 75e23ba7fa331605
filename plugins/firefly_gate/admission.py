"""Admission: how many connections one address may have and open, and the whole gate may hold."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from firefly_core.channel.clock import Clock
from firefly_core.kernel.config.config import Rate

__all__ = ["Admission", "address_key"]

MAX_ADDRESSES = 65_536
"""Addresses that are remembered; beyond that those without a connection are forgotten."""

Net = ipaddress.IPv4Network | ipaddress.IPv6Network


def address_key(address: str) -> str:
    """Give what counts as one address of `host:port`: an IPv4 address, or the /64 of an IPv6 one."""
    host = address.rpartition(":")[0].strip("[]")
    if ":" not in host:
        return host
    parsed = ipaddress.IPv6Address(host.partition("%")[0])
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.IPv6Network((parsed, 64), strict=False))


class _Account:
    """One address: its connections, and a bucket of new ones."""

    __slots__ = ("allowance", "connections", "refilled")

    def __init__(self, allowance: float, now: float) -> None:
        self.connections = 0
        self.allowance = allowance
        self.refilled = now


class Admission:
    """Counts connections by address. Loopback and trusted networks are exempt from the limits of an address."""

    def __init__(self, clock: Clock, *, most: int, rate: Rate | None, trusted: Sequence[str]) -> None:
        self._clock = clock
        self._most = most
        self._rate = rate
        self._trusted: list[Net] = [ipaddress.ip_network(net) for net in trusted]
        self._accounts: dict[str, _Account] = {}
        self._exempt: dict[str, bool] = {}

    def enter(self, address: str) -> str | None:
        """Count a new connection; gives the word it is refused with, or None. `leave` must follow in both cases."""
        key = address_key(address)
        if self.is_exempt(address):
            return None
        account = self._account(key)
        account.connections += 1
        if account.connections > self._most:
            return "too_many_connections"
        if self._rate is not None:
            now = self._clock.monotonic()
            earned = (now - account.refilled) * self._rate.per_second
            account.allowance = min(self._rate.count, account.allowance + earned) - 1
            account.refilled = now
            if account.allowance < 0:
                # A refused attempt costs nothing: who keeps trying gets exactly the rate.
                account.allowance += 1
                return "too_many_attempts"
        return None

    def leave(self, address: str) -> None:
        """Forget a connection."""
        account = self._accounts.get(address_key(address))
        if account is not None:
            account.connections -= 1

    def _account(self, key: str) -> _Account:
        account = self._accounts.get(key)
        if account is None:
            if len(self._accounts) >= MAX_ADDRESSES:
                self._accounts = {k: known for k, known in self._accounts.items() if known.connections > 0}
            most = self._rate.count if self._rate is not None else 0.0
            account = self._accounts[key] = _Account(most, self._clock.monotonic())
        return account

    def is_exempt(self, address: str) -> bool:
        """Whether no limit of addresses holds for this one."""
        key = address_key(address)
        known = self._exempt.get(key)
        if known is None:
            if len(self._exempt) >= MAX_ADDRESSES:
                self._exempt.clear()
            net = ipaddress.ip_network(key)
            host = net.network_address
            known = host.is_loopback or any(net.version == t.version and host in t for t in self._trusted)
            self._exempt[key] = known
        return known
