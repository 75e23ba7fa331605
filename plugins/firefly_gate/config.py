"""The keys of `[servers.X.gate]`."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_network
from pathlib import Path

from firefly_core.kernel.config.config import (
    KiB,
    Listen,
    MiB,
    Misfit,
    Rate,
    Rule,
    boolean,
    choice,
    config,
    duration,
    integer,
    key,
    list_of,
    listeners,
    map_of,
    optional,
    path,
    text,
)
from firefly_core.kernel.config.config import rate as rate_rule
from firefly_core.kernel.config.config import size as size_rule

__all__ = ["GateConfig", "ListenerConfig"]


def network() -> Rule:
    """Accept a network such as `"10.0.0.0/8"`."""
    needs = 'a network such as "10.0.0.0/8" or "2001:db8::/32"'

    def parse(value: object) -> str:
        try:
            return str(ip_network(value)) if isinstance(value, str) else _misfit(needs)
        except ValueError:
            return _misfit(needs)

    return Rule(needs, parse)


def _misfit(needs: str) -> str:
    raise Misfit(needs)


@config
class ListenerConfig:
    """The keys that every listener of a gate takes, beside its protocol's."""

    origins: tuple[str, ...] | None = key(
        list_of(text(2048)),
        'WebSocket only: the origins of pages that may connect; "none" lets clients in that send no origin, "*" any',
        default=[],
    )
    compression: bool = key(
        boolean(),
        "WebSocket only: whether messages are compressed (permessage-deflate) with clients that offer it; max_frame "
        "holds for a message both compressed and inflated",
        default=False,
    )
    certificate: Path | None = key(
        optional(path()), "tls and wss: the file of the server's certificate and those above it, as PEM", default=None
    )
    private_key: Path | None = key(
        optional(path()), "tls and wss: the file of its key; absent: it is in the certificate's file", default=None
    )
    proxy: bool = key(
        boolean(),
        "whether a proxy in front of it says who its clients are (PROXY protocol, version 2); it must be trusted",
        default=False,
    )


@config
class GateConfig:
    """Where clients connect, and how much each of them may ask for."""

    listen: tuple[Listen, ...] = key(
        listeners("tcp", "tls", "ws", "wss", own=ListenerConfig, protocol=""),
        "where clients connect: a table (or a list of them) with url, protocol, codec and the protocol's own keys",
    )
    rate: Rate | None = key(
        rate_rule(), "messages that a session may send; twice as many at once; beyond that it is read slower", "30/s"
    )
    max_frame: int = key(size_rule(64, 16 * MiB), "bytes of the largest message of a client", 64 * KiB)
    login_frame: int = key(size_rule(64, 16 * MiB), "bytes of the largest message before login", 4 * KiB)
    login_timeout: float = key(duration(0.1, 3600), "seconds until a session must have logged in", 15.0)
    frame_timeout: float = key(
        duration(0.1, 600), "seconds from a message's first byte to its last, and for a TLS handshake", 5.0
    )
    heartbeat: float = key(
        duration(1, 3600), "seconds of silence until a client is asked for a sign of life; dead after twice that", 15.0
    )
    idle_timeout: float = key(
        duration(0, 86_400), "seconds of silence after which a client that cannot be asked is closed; 0: never", 0.0
    )
    queue: int = key(
        size_rule(4 * KiB, 64 * MiB),
        "unsent bytes, and 128 for each message, at which a client is too slow and closed",
        256 * KiB,
    )
    send_timeout: float = key(duration(0.1, 600), "seconds without progress at which such a client is closed", 5.0)
    timeout: float = key(duration(0.001, 86400), "seconds a command may take that does not say so itself", 10.0)
    in_flight: int = key(integer(1, 1024), "commands of one session that may be open at a node", 64)
    parking: int = key(
        size_rule(1 * KiB, 16 * MiB), "bytes of waiting commands at which a session is not read", 16 * KiB
    )
    max_sessions: int = key(integer(1, 1_000_000), "sessions at one gate; a further client is told `busy`", 10_000)
    per_address: int = key(integer(1, 1_000_000), "connections that one address (IPv6: one /64) may have", 256)
    connect_rate: Rate | None = key(rate_rule(), "new connections of one address", "50/s")
    trusted: tuple[str, ...] = key(
        list_of(network()), "networks whose addresses are exempt from per_address and connect_rate, as loopback is", []
    )
    second_login: str = key(
        choice("replace", "refuse"),
        "a player who is logged in logs in again: which session ends, the old or the new",
        "replace",
    )
    resume_timeout: float = key(
        duration(0, 3600),
        "seconds that a session waits for its client to come back; 0: it ends with its connection",
        60.0,
    )
    resume_buffer: int = key(
        size_rule(1 * KiB, 16 * MiB), "bytes of pushes that are kept for a client until it acknowledges them", 32 * KiB
    )
    resume_answers: int = key(
        size_rule(1 * KiB, 16 * MiB),
        "bytes of the last 32 answers that are kept for a client; a request whose answer is let go is answered "
        "`unavailable` when it comes again, not executed",
        128 * KiB,
    )
    login_command: int | None = key(
        optional(integer(0, 2**32 - 1)),
        "id of the gate's own login command, whose body goes to the hook firefly_authenticate; by name: firefly.login",
        None,
    )
    account_failures: int = key(integer(1, 1000), "failed logins that lock an account for a minute", 5)
    address_failures: int = key(integer(1, 1000), "failed logins that lock an address for ten minutes", 10)
    routes: Mapping[str, str] = key(
        map_of(choice("sticky", "uid", "least")),
        "how a session finds its node among the replicas of a server: sticky (the one with the fewest sessions, for as "
        "long as it lives), uid (by the player's uid), least (for each command the one with the fewest open ones)",
        {},
    )
