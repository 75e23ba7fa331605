import random

from firefly_dbcache.rows.durability import Durability
from firefly_dbcache.rows.overlay import Overlay
from firefly_dbcache.rows.table import Table

from tests.promises.models import Hero

TABLE = Table(Hero, Durability.JOURNAL)
LIGHT = 10**9


def row(key, ver):
    return (key, ver, "x", 0, 0)


def test_the_lowest_sequence_that_is_needed_follows_every_history():
    generator = random.Random(5)
    overlay = Overlay(lambda: 0.0)
    needed = {}
    flushing = []
    for sequence in range(1, 3000):
        key = generator.randint(1, 40)
        late = sequence - generator.randint(0, 3)  # a commit that waited for the disk is applied late
        overlay.put(TABLE, key, row(key, sequence), sequence, late, journaled=True)
        needed.setdefault(("waiting", key), late)
        if generator.random() < 0.05 and not flushing:
            flushing = overlay.take(generator.randint(1, 10), LIGHT)
            for change in flushing:
                needed["flushing", change.key] = needed.pop(("waiting", change.key))
        elif generator.random() < 0.1 and flushing:
            overlay.done(flushing)
            for change in flushing:
                del needed["flushing", change.key]
            flushing = []
        assert overlay.lowest(sequence + 1) == min(needed.values(), default=sequence + 1)


def test_the_newest_state_is_found_while_an_older_one_is_flushed():
    overlay = Overlay(lambda: 0.0)
    overlay.put(TABLE, 1, row(1, 1), 1, 1, journaled=True)
    batch = overlay.take(10, LIGHT)
    overlay.put(TABLE, 1, None, 2, 2, journaled=True)
    assert overlay.find(TABLE, 1).row is None
    overlay.done(batch)
    assert overlay.find(TABLE, 1).row is None
    assert overlay.weight == overlay.find(TABLE, 1).weight


def test_rows_of_one_record_are_taken_together():
    overlay = Overlay(lambda: 0.0)
    for key, sequence in ((1, 1), (2, 2), (3, 2), (4, 2), (5, 3)):
        overlay.put(TABLE, key, row(key, 1), 1, sequence, journaled=True)
    assert [change.key for change in overlay.take(2, LIGHT)] == [1, 2, 3, 4]


def test_a_newer_state_waits_while_an_older_one_is_suspect():
    overlay = Overlay(lambda: 0.0)
    overlay.put(TABLE, 1, row(1, 1), 1, 1, journaled=True)
    (suspect,) = overlay.take(10, LIGHT)
    overlay.put(TABLE, 1, row(1, 2), 2, 2, journaled=True)
    assert overlay.take(10, LIGHT) == []
    assert overlay.superseded(suspect)
    assert [change.ver for change in overlay.take(10, LIGHT)] == [2]
    assert overlay.lowest(9) == 2


def test_a_batch_ends_at_its_weight_but_not_within_a_record():
    overlay = Overlay(lambda: 0.0)
    for key, sequence in ((1, 1), (2, 1), (3, 2), (4, 3)):
        overlay.put(TABLE, key, row(key, 1), 1, sequence, journaled=True)
    assert [change.key for change in overlay.take(100, 1)] == [1, 2]
    assert [change.key for change in overlay.take(100, 1)] == [3]


def test_a_replay_keeps_the_newest_state_and_the_oldest_sequence_of_a_row():
    overlay = Overlay(lambda: 0.0)
    for ver, sequence in ((5, 2), (7, 3), (6, 4)):
        overlay.restore(TABLE, 1, row(1, ver), ver, sequence)
    assert overlay.find(TABLE, 1).ver == 7
    assert overlay.lowest(9) == 2
    assert len(overlay) == 1
