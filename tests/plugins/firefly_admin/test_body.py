import msgspec
import pytest
from firefly_admin.body import read_body

from firefly_core.errors import PayloadError


class Order(msgspec.Struct, forbid_unknown_fields=True):
    uid: int | str | None = None


@pytest.mark.parametrize(
    ("data", "uid"),
    [
        (b'{"uid": "ada"}', "ada"),
        (b'{"uid": 7}', 7),
        (b"{}", None),
        (b"", None),
        (b" \n", None),
        ('{"uid": "é\u202e"}'.encode(), "é\u202e"),
    ],
)
def test_what_is_right_is_read(data, uid):
    assert read_body(data, Order).uid == uid


@pytest.mark.parametrize(
    "data",
    [
        b'{"uid": NaN}',
        b'{"uid": -Infinity}',
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"uid": ' + b"9" * 5000 + b"}",
        b'{"uid": 1e999}',
        b'{"uid": 1, "uid": 2}',
        b'\xef\xbb\xbf{"uid": 7}',
        '{"uid": 7}'.encode("utf-16"),
        '{"uid": 7}'.encode("utf-32"),
        b"\xff",
        b"nul",
        b"[]",
        b"7",
        b'{"uid": 7} x',
        b'{"uid": 7, "more": 1}',
        b'{"uid": {}}',
        b'{"uid": "\\ud800"}',
    ],
)
def test_what_is_not_is_a_payload_error(data):
    with pytest.raises(PayloadError):
        read_body(data, Order)
