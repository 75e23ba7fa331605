from pathlib import Path

import pytest

from firefly_core.kernel.config.misfit import Misfit
from firefly_core.kernel.config.nesting import inner_rule, list_of, map_of, optional
from firefly_core.kernel.config.rules import Site, integer, path, secret, text


def test_list_tells_every_item_that_does_not_fit():
    with pytest.raises(Misfit) as caught:
        list_of(integer(0, 10)).parse([1, True, 3, "x"])
    assert [misfit.at for misfit in caught.value.each()] == [(1,), (3,)]


def test_nested_misfits_carry_the_whole_path():
    with pytest.raises(Misfit) as caught:
        map_of(list_of(integer())).parse({"a": [1], "b": [1, "x"], "c": 5})
    assert [misfit.at for misfit in caught.value.each()] == [("b", 1), ("c",)]


def test_list_may_need_some_items():
    with pytest.raises(Misfit, match="at least 1"):
        list_of(text(), low=1).parse([])


def test_optional_lets_nothing_pass_and_checks_the_rest(tmp_path):
    rule = optional(path())
    assert rule.parse(None) is None
    assert rule.settle(None, Site(tmp_path)) is None
    assert rule.settle(rule.parse("x"), Site(tmp_path)) == tmp_path / "x"
    with pytest.raises(Misfit):
        rule.parse(5)


def test_containers_of_secrets_are_secret():
    assert optional(secret()).secret
    assert list_of(secret()).secret
    assert not list_of(text()).secret


def test_paths_inside_lists_and_tables_settle_too(tmp_path):
    assert list_of(path()).settle((Path("a"),), Site(tmp_path)) == (tmp_path / "a",)
    assert map_of(path()).settle({"k": Path("a")}, Site(tmp_path)) == {"k": tmp_path / "a"}


def test_settling_tells_every_item_that_does_not_fit(tmp_path):
    from firefly_core.kernel.config.rules import server

    with pytest.raises(Misfit) as caught:
        list_of(server()).settle(("gate", "a", "b"), Site(tmp_path, ["gate"]))
    assert [misfit.at for misfit in caught.value.each()] == [(1,), (2,)]


def test_reading_tells_what_does_not_parse_and_what_does_not_settle_together(tmp_path):
    from firefly_core.kernel.config.rules import server

    site = Site(tmp_path, ["gate"])
    for rule, value, places in [
        (list_of(server()), ["gate", 5, "nobody"], [(1,), (2,)]),
        (map_of(server()), {"a": "nobody", "b": 5}, [("a",), ("b",)]),
        (optional(list_of(server())), ["nobody", 5], [(0,), (1,)]),
    ]:
        with pytest.raises(Misfit) as caught:
            rule.read(value, site)
        assert [misfit.at for misfit in caught.value.each()] == places


def test_inner_rule_looks_through_optional_only():
    rule = text()
    assert inner_rule(optional(rule)) is rule
    assert inner_rule(rule) is rule
    listed = list_of(rule)
    assert inner_rule(listed) is listed
