"""The throw-away process that reads firefly.toml."""

from __future__ import annotations

import json

import pytest

RUN = """
    import signal, sys
    from firefly_core.kernel.supervisor.loop import Loop
    from firefly_core.kernel.supervisor.planner import Planner
    from firefly_core.kernel.supervisor.reaper import Reaper
    loop, reaper = Loop(), Reaper()
    loop.on_signal(signal.SIGCHLD, reaper.reap)
    def done(plan, problems):
        import json
        print(json.dumps([plan and plan.name, problems]))
        loop.later(0.05, loop.stop)
    Planner(loop, reaper, ["sh", "-c", sys.argv[1]], done, limit=0.5)
    loop.run()
"""
PLAN = '{"name": "meadow", "path": "/m/firefly.toml", "var": "/m/var", "servers": []}'


@pytest.mark.parametrize(
    ("program", "name", "problem"),
    [
        (f"echo '{PLAN}'", "meadow", None),
        (f"echo 'a warning' >&2; echo '{PLAN}'", "meadow", None),
        ("echo 'firefly.toml:3: rate' >&2; exit 78", None, "firefly.toml:3: rate"),
        ("exit 78", None, "ended with exit 78"),
        ("echo Traceback >&2; exit 1", None, "ended with exit 1"),
        ("kill -SEGV $$", None, "ended with SIGSEGV"),
        ("echo not a plan", None, "printed no plan"),
        ("sleep 600", None, "took longer than 0.5 s"),
        ("sleep 600 & setsid sleep 3 & exit 78", None, "ended with exit 78"),
    ],
)
def test_it_ends_once_with_a_plan_or_with_problems(plain, program, name, problem):
    (line,) = plain(RUN, program).splitlines()
    found, problems = json.loads(line)
    assert found == name
    assert bool(problems) == (problem is not None)
    if problem is not None:
        assert problem in problems[-1]


def test_a_program_that_cannot_be_started_is_a_problem(plain):
    printed = plain(RUN.replace('["sh", "-c", sys.argv[1]]', '["/nowhere"]'), "")
    assert "the configuration cannot be checked" in json.loads(printed)[1][0]
