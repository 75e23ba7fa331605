"""What every service keeps, as a class of tests to inherit; Firefly's own services inherit it too.

class TestMail(ServiceContract):
    service = "mail"
    declaration = TOML          # a firefly.toml in which one server has [servers.X.mail]
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import attrs
import gevent
import pytest

from firefly_core.errors import ConfigurationError
from firefly_core.kernel.config.config import keys
from firefly_core.kernel.kernel import Kernel
from firefly_core.kernel.service import Phase, Service
from firefly_core.testing.cluster import InProcessCluster
from firefly_core.testing.world import World, virtual_time

__all__ = ["ServiceContract"]

METRIC = re.compile(r"[a-z][a-z0-9_]*")
NAME = re.compile(r"[a-z][a-z0-9_-]*")
BUSY = 30.0
"""Virtual seconds that a service runs while its statistics are watched."""


class ServiceContract:
    """Inherit it, say which service and a declaration in which it runs, and override `use` to give it work."""

    declaration: ClassVar[str]
    """The text of a firefly.toml; every server of it is started."""
    service: ClassVar[str]
    """The name of the service, as in `[servers.X.<service>]`."""
    handlers: ClassVar[Mapping[str, Any]] = {}
    """Handlers of its servers, as InProcessCluster takes them."""

    def use(self, cluster: InProcessCluster) -> None:
        """Give the service some work, so that what it holds then must be let go; nothing by default."""

    @pytest.fixture
    def world(self) -> Iterator[World]:
        """Virtual time."""
        with virtual_time(seed=1) as world:
            yield world

    @pytest.fixture
    def cluster(self, world: World) -> Iterator[InProcessCluster]:  # noqa: ARG002  it must run in virtual time
        """The declaration, not started."""
        with InProcessCluster(self.declaration, handlers=self.handlers) as cluster:
            yield cluster

    # ----------------------------------------------------------------------------------------------- what it says

    def test_it_says_its_name_and_its_phase(self, cluster: InProcessCluster) -> None:
        """A name fit for a table, a phase of the enumeration."""
        kind = self._kind(cluster)
        assert kind.name == self.service
        assert NAME.fullmatch(kind.name)
        assert isinstance(kind.phase, Phase)

    def test_each_key_of_its_config_has_a_help_text_and_cannot_be_changed(self, cluster: InProcessCluster) -> None:
        """Config is a frozen attrs class of documented keys."""
        config = self._kind(cluster).Config
        assert attrs.has(config)
        assert all(entry.help.strip() for entry in keys(config).values())
        declared = cluster.declared.servers[self._server(cluster)].services[self.service]
        for name in keys(config):
            with pytest.raises(attrs.exceptions.FrozenInstanceError):
                setattr(declared, name, None)

    def test_its_check_finds_nothing_wrong_with_a_right_declaration(self, cluster: InProcessCluster) -> None:
        """Check gives pairs of texts, and none here."""
        server = self._server(cluster)
        config = cluster.declared.servers[server].services[self.service]
        assert list(self._kind(cluster).check(server, config, cluster.declared)) == []

    # ---------------------------------------------------------------------------------------------- what it does

    def test_it_does_nothing_before_it_is_started(self, cluster: InProcessCluster, world: World) -> None:
        """Making a kernel opens no connection and starts no greenlet."""
        server = self._server(cluster)
        network = cluster.network
        assert network is not None
        kernel = Kernel(cluster.declared, server, network=network.host("unborn"), clock=world.clock, handlers=None)
        gevent.sleep(1)
        assert network.connections == []
        assert world.greenlets == []
        kernel.stop()

    def test_a_service_that_was_never_started_can_be_stopped(self, cluster: InProcessCluster, world: World) -> None:
        """Stop does not raise, whatever has not happened."""
        server = self._server(cluster)
        kernel = Kernel(cluster.declared, server, clock=world.clock, handlers=None)
        service = kernel.services[self.service]
        service.stop()
        service.stop()
        kernel.stop()

    def test_it_starts_works_stops_and_starts_again(self, cluster: InProcessCluster) -> None:
        """What it held is free again: ports, names, files."""
        for _ in range(3):
            cluster.start()
            self.use(cluster)
            cluster.stop()

    def test_it_can_be_drained_and_stopped_while_it_works(self, cluster: InProcessCluster) -> None:
        """Drain ends within the deadline when nobody asks for more."""
        cluster.start()
        self.use(cluster)
        assert cluster.drain(self._server(cluster))
        cluster.stop()

    def test_nothing_is_left_of_it(self, cluster: InProcessCluster, world: World) -> None:
        """No greenlet, no connection, a moment after it has stopped."""
        cluster.start()
        self.use(cluster)
        cluster.close()
        gevent.sleep(BUSY)
        assert cluster.network is not None
        assert cluster.network.connections == []
        assert world.greenlets == []

    def test_its_statistics_have_names_are_finite_and_its_counters_never_fall(self, cluster: InProcessCluster) -> None:
        """Plain numbers; what ends in `_total` only grows."""
        cluster.start()
        service = cluster.kernel(self._server(cluster)).services[self.service]
        before: dict[str, float] = {}
        for _ in range(3):
            now = dict(service.statistics())
            for name, value in now.items():
                assert METRIC.fullmatch(name), name
                assert isinstance(value, int | float), name
                assert math.isfinite(value), name
            fallen = [name for name in before if name.endswith("_total") and now[name] < before[name]]
            assert fallen == []
            before = now
            self.use(cluster)
            gevent.sleep(BUSY)

    def test_two_of_it_live_side_by_side(self, cluster: InProcessCluster) -> None:
        """Nothing about it is global: a second cluster of the same declaration runs in the same process."""
        cluster.start()
        with InProcessCluster(self.declaration, handlers=self.handlers, seed=2) as other:
            other.start()
            self.use(other)
            self.use(cluster)

    # --------------------------------------------------------------------------------------------------- details

    def _kind(self, cluster: InProcessCluster) -> type[Service]:
        return cluster.declared.plugins.services[self.service]

    def _server(self, cluster: InProcessCluster) -> str:
        for server in cluster.declared.servers.values():
            if self.service in server.services:
                return server.name
        raise ConfigurationError([f"the declaration has no [servers.X.{self.service}]"])
