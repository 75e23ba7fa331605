"""The supervisor's loop: descriptors, timers, signals."""

from __future__ import annotations


def test_timers_run_in_the_order_of_their_time_and_a_cancelled_one_never(plain):
    printed = plain("""
        from firefly_core.kernel.supervisor.loop import Loop
        loop = Loop()
        loop.later(0.03, lambda: print("third"))
        loop.later(0.01, lambda: print("first"))
        cancelled = loop.later(0.02, lambda: print("never"))
        loop.later(0.02, lambda: print("second"))
        loop.later(0.015, cancelled.cancel)
        loop.later(0.04, loop.stop)
        loop.run()
        loop.close()
    """)
    assert printed.split() == ["first", "second", "third"]


def test_every_signal_reaches_its_callback_between_others_and_the_handlers_are_given_back(plain):
    printed = plain("""
        import os, signal, time
        from firefly_core.kernel.supervisor.loop import Loop
        former = signal.getsignal(signal.SIGTERM)
        loop = Loop()
        count = []
        def callback():
            count.append(1)
            print("hup")
            if len(count) == 2:
                loop.stop()
        loop.on_signal(signal.SIGHUP, callback)
        loop.on_signal(signal.SIGTERM, lambda: print("term"))
        def both():
            os.kill(os.getpid(), signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGHUP)
            print("sent")
        loop.later(0, both)
        loop.later(0.05, lambda: os.kill(os.getpid(), signal.SIGHUP))
        loop.run()
        loop.close()
        print(signal.getsignal(signal.SIGTERM) is former, signal.set_wakeup_fd(-1))
    """)
    assert printed.split() == ["sent", "term", "hup", "hup", "True", "-1"]


def test_a_descriptor_that_is_forgotten_by_an_earlier_callback_is_not_read_any_more(plain):
    printed = plain("""
        import os
        from firefly_core.kernel.supervisor.loop import Loop
        loop = Loop()
        ends = [os.pipe() for _ in range(2)]
        def read(mine, other):
            print("read")
            loop.forget(mine)
            loop.forget(other)
            loop.later(0.02, loop.stop)
        for (reading, writing), (other, _) in zip(ends, reversed(ends)):
            os.write(writing, b"x")
            loop.watch(reading, lambda mine=reading, other=other: read(mine, other))
        loop.run()
    """)
    assert printed.split() == ["read"]


def test_a_callback_that_fails_is_told_and_the_loop_goes_on_except_for_the_configuration(plain):
    printed = plain("""
        from firefly_core.errors import ConfigurationError
        from firefly_core.kernel.supervisor.loop import Loop
        loop = Loop()
        loop.on_error = lambda error: print("told", repr(error))
        loop.later(0, lambda: 1 / 0)
        loop.later(0.01, lambda: print("on"))
        def refuse():
            raise ConfigurationError(["no"])
        loop.later(0.02, refuse)
        try:
            loop.run()
        except ConfigurationError as error:
            print("ended", error)
    """)
    assert printed.splitlines() == ["told ZeroDivisionError('division by zero')", "on", "ended no"]
