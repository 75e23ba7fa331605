"""How processes ended, and what became of their groups."""

from __future__ import annotations

import pytest

from firefly_core.kernel.supervisor.reaper import Ending


def test_endings_read_as_people_say_them():
    assert [str(ending) for ending in (Ending(status=78), Ending(signal=9), Ending(signal=99))] == [
        "exit 78",
        "SIGKILL",
        "signal 99",
    ]


@pytest.mark.parametrize(("program", "ending"), [("exit 3", "exit 3"), ("kill -SEGV $$", "SIGSEGV")])
def test_an_ended_process_is_reaped_and_its_group_killed(plain, program, ending):
    printed = plain(
        """
        import os, subprocess, sys, time
        from firefly_core.kernel.supervisor.reaper import Reaper
        from firefly_core.kernel.supervisor.spawn import spawn
        reaper = Reaper()
        started = spawn(["sh", "-c", "sleep 600 & echo $!; " + sys.argv[1]], os.environ)
        grandchild = int(os.read(started.stdout, 20))
        endings = []
        reaper.watch(started.pid, endings.append)
        while not endings:
            reaper.reap()
            time.sleep(0.01)
        print(endings[0])
        reaper.reap()
        assert len(endings) == 1
        def alive():
            try:
                return open(f"/proc/{grandchild}/stat").read().split()[2] != "Z"
            except OSError:
                return False
        end = time.monotonic() + 5
        while alive():
            assert time.monotonic() < end
        """,
        program,
    )
    assert printed.strip() == ending
