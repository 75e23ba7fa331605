import datetime

import peewee
import pytest
from firefly_dbcache.model import CachedModel
from firefly_dbcache.rows.durability import Durability
from firefly_dbcache.rows.table import Table

from tests.promises.models import Everything, Hero


def model(name="Thing", *, meta=(), **fields):
    return type(name, (CachedModel,), {**fields, "Meta": type("Meta", (), dict(meta))})


def table(made):
    return Table(made, Durability.JOURNAL)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"when": peewee.TimestampField()}, "Thing.when: TimestampField"),
        ({"ip": peewee.IPField()}, "Thing.ip: IPField"),
        ({"fixed": peewee.FixedCharField()}, "Thing.fixed: FixedCharField"),
        ({"key": peewee.TextField(primary_key=True)}, "Thing.key: a key is"),
        ({"key": peewee.FloatField(primary_key=True)}, "Thing.key: a key is"),
        ({"key": peewee.BooleanField(primary_key=True)}, "Thing.key: a key is"),
        ({"key": peewee.CharField(max_length=256, primary_key=True)}, "at most 255"),
    ],
)
def test_columns_and_keys_that_cannot_be_held_are_refused(fields, told):
    with pytest.raises(TypeError, match=told):
        table(model(**fields))


def test_a_field_with_conversions_of_its_own_is_refused():
    class Shouting(peewee.CharField):
        def db_value(self, value):
            return value.upper()

    class Named(peewee.CharField):
        """Only a name for what it is."""

    with pytest.raises(TypeError, match="Shouting"):
        table(model(word=Shouting()))
    assert table(model(word=Named())).names == ("id", "ver", "word")


def test_a_key_of_several_columns_or_none_is_refused():
    fields = {"a": peewee.IntegerField(), "b": peewee.IntegerField()}
    with pytest.raises(TypeError, match="one column"):
        table(model(meta={"primary_key": peewee.CompositeKey("a", "b")}, **fields))
    with pytest.raises(TypeError, match="one column"):
        table(model(meta={"primary_key": False}, **fields))


def test_what_is_no_cached_model_is_refused():
    with pytest.raises(TypeError, match="CachedModel"):
        table(type("Plain", (peewee.Model,), {}))


def test_an_unknown_durability_of_a_model_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=r"cache, async, journal, fsync, through, not 'fync'"):
        table(model(meta={"durability": "fync"}))


def test_two_versions_of_a_model_have_different_shapes():
    one = table(model(a=peewee.IntegerField()))
    assert one.shape == table(model(a=peewee.IntegerField(default=3))).shape
    for other in (
        model(a=peewee.BigIntegerField()),
        model(a=peewee.IntegerField(null=True)),
        model(b=peewee.IntegerField()),
        model("Other", a=peewee.IntegerField()),
    ):
        assert table(other).shape != one.shape


def test_rows_and_objects_turn_into_each_other():
    made = table(Everything)
    thing = Everything(id=1, moment=datetime.datetime(2026, 1, 2), bag={"a": [1]})
    row = made.row(thing)
    again = made.instance(row)
    assert again.moment == thing.moment
    assert again.bag == thing.bag
    again.bag["a"].append(2)
    assert made.instance(row).bag == {"a": [1]}
    assert made.row(made.instance(row)) == row
    assert made.receive(made.send(row)) == row
    assert made.check_row(list(row)) == row


def test_the_weight_of_a_row_grows_with_its_texts():
    made = table(Hero)
    assert made.weight((1, 1, "x" * 1000, 0, 0)) - made.weight((1, 1, "", 0, 0)) == 1000


def test_a_foreign_key_takes_an_object_or_its_key():
    made = table(Everything)
    assert made.row(Everything(id=2, friend=Everything(id=1)))[made.place("friend")] == 1
    assert made.row(Everything(id=2, friend=1))[made.place("friend")] == 1
    assert made.row(made.new({"id": 2, "friend": 1}))[made.place("friend")] == 1
