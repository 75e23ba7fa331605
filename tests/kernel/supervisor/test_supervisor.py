"""The supervisor over real processes: what starts, what is started again, what stops, and in which order."""

from __future__ import annotations

import itertools
import json
import os
import pty
import signal
import socket
import time

import pytest
from gevent.monkey import get_original

from tests.ports import free_port


def test_every_replica_becomes_a_process_and_readiness_is_said_once_all_are(house):
    house.declare({"gate": {"replicas": 2}, "world": {}}, pages=["http://127.0.0.1:8000/"])
    house.behave({"world-1": {"ready_after": 0.2}})
    house.start()
    house.wait_ready()
    assert {event["name"] for event in house.events("ready")} == {"gate-1", "gate-2", "world-1"}
    house.wait_log("firefly-run: open http://127.0.0.1:8000/")
    assert house.log().index("world-1 is ready") < house.log().index("all servers ready")
    assert house.stop() == 0
    assert house.survivors() == []


def test_a_server_is_told_its_epoch_the_text_of_the_file_and_a_secret_that_is_new_at_each_start(house):
    house.declare({"gate": {}, "world": {}}, source="[firefly]\n# é")
    for epoch in (1, 2):
        house.start()
        house.wait(lambda epoch=epoch: len(house.events("ready")) == 2 * epoch)
        house.stop()
    told = house.events("begin")
    assert {event["source"] for event in told} == {"[firefly]\n# é"}
    assert sorted(event["epoch"] for event in told) == [1, 1, 2, 2]
    assert len({event["secret"] for event in told}) == 2
    assert {len(bytes.fromhex(event["secret"])) for event in told} == {32}


def test_a_configured_secret_is_left_to_the_servers_themselves(house):
    house.declare({"world": {}}, secret=True)
    house.start()
    house.wait_ready()
    assert house.events("begin")[0]["secret"] is None


def test_secrets_are_in_no_command_line_and_no_environment(house):
    house.start()
    house.wait_ready()
    secret = house.events("begin")[0]["secret"]
    for pid in (house.process.pid, house.pid_of("world-1")):
        for file in ("cmdline", "environ"):
            with open(f"/proc/{pid}/{file}", "rb") as opened:
                assert secret.encode() not in opened.read()


def test_a_killed_server_starts_again_with_a_higher_epoch_and_the_others_run_on(house):
    house.declare({"gate": {}, "world": {}})
    house.start()
    house.wait_ready()
    gate, world = house.pid_of("gate-1"), house.pid_of("world-1")
    os.kill(world, signal.SIGKILL)
    house.wait(lambda: len(house.events("ready", "world-1")) == 2)
    assert house.pid_of("gate-1") == gate
    assert house.pid_of("world-1") != world
    assert [event["epoch"] for event in house.events("begin", "world-1")] == [1, 2]
    assert "world-1 ended: SIGKILL; starts again in" in house.log()
    house.wait_log("all servers ready", times=2)


@pytest.mark.parametrize(("behaviour", "ending"), [({"exits": 1}, "exit 1"), ({"segfaults": True}, "SIGSEGV")])
def test_a_crash_loop_ends_after_five_failures_and_the_others_run_on(house, behaviour, ending):
    house.declare({"gate": {}, "world": {}})
    house.behave({"world-1": behaviour})
    house.start()
    house.wait_log(f"world-1 gave up: {ending}")
    assert len(house.events("begin", "world-1")) == 5
    assert len(house.events("begin", "gate-1")) == 1
    assert house.process.poll() is None
    assert house.stop() == 0


def test_the_delays_between_restarts_double(house):
    house.times(restarts={"first": 0.1, "longest": 10.0})
    house.behave({"world-1": {"exits": 1}})
    house.start()
    assert house.wait_exit() == 70
    begins = [event["at"] for event in house.events("begin")]
    gaps = [later - earlier for earlier, later in itertools.pairwise(begins)]
    assert len(gaps) == 4
    for gap, least in zip(gaps, (0.08, 0.16, 0.32, 0.64), strict=True):
        assert least <= gap <= least * 1.5 + 0.5


def test_everything_stops_with_70_when_a_critical_server_gives_up(house):
    house.declare({"gate": {}, "world": {"critical": True}})
    house.behave({"world-1": {"exits": 1}})
    house.start()
    assert house.wait_exit() == 70
    assert [event["signal"] for event in house.events("signal", "gate-1")] == ["SIGTERM"]
    assert house.survivors() == []


def test_it_exits_with_70_when_every_server_has_given_up(house):
    house.declare({"gate": {}, "world": {}})
    house.behave({"*": {"exits": 1}})
    house.start()
    assert house.wait_exit() == 70


def test_a_server_that_refuses_its_configuration_at_the_first_start_stops_everything_with_78(house):
    house.declare({"gate": {}, "world": {}})
    house.behave({"world-1": {"exits": 78}})
    house.start()
    assert house.wait_exit() == 78
    assert len(house.events("begin", "world-1")) == 1
    assert house.survivors() == []


@pytest.mark.parametrize("status", [70, 78])
def test_a_server_that_was_ready_and_says_that_starting_again_is_of_no_use_is_not_restarted(house, status):
    house.declare({"gate": {}, "world": {}})
    house.behave({"world-1": {"dies_after": 0.2, "dies_with": status}})
    house.start()
    house.wait_ready()
    house.wait_log(f"world-1 gave up: exit {status}")
    assert len(house.events("begin", "world-1")) == 1
    assert house.process.poll() is None


def test_a_server_that_ends_by_itself_without_an_error_starts_again(house):
    house.declare({"gate": {}, "world": {}})
    house.behave({"world-1": {"dies_after": 0.05, "dies_with": 0}})
    house.start()
    house.wait(lambda: len(house.events("begin", "world-1")) >= 2)
    assert "world-1 ended: exit 0" in house.log()


def test_doors_stop_first_and_nobody_before_those_who_need_him(house):
    house.declare({"db": {}, "gate": {"door": True}, "world": {"needs": ["gate", "db"]}})
    house.behave({"gate-1": {"works": 0.3}, "world-1": {"works": 0.2}})
    house.start()
    house.wait_ready()
    assert house.stop() == 0
    order = [event["name"] for event in house.events("end")]
    assert order == ["gate-1", "world-1", "db-1"]
    asked = {event["name"]: event["at"] for event in house.events("signal")}
    ended = {event["name"]: event["at"] for event in house.events("end")}
    assert asked["world-1"] >= ended["gate-1"]
    assert asked["db-1"] >= ended["world-1"]


def test_a_server_with_work_to_finish_is_given_the_time(house):
    house.behave({"world-1": {"works": 1.0}})
    house.start()
    house.wait_ready()
    assert house.stop() == 0
    assert [event["signal"] for event in house.events("signal")] == ["SIGTERM"]
    assert len(house.events("end")) == 1


def test_a_server_that_ignores_everything_is_killed_with_its_children_in_time(house):
    house.times(patience={"drain": 0.5, "kill": 0.3})
    house.behave({"world-1": {"ignores_term": True, "ignores_quit": True, "grandchild": True}})
    house.start()
    house.wait_ready()
    began = time.monotonic()
    assert house.stop() == 0
    assert time.monotonic() - began < 5 * 0.8
    assert [event["signal"] for event in house.events("signal")] == ["SIGTERM", "SIGQUIT"]
    house.wait(lambda: house.survivors() == [], 2)
    assert len(house.seen) == 2
    assert "world-1 does not end, it is killed" in house.log()


def test_a_wave_that_never_ends_leaves_the_next_one_its_last_seconds(house):
    house.times(patience={"drain": 0.4, "kill": 1.0})
    house.declare({"gate": {"door": True}, "world": {}})
    house.behave({"gate-1": {"ignores_term": True, "ignores_quit": True}})
    house.start()
    house.wait_ready()
    assert house.stop() == 0
    assert len(house.events("end", "world-1")) == 1
    assert [event["signal"] for event in house.events("signal", "world-1")] == ["SIGQUIT"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_makes_everybody_quick(house, number):
    house.times(patience={"drain": 30.0, "kill": 30.0, "hurry": 0.5})
    house.declare({"gate": {"door": True}, "world": {}})
    house.behave({"gate-1": {"ignores_term": True}, "world-1": {"ignores_term": True, "ignores_quit": True}})
    house.start()
    house.wait_ready()
    house.process.send_signal(number)
    house.wait(lambda: house.events("signal", "gate-1"))
    house.process.send_signal(number)
    assert house.wait_exit(5) == 0
    assert [event["signal"] for event in house.events("signal", "gate-1")] == ["SIGTERM", "SIGQUIT"]
    assert house.survivors() == []


def test_a_stop_while_everything_starts_leaves_nothing(house):
    house.declare({"gate": {"replicas": 3}})
    house.behave({"*": {"ready": False}})
    house.start()
    house.wait(lambda: house.events("begin"))
    assert house.stop() == 0
    assert house.survivors() == []


def test_a_stop_while_a_server_waits_for_its_restart_starts_it_no_more(house):
    house.times(restarts={"first": 30.0})
    house.declare({"gate": {}, "world": {}})
    house.behave({"world-1": {"exits": 1}})
    house.start()
    house.wait_log("world-1 ended: exit 1; starts again in")
    assert house.stop() == 0
    assert len(house.events("begin", "world-1")) == 1


@pytest.mark.parametrize("attempt", range(3))
def test_no_process_outlives_a_killed_supervisor_not_even_children_of_servers(house, attempt):
    house.declare({"gate": {"replicas": 2}, "world": {}})
    house.behave({"world-1": {"grandchild": True, "ignores_term": True}})
    house.start()
    if attempt:
        house.wait_ready()
    else:
        house.wait(lambda: house.events("grandchild"))
    house.events()
    house.process.kill()
    house.process.wait()
    house.wait(lambda: house.survivors() == [], 3)
    house.start()
    house.wait_ready()
    assert house.stop() == 0


def test_a_keeper_that_dies_is_replaced_and_the_new_one_does_its_work(house):
    import psutil

    house.behave({"world-1": {"grandchild": True}})
    house.start()
    house.wait_ready()

    def keepers():
        children = psutil.Process(house.process.pid).children()
        return [child for child in children if any("keeper.py" in word for word in child.cmdline())]

    first = keepers()[0]
    first.kill()
    house.wait(lambda: [keeper for keeper in keepers() if keeper.pid != first.pid])
    house.wait(lambda: house.events("grandchild"))
    house.process.kill()
    house.wait(lambda: house.survivors() == [], 3)


def test_a_second_supervisor_of_one_configuration_exits_78_and_names_the_first(house, tmp_path):
    house.start()
    house.wait_ready()
    first = house.process
    began = time.monotonic()
    house.start()
    assert house.wait_exit() == 78
    assert time.monotonic() - began < 10
    assert f"pid {first.pid}" in house.log()
    assert len(house.events("begin")) == 1
    house.process = first
    assert house.stop() == 0


def test_problems_of_the_file_are_told_and_nothing_is_started(house):
    (house.folder / "problems").write_text("firefly.toml:3: rate\nfirefly.toml:9: listen\n")
    house.start()
    assert house.wait_exit() == 78
    assert house.log() == "firefly.toml:3: rate\nfirefly.toml:9: listen\n"
    assert house.events() == []
    assert not (house.folder / "var").exists()


def test_a_port_that_somebody_else_has_is_told_with_his_pid_before_anything_starts(house):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        address = {"key": "servers.gate.web.listen", "url": f"http://127.0.0.1:{port}", "host": "127.0.0.1"}
        house.declare({"gate": {"own": [{**address, "port": port}]}, "world": {}})
        house.start()
        assert house.wait_exit() == 78
    assert f"http://127.0.0.1:{port} is taken by" in house.log()
    assert f"pid {os.getpid()}" in house.log()
    assert house.events() == []


def test_clients_that_come_while_a_gate_is_away_are_served_by_the_next_one(house, port):
    house.declare({"gate": {"held": [port]}})
    house.behave({"*": {"ready_after": 0.1}})
    house.start()
    house.wait_ready()
    first = house.pid_of("gate-1")
    os.kill(first, signal.SIGKILL)
    with socket.create_connection(("127.0.0.1", port["port"]), timeout=10) as client:
        answer = client.recv(100).decode()
    assert answer == f"gate-1 {house.pid_of('gate-1')}"
    assert house.pid_of("gate-1") != first


def test_replicas_share_a_port_with_a_socket_each(house, port):
    house.declare({"gate": {"held": [port], "replicas": 2}})
    house.start()
    house.wait_ready()
    answers = set()
    for _ in range(200):
        with socket.create_connection(("127.0.0.1", port["port"]), timeout=10) as client:
            answers.add(client.recv(100).split()[0])
        if len(answers) == 2:
            break
    assert answers == {b"gate-1", b"gate-2"}


def test_clients_do_not_wait_for_a_replica_that_will_be_away_for_long(house, port):
    house.declare({"gate": {"held": [port], "replicas": 2}})
    house.times(restarts={"first": 60.0, "jitter": 0.0})
    house.start()
    house.wait_ready()
    os.kill(house.pid_of("gate-1"), signal.SIGKILL)
    house.wait_log("starts again in 60")
    for _ in range(50):
        with socket.create_connection(("127.0.0.1", port["port"]), timeout=5) as client:
            assert client.recv(100).split()[0] == b"gate-2"


def test_clients_of_a_gate_that_gave_up_are_refused(house, port):
    house.declare({"gate": {"held": [port]}, "world": {}})
    house.behave({"gate-1": {"exits": 1}})
    house.start()
    house.wait_log("gate-1 gave up")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port["port"]), timeout=5)


@pytest.fixture
def port():
    number = free_port()
    return {
        "key": "servers.gate.gate.listen",
        "url": f"tcp://127.0.0.1:{number}",
        "host": "127.0.0.1",
        "port": number,
    }


def test_a_hangup_restarts_only_what_is_declared_differently(house):
    house.declare({"gate": {}, "world": {"replicas": 2}, "old": {}})
    house.start()
    house.wait_ready()
    gate = house.pid_of("gate-1")
    house.declare({"gate": {}, "world": {"replicas": 2, "fingerprint": "2"}, "new": {}}, source="second")
    house.process.send_signal(signal.SIGHUP)
    house.wait_log("the new configuration is in force")
    assert house.pid_of("gate-1") == gate
    assert len(house.events("begin", "gate-1")) == 1
    assert [len(house.events("begin", name)) for name in ("world-1", "world-2", "new-1")] == [2, 2, 1]
    assert len(house.events("end", "old-1")) == 1
    second = house.events("ready", "world-1")[1]["at"]
    assert house.events("signal", "world-2")[0]["at"] >= second, "one replica after the other"
    assert house.stop() == 0
    assert house.survivors() == []


def test_a_server_that_ran_on_through_a_reload_reads_the_new_text_when_it_starts_again(house):
    house.declare({"world": {}}, source="first")
    house.start()
    house.wait_ready()
    house.declare({"world": {}}, source="second")
    house.process.send_signal(signal.SIGHUP)
    house.wait_log("the new configuration is in force")
    os.kill(house.pid_of("world-1"), signal.SIGKILL)
    house.wait(lambda: len(house.events("ready")) == 2)
    assert [event["source"] for event in house.events("begin")] == ["first", "second"]


def test_a_hangup_with_a_bad_file_touches_nothing_and_a_crash_later_still_starts_the_old_one(house):
    house.declare({"gate": {}, "world": {}}, source="good")
    house.start()
    house.wait_ready()
    (house.folder / "problems").write_text("firefly.toml:3: rate\n")
    house.process.send_signal(signal.SIGHUP)
    house.wait_log("the old one stays in force")
    assert "firefly.toml:3: rate" in house.log()
    assert len(house.events("begin")) == 2
    os.kill(house.pid_of("world-1"), signal.SIGKILL)
    house.wait(lambda: len(house.events("ready", "world-1")) == 2)
    assert house.events("begin", "world-1")[-1]["source"] == "good"
    assert house.stop() == 0


def test_a_hangup_tries_those_again_that_had_given_up(house):
    house.declare({"gate": {}, "world": {}})
    house.behave({"world-1": {"exits": 1}})
    house.start()
    house.wait_log("world-1 gave up")
    house.behave({})
    house.process.send_signal(signal.SIGHUP)
    house.wait_log("world-1 is ready")
    assert len(house.events("begin", "gate-1")) == 1


def test_an_address_that_moves_to_another_server_is_let_go_first(house, port):
    house.declare({"gate": {"held": [port]}, "world": {}})
    house.start()
    house.wait_ready()
    house.declare({"gate": {"fingerprint": "2"}, "world": {"held": [port], "fingerprint": "2"}})
    house.process.send_signal(signal.SIGHUP)
    house.wait_log("the new configuration is in force")
    with socket.create_connection(("127.0.0.1", port["port"]), timeout=10) as client:
        assert client.recv(100).split()[0] == b"world-1"


def test_a_stop_in_the_middle_of_a_reload_stops_those_that_were_leaving_too(house):
    house.declare({"gate": {}, "old": {}})
    house.behave({"old-1": {"ignores_term": True}})
    house.start()
    house.wait_ready()
    house.declare({"gate": {}})
    house.process.send_signal(signal.SIGHUP)
    house.wait(lambda: house.events("signal", "old-1"))
    assert house.stop() == 0
    assert house.survivors() == []


def test_a_server_can_ask_for_the_state_of_all(house):
    house.declare({"gate": {}, "world": {"needs": ["gate"]}})
    house.behave({"world-1": {"ready_after": 0.3, "asks": [{"ask": 7, "what": "status"}]}})
    house.start()
    answer = house.wait(lambda: house.events("answer"))[0]["answer"]
    assert answer["answer"] == 7
    report = answer["result"]
    assert report["supervisor"]["pid"] == house.process.pid
    assert report["supervisor"]["name"] == "meadow"
    states = {process["name"]: process for process in report["processes"]}
    assert list(states) == ["gate-1", "world-1"]
    assert states["gate-1"]["pid"] == house.pid_of("gate-1")
    assert {states["gate-1"][key] for key in ("epoch", "starts")} == {1}
    assert (states["gate-1"]["failures"], states["gate-1"]["ending"]) == (0, None)


def test_a_server_can_ask_for_a_restart_of_another_and_is_told_when_there_is_none(house):
    questions = [{"ask": 1, "what": "restart", "name": "gate-9"}, {"ask": 2, "what": "dance"}]
    house.declare({"gate": {}, "world": {}})
    house.behave({"world-1": {"asks": [*questions, {"ask": 3, "what": "restart", "name": "gate-1"}]}})
    house.start()
    house.wait_log("gate-1: started anew")
    errors = [event["answer"] for event in house.events("answer")]
    assert errors[0] == {"answer": 1, "error": "there is no process or server gate-9"}
    known = "status, reload, restart, drain, stop"
    assert errors[1] == {"answer": 2, "error": f"unknown question 'dance'; known are {known}"}
    assert errors[2] == {"answer": 3, "result": {"accepted": True}}
    assert house.events("begin", "gate-1")[-1]["epoch"] == 2
    assert len(house.events("begin", "world-1")) == 1


def test_what_servers_print_has_their_name_before_it(house):
    house.behave({"world-1": {"prints": "one\ntwo \x1b[2J\nno end"}})
    house.start()
    house.wait_ready()
    house.stop()
    lines = house.log().splitlines()
    assert "world-1     | one" in lines
    assert "world-1     | two \\x1b[2J" in lines
    assert "world-1     | no end" in lines


def test_json_logs_are_one_object_a_line(house):
    house.declare({"world": {}}, json_log=True)
    house.behave({"world-1": {"prints": 'plain\n{"event": "own"}\n'}})
    house.start()
    house.wait_log('"all servers ready"')
    house.stop()
    records = [json.loads(line) for line in house.log().splitlines()]
    assert {"event": "own"} in records
    assert [record["text"] for record in records if record.get("server") == "world-1"] == ["plain"]
    assert any(record.get("event") == "all servers ready" for record in records)


def test_a_server_that_floods_its_output_is_never_blocked_and_lost_lines_are_counted(house):
    house.declare({"world": {}, "gate": {}})
    house.behave({"world-1": {"flood": True}})
    house.start()
    house.wait_log("lines of world-1 were dropped")
    assert house.events("blocked") == []
    assert house.stop() == 0


def test_a_log_that_nobody_reads_stops_neither_the_servers_nor_the_supervisor(house):
    reading, writing = os.pipe()
    house.declare({"world": {}, "gate": {}})
    house.behave({"world-1": {"flood": True}})
    house.start(stderr=writing)
    os.close(writing)
    house.wait(lambda: len(house.events("ready")) == 2)
    os.kill(house.pid_of("gate-1"), signal.SIGKILL)
    house.wait(lambda: len(house.events("ready", "gate-1")) == 2)
    assert house.events("blocked") == []
    assert house.stop() == 0
    os.close(reading)


def test_a_terminal_that_is_closed_ends_everything(house):
    terminal, end = pty.openpty()
    house.start(stderr=end, controlling=True)
    os.close(end)
    house.wait(lambda: house.events("ready"))
    get_original("os", "close")(terminal)
    assert house.wait_exit() == 0
    assert house.survivors() == []


def test_a_server_that_is_slow_to_be_ready_is_mentioned(house):
    (house.folder / "times.json").write_text('{"slow": 0.1}')
    house.behave({"world-1": {"ready_after": 0.5}})
    house.start()
    house.wait_ready()
    assert "world-1 is not ready after 0.1 s" in house.log()


def test_the_supervisor_itself_loads_no_gevent_and_no_plugin():
    import subprocess
    import sys

    program = (
        "import sys, firefly_core.kernel.supervisor.supervisor\n"
        "print([name for name in sys.modules if name.split('.')[0] in ('gevent', 'greenlet', 'pluggy', 'peewee')"
        " or name.startswith('firefly_') and not name.startswith('firefly_core')])"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout == "[]\n"


def test_log_files_are_kept_and_opened_anew_by_sigusr1(house):
    folder = house.folder / "logs"
    house.declare({"world": {}}, log_folder=str(folder))
    house.behave({"world-1": {"prints": "one\ntwo\n"}})
    house.start()
    house.wait_ready()
    house.wait(lambda: (folder / "world-1.log").exists() and (folder / "world-1.log").read_text() == "one\ntwo\n")
    assert "two" not in house.log()
    (folder / "firefly-run.log").rename(folder / "moved")
    house.process.send_signal(signal.SIGUSR1)
    assert house.stop() == 0
    assert "all servers ready" in (folder / "moved").read_text()
    assert "world-1 has stopped" in (folder / "firefly-run.log").read_text()


def test_without_log_files_sigusr1_does_nothing(house):
    house.start()
    house.wait_ready()
    house.process.send_signal(signal.SIGUSR1)
    assert house.stop() == 0


def test_systemd_hears_of_the_start_a_reload_and_the_stop_and_servers_cannot_speak_to_it(house, monkeypatch):
    address = str(house.folder / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(address)
        systemd.settimeout(10)
        monkeypatch.setenv("NOTIFY_SOCKET", address)
        monkeypatch.setenv("WATCHDOG_USEC", "4000000")
        house.start()
        heard = []

        def hear(word):
            while not heard or not heard[-1].startswith(word):
                heard.append(systemd.recv(1000).decode())

        hear("READY=1")
        assert len(house.events("ready")) == 1
        with open(f"/proc/{house.pid_of('world-1')}/environ", "rb") as environ:
            assert b"NOTIFY_SOCKET" not in environ.read()
        hear("WATCHDOG=1")
        house.process.send_signal(signal.SIGHUP)
        hear("RELOADING=1")
        hear("READY=1")
        house.process.send_signal(signal.SIGTERM)
        hear("STOPPING=1")
        assert house.wait_exit() == 0
