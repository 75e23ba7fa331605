"""Links: how channels come into being, accepted or dialed; both ends prove who they are before the mesh hears of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from firefly_core.channel.dialer import Dialer
from firefly_core.channel.rpc import RpcChannel
from firefly_core.channel.tls_network import TlsNetwork
from firefly_core.channel.transport import Network, Transport
from firefly_core.errors import CallError, ConfigurationError, NotAuthorized
from firefly_core.kernel.config.listen import Listen
from firefly_core.kernel.config.roots import RootAddress
from firefly_core.kernel.tally import Tally
from firefly_core.wire.hello import NONCE_SIZE, Acceptor, Initiator

if TYPE_CHECKING:
    from firefly_core.kernel.kernel import Kernel

__all__ = ["Links"]

WRONG_PROOF = "wrong_proof"


class Links:
    """Makes the channels of one kernel, and counts how they end."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._config = kernel.cluster.firefly.channel
        self._dialers: dict[str, Dialer] = {}
        self.limits = self._config.limits()
        """The bounds of every channel of this server."""
        self.made = 0
        """Connections that became, or tried to become, channels."""
        self.closed = Tally()
        """Why channels ended."""

    def accept(self, transport: Transport, *, strangers: bool, on_lost: Callable[[RpcChannel], None]) -> RpcChannel:
        """Give the channel of a connection that came in; `start` it. `strangers` may stay without a hello."""
        mesh = self._kernel.mesh

        def lost(channel: RpcChannel, reason: str) -> None:
            self.closed.add(reason)
            on_lost(channel)
            mesh.lost(channel)

        def ready(channel: RpcChannel) -> None:
            mesh.connected(channel)

        self.made += 1
        return RpcChannel(
            transport,
            self._kernel.runners,
            self._kernel.deadlines,
            mesh.dispatch if strangers else self._dispatch_known,
            limits=self.limits,
            on_lost=lost,
            on_ready=ready,
            hello=Acceptor(mesh.identity(), self._kernel.secrets, self._nonce(), mesh.refusal),
            strangers=strangers,
            new_trace=self._kernel.new_trace,
        )

    def reach(self, address: RootAddress) -> None:
        """Keep a channel to a root from now on; asking twice keeps one.

        Raises ConfigurationError where the files for TLS cannot be used.
        """
        if address.process not in self._dialers:
            dialer = self._dialers[address.process] = self._dialer(address)
            dialer.start()

    def serving(self, listen: Listen) -> Network:
        """Give the network that a root listens on; raises ConfigurationError where the files for TLS cannot be used."""
        kernel = self._kernel
        if listen.url.scheme != "tls":
            return kernel.network
        context = _usable(listen.own.serving, f"{listen.url}: its certificate and key")
        return TlsNetwork(kernel.network, kernel.deadlines, server=context, timeout=self.limits.hello_timeout)

    @property
    def down(self) -> int:
        """How many roots this server cannot reach just now."""
        return sum(dialer.channel is None for dialer in self._dialers.values())

    def stop(self) -> None:
        """Dial no more, and close the channels that were dialed."""
        for dialer in self._dialers.values():
            dialer.stop("server_stopping")

    def statistics(self) -> Mapping[str, float]:
        """Give the current figures; counters end in `_total`."""
        dialers = self._dialers.values()
        return {
            "made_total": self.made,
            "dials_total": sum(dialer.tries for dialer in dialers),
            "down": self.down,
            **{f"closed_{reason}_total": count for reason, count in self.closed.items()},
        }

    def _network(self, address: RootAddress) -> Network:
        kernel = self._kernel
        if address.credentials is None:
            return kernel.network
        context = _usable(address.credentials.dialing, f"tls://{address.host}:{address.port}: the files of its nodes")
        return TlsNetwork(kernel.network, kernel.deadlines, client=context, timeout=self.limits.hello_timeout)

    def _dialer(self, address: RootAddress) -> Dialer:
        kernel = self._kernel
        secrets = kernel.secrets
        refusals = 0
        """How often in a row the root did not take the secret that was tried."""

        def make(
            transport: Transport,
            *,
            on_ready: Callable[[RpcChannel], None],
            on_lost: Callable[[RpcChannel, str], None],
        ) -> RpcChannel:
            def lost(channel: RpcChannel, reason: str) -> None:
                self.closed.add(reason)
                on_lost(channel, reason)

            self.made += 1
            secret = secrets[refusals % len(secrets)]
            return RpcChannel(
                transport,
                kernel.runners,
                kernel.deadlines,
                kernel.mesh.dispatch,
                limits=self.limits,
                on_lost=lost,
                on_ready=on_ready,
                hello=Initiator(kernel.mesh.identity(), [secret], self._nonce(), kernel.mesh.refusal),
                new_trace=kernel.new_trace,
            )

        def refused(error: CallError) -> bool:
            nonlocal refusals
            if error.code == "old_epoch":
                kernel.give_up(f"{address.host}:{address.port} knows a newer {kernel.name} than epoch {kernel.epoch}")
            elif error.code == WRONG_PROOF:
                # Secrets are changed on one server after the other: this root may know the other one.
                refusals += 1
                return refusals < len(secrets)
            return False

        def connected(channel: RpcChannel) -> None:
            nonlocal refusals
            refusals %= len(secrets)
            kernel.mesh.connected(channel)

        def disconnected(channel: RpcChannel, _reason: str) -> None:
            kernel.mesh.lost(channel)

        return Dialer(
            address.host,
            address.port,
            network=self._network(address),
            clock=kernel.clock,
            random=kernel.random,
            make_channel=make,
            on_connected=connected,
            on_disconnected=disconnected,
            on_refused=refused,
            connect_timeout=self._config.connect_timeout,
            longest_delay=self._config.longest_delay,
        )

    def _dispatch_known(
        self, channel: RpcChannel, method: str, params: list[Any], meta: dict[str, Any] | None, request_id: int | None
    ) -> Any:
        """Dispatch for peers only: before the hello nothing runs, not even what is open elsewhere."""
        if channel.peer is None:
            raise NotAuthorized("say firefly.hello first")
        return self._kernel.mesh.dispatch(channel, method, params, meta, request_id)

    def _nonce(self) -> bytes:
        return self._kernel.random.randbytes(NONCE_SIZE)


def _usable(make: Callable[[], Any], what: str) -> Any:
    try:
        return make()
    except OSError as error:
        raise ConfigurationError([f"{what} cannot be used: {error}"]) from error
