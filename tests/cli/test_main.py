"""firefly-run as a user runs it: all servers, one server, commands, and what is wrong."""

from __future__ import annotations

import json
import os
import signal
import socket
import urllib.request
from pathlib import Path

import psutil
import pytest


def processes_of(pid: int) -> dict[str, psutil.Process]:
    found = {}
    for child in psutil.Process(pid).children():
        try:
            words = child.cmdline()
        except psutil.ZombieProcess:
            continue
        if "--only" in words:
            found[words[words.index("--only") + 1]] = child
    return found


def test_all_servers_play_together_come_back_when_killed_and_stop_in_order(small_game):
    supervisor = small_game.start()
    small_game.wait_log("firefly-run: all servers ready")
    small_game.wait_log(f"firefly-run: open http://127.0.0.1:{small_game.web}/")
    small_game.wait_log("world-1     | the game prints")
    processes = processes_of(supervisor.pid)
    assert sorted(processes) == ["gate-1", "world-1"]

    def play():
        answer = json.loads(small_game.ask(b'{"id": 1, "cmd": 102}'))
        return answer.get("body") if "error" not in answer else None

    assert small_game.wait(play) == processes["world-1"].pid
    for name in ("world-1", "gate-1"):
        before = processes_of(supervisor.pid)[name]
        before.kill()
        small_game.wait(lambda name=name, before=before: processes_of(supervisor.pid).get(name) not in (None, before))
        assert small_game.wait(play) == processes_of(supervisor.pid)["world-1"].pid
    small_game.wait_log("all servers ready", times=3)
    with urllib.request.urlopen(f"http://127.0.0.1:{small_game.web}/game.py", timeout=10) as page:
        assert page.status == 200
    left = [child.pid for child in psutil.Process(supervisor.pid).children(recursive=True)]
    supervisor.send_signal(signal.SIGINT)
    assert small_game.wait_exit(supervisor) == 0
    log = small_game.log()
    assert log.index("gate-1 has stopped") < log.index("world-1 has stopped")
    small_game.wait(lambda: not [pid for pid in left if psutil.pid_exists(pid)], 3)


@pytest.mark.parametrize("running", [False, True], ids=["at the start", "at a reload"])
def test_the_check_of_the_configuration_dies_with_the_supervisor(small_game, running):
    game = small_game.folder / "game.py"
    hangs = game.read_text() + (
        "\nimport subprocess, sys\nfrom pathlib import Path\n"
        "if 'plan' in sys.argv:\n"
        "    child = subprocess.Popen(['sleep', '600'])\n"
        "    Path('checking').write_text(str(child.pid))\n"
        "    child.wait()\n"
    )
    if running:
        supervisor = small_game.start()
        small_game.wait_log("all servers ready")
        game.write_text(hangs)
        supervisor.send_signal(signal.SIGHUP)
    else:
        game.write_text(hangs)
        supervisor = small_game.start()
    checking = small_game.folder / "checking"
    child = psutil.Process(int(small_game.wait(lambda: checking.exists() and checking.read_text())))
    left = psutil.Process(supervisor.pid).children()
    supervisor.kill()
    supervisor.wait()
    small_game.wait(lambda: not [process for process in left if process.is_running()], 3)
    if running:
        small_game.wait(lambda: not child.is_running(), 3)
    elif child.is_running():
        child.kill()  # nobody counts its children before the first plan is there


def test_no_server_outlives_a_killed_supervisor_and_its_ports_are_free_at_once(small_game):
    supervisor = small_game.start()
    small_game.wait_log("all servers ready")
    left = [child.pid for child in psutil.Process(supervisor.pid).children(recursive=True)]
    assert len(left) == 3, "two servers and the keeper"
    supervisor.kill()
    supervisor.wait()
    small_game.wait(lambda: not [pid for pid in left if psutil.pid_exists(pid)], 3)
    again = small_game.start()
    small_game.wait_log("all servers ready", times=2)
    again.send_signal(signal.SIGTERM)
    assert small_game.wait_exit(again) == 0


def test_a_second_one_in_the_same_folder_exits_78_and_names_the_first(small_game):
    first = small_game.start()
    small_game.wait_log("all servers ready")
    second = small_game.run()
    assert second.returncode == 78
    assert f"pid {first.pid}" in second.stderr
    assert first.poll() is None


@pytest.mark.parametrize("arguments", [[], ["--only", "gate"], ["check"], ["plan"], ["commands"]])
def test_a_broken_file_is_refused_with_78_and_every_problem(small_game, arguments):
    text = small_game.file.read_text()
    small_game.file.write_text(text.replace("drain_timeout = 5.0", "drain_timeout = nan\ncolour = 1"))
    ran = small_game.run(*arguments)
    assert ran.returncode == 78
    assert "drain_timeout" in ran.stderr
    assert "colour" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert not (small_game.folder / "var").exists()


def test_problems_of_handlers_are_refused_before_anything_starts(small_game):
    with (small_game.folder / "game.py").open("a") as file:
        file.write("\n@command(101)\ndef twice(ctx): ...\n")
    ran = small_game.run()
    assert ran.returncode == 78
    assert "101" in ran.stderr
    assert "starts" not in ran.stderr


@pytest.mark.parametrize("key", ["tcp", "root", "web"])
def test_a_port_that_somebody_has_is_refused_with_78_and_his_pid(small_game, key):
    port = getattr(small_game, key)
    with socket.create_server(("127.0.0.1", port)):
        everything, alone = small_game.run(), small_game.run("--only", "gate")
    for ran in (everything, alone):
        assert ran.returncode == 78
        assert f"127.0.0.1:{port}" in ran.stderr
        assert f"pid {os.getpid()}" in ran.stderr


def test_servers_that_are_started_one_by_one_find_each_other_and_stop_on_a_signal(small_game):
    world = small_game.start("--only", "world-1")
    small_game.wait_log("event=ready")
    gate = small_game.start("--only", "gate")
    small_game.wait_log("event=ready", times=2)

    def play():
        return json.loads(small_game.ask(b'{"id": 1, "cmd": 102}')).get("body")

    assert small_game.wait(play) == world.pid
    assert (small_game.folder / "var" / "secret").stat().st_mode & 0o777 == 0o600
    for process, number in ((gate, signal.SIGINT), (world, signal.SIGTERM)):
        process.send_signal(number)
        assert small_game.wait_exit(process) == 0
    assert small_game.log().count("event=draining") == 2


def test_a_name_that_is_no_server_is_refused_with_the_nearest(small_game):
    ran = small_game.run("--only", "wrold")
    assert ran.returncode == 78
    assert 'did you mean "world"?' in ran.stderr


def test_a_value_from_the_command_line_reaches_every_process(small_game):
    small_game.start("--set", "firefly.log=json")
    small_game.wait_log('"all servers ready"')
    small_game.wait_log('"server": "world-1", "event": "ready"')
    records = [json.loads(line) for line in small_game.log().splitlines()]
    assert {"gate-1", "world-1", "firefly-run"} == {record["server"] for record in records}


def test_a_hangup_takes_over_what_changed_and_refuses_what_is_wrong(small_game):
    supervisor = small_game.start()
    small_game.wait_log("all servers ready")
    before = processes_of(supervisor.pid)
    good = small_game.file.read_text()
    small_game.file.write_text(good.replace('["game"]', '["nonsense"]'))
    supervisor.send_signal(signal.SIGHUP)
    small_game.wait_log("the old one stays in force")
    assert "nonsense" in small_game.log()
    small_game.file.write_text(good.replace('handlers = ["game"]', 'handlers = ["game"]\ncritical = true'))
    supervisor.send_signal(signal.SIGHUP)
    small_game.wait_log("the new configuration is in force")
    after = processes_of(supervisor.pid)
    assert after["gate-1"] == before["gate-1"]
    assert after["world-1"] != before["world-1"]


def test_a_crash_after_a_broken_edit_starts_the_configuration_that_was_accepted(small_game):
    supervisor = small_game.start()
    small_game.wait_log("all servers ready")
    small_game.file.write_text("[firefly\n")
    processes_of(supervisor.pid)["world-1"].kill()
    small_game.wait_log("all servers ready", times=2)


def test_a_server_that_cannot_start_because_of_its_game_stops_everything_with_78_or_is_tried_again(small_game):
    game = small_game.folder / "game.py"
    game.write_text(game.read_text().replace('print("the game prints")', 'raise OSError("no such luck")'))
    supervisor = small_game.start()
    small_game.wait_log("world-1 ended: exit 1; starts again in")
    assert "no such luck" in small_game.log()
    assert supervisor.poll() is None


def test_the_secret_is_in_no_output_and_in_no_command_line(small_game):
    canary = "a-canary-in-the-coal-mine"
    os.environ["CANARY"] = canary
    try:
        text = small_game.file.read_text()
        small_game.file.write_text(text.replace('name = "small"', 'name = "small"\nsecret = "${CANARY}"'))
        supervisor = small_game.start()
        small_game.wait_log("all servers ready")
        for process in (psutil.Process(supervisor.pid), *processes_of(supervisor.pid).values()):
            assert canary not in " ".join(process.cmdline())
    finally:
        del os.environ["CANARY"]
    supervisor.send_signal(signal.SIGTERM)
    assert small_game.wait_exit(supervisor) == 0
    assert canary not in small_game.log()


def test_an_unknown_command_is_a_usage_error(small_game):
    ran = small_game.run("dance")
    assert ran.returncode == 2
    assert "No such command 'dance'" in ran.stderr


def test_only_goes_with_no_command(small_game):
    assert small_game.run("--only", "gate", "check").returncode == 2


@pytest.fixture
def third_party(tmp_path: Path):
    """A distribution of somebody else whose plugin offers a command."""
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "dancing.py").write_text(
        "import click\n"
        "from firefly_core import hookimpl\n"
        "FIREFLY_API = 1\n"
        "@click.command()\n"
        "@click.pass_obj\n"
        "def dance(invocation):\n"
        '    """Dance around the configuration."""\n'
        "    click.echo(f'dancing around {invocation.path}')\n"
        "@hookimpl\n"
        "def firefly_cli():\n"
        "    return [dance]\n"
    )
    info = folder / "dancing-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: dancing\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[firefly.plugins]\ndancing = dancing\n")
    return folder


def test_a_plugin_offers_commands_that_are_listed_and_run(small_game, third_party):
    text = small_game.file.read_text()
    small_game.file.write_text(text.replace('plugins = ["gate"', 'plugins = ["dancing", "gate"'))
    assert small_game.run("dance", path=third_party).stdout == "dancing around firefly.toml\n"
    listed = small_game.run("--help", path=third_party)
    assert "Dance around the configuration." in listed.stdout
    assert "No such command" in small_game.run("dance").stderr or "not installed" in small_game.run("dance").stderr
