import signal
import subprocess
import sys
import threading
import time

import gevent
import pytest
from gevent.event import Event

from firefly_core.kernel.reload.cut import Overtime, Raised, cut


def spin():
    while True:
        pass


def swallow_once():
    try:
        spin()
    except BaseException:
        return "swallowed"


def test_result_passes():
    assert cut("x", lambda a, b: a + b, 1, 2) == 3


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ValueError("bad\nsecond line"), "raised ValueError: bad"),
        (KeyError(), "raised KeyError"),
        (SystemExit(3), "raised SystemExit: 3"),
        (BaseException("base"), "raised BaseException: base"),
        (gevent.Timeout(5), "raised Timeout: 5 seconds"),
    ],
)
def test_whatever_is_raised_is_reported_in_one_line(error, said):
    def fail():
        raise error

    with pytest.raises(Raised) as caught:
        cut("x", fail)
    assert str(caught.value) == said
    assert caught.value.__cause__ is error


def test_syntax_error_is_reported_with_its_place():
    with pytest.raises(Raised, match=r"SyntaxError: .* \(mod.py:2\)"):
        cut("x", compile, "a = 1\nb =", "mod.py", "exec")


def test_text_of_an_error_is_made_printable():
    def fail():
        raise ValueError("\x1b[2Jred\u202e")

    with pytest.raises(Raised) as caught:
        cut("x", fail)
    assert str(caught.value) == "raised ValueError: \\x1b[2Jred\\u202e"


def test_error_that_cannot_say_what_it_is_is_reported_all_the_same():
    class Mute(Exception):
        def __str__(self):
            raise RuntimeError

    def fail():
        raise Mute

    with pytest.raises(Raised, match="raised Mute, whose text cannot be had"):
        cut("x", fail)


def test_keyboard_interrupt_passes():
    def interrupt():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cut("x", interrupt)


@pytest.mark.parametrize("function", [spin, lambda: time.sleep(60), lambda: gevent.sleep(60)])
def test_spin_and_sleep_are_cut(function):
    began = time.monotonic()
    with pytest.raises(Raised, match=r"^took longer than 0.1 s$"):
        cut("x", function, limit=0.1)
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("function", [spin, lambda: gevent.sleep(5)], ids=["spin", "sleep"])
def test_it_cuts_in_a_greenlet_too_as_a_server_starts_and_reloads_in_one(function):
    began = time.monotonic()
    running = gevent.spawn(cut, "x", function, limit=0.1)
    with pytest.raises(Raised, match="took longer than"):
        running.get(timeout=10)
    assert time.monotonic() - began < 4.5


def test_waiting_for_what_never_comes_is_cut_or_found_out_at_once():
    with pytest.raises(Raised, match=r"took longer|would block forever"):
        cut("x", lambda: Event().wait(), limit=0.1)


def test_spin_in_another_greenlet_is_cut_too():
    def wait():
        greenlet = gevent.spawn(spin)
        greenlet.join()
        gevent.sleep(60)

    with pytest.raises(Raised, match="took longer"):
        cut("x", wait, limit=0.1)


def test_greenlet_that_happens_to_run_is_not_harmed():
    ticks = []

    def tick():
        while True:
            ticks.append(sum(range(20_000)))
            gevent.sleep(0)

    other = gevent.spawn(tick)
    with pytest.raises(Raised, match="took longer"):
        cut("x", lambda: gevent.sleep(60), limit=0.1)
    before = len(ticks)
    assert before > 10
    gevent.sleep(0.05)
    assert len(ticks) > before
    other.kill()


def test_code_that_swallows_the_cut_once_is_not_blamed_if_it_ends():
    assert cut("x", swallow_once, limit=0.1) == "swallowed"


def test_alarm_that_was_set_before_goes_on_and_its_handler_is_back():
    rung = []
    old_handler = signal.signal(signal.SIGALRM, lambda *_: rung.append(time.monotonic()))
    old_timer = signal.setitimer(signal.ITIMER_REAL, 0.3)
    began = time.monotonic()
    try:
        with pytest.raises(Raised):
            cut("x", spin, limit=0.1)
        while not rung and time.monotonic() - began < 10:
            time.sleep(0.01)
        assert 0.25 < rung[0] - began < 2
    finally:
        signal.signal(signal.SIGALRM, old_handler)
        signal.setitimer(signal.ITIMER_REAL, *old_timer)


def test_no_alarm_is_left_behind():
    old = signal.setitimer(signal.ITIMER_REAL, 0)
    try:
        cut("x", lambda: None, limit=0.05)
        assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    finally:
        signal.setitimer(signal.ITIMER_REAL, *old)


def test_other_threads_run_without_a_cut():
    results = []
    thread = gevent.get_hub().threadpool.spawn(lambda: results.append(cut("x", lambda: threading.get_ident())))
    thread.get(timeout=5)
    assert len(results) == 1


def test_what_cannot_be_cut_ends_the_process_with_its_name():
    code = """
from firefly_core.kernel.reload import cut
cut.AGAIN = 0.05
def stubborn():
    while True:
        try:
            for _ in iter(int, 1): pass
        except BaseException:
            pass
cut.cut("plugin 'stubborn'", stubborn, limit=0.1)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 78
    assert done.stderr == "plugin 'stubborn' took longer than 0.1 s and cannot be cut\n"


def test_overtime_is_no_exception_that_others_catch():
    assert not issubclass(Overtime, Exception)
