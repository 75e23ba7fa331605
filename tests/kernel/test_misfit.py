import pytest

from firefly_core.kernel.misfit import Misfit, Misfits, nearest


@pytest.mark.parametrize(
    ("word", "found"), [("remots", "remote"), ("REMOTE", "remote"), ("zzz", ""), (5, ""), ("r" * 101, "")]
)
def test_nearest_names_what_was_meant_or_nothing(word, found):
    assert nearest(word, ["remote", "gate"]) == found


def test_misfit_seen_from_outside_keeps_what_it_says():
    misfit = Misfit("a rate", ("x",), hint="30/s", got="nothing").inside("list", 2)
    assert (misfit.at, misfit.needs, misfit.hint, misfit.got) == (("list", 2, "x"), "a rate", "30/s", "nothing")


def test_misfits_hold_every_one_however_nested():
    inner = Misfits([Misfit("a", (1,)), Misfits([Misfit("b", (2,)), Misfit("c", (3,))])])
    assert [(single.needs, single.at) for single in inner.inside("k").each()] == [
        ("a", ("k", 1)),
        ("b", ("k", 2)),
        ("c", ("k", 3)),
    ]
