from firefly_dbcache.owner.memory import Memory
from firefly_dbcache.rows.durability import Durability
from firefly_dbcache.rows.table import Table

from tests.promises import lab
from tests.promises.models import Hero


def row(key, name="x"):
    return (key, 1, name, 0, 0)


def test_memory_stays_within_its_limit_and_keeps_what_is_used():
    table = Table(Hero, Durability.JOURNAL)
    memory = Memory([table], 40_000)
    for key in range(1, 1001):
        memory.put(table, key, row(key))
        memory.put(table, 1, row(1))
    assert memory.rotations > 3
    assert len(memory) * table.weight(row(1)) <= 40_000
    rows = memory.rows[table]
    assert 1 in rows.young or 1 in rows.old
    assert 2 not in rows.young
    assert 2 not in rows.old


def test_overwriting_a_row_does_not_push_others_out():
    table = Table(Hero, Durability.JOURNAL)
    memory = Memory([table], 40_000)
    for number in range(10_000):
        memory.put(table, 1, row(1, f"{number}"))
    assert memory.rotations == 0


def test_rows_that_are_not_flushed_are_found_although_memory_dropped_them(tmp_path):
    with lab.running(tmp_path, flush_interval=30.0, memory=65536) as db:
        for number in range(2000):
            db.create(Hero, name=f"h{number}")
        assert db.owner.memory.rotations > 2
        before = db.owner.reader.database_reads
        assert [db.get(Hero, key).name for key in (1, 2, 1000, 2000)] == ["h0", "h1", "h999", "h1999"]
        assert db.owner.reader.database_reads == before


def test_a_hundred_thousand_rows_take_less_than_a_kilobyte_each_beside_their_own_size(tmp_path):
    import tracemalloc

    table = Table(Hero, Durability.JOURNAL)
    memory = Memory([table], 1024 * 1024 * 1024)
    rows = [row(key, f"hero {key}") for key in range(20_000)]
    tracemalloc.start()
    for each in rows:
        memory.put(table, each[0], each)
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert used / len(rows) < 200
