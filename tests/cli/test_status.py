"""`firefly-run status` without an admin server."""

from __future__ import annotations

import json


def test_without_an_admin_it_says_what_the_supervisor_knows(small_game):
    ran = small_game.run("status")
    assert (ran.returncode, ran.stdout) == (1, "")
    assert "no firefly-run listens at" in ran.stderr
    small_game.start()
    small_game.wait_log("all servers ready")
    ran = small_game.run("status")
    assert ran.returncode == 0, ran.stderr
    head, *rows = [line.split() for line in ran.stdout.splitlines()]
    assert head[:2] == ["process", "state"]
    assert [row[:2] for row in rows] == [["gate-1", "ready"], ["world-1", "ready"]]
    told = json.loads(small_game.run("status", "--json").stdout)
    assert [process["state"] for process in told["processes"]] == ["ready", "ready"]
    assert small_game.run("stop", "world").returncode == 0
    ran = small_game.run("status")
    assert ran.returncode == 1
    assert ran.stdout.splitlines()[2].split()[:2] == ["world-1", "stopped"]
    assert "status" in small_game.run("--help").stdout
