"""Chaos from a seed: every kind of fault comes, the same again for the same seed, and all is mended at the end."""

import gevent
import pytest

from firefly_core.testing import Chaos, MemoryNetwork, virtual_time
from firefly_core.testing.memory_pipe import PERFECT


def run(seed, **options):
    crashes = []
    with virtual_time(seed) as world:
        network = MemoryNetwork(seed)
        network.trace = []
        network.host("b").listen("127.0.0.1", 1, lambda transport: transport.start(lambda: read(transport)))

        def read(transport):
            try:
                transport.recv(100)
            except OSError:
                transport.close()

        def talk():
            while True:
                try:
                    transport = network.host("a").dial("127.0.0.1", 1, timeout=60)
                    while True:
                        transport.send(b"x")
                        gevent.sleep(0.1)
                except OSError:
                    gevent.sleep(0.1)
                    transport.close()

        gevent.spawn(talk)
        with Chaos(network, [("a", "b")], also=[lambda: crashes.append(world.now)], **options) as chaos:
            gevent.sleep(300)
        mended = not network.is_cut("a", "b") and not network.is_cut("b", "a")
        perfect = network.conditions_of("a", "b") == network.conditions_of("b", "a") == PERFECT
        return chaos.counts, len(crashes), network.trace, mended and perfect


def test_every_kind_of_fault_comes_and_all_is_mended_at_the_end():
    counts, crashes, _, mended = run(1)
    assert set(counts) == {"reset", "cut", "split", "slow", "also"}
    assert crashes == counts["also"] > 10
    assert mended


def test_the_same_seed_gives_the_same_faults():
    assert run(4) == run(4)


def test_faults_can_be_chosen():
    counts, *_ = run(2, faults=("reset",), every=(1.0, 1.0))
    assert set(counts) <= {"reset", "also"}
    assert 290 < counts["reset"] + counts["also"] <= 300


def test_an_unknown_fault_is_an_error():
    with pytest.raises(KeyError, match="gremlins"):
        run(1, faults=("gremlins",))
