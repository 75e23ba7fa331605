import pytest

from firefly_core.kernel.config.misfit import Misfit
from firefly_core.kernel.config.rate import Rate, rate


@pytest.mark.parametrize(
    ("written", "count", "seconds"),
    [
        ("30/s", 30.0, 1.0),
        ("100/min", 100.0, 60.0),
        ("5/10s", 5.0, 10.0),
        ("0.5/s", 0.5, 1.0),
        ("9/h", 9.0, 3600.0),
        ("1/250ms", 1.0, 0.25),
    ],
)
def test_rate_is_a_count_in_a_span(written, count, seconds):
    assert rate().parse(written) == Rate(count, seconds)


def test_off_is_no_rate():
    assert rate().parse("off") is None


def test_rate_per_second():
    assert rate().parse("120/min").per_second == 2.0


@pytest.mark.parametrize(
    "written",
    [
        "",
        "30",
        "0/s",
        "-1/s",
        "nan/s",
        "inf/s",
        "1/0s",
        "1/s ",
        "1/s\n",
        "1/day",
        "1e9/s",
        "9" * 99 + "/s",
        30,
        True,
        None,
    ],
)
def test_anything_else_is_refused(written):
    with pytest.raises(Misfit, match="a rate such as"):
        rate().parse(written)
