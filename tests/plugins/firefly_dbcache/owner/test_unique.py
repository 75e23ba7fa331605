"""Unique columns: refused before the acknowledgement, and never a reason for the database to refuse a change."""

import peewee
import pytest
from firefly_dbcache.model import CachedModel
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from firefly_core.errors import Conflict, Overloaded
from tests.promises import lab
from tests.promises.models import Account


class Guild(CachedModel):
    name = peewee.CharField(max_length=20, unique=True, null=True)
    realm = peewee.IntegerField(default=0)
    tag = peewee.CharField(max_length=5, default="")

    class Meta:
        indexes = ((("realm", "tag"), True),)


def test_a_value_that_another_row_has_is_refused_before_it_is_acknowledged(tmp_path):
    with lab.running(tmp_path) as db:
        db.create(Account, login="ada", email="a@x")
        with pytest.raises(Conflict, match="another row has the same email"):
            db.create(Account, login="bob", email="a@x")
        bob = db.create(Account, login="bob", email="b@x")
        bob.email = "a@x"
        with pytest.raises(Conflict, match="email"):
            db.save(bob)
        db.create(Account, login="cyd", email=None)
        db.create(Account, login="dan", email=None)
    with lab.running(tmp_path) as db, pytest.raises(Conflict):
        db.create(Account, login="eve", email="a@x")


def test_two_rows_of_one_unit_cannot_take_the_same_value(tmp_path):
    with lab.running(tmp_path) as db:

        def unit(unit):
            unit.create(Account, login="ada", email="a@x")
            unit.create(Account, login="bob", email="a@x")

        with pytest.raises(Conflict):
            db.transact(unit)
        assert db.many(Account, ["ada", "bob"]) == []


def test_several_columns_may_be_unique_together(tmp_path):
    with lab.running(tmp_path, [Guild]) as db:
        db.create(Guild, name="a", realm=1, tag="x")
        db.create(Guild, name="b", realm=2, tag="x")
        with pytest.raises(Conflict, match="realm, tag"):
            db.create(Guild, name="c", realm=1, tag="x")
        assert [guild.name for guild in db.where(Guild, realm=2, tag="x")] == ["b"]


def test_a_value_that_was_given_up_can_be_taken_once_the_database_knows(tmp_path):
    with lab.running(tmp_path, [Guild], flush_interval=30.0) as db:
        first = db.create(Guild, name="wolves", tag="1")
        assert db.owner.flusher.flush(5)
        first.name = "bears"
        db.save(first)
        db.create(Guild, name="wolves", tag="2")
        assert db.owner.database.run(lambda d: d.execute_sql("SELECT name FROM guild").fetchall()) == [("bears",)]
        assert db.owner.flusher.flush(5)
        assert db.owner.flusher.suspects == 0


def test_while_the_database_is_away_a_value_cannot_change_hands(tmp_path, monkeypatch):
    with lab.running(tmp_path, [Guild], flush_interval=30.0) as db:
        first = db.create(Guild, name="wolves", tag="1")
        assert db.owner.flusher.flush(5)
        db.delete(first)
        monkeypatch.setattr(db.owner.unique, "_wait_flushed", lambda place: False)
        with pytest.raises(Overloaded, match="change hands"):
            db.create(Guild, name="wolves", tag="2")
        monkeypatch.undo()


STEP = st.tuples(
    st.sampled_from(["make", "name", "delete", "flush", "forget"]), st.integers(0, 3), st.sampled_from("abc")
)


@given(steps=st.lists(STEP, min_size=3, max_size=20))
@settings(max_examples=12, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_history_of_names_makes_the_database_refuse_anything(steps, tmp_path_factory):
    with lab.running(tmp_path_factory.mktemp("unique"), [Guild], flush_interval=0.05) as db:
        model = {}
        for what, key, name in steps:
            taken = {other for number, other in model.items() if number != key + 1}
            try:
                if what == "make" and key + 1 not in model:
                    db.create(Guild, id=key + 1, name=name, tag=str(key))
                    model[key + 1] = name
                elif what == "name" and key + 1 in model:
                    db.update(Guild, key + 1, lambda guild, name=name: setattr(guild, "name", name))
                    model[key + 1] = name
                elif what == "delete" and key + 1 in model:
                    db.delete(db.get(Guild, key + 1))
                    del model[key + 1]
                elif what == "flush":
                    assert db.owner.flusher.flush(5)
                elif what == "forget":
                    db.owner.memory.clear()
                    db.owner.lists.forget(db.owner.tables["guild"])
            except Conflict:
                assert name in taken
                continue
            assert what not in ("make", "name") or name not in taken or model.get(key + 1) != name
        assert db.owner.flusher.flush(5)
        assert db.owner.flusher.suspects == 0
        assert db.owner.letters.letters == {}
        rows = db.owner.database.run(lambda d: d.execute_sql("SELECT id, name FROM guild").fetchall())
        assert dict(rows) == model
