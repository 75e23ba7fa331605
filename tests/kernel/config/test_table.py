import pytest

from firefly_core.errors import ConfigurationError
from firefly_core.kernel.config.cluster import load
from firefly_core.kernel.config.config import Misfit, config, integer, key, path, read_alone, secret
from firefly_core.kernel.config.effective import effective
from firefly_core.kernel.config.table import table_of


@config
class Inner:
    """Some keys."""

    size: int = key(integer(1, 9), "how large", default=5)
    place: str = key(path(), "where", default="here")
    word: str | None = key(secret(), "what nobody sees", default=None)


@config
class Outer:
    """A table with a table in it."""

    inner: Inner = key(table_of(Inner), "a table", default={})


def test_a_table_that_is_absent_has_its_defaults(tmp_path):
    made = read_alone(Outer, folder=tmp_path)
    assert made.inner == Inner(size=5, place=tmp_path / "here", word=None)


def test_a_table_is_read_by_its_own_class(tmp_path):
    assert read_alone(Outer, {"inner": {"size": 7}}, folder=tmp_path).inner.size == 7


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (5, "inner: got 5; needs a table of its own keys"),
        ({"size": 10}, "inner.size: got 10; needs an integer from 1 to 9"),
        ({"sise": 3}, 'inner.sise: got an unknown key; needs one of: size, place, word; did you mean "size"?'),
        ({"word": "short"}, "inner.word: got a text of 5 characters, not shown; needs a secret"),
    ],
)
def test_what_is_wrong_inside_is_told_with_its_path(value, told):
    with pytest.raises(ConfigurationError) as caught:
        read_alone(Outer, {"inner": value})
    assert told in str(caught.value)


def test_everything_wrong_inside_is_told_at_once():
    with pytest.raises(ConfigurationError) as caught:
        read_alone(Outer, {"inner": {"size": 0, "place": 3}})
    assert len(caught.value.problems) == 2


def test_a_rule_alone_takes_tables_only():
    with pytest.raises(Misfit):
        table_of(Inner).parse("size = 3")


def test_the_channels_of_a_file_have_the_bounds_that_it_says(game):
    file = game(changes={'plugins = ["kit"]': 'plugins = ["kit"]\n[firefly.channel]\nframe = 65536\n'})
    cluster = load(file, {"FIREFLY_SET": "firefly.channel.inflight=3"}, ["firefly.channel.pending=9"])
    limits = cluster.firefly.channel.limits()
    assert (limits.frame, limits.inflight, limits.pending, limits.cancels) == (65536, 3, 9, 512)
    shown = effective(cluster)["firefly"]["channel"]
    assert (shown["frame"], shown["inflight"], shown["pending"], shown["dead_after"]) == (65536, 3, 9, 10.0)


def test_a_problem_inside_names_the_line(game):
    file = game(changes={'plugins = ["kit"]': 'plugins = ["kit"]\n[firefly.channel]\nframe = 1\n'})
    with pytest.raises(ConfigurationError, match=r"firefly.toml:5: firefly.channel.frame: got 1; needs a size"):
        load(file, {})
