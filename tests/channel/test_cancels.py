"""How many cancels a window takes."""

from __future__ import annotations

from firefly_core.channel.cancels import CancelWindow


def test_a_window_takes_its_number_and_the_next_one_begins_afresh() -> None:
    now = [100.0]
    window = CancelWindow(3, 10.0, lambda: now[0])
    assert [window.take() for _ in range(5)] == [True, True, True, False, False]
    now[0] = 109.9
    assert not window.take()
    now[0] = 110.0
    assert [window.take() for _ in range(4)] == [True, True, True, False]


def test_rare_cancels_are_always_taken() -> None:
    now = [0.0]
    window = CancelWindow(1, 1.0, lambda: now[0])
    for _ in range(100):
        now[0] += 1.5
        assert window.take()
