import datetime
import decimal
import math
import uuid

import pytest
from firefly_dbcache.rows import plain


def test_a_bool_is_no_integer():
    with pytest.raises(TypeError, match="an int, not bool"):
        plain.whole(0, 10)(True)


@pytest.mark.parametrize("value", [-(2**63) - 1, 2**63, 10**400])
def test_an_integer_out_of_range_is_refused(value):
    with pytest.raises(ValueError, match="not between"):
        plain.whole(-(2**63), 2**63 - 1)(value)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 10**400])
def test_a_number_that_is_not_finite_is_refused(value):
    with pytest.raises(ValueError, match="finite"):
        plain.real(value)


def test_the_largest_float_passes():
    assert plain.real(1e308) == 1e308


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("a\0b", "NUL"),
        ("\ud800", "surrogate"),
        ("x" * 11, "11 characters are more than 10"),
        (b"x", "a str"),
        (7, "a str"),
    ],
)
def test_a_text_that_a_database_would_refuse_is_refused(value, reason):
    with pytest.raises((TypeError, ValueError), match=reason):
        plain.text(10)(value)


@pytest.mark.parametrize("value", ["' OR 1=1 -- ", '"; DROP TABLE hero; --', "\u202e", "e\u0301", "🐉", ""])
def test_a_text_is_only_a_text(value):
    assert plain.text(40)(value) == value


def test_decimals_are_kept_exactly_or_refused():
    store, load = plain.decimals(6, 2)
    assert load(store(decimal.Decimal("1234.5"))) == decimal.Decimal("1234.50")
    for value in ("1.234", "10000", "NaN", "Infinity"):
        with pytest.raises(ValueError, match="digits"):
            store(decimal.Decimal(value))
    with pytest.raises(TypeError):
        store(1.5)


def test_moments_with_a_zone_are_refused():
    with pytest.raises(ValueError, match="UTC"):
        plain.datetime(datetime.datetime.now(datetime.UTC))


def test_moments_come_back_as_they_were():
    moment = datetime.datetime(2026, 11, 23, 16, 50, 1, 7)
    assert plain.from_datetime(plain.datetime(moment)) == moment
    assert plain.from_date(plain.date(moment.date())) == moment.date()
    assert plain.from_time(plain.time(moment.time())) == moment.time()
    token = uuid.uuid4()
    assert plain.UUID(plain.uuid(token)) == token


@pytest.mark.parametrize(
    "value", [(1, 2), {1: 2}, {"a": {1, 2}}, [math.nan], [2**63], ["a\0"], {"\ud800": 1}, b"x", [[object()]]]
)
def test_json_takes_only_what_comes_back_the_same(value):
    with pytest.raises((TypeError, ValueError)):
        plain.json(value)


def test_json_is_not_followed_without_end():
    nested = []
    for _ in range(100_000):
        nested = [nested]
    with pytest.raises(ValueError, match="deep"):
        plain.json(nested)


def test_json_gives_a_new_value_each_time():
    stored = plain.json({"bag": [1, {"lantern": True}], "name": "Äda"})
    assert plain.from_json(stored) == {"bag": [1, {"lantern": True}], "name": "Äda"}
    assert plain.from_json(stored) is not plain.from_json(stored)
