import pytest

from firefly_core.kernel.config.misfit import Misfit, Misfits, Tries, nearest


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


def test_tries_run_every_step_and_raise_what_any_of_them_raised():
    def refuse(needs):
        raise Misfit(needs, ("x",))

    tries = Tries()
    assert tries.run(lambda a: a + 1, 1) == 2
    assert tries.run(refuse, "a", at=("k",)) is None
    assert tries.run(refuse, "b", at=("l", 3), secret=True) is None
    with pytest.raises(Misfit) as caught:
        tries.end()
    assert [(each.needs, each.at, each.secret) for each in caught.value.each()] == [
        ("a", ("k", "x"), False),
        ("b", ("l", 3, "x"), True),
    ]
    Tries().end()
