"""One process through all its states, without a supervisor around it."""

from __future__ import annotations

import json

RUN = """
    import json, random, signal, sys
    from pathlib import Path
    from firefly_core.kernel.supervisor.backoff import Restarts
    from firefly_core.kernel.supervisor.child import Child, State
    from firefly_core.kernel.supervisor.equipment import Equipment
    from firefly_core.kernel.supervisor.epochs import Epochs
    from firefly_core.kernel.supervisor.groups import Groups
    from firefly_core.kernel.supervisor.listeners import Listeners
    from firefly_core.kernel.supervisor.log import Log
    from firefly_core.kernel.supervisor.log_writer import LogWriter
    from firefly_core.kernel.supervisor.loop import Loop
    from firefly_core.kernel.supervisor.plan import Plan, ServerPlan
    from firefly_core.kernel.supervisor.reaper import Reaper

    loop, reaper = Loop(), Reaper()
    loop.on_signal(signal.SIGCHLD, reaper.reap)
    command = {command}
    equipment = Equipment(
        loop=loop, log=Log(LogWriter(2)), reaper=reaper, groups=Groups(loop, reaper), listeners=Listeners(),
        epochs=Epochs(Path(sys.argv[1])), command=lambda name: command, source=random.Random(1),
        restarts=Restarts(first=0.01, failures=3),
    )
    server = ServerPlan(name="world", fingerprint="1")
    states = []
    def changed(child):
        states.append(str(child.state))
        {changed}
    child = Child(equipment, server, "world-1", Plan(name="m", path="", var="", servers=(server,)), changed, print)
    child.start()
    loop.later(10, loop.stop)
    loop.run()
    print(json.dumps([states, child.status()]))
"""
SAYS_READY = (
    "import os, signal, socket, sys, time;"
    "pipe = socket.socket(fileno=int(os.environ['FIREFLY_CONTROL'].split()[0]));"
    'pipe.sendall(b\'{"say": "ready"}\\n\');'
    "time.sleep(600)"
)


def program(command: str, changed: str) -> str:
    return RUN.replace("{command}", command).replace("{changed}", changed)


def test_a_life_from_start_to_stop(plain, tmp_path):
    states, status = json.loads(
        plain(
            program(
                f'[sys.executable, "-S", "-c", {SAYS_READY!r}]',
                "child.stop(5, 5) if child.state is State.READY else child.state is State.STOPPED and loop.stop()",
            ),
            tmp_path,
        )
    )
    assert states == ["starting", "ready", "stopping", "stopped"]
    assert status["ending"] == "SIGTERM"
    assert (status["pid"], status["epoch"], status["starts"], status["failures"]) == (None, 1, 1, 0)
    assert (status["crashes"], status["crash"]) == (0, None)


def test_a_program_that_cannot_be_started_fails_like_one_that_ends(plain, tmp_path):
    states, status = json.loads(plain(program('["/nowhere"]', "child.state is State.FATAL and loop.stop()"), tmp_path))
    assert states == ["waiting", "waiting", "fatal"]
    assert (status["starts"], status["failures"], status["ending"]) == (3, 3, None)
    assert (status["crashes"], status["crash"]["ending"]) == (3, "it could not be started")


def test_one_that_waits_for_its_restart_is_stopped_at_once(plain, tmp_path):
    changed = "child.stop(5, 5) if child.state is State.WAITING else child.state is State.STOPPED and loop.stop()"
    states, _ = json.loads(plain(program('["false"]', changed), tmp_path))
    assert states == ["starting", "waiting", "stopped"]


def test_an_epoch_that_cannot_be_kept_does_not_keep_a_server_down(plain, tmp_path):
    (tmp_path / "epochs").write_text("a file")
    changed = "child.state is State.FATAL and loop.stop()"
    states, status = json.loads(plain(program('["false"]', changed), tmp_path / "epochs"))
    assert states[0] == "starting"
    assert status["epoch"] > 3
