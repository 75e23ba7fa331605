"""Tables that differ from the models are refused before the first row is written, each column named."""

import pytest

from firefly_core.errors import ConfigurationError, Overloaded
from tests.promises import lab
from tests.promises.drifts import DRIFTS, Knight, alter


@pytest.mark.parametrize("drift", DRIFTS)
def test_a_drift_is_refused_and_its_column_named(tmp_path, database, drift):
    column, told, changes = DRIFTS[drift]
    with lab.running(tmp_path, [Knight], database=database) as db:
        db.create(Knight, name="Ada", motto="onward")
        kind = db.owner.database.kind
        change = changes.get(kind, changes.get("*"))
        if change is None:  # this kind of database cannot differ in that way
            assert kind != "mysql"
            return
        assert db.owner.flusher.flush(5)
        alter(db.owner, change)
    with pytest.raises(ConfigurationError, match=rf"knight\.{column}: .*{told}"):
        lab.make_owner(tmp_path, [Knight], database=database).start()


def test_tables_that_the_db_cache_made_have_no_differences(tmp_path, database):
    with lab.running(tmp_path, database=database) as db:
        assert db.owner.schema.differences() == []
        assert db.owner.schema.missing() == []


def test_with_read_only_a_drift_is_served_but_not_written(tmp_path):
    with lab.running(tmp_path, [Knight]) as db:
        db.create(Knight, name="Ada")
        assert db.owner.flusher.flush(5)
        alter(db.owner, "ALTER TABLE knight ADD COLUMN admin INTEGER")
    with lab.running(tmp_path, [Knight], schema="read-only") as db:
        assert db.get(Knight, 1).name == "Ada"
        with pytest.raises(Overloaded, match="differ"):
            db.add(Knight, 1, gold=1)


def test_missing_tables_are_not_made_when_that_is_not_wanted(tmp_path):
    with pytest.raises(ConfigurationError, match=r"knight: the table is missing.*db migrate"):
        lab.make_owner(tmp_path, [Knight], create_tables=False).start()
