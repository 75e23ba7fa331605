import random

import pytest

from firefly_core.kernel.histogram import BUCKETS, Histogram, bound, difference, quantile


def test_every_duration_falls_into_the_bucket_whose_bound_is_just_above_it():
    for nanoseconds in [0, 1, 1023, 1024, 2047, 2048, 10**6, 10**9, 10**12, 2**62]:
        histogram = Histogram()
        histogram.add(nanoseconds)
        index = histogram.buckets.index(1)
        assert bound(index) * 1e9 > nanoseconds * (1 - 1e-12)
        assert index == 0 or bound(index - 1) * 1e9 <= nanoseconds
    assert len(histogram.buckets) == BUCKETS


def test_a_quantile_is_right_to_a_factor_of_two():
    source = random.Random(7)
    histogram = Histogram()
    durations = sorted(source.lognormvariate(0, 2) * 1e-3 for _ in range(2000))
    for duration in durations:
        histogram.add(int(duration * 1e9))
    for share in (0.5, 0.9, 0.99):
        exact = durations[int(share * len(durations))]
        assert exact / 2 <= quantile(histogram.plain(), share) <= exact * 2
    assert histogram.total == pytest.approx(sum(durations) * 1e9, rel=1e-6)
    assert histogram.count == 2000


def test_nothing_counted_has_no_quantile_and_no_buckets():
    assert Histogram().plain() == []
    assert quantile([], 0.99) == 0.0
    assert quantile([0, 0], 0.5) == 0.0


def test_the_difference_is_what_was_counted_meanwhile():
    assert difference([1, 5, 2], [1, 2]) == [0, 3, 2]
    assert difference([], []) == []


def test_after_a_restart_everything_is_new():
    assert difference([0, 1], [4, 4]) == [0, 1]
    assert difference([1], [1, 1]) == [1]
