import copy
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firefly_core.errors import ConfigurationError
from firefly_core.kernel.config.toml_edit import set_key

FILE = """\
# The meadow.
[firefly]
name = "meadow"   # its name
plugins = [
  "gate",         # the door
]

# The gate.
[servers.gate.gate]
listen = { url = "tcp://127.0.0.1:1" }  # here
rate = "30/s"

[servers.world]
"""


def changed(key, value, text=FILE):
    return set_key(text, tuple(key.split(".")), value, "firefly.toml")


def problem_of(key, value, text=FILE):
    with pytest.raises(ConfigurationError) as caught:
        changed(key, value, text)
    (problem,) = caught.value.problems
    return problem


def test_value_is_replaced_and_the_comment_stays():
    assert changed("firefly.name", "x") == FILE.replace('"meadow"', '"x"')


def test_value_of_several_lines_is_replaced_whole():
    new = changed("firefly.plugins", ["a", "b"])
    assert new == FILE.replace('[\n  "gate",         # the door\n]', '["a", "b"]')


def test_key_of_an_inline_table_is_set_inside_of_it():
    new = changed("servers.gate.gate.listen.codec", "json")
    assert '{ url = "tcp://127.0.0.1:1", codec = "json" }  # here' in new
    assert changed("servers.gate.gate.listen.url", "x") == FILE.replace('"tcp://127.0.0.1:1"', '"x"')


def test_new_key_goes_to_the_end_of_its_table():
    assert changed("servers.gate.gate.max_frame", 5) == FILE.replace('"30/s"\n', '"30/s"\nmax_frame = 5\n')
    assert changed("firefly.log", "json") == FILE.replace("]\n\n# The gate.", ']\nlog = "json"\n\n# The gate.')


def test_new_key_of_an_empty_table_goes_below_its_header():
    assert changed("servers.world.replicas", 2) == FILE + "replicas = 2\n"


def test_new_table_goes_to_the_end():
    assert changed("servers.world.node.roots", ["gate"]) == FILE + '\n[servers.world.node]\nroots = ["gate"]\n'


def test_table_in_the_middle_that_has_no_header_gets_one():
    assert changed("servers.gate.replicas", 2) == FILE + "\n[servers.gate]\nreplicas = 2\n"


def test_key_at_the_top_goes_to_the_top():
    assert changed("a", 1) == "a = 1\n" + FILE
    assert changed("b", 1, "a = 1\n[t]\n") == "a = 1\nb = 1\n[t]\n"


def test_empty_text_takes_a_key():
    assert changed("a.b", 1, "") == "[a]\nb = 1\n"


def test_last_line_without_an_end_gets_one():
    assert changed("a.c", 2, "[a]\nb = 1") == "[a]\nb = 1\nc = 2\n"


def test_windows_line_ends_are_kept():
    assert changed("a.c", 2, "[a]\r\nb = 1\r\n") == "[a]\r\nb = 1\r\nc = 2\r\n"
    assert changed("a.b", 2, "[a]\r\nb = 1\r\n") == "[a]\r\nb = 2\r\n"


def test_names_that_are_no_bare_words_are_quoted():
    assert set_key("", ("a b", "c.d"), 1, "f") == '["a b"]\n"c.d" = 1\n'


def test_key_inside_of_a_value_is_refused():
    assert problem_of("firefly.name.x", 1) == "firefly.toml: firefly.name: is no table, so firefly.name.x cannot be set"


def test_whole_table_with_a_header_is_not_replaced_by_a_value():
    assert "cannot be set without changing other lines" in problem_of("servers.world", 1)


def test_broken_file_is_not_edited():
    assert problem_of("a.b", 1, "a = ").startswith("firefly.toml:1:")


NAMES = st.sampled_from(["a", "b", "c d", ""])
VALUES = st.recursive(
    st.booleans() | st.text("ab\n\"'#=[]", max_size=5) | st.integers(0, 3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAMES, inner, max_size=2),
    max_leaves=5,
)


@given(st.dictionaries(NAMES, VALUES, max_size=3), st.lists(NAMES, min_size=1, max_size=3), VALUES)
def test_changed_text_means_the_old_values_and_the_new_one_or_is_refused(document, path, value):
    from firefly_core.kernel.config.toml_file import dumps

    try:
        text = set_key(dumps(document), tuple(path), value, "f")
    except ConfigurationError:
        return
    wanted = copy.deepcopy(document)
    table = wanted
    for part in path[:-1]:
        table = table.setdefault(part, {})
    table[path[-1]] = value
    assert tomllib.loads(text) == wanted
