"""The pytest side of the test kit, loaded by `pytest -p firefly_core.testing`: it patches first, then offers fixtures.

def test_a_catch_counts(firefly_context):
    assert catch(firefly_context(uid=7, state=Meadow()), Catch(1)).rank == 1

def test_two_players_meet(virtual_time, firefly_cluster):
    cluster = firefly_cluster(TOML, handlers={"world": world_module})
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from firefly_core.testing.cluster import InProcessCluster
    from firefly_core.testing.context import FakeContext
    from firefly_core.testing.world import World

__all__ = ["firefly_cluster", "firefly_context", "firefly_seed", "virtual_time"]

SEED = "FIREFLY_SEED"
seeds = pytest.StashKey[int]()


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests() -> None:
    """Patch before any conftest or test module imports what must be patched."""
    from gevent import monkey

    if not monkey.is_module_patched("threading"):
        monkey.patch_all()


@pytest.fixture
def firefly_seed(request: pytest.FixtureRequest) -> int:
    """Give the seed of a test: 1, or what the environment variable FIREFLY_SEED says."""
    seed = int(os.environ.get(SEED, "1"))
    request.node.stash[seeds] = seed
    return seed


@pytest.fixture
def virtual_time(firefly_seed: int) -> Iterator[World]:
    """Run the test on a hub of its own whose time jumps; gives the World."""
    from firefly_core.testing.world import virtual_time as begin

    with begin(firefly_seed) as world:
        yield world


@pytest.fixture
def firefly_context() -> type[FakeContext]:
    """Give FakeContext: a test calls it for each context that it needs."""
    from firefly_core.testing.context import FakeContext

    return FakeContext


@pytest.fixture
def firefly_cluster(firefly_seed: int) -> Iterator[Callable[..., InProcessCluster]]:
    """Give a function that makes and starts an in-process cluster, which is closed when the test ends.

    It takes what InProcessCluster takes, and `start=False`. Use it with `virtual_time` before it in the arguments.
    """
    from firefly_core.testing.cluster import InProcessCluster

    with ExitStack() as stack:

        def make(declaration: Any, *, start: bool = True, **options: Any) -> InProcessCluster:
            options.setdefault("seed", firefly_seed)
            cluster = stack.enter_context(InProcessCluster(declaration, **options))
            if start:
                cluster.start()
            return cluster

        yield make


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Say the seed of a test that failed."""
    report = yield
    seed = item.stash.get(seeds, None)
    if call.when == "call" and report.failed and seed is not None:
        report.sections.append(("Firefly", f"the seed was {seed}: run it again with {SEED}={seed}"))
    return report
