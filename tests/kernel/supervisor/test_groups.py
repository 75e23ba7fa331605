"""What the keeper is told, whatever becomes of it."""

from __future__ import annotations

START = """
    import os, signal, subprocess, sys, time
    from firefly_core.kernel.supervisor import groups as module
    from firefly_core.kernel.supervisor.groups import Groups
    from firefly_core.kernel.supervisor.loop import Loop
    from firefly_core.kernel.supervisor.reaper import Reaper
    module.AGAIN = 0.05
    loop, reaper = Loop(), Reaper()
    loop.on_signal(signal.SIGCHLD, reaper.reap)
    groups = Groups(loop, reaper)
    groups.start()
    sleepers = [subprocess.Popen(["sleep", "600"], process_group=0) for _ in range(2)]
    def until(condition):
        end = loop.now() + 10
        def look():
            if condition():
                loop.stop()
            else:
                assert loop.now() < end
                loop.later(0.01, look)
        look()
        loop.run()
"""


def test_groups_that_were_not_removed_are_killed_when_it_closes(plain):
    plain(
        START
        + """
    for sleeper in sleepers:
        groups.add(sleeper.pid)
    groups.remove(sleepers[1].pid)
    groups.close()
    assert sleepers[0].wait(10) == -9
    assert sleepers[1].poll() is None
    sleepers[1].kill()
    """
    )


def test_a_new_keeper_knows_what_the_old_one_knew(plain):
    plain(
        START
        + """
    for sleeper in sleepers:
        groups.add(sleeper.pid)
    first = groups.keeper_pid
    os.kill(first, signal.SIGKILL)
    until(lambda: groups.keeper_pid != first)
    groups.close()
    assert [sleeper.wait(10) for sleeper in sleepers] == [-9, -9]
    """
    )


def test_a_keeper_that_takes_nothing_never_holds_the_supervisor(plain):
    plain(
        START
        + """
    os.kill(groups.keeper_pid, signal.SIGSTOP)
    began = time.monotonic()
    for _ in range(100_000):
        groups.add(sleepers[0].pid)
        groups.remove(sleepers[0].pid)
    assert time.monotonic() - began < 5
    os.kill(groups.keeper_pid, signal.SIGKILL)
    [sleeper.kill() for sleeper in sleepers]
    """
    )
