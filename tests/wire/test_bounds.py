"""The caps on values from outside, and the path to what breaks them."""

import math

import attrs
import pytest

from firefly_core.errors import PayloadError
from firefly_core.wire.bounds import CLIENT, PEER


def nested(depth, shape=list):
    value = shape()
    for _ in range(depth - 1):
        value = [value] if shape is list else {"a": value}
    return value


def refusal(bounds, value, **options) -> str:
    with pytest.raises(PayloadError) as refused:
        bounds.check(value, **options)
    return str(refused.value)


@pytest.mark.parametrize("bounds", [CLIENT, PEER])
@pytest.mark.parametrize("value", [None, True, 7, "x", b"x", 1.5, [], {}, (), [{}], {"a": [1, "b", None, (2,)]}])
def test_small_plain_values_pass(bounds, value):
    bounds.check(value)


@pytest.mark.parametrize("bounds", [CLIENT, PEER])
@pytest.mark.parametrize("shape", [list, dict])
def test_depth_is_32(bounds, shape):
    bounds.check(nested(32, shape))
    assert "deeper than 32" in refusal(bounds, nested(33, shape))
    assert "deeper than 32" in refusal(bounds, nested(900, shape))


@pytest.mark.parametrize(("bounds", "most"), [(CLIENT, 1024), (PEER, 65536)])
def test_arrays_have_a_longest(bounds, most):
    for kind in (list, tuple):
        bounds.check(kind([0] * most))
        assert str(most) in refusal(bounds, kind([0] * (most + 1)))


@pytest.mark.parametrize(("bounds", "most"), [(CLIENT, 512), (PEER, 65536)])
def test_maps_have_a_largest(bounds, most):
    bounds.check({str(key): 0 for key in range(most)})
    assert str(most) in refusal(bounds, {str(key): 0 for key in range(most + 1)})


def test_clients_have_string_keys_and_peers_integers_too():
    PEER.check({"a": 1, 2: 3})
    assert "strings" in refusal(CLIENT, {1: 2})
    CLIENT.check({1: 2}, keys=False)
    for key in (b"a", None, 1.5, True, (1,)):
        refusal(CLIENT, {key: 1})
        refusal(PEER, {key: 1})


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_clients_send_finite_numbers(number):
    for value in (number, [number], {"a": (number,)}):
        assert "finite" in refusal(CLIENT, value)
        PEER.check(value)


def test_keys_of_every_kind_are_checked_as_values_are():
    CLIENT.check({(1, 2): 3, 1.5: 4, None: 5}, keys=False)
    for key in (math.nan, (1, math.inf), (0,) * 1025, to_tuple(nested(33))):
        refusal(CLIENT, {"a": {key: 1}}, keys=False)


def to_tuple(value):
    return tuple(map(to_tuple, value))


def test_the_fault_is_told_with_its_path():
    assert refusal(CLIENT, {"a": [0, {"b": {1: 2}}]}).endswith("at `$.a[1].b`")
    assert refusal(CLIENT, math.nan).endswith("at `$`")
    assert refusal(CLIENT, [[], [math.inf]]).endswith("at `$[1][0]`")


def test_a_long_key_does_not_make_a_long_message():
    assert len(refusal(CLIENT, {"k" * 60_000: math.nan})) < 200


def test_bounds_of_ones_own_can_be_derived():
    small = attrs.evolve(CLIENT, array=2, map=1, depth=2)
    small.check([1, {"a": 2}])
    for value in ([1, 2, 3], {"a": 1, "b": 2}, [[[]]]):
        refusal(small, value)
