"""What raw, json and msgpack have in common, and what each of them refuses."""

import contextlib
import datetime
import math
from typing import Annotated, Any

import attrs
import msgpack
import pytest
from firefly_protocols.json_codec import JsonCodec
from firefly_protocols.msgpack_codec import MsgpackCodec
from firefly_protocols.raw import RawCodec
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta

from firefly_core.errors import PayloadError

JSON, MSGPACK, RAW = JsonCodec(), MsgpackCodec(), RawCodec()
BOTH = pytest.mark.parametrize("codec", [JSON, MSGPACK], ids=["json", "msgpack"])


@attrs.frozen
class Move:
    x: Annotated[float, Meta(ge=0, le=100)]
    y: float = 0.0
    tags: list[str] = attrs.field(factory=list)


@attrs.frozen
class Free:
    anything: Any = None
    scores: dict[int, int] = attrs.field(factory=dict)
    when: datetime.datetime | None = None


def refusal(codec, body, type_=Any) -> str:
    with pytest.raises(PayloadError) as refused:
        codec.decoder(type_)(body)
    assert len(str(refused.value)) <= 300
    return str(refused.value)


# ---------------------------------------------------------------------------------------------------- in common


@BOTH
@pytest.mark.parametrize(
    "value", [None, True, 0, -1, 2**63, -(2**63), 1.5, "", "Grüße \U0001f525", [], {}, {"a": [{}]}]
)
def test_plain_values_come_back(codec, value):
    assert codec.decoder(Any)(codec.encode(value)) == value


@BOTH
def test_a_class_is_decoded_and_encoded(codec):
    assert codec.decoder(Move)(codec.encode(Move(1.5, 2, ["a"]))) == Move(1.5, 2.0, ["a"])
    assert codec.decoder(Move)(codec.encode({"x": 3, "more": [1, {"a": 2}]})) == Move(3.0)


@BOTH
def test_the_first_fault_is_told_with_its_path(codec):
    assert "$.x" in refusal(codec, codec.encode({"x": 101}), Move)
    assert "$.x" in refusal(codec, codec.encode({"x": "1"}), Move)
    assert "$.tags[1]" in refusal(codec, codec.encode({"x": 1, "tags": ["a", 2]}), Move)
    assert "x" in refusal(codec, codec.encode({}), Move)
    assert "got" in refusal(codec, codec.encode([1]), Move)


@BOTH
def test_true_is_not_a_number_and_a_number_not_true(codec):
    refusal(codec, codec.encode(True), int)
    refusal(codec, codec.encode(1), bool)
    refusal(codec, codec.encode("1"), int)
    refusal(codec, codec.encode(1.5), int)


@pytest.mark.parametrize("codec", [JSON, MSGPACK, RAW], ids=["json", "msgpack", "raw"])
def test_bytes_are_the_body_itself_both_ways(codec):
    body = codec.encode(b"") if codec is RAW else codec.encode({"a": 1})
    assert codec.decoder(bytes)(body) == body
    assert codec.encode(body) == body
    assert codec.encode(bytearray(body)) == body
    assert codec.encode(memoryview(body)) == body
    assert codec.decoder(bytes)(b"\xff anything") == b"\xff anything"


def test_none_has_a_body_in_every_codec():
    assert JSON.encode(None) == b"null"
    assert MSGPACK.encode(None) == b"\xc0"
    assert RAW.encode(None) == b""


@BOTH
def test_an_empty_body_is_none(codec):
    assert codec.decoder(Any)(b"") is None
    assert codec.decoder(None)(b"") is None
    assert codec.decoder(Move | None)(b"") is None
    refusal(codec, b"", Move)


MALFORMED = [
    (JSON, body) for body in (b"{", b"nul", b'"', b"\xff\xff" * 8, b"\x80\x04\x95cos\nsystem", b"1 1", b"\xc0")
]
MALFORMED += [(MSGPACK, body) for body in (b"\xc1", b"\x92\x01", b"\xa5nul", b"\x80\x04\x95cos\nsystem", b"\x01\x02")]


@pytest.mark.parametrize(("codec", "body"), MALFORMED)
@pytest.mark.parametrize("type_", [Any, Move, dict, list])
def test_malformed_bodies_are_refused(codec, body, type_):
    refusal(codec, body, type_)


@BOTH
@given(body=st.binary(max_size=200))
def test_no_body_does_anything_but_a_value_or_a_refusal(codec, body):
    for type_ in (Any, Move, Free, dict, dict[str, Any], list[int]):
        with contextlib.suppress(PayloadError):
            codec.decoder(type_)(body)


def nested(depth):
    value = []
    for _ in range(depth - 1):
        value = [value]
    return value


@BOTH
@pytest.mark.parametrize("shape", [lambda value: value, lambda value: {"a": value}], ids=["array", "map"])
def test_values_32_deep_are_taken_and_33_deep_are_not(codec, shape):
    deepest = 32 if shape(1) == 1 else 31
    assert codec.decoder(Any)(codec.encode(shape(nested(deepest)))) == shape(nested(deepest))
    assert "deeper than 32" in refusal(codec, codec.encode(shape(nested(deepest + 1))))


@BOTH
@pytest.mark.parametrize("depth", [33, 200, 900])
def test_nesting_is_refused_where_nobody_looks_too(codec, depth):
    body = codec.encode({"x": 1, "unknown": nested(depth)})
    assert "deeper than 32" in refusal(codec, body, Move)
    assert "deeper than 32" in refusal(codec, codec.encode({"anything": nested(depth)}), Free)


@BOTH
@pytest.mark.parametrize("size", [1025, 5000])
def test_arrays_over_1024_items_are_refused(codec, size):
    assert codec.decoder(Any)(codec.encode([0] * 1024)) == [0] * 1024
    assert codec.decoder(list[int])(codec.encode([0] * 1024)) == [0] * 1024
    for type_ in (Any, list, list[int]):
        refusal(codec, codec.encode([0] * size), type_)
    refusal(codec, codec.encode({"x": 1, "unknown": [0] * size}), Move)


@BOTH
@pytest.mark.parametrize("size", [513, 2000])
def test_maps_over_512_entries_are_refused(codec, size):
    largest = {str(key): 0 for key in range(512)}
    assert codec.decoder(Any)(codec.encode(largest)) == largest
    assert codec.decoder(dict[str, int])(codec.encode(largest)) == largest
    for type_ in (Any, dict, dict[str, int]):
        refusal(codec, codec.encode({str(key): 0 for key in range(size)}), type_)
    refusal(codec, codec.encode({"x": 1, "unknown": {str(key): 0 for key in range(size)}}), Move)


@BOTH
def test_the_last_of_two_equal_keys_counts(codec):
    body = b'{"a":1,"a":2}' if codec is JSON else b"\x82\xa1\x61\x01\xa1\x61\x02"
    assert codec.decoder(Any)(body) == {"a": 2}
    assert codec.decoder(dict[str, int])(body) == {"a": 2}


@BOTH
@pytest.mark.parametrize("text", ["\0", "\u202egnirts", "e\u0301\u0301", "\U0001f525" * 50, "\u2028\u2029"])
def test_text_of_every_kind_is_taken_as_it_is(codec, text):
    assert codec.decoder(Any)(codec.encode(text)) == text


@BOTH
def test_what_has_no_form_is_a_type_error(codec):
    endless = []
    endless.append(endless)
    for value in (object(), endless, "\ud800", {"a": {object(): 1}}, Codecless()):
        with pytest.raises(TypeError):
            codec.encode(value)


class Codecless:
    pass


@pytest.mark.parametrize(("codec", "body"), [*MALFORMED, (JSON, b""), (JSON, b'"\xff"'), (MSGPACK, b"")])
def test_bytes_that_a_client_could_not_read_are_a_type_error(codec, body):
    with pytest.raises(TypeError):
        codec.encode(body)


@BOTH
def test_a_type_that_cannot_be_made_is_a_type_error_when_the_decoder_is_prepared(codec):
    with pytest.raises(TypeError):
        codec.decoder(dict[Codecless | int, int] | list[int] | Move | Free)


@BOTH
def test_plain_maps_and_arrays_may_be_asked_for(codec):
    assert codec.decoder(dict)(codec.encode({"a": [1]})) == {"a": [1]}
    assert codec.decoder(list)(codec.encode([{"a": 1}])) == [{"a": 1}]
    assert "got" in refusal(codec, codec.encode([1]), dict)
    assert "got" in refusal(codec, codec.encode({}), list)


# --------------------------------------------------------------------------------------------------------- json


@pytest.mark.parametrize("body", [b"NaN", b"Infinity", b"-Infinity", b"1e400", b"-1e400", b"[1e999]", b'{"x":1e999}'])
@pytest.mark.parametrize("type_", [Any, float, Move])
def test_json_has_no_number_that_is_not_finite(body, type_):
    refusal(JSON, body, type_)


def test_a_float_that_is_not_finite_is_written_as_null():
    assert JSON.encode([math.nan, math.inf]) == b"[null,null]"


@pytest.mark.parametrize(
    "body", [b'"\xed\xa0\x80"', b'"\\ud800"', b'"\xff"', b'"\x01"', b"1 2", b"01", b"[1,]", b"{'a':1}", b"1" * 5000]
)
def test_json_outside_the_rfc_is_refused(body):
    refusal(JSON, body)


def test_integers_beyond_64_bits_are_for_the_declared_type_to_refuse():
    assert JSON.decoder(Any)(b"18446744073709551616") == 2**64
    refusal(JSON, b"18446744073709551616", Annotated[int, Meta(le=2**63 - 1)])


def test_brackets_and_commas_inside_strings_are_not_structure():
    value = {"text": "[" * 100 + "," * 2000}
    assert JSON.decoder(Any)(JSON.encode(value)) == value


# ------------------------------------------------------------------------------------------------------ msgpack


@pytest.mark.parametrize(
    "body",
    [
        "c1",
        "dd ff ff ff ff",
        "df ff ff ff ff",
        "91" * 33 + "c0",
        "91" * 1024 + "c0",
        "91" * 1025 + "c0",
        "91" * 8000 + "c0",
        "db ff ff ff ff 61",
        "c6 7f ff ff ff",
        "a3 ed a0 80",
        "81 01 02",
        "81 c4 01 61 01",
        "81 c0 01",
        "81 90 01",
        "81 80 01",
        "d4 05 00",
        "d6 ff 00 00 00 01",
        "c7 0c ff" + "ff" * 12,
        "c7 00 05",
        "92 01 c7 00 05",
        "cb 7f f8 00 00 00 00 00 00",
        "cb 7f f0 00 00 00 00 00 00",
        "cb ff f0 00 00 00 00 00 00",
        "cb ff ff ff ff ff ff ff ff",
        "ca 7f c0 00 00",
        "ca 7f 80 00 00",
        "ca ff 80 00 00",
        "91 ca ff 80 00 00",
        "81 a1 61 cb 7f f8 00 00 00 00 00 00",
        "01 02",
        "a1",
        "d9",
    ],
)
def test_msgpack_that_is_malformed_or_forbidden_is_refused(body):
    for type_ in (Any, object):
        refusal(MSGPACK, bytes.fromhex(body), type_)


@pytest.mark.parametrize(
    "body",
    [
        "81 a8 616e797468696e67 d4 05 00",
        "81 a8 616e797468696e67 d6 ff 00 00 00 01",
        "81 a4 7768656e d6 ff 00 00 00 01",
        "82 a1 78 01 a5 6f74686572 d4 05 00",
        "81 a8 616e797468696e67 cb 7f f0 00 00 00 00 00 00",
        "82 a1 78 01 a1 79 cb 7f f8 00 00 00 00 00 00",
        "82 a1 78 01 a5 6f74686572 91 90 c1",
        "81 a8 616e797468696e67 81 cb 7f f8 00 00 00 00 00 00 01",
        "81 a8 616e797468696e67 81 91 cb 7f f8 00 00 00 00 00 00 01",
    ],
)
def test_what_is_forbidden_is_refused_inside_classes_too(body):
    for type_ in (Move, Free):
        refusal(MSGPACK, bytes.fromhex(body), type_)


def test_65535_empty_maps_are_refused():
    body = b"\xdc\xff\xff" + b"\x80" * 65535
    for type_ in (Any, list, list[dict], Free):
        refusal(MSGPACK, body, type_)


def test_a_map_of_65535_short_keys_is_refused():
    body = b"\xde\xff\xff" + b"".join(msgpack.packb(f"{key:x}") + b"\xc0" for key in range(65535))
    for type_ in (Any, dict, dict[str, None], Free):
        refusal(MSGPACK, body, type_)


def test_the_largest_integers_are_taken():
    assert MSGPACK.decoder(Any)(b"\xcf" + b"\xff" * 8) == 2**64 - 1
    assert MSGPACK.decoder(Any)(b"\xd3\x80" + bytes(7)) == -(2**63)
    refusal(MSGPACK, b"\xcf" + b"\xff" * 8, Annotated[int, Meta(le=2**63 - 1)])


def test_floats_at_the_edge_of_the_finite_are_taken():
    for value in (1.7976931348623157e308, -1.7976931348623157e308, 5e-324, -0.0):
        assert MSGPACK.decoder(Any)(msgpack.packb([value])) == [value]
        assert MSGPACK.decoder(list[float])(msgpack.packb([value])) == [value]


def test_integer_keys_are_taken_where_a_class_declares_them():
    assert MSGPACK.decoder(Free)(msgpack.packb({"scores": {1: 2}})).scores == {1: 2}
    many = {key: key for key in range(500)}
    assert MSGPACK.decoder(Free)(msgpack.packb({"scores": many})).scores == many


@given(
    value=st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-(2**63), 2**64 - 1)
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text()
        | st.binary(),
        lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=5), inner, max_size=5),
        max_leaves=40,
    )
)
def test_whatever_msgpack_packs_within_the_bounds_is_taken(value):
    body = msgpack.packb(value)
    assert MSGPACK.decoder(Any)(body) == value


def test_bytes_inside_a_value_are_bin():
    assert MSGPACK.decoder(Any)(MSGPACK.encode({"blob": b"\x00\xff"})) == {"blob": b"\x00\xff"}


def test_datetimes_are_written_as_text_not_as_an_extension():
    when = datetime.datetime(2026, 11, 23, 12, 0, tzinfo=datetime.UTC)
    body = MSGPACK.encode({"when": when, "blob": b"\xff\xd4"})
    assert MSGPACK.decoder(Any)(body) == {"when": "2026-11-23T12:00:00Z", "blob": b"\xff\xd4"}
    assert MSGPACK.decoder(Free)(MSGPACK.encode(Free(when=when))).when == when


def test_integers_beyond_64_bits_have_no_msgpack():
    with pytest.raises(TypeError):
        MSGPACK.encode(2**64)


# ---------------------------------------------------------------------------------------------------------- raw


def test_raw_gives_the_bytes():
    for type_ in (Any, bytes, object):
        assert RAW.decoder(type_)(b"\x00\xff") == b"\x00\xff"


def test_raw_expects_no_body_where_the_handler_takes_none():
    assert RAW.decoder(None)(b"") is None
    refusal(RAW, b"x", None)


@pytest.mark.parametrize("type_", [dict, str, Move, list[int]])
def test_a_handler_of_values_is_not_reached_through_raw(type_):
    assert "raw" in refusal(RAW, b"{}", type_)


@pytest.mark.parametrize("value", ["text", 7, {}, [], Move(1)])
def test_raw_takes_bytes_and_none_only(value):
    with pytest.raises(TypeError):
        RAW.encode(value)
