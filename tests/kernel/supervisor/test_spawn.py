"""Processes begin with what they are given, and nothing else."""

from __future__ import annotations

import json


def test_a_process_gets_its_descriptors_a_group_of_its_own_and_nothing_to_read(plain):
    printed = plain("""
        import os, socket, sys
        from firefly_core.kernel.supervisor.spawn import spawn
        passed, kept = socket.socket(), socket.socket()
        os.environ["HERE"] = "kept out"
        program = (
            "import json, os, sys;"
            "print(json.dumps([sorted(int(fd) for fd in os.listdir('/proc/self/fd') if int(fd) > 2),"
            " os.getpgid(0) == os.getpid(), sys.stdin.read(), os.environ.get('HERE'), os.environ['THERE']]));"
            "print('to stderr', file=sys.stderr)"
        )
        started = spawn([sys.executable, "-c", program], {"THERE": "1"}, [passed.fileno()])
        os.waitpid(started.pid, 0)
        print(os.read(started.stdout, 1000).decode(), end="")
        assert os.read(started.stderr, 1000) == b"to stderr\\n"
        assert os.read(started.stdout, 10) == os.read(started.stderr, 10) == b""
        print(passed.fileno())
    """)
    seen, passed = printed.splitlines()
    descriptors, leads, read, here, there = json.loads(seen)
    assert int(passed) in descriptors
    assert len(descriptors) == 2, "the one that lists the folder, and the one that was passed"
    assert (leads, read, here, there) == (True, "", None, "1")


def test_a_program_that_is_not_there_is_an_error_and_leaves_no_descriptor(plain):
    plain("""
        import os
        from firefly_core.kernel.supervisor.spawn import spawn
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(3):
            try:
                spawn(["/nowhere/python"], {})
            except FileNotFoundError:
                continue
            raise SystemExit("it started")
        assert len(os.listdir("/proc/self/fd")) == before
    """)
