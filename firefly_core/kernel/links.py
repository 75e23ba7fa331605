"""Links: how channels come into being, accepted or dialed; both ends prove who they are before the mesh hears of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from firefly_core.channel.dialer import Dialer
from firefly_core.channel.limits import ChannelLimits
from firefly_core.channel.rpc import RpcChannel
from firefly_core.channel.transport import Transport
from firefly_core.errors import CallError, NotAuthorized
from firefly_core.kernel.roots import RootAddress
from firefly_core.wire.hello import NONCE_SIZE, Acceptor, Initiator

if TYPE_CHECKING:
    from firefly_core.kernel.kernel import Kernel

__all__ = ["Links"]


class Links:
    """Makes the channels of one kernel."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._limits = ChannelLimits()
        self._dialers: dict[str, Dialer] = {}

    def accept(self, transport: Transport, *, strangers: bool, on_lost: Callable[[RpcChannel], None]) -> RpcChannel:
        """Give the channel of a connection that came in; `start` it. `strangers` may stay without a hello."""
        mesh = self._kernel.mesh

        def lost(channel: RpcChannel, _reason: str) -> None:
            on_lost(channel)
            mesh.lost(channel)

        def ready(channel: RpcChannel) -> None:
            mesh.connected(channel)

        return RpcChannel(
            transport,
            self._kernel.runners,
            self._kernel.deadlines,
            mesh.dispatch if strangers else self._dispatch_known,
            limits=self._limits,
            on_lost=lost,
            on_ready=ready,
            hello=Acceptor(mesh.identity(), [self._kernel.secret], self._nonce(), mesh.refusal),
            strangers=strangers,
            new_trace=self._kernel.new_trace,
        )

    def reach(self, address: RootAddress) -> None:
        """Keep a channel to a root from now on; asking twice keeps one."""
        if address.process not in self._dialers:
            dialer = self._dialers[address.process] = self._dialer(address.host, address.port)
            dialer.start()

    def stop(self) -> None:
        """Dial no more, and close the channels that were dialed."""
        for dialer in self._dialers.values():
            dialer.stop("server_stopping")

    def _dialer(self, host: str, port: int) -> Dialer:
        kernel = self._kernel

        def make(
            transport: Transport,
            *,
            on_ready: Callable[[RpcChannel], None],
            on_lost: Callable[[RpcChannel, str], None],
        ) -> RpcChannel:
            return RpcChannel(
                transport,
                kernel.runners,
                kernel.deadlines,
                kernel.mesh.dispatch,
                limits=self._limits,
                on_lost=on_lost,
                on_ready=on_ready,
                hello=Initiator(kernel.mesh.identity(), [kernel.secret], self._nonce(), kernel.mesh.refusal),
                new_trace=kernel.new_trace,
            )

        def refused(error: CallError) -> None:
            if error.code == "old_epoch":
                kernel.give_up(f"{host}:{port} knows a newer {kernel.name} than epoch {kernel.epoch}")

        def connected(channel: RpcChannel) -> None:
            kernel.mesh.connected(channel)

        def disconnected(channel: RpcChannel, _reason: str) -> None:
            kernel.mesh.lost(channel)

        return Dialer(
            host,
            port,
            network=kernel.network,
            clock=kernel.clock,
            random=kernel.random,
            make_channel=make,
            on_connected=connected,
            on_disconnected=disconnected,
            on_refused=refused,
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
