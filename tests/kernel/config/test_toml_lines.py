import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firefly_core.kernel.config.toml_file import dumps, same
from firefly_core.kernel.config.toml_lines import find_headers, find_lines, find_spans

SAMPLE = '''\
# a comment = 1
[firefly]                      # another
name = "x # no comment"
plugins = [
  "gate",  # key = 1
  "]",
]
text = """
[not.a.header]
key = 1 ""\\"
"""
raw = \'\'\'
other = 2\'\'\'

[servers.gate]
gate.rate = "5/s"
"a b".c = 1
table = { x = 1, y = [2, 3] }
[[ lists . "of tables" ]]
a = 1
[[lists."of tables"]]
a = 2
[lists."of tables".inner]
b = 3
last = 1'''


def test_every_key_and_header_is_found_on_its_line():
    assert find_lines(SAMPLE) == {
        ("firefly",): 2,
        ("firefly", "name"): 3,
        ("firefly", "plugins"): 4,
        ("firefly", "plugins", 0): 5,
        ("firefly", "plugins", 1): 6,
        ("firefly", "text"): 8,
        ("firefly", "raw"): 12,
        ("servers",): 15,
        ("servers", "gate"): 15,
        ("servers", "gate", "gate"): 16,
        ("servers", "gate", "gate", "rate"): 16,
        ("servers", "gate", "a b"): 17,
        ("servers", "gate", "a b", "c"): 17,
        ("servers", "gate", "table"): 18,
        ("servers", "gate", "table", "x"): 18,
        ("servers", "gate", "table", "y"): 18,
        ("servers", "gate", "table", "y", 0): 18,
        ("servers", "gate", "table", "y", 1): 18,
        ("lists",): 19,
        ("lists", "of tables"): 19,
        ("lists", "of tables", 0): 19,
        ("lists", "of tables", 0, "a"): 20,
        ("lists", "of tables", 1): 21,
        ("lists", "of tables", 1, "a"): 22,
        ("lists", "of tables", 1, "inner"): 23,
        ("lists", "of tables", 1, "inner", "b"): 24,
        ("lists", "of tables", 1, "inner", "last"): 25,
    }


def test_every_span_holds_exactly_the_value():
    document = tomllib.loads(SAMPLE)
    spans = find_spans(SAMPLE)
    assert len(spans) == 13
    for path, (start, end) in spans.items():
        value = document
        for part in path:
            value = value[part]
        assert tomllib.loads(f"x = {SAMPLE[start:end]}")["x"] == value


def test_headers_are_found_where_they_begin():
    headers = find_headers(SAMPLE)
    assert SAMPLE[headers[("servers", "gate")] :].startswith("[servers.gate]")
    assert ("servers",) not in headers


def test_windows_line_ends_count_once():
    assert find_lines("[a]\r\nb = 1\r\n\r\nc = 2\r\n") == {("a",): 1, ("a", "b"): 2, ("a", "c"): 4}


@pytest.mark.parametrize("text", ["", "\n\n", "# only\n", "a=1", "a=1#c", "[a]#c"])
def test_short_texts_have_their_keys(text):
    assert set(find_lines(text)) == {(name,) for name in tomllib.loads(text)}


NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
VALUES = st.recursive(
    st.booleans() | st.integers(-9, 9) | st.text(st.characters(exclude_categories=["Cs"]), max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=9,
)


@given(st.dictionaries(NAMES, VALUES, max_size=4))
def test_spans_of_any_written_document_hold_its_values(document):
    text = dumps(document)
    for path, (start, end) in find_spans(text).items():
        value = document
        for part in path:
            value = value[part]
        assert same(tomllib.loads(f"x = {text[start:end]}")["x"], value)


@given(st.text(max_size=300))
def test_any_text_that_is_toml_is_scanned_without_an_error(text):
    try:
        tomllib.loads(text)
    except ValueError:
        return
    find_lines(text)


def test_long_file_is_scanned_in_linear_time():
    text = "".join(f"[servers.s{i}]\nreplicas = 1\nhandlers = ['a', 'b']\n" for i in range(5000))
    assert len(find_lines(text)) == 25001
