import datetime
import os
import subprocess
import sys
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firefly_core.errors import ConfigurationError
from firefly_core.kernel.config.toml_file import MAX_FILE, dumps, key_text, parse, read_text, same, save, value_text

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
SCALARS = (
    st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats()
    | TEXTS
    | st.dates()
    | st.times()
    | st.datetimes(min_value=datetime.datetime(1, 1, 1))
    | st.datetimes(timezones=st.just(datetime.UTC))
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4), max_leaves=12
)
DOCUMENTS = st.dictionaries(TEXTS, VALUES, max_size=5)


def problem_of(call, *args):
    with pytest.raises(ConfigurationError) as caught:
        call(*args)
    (problem,) = caught.value.problems
    return problem


def test_missing_file_is_named(tmp_path):
    assert problem_of(read_text, tmp_path / "no.toml") == f"{tmp_path}/no.toml: there is no such file"


def test_folder_is_no_file(tmp_path):
    assert problem_of(read_text, tmp_path) == f"{tmp_path}: is a folder; needs a TOML file"


def test_path_through_a_file_cannot_be_read(tmp_path):
    (tmp_path / "f").write_text("")
    assert "cannot be read: Not a directory" in problem_of(read_text, tmp_path / "f" / "g")


def test_path_with_nul_is_no_path():
    assert "is no path" in problem_of(read_text, "a\0b")


def test_unreadable_file_is_said(tmp_path):
    file = tmp_path / "f.toml"
    file.write_text("")
    file.chmod(0)
    if os.geteuid() != 0:
        assert problem_of(read_text, file) == f"{file}: cannot be read: permission denied"
        return
    # root reads everything: ask as somebody else, in a process of his own
    tmp_path.chmod(0o755)
    for parent in list(tmp_path.parents)[:3]:
        if parent.stat().st_uid == os.geteuid() and "pytest" in parent.name:
            parent.chmod(0o755)
    script = (
        "import os, sys; from firefly_core.kernel.config.toml_file import read_text; "
        "from firefly_core.errors import ConfigurationError\n"
        "os.setgid(65534); os.setuid(65534)\n"
        "try: read_text(sys.argv[1])\n"
        "except ConfigurationError as error: print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(file)], capture_output=True, text=True, check=True, env={**os.environ}
    )
    assert done.stdout.strip() == f"{file}: cannot be read: permission denied"


def test_pipe_is_refused_and_never_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert problem_of(read_text, tmp_path / "pipe").endswith("is not a regular file; needs a TOML file")


def test_endless_device_is_refused():
    assert problem_of(read_text, "/dev/zero") == "/dev/zero: is not a regular file; needs a TOML file"


def test_ten_megabytes_are_refused(tmp_path):
    (tmp_path / "f.toml").write_bytes(b"#" * 10 * MAX_FILE)
    assert problem_of(read_text, tmp_path / "f.toml") == f"{tmp_path}/f.toml: is larger than {MAX_FILE} bytes"


def test_file_of_exactly_the_limit_is_read(tmp_path):
    (tmp_path / "f.toml").write_bytes(b"#" * MAX_FILE)
    assert len(read_text(tmp_path / "f.toml")) == MAX_FILE


def test_byte_order_mark_is_ignored(tmp_path):
    (tmp_path / "f.toml").write_bytes(b"\xef\xbb\xbfa = 1\n")
    assert parse(read_text(tmp_path / "f.toml"), "f") == {"a": 1}


def test_latin_1_is_refused_with_its_line(tmp_path):
    (tmp_path / "f.toml").write_bytes('a = 1\nb = "é"\n'.encode("latin-1"))
    assert problem_of(read_text, tmp_path / "f.toml") == (
        f"{tmp_path}/f.toml:2: byte 0xe9 is not UTF-8; save the file as UTF-8"
    )


def test_utf_16_is_refused(tmp_path):
    (tmp_path / "f.toml").write_bytes("a = 1\n".encode("utf-16"))
    assert "is not UTF-8" in problem_of(read_text, tmp_path / "f.toml")


def test_windows_line_ends_are_read(tmp_path):
    (tmp_path / "f.toml").write_bytes(b'[a]\r\nb = "x"\r\n')
    assert parse(read_text(tmp_path / "f.toml"), "f") == {"a": {"b": "x"}}


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("a = 1\nb = \n", "f:2:5: "),
        ("a = [1\n", "f:2: "),
        ('a = "x', "f:1: "),
        ("[a]\n[a]\n", "f:2:"),
        ("a = 1\na = 2\n", "f:2:"),
        ("a\x00 = 1", "f:1:"),
        ("a = 'x\x07'", "f:1:"),
        ("= 1", "f:1:1: "),
    ],
)
def test_syntax_error_has_line_and_column(text, place):
    assert problem_of(parse, text, "f").startswith(place)


@pytest.mark.parametrize("text", ["a = " + "[" * 2000 + "]" * 2000, "a = " + "{b = " * 2000 + "1" + "}" * 2000])
def test_deep_nesting_is_a_problem_and_no_recursion_error(text):
    assert problem_of(parse, text, "f") == "f:1: is nested too deeply"


def test_depth_of_what_is_accepted_is_bounded():
    assert parse("a = " + "[" * 30 + "]" * 30, "f")
    assert problem_of(parse, "a = " + "[" * 40 + "]" * 40, "f") == "f:1: is nested too deeply"


def test_integer_of_five_thousand_digits_is_a_problem():
    assert problem_of(parse, "a = " + "9" * 5000, "f") == "f:1: a number has too many digits"


@pytest.mark.parametrize("bad", ["9" * 5000, "[" * 40 + "]" * 40, "[" * 3000 + "]" * 3000, "2024-02-30"])
def test_what_python_tells_without_a_place_is_given_its_line(bad):
    text = "[one]\nx = [\n  1,\n]\n[two]\ny = " + bad + "\n[three]\nz = 'fine'\n"
    assert problem_of(parse, text, "f").startswith("f:6:")


@pytest.mark.parametrize("text", ["a = 2024-13-01", "a = 2024-02-30", "a = 25:00:00", "a = 2024-01-01T00:00:61Z"])
def test_dates_that_do_not_exist_are_a_problem(text):
    assert problem_of(parse, text, "f").startswith("f:")


@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_but_a_configuration_error(data):
    try:
        parse(data.decode("utf-8-sig"), "f")
    except (ConfigurationError, UnicodeDecodeError):
        return


@given(DOCUMENTS)
def test_whatever_is_written_reads_back_as_it_was(document):
    assert same(tomllib.loads(dumps(document)), document)


@given(VALUES)
def test_one_value_reads_back_as_it_was(value):
    assert same(tomllib.loads(f"x = {value_text(value)}")["x"], value)


@given(TEXTS)
def test_any_text_can_be_a_key(name):
    assert tomllib.loads(f"{key_text(name)} = 1") == {name: 1}


def test_written_document_is_plain_toml():
    document = {
        "firefly": {"name": "meadow", "plugins": ["gate", "root"]},
        "servers": {"gate": {"replicas": 1, "gate": {"listen": ["tcp://h:1", {"url": "ws://h:2", "a": [0, 1]}]}}},
    }
    assert dumps(document) == (
        "[firefly]\n"
        'name = "meadow"\n'
        'plugins = ["gate", "root"]\n'
        "\n[servers.gate]\n"
        "replicas = 1\n"
        "\n[servers.gate.gate]\n"
        'listen = ["tcp://h:1", { url = "ws://h:2", a = [0, 1] }]\n'
    )


def test_a_difference_is_an_error_and_no_output():
    class Odd(str):
        __slots__ = ()

    assert "would not read back" in problem_of(dumps, {"a": Odd("x")})
    assert "would not read back" in problem_of(value_text, (1, 2))


@pytest.mark.parametrize("value", [None, object(), b"x", "\ud800"])
def test_what_toml_does_not_know_is_an_error(value):
    assert "written as TOML" in problem_of(dumps, {"a": value})
    assert "written as TOML" in problem_of(value_text, value)


@pytest.mark.parametrize(
    ("one", "other"), [(1, True), (1, 1.0), ([1], [1, 2]), ({"a": 1}, {"b": 1}), (float("nan"), 1.0)]
)
def test_values_of_other_types_are_not_the_same(one, other):
    assert not same(one, other)


def test_nan_is_the_same_as_nan():
    assert same([float("nan")], [float("nan")])


def test_saved_file_keeps_its_mode_and_leaves_nothing_beside_it(tmp_path):
    file = tmp_path / "f.toml"
    file.write_text("old")
    file.chmod(0o640)
    save(file, "new\r\n")
    assert file.read_bytes() == b"new\r\n"
    assert file.stat().st_mode & 0o777 == 0o640
    assert os.listdir(tmp_path) == ["f.toml"]


def test_saving_through_a_link_changes_the_file_behind_it(tmp_path):
    (tmp_path / "real.toml").write_text("old")
    (tmp_path / "link.toml").symlink_to("real.toml")
    save(tmp_path / "link.toml", "new")
    assert (tmp_path / "link.toml").is_symlink()
    assert (tmp_path / "real.toml").read_text() == "new"


def test_file_that_cannot_be_saved_is_named_and_untouched(tmp_path):
    assert "cannot be written" in problem_of(save, tmp_path / "gone" / "f.toml", "x")
    (tmp_path / "d").mkdir()
    assert "cannot be written" in problem_of(save, tmp_path / "d", "x")
    assert os.listdir(tmp_path) == ["d"]


def test_who_has_the_file_open_reads_the_old_text_to_its_end(tmp_path):
    file = tmp_path / "f.toml"
    file.write_text("a" * 1000)
    with file.open() as reader:
        assert reader.read(10) == "a" * 10
        save(file, "b" * 500)
        assert reader.read() == "a" * 990
    assert file.read_text() == "b" * 500
