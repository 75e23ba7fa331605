"""The socket by which programs of the same user give orders."""

import json
import os
import stat

import pytest

from firefly_core.errors import RemoteError, Unavailable
from firefly_core.kernel.supervisor.control_socket import connect, socket_path
from firefly_core.kernel.supervisor.inquiry import ask


def path_of(house):
    return socket_path(house.folder / "var", house.folder / "firefly.toml")


def test_only_its_user_may_open_it_and_it_goes_with_the_supervisor(house):
    house.start()
    house.wait_ready()
    mode = path_of(house).stat().st_mode
    assert stat.S_ISSOCK(mode)
    assert stat.S_IMODE(mode) == 0o600
    assert ask(path_of(house), "status", timeout=10)["supervisor"]["state"] == "ready"
    assert house.stop() == 0
    assert not path_of(house).exists()
    with pytest.raises(Unavailable, match="no firefly-run listens"):
        ask(path_of(house), "status", timeout=10)


def test_what_a_killed_supervisor_has_left_is_replaced(house):
    house.start()
    house.wait_ready()
    house.process.kill()
    house.process.wait()
    house.wait(lambda: not house.survivors())
    with pytest.raises(Unavailable, match="no firefly-run listens"):
        ask(path_of(house), "status", timeout=10)
    house.start()
    house.wait_ready()
    assert ask(path_of(house), "status", timeout=10)["supervisor"]["pid"] == house.process.pid


def test_a_path_longer_than_sockets_have_is_reached(tmp_path, house):
    deep = house.folder / ("d" * 60) / ("e" * 60)
    house.declare({"world": {}}, var=str(deep))
    house.start()
    house.wait_ready()
    assert ask(deep / "firefly.sock", "status", timeout=10)["supervisor"]["state"] == "ready"


@pytest.mark.parametrize(
    ("what", "values", "said"),
    [
        ("dance", {}, "unknown question 'dance'"),
        ("restart", {"name": "moon"}, "there is no process or server moon"),
        ("restart", {}, "say a process or server"),
        ("drain", {"name": ["world"]}, "there is no process or server"),
        ("drain", {"name": "world", "seconds": -1}, "seconds -1 is not a number"),
        ("drain", {"name": "world", "seconds": "long"}, "seconds 'long' is not a number"),
        ("reload", {"name": "moon"}, "there is no process or server moon"),
    ],
)
def test_what_makes_no_sense_is_refused_with_a_reason(house, what, values, said):
    house.start()
    house.wait_ready()
    with pytest.raises(RemoteError, match=said):
        ask(path_of(house), what, timeout=10, **values)
    assert len(house.events("begin")) == 1


def test_noise_ends_a_connection_and_nothing_else(house):
    house.start()
    house.wait_ready()
    for noise in (b"\x00\xff\n", b"[1]\n", b"x" * 100_000, b"GET / HTTP/1.1\r\n\r\n", b"[" * 60_000 + b"\n"):
        with connect(path_of(house)) as pipe:
            pipe.settimeout(10)
            try:
                pipe.sendall(noise)
                assert pipe.recv(100) == b""
            except ConnectionError:
                pass
    assert ask(path_of(house), "status", timeout=10)["processes"][0]["state"] == "ready"


def test_connections_are_bounded_and_those_that_end_make_room(house):
    house.start()
    house.wait_ready()
    pipes = [connect(path_of(house)) for _ in range(32)]
    for pipe in pipes:
        pipe.settimeout(10)
        pipe.sendall(json.dumps({"ask": 1, "what": "status"}).encode() + b"\n")
        assert pipe.recv(10)
    with pytest.raises(Unavailable):
        ask(path_of(house), "status", timeout=10)
    for pipe in pipes:
        pipe.close()

    def answers():
        try:
            return ask(path_of(house), "status", timeout=10)
        except Unavailable:
            return None

    house.wait(answers)


def test_a_stop_without_a_name_stops_everything(house):
    house.declare({"gate": {}, "world": {}})
    house.start()
    house.wait_ready()
    assert ask(path_of(house), "stop", timeout=10) == {"accepted": True}
    assert house.wait_exit() == 0
    assert len(house.events("end")) == 2


def test_one_that_is_drained_stays_away_until_it_is_restarted(house):
    house.declare({"gate": {}, "world": {"replicas": 2}})
    house.start()
    house.wait_ready()
    told = ask(path_of(house), "drain", name="world-2", wait=True, timeout=20)
    assert told == {"accepted": True, "processes": {"world-2": "stopped"}, "dropped": {}}
    assert [event["signal"] for event in house.events("signal", "world-2")] == ["SIGTERM"]
    assert ask(path_of(house), "status", timeout=10)["supervisor"]["state"] == "degraded"
    told = ask(path_of(house), "restart", name="world-2", wait=True, timeout=20)
    assert told["processes"] == {"world-2": "ready"}
    assert len(house.events("begin", "world-1")) == 1


def test_a_drain_has_its_own_time_and_stop_now_has_none(house):
    house.behave({"*": {"ignores_term": True}})
    house.times(patience={"drain": 30.0, "kill": 30.0, "hurry": 5.0})
    house.declare({"gate": {}, "world": {}})
    house.start()
    house.wait_ready()
    ask(path_of(house), "drain", name="world", seconds=0.3, wait=True, timeout=20)
    assert [event["signal"] for event in house.events("signal", "world-1")] == ["SIGTERM", "SIGQUIT"]
    ask(path_of(house), "stop", name="gate", now=True, wait=True, timeout=20)
    assert [event["signal"] for event in house.events("signal", "gate-1")] == ["SIGQUIT"]
    assert house.process.poll() is None


def test_replicas_are_restarted_one_after_another(house):
    house.declare({"world": {"replicas": 3}})
    house.start()
    house.wait_ready()
    ask(path_of(house), "restart", name="world", wait=True, timeout=30)
    order = [(event["what"], event["name"]) for event in house.events() if event["what"] in ("end", "ready")][3:]
    assert order == [(what, f"world-{number}") for number in (1, 2, 3) for what in ("end", "ready")]


def test_a_restart_of_what_could_not_start_is_refused_unless_by_force(house):
    house.start()
    house.wait_ready()
    (house.folder / "problems").write_text("game/world.py:3: no such luck\n")
    with pytest.raises(RemoteError, match=r"game/world.py:3: no such luck\nit would not start: nothing was done"):
        ask(path_of(house), "restart", name="world", timeout=20)
    assert len(house.events("begin")) == 1
    ask(path_of(house), "restart", name="world", force=True, wait=True, timeout=20)
    assert len(house.events("begin")) == 2


def test_while_one_thing_is_done_the_next_is_refused(house):
    house.behave({"*": {"works": 1.0}})
    house.start()
    house.wait_ready()
    ask(path_of(house), "drain", name="world", timeout=20)
    for what in ("drain", "restart", "reload"):
        with pytest.raises(RemoteError, match="busy: a restart, a drain or a stop is under way"):
            ask(path_of(house), what, name="world", timeout=20)


def test_somebody_who_leaves_before_the_answer_disturbs_nothing(house):
    house.start()
    house.wait_ready()
    with connect(path_of(house)) as pipe:
        pipe.sendall(json.dumps({"ask": 1, "what": "restart", "name": "world", "wait": True}).encode() + b"\n")
    house.wait(lambda: len(house.events("ready")) == 2)
    assert ask(path_of(house), "status", timeout=10)["supervisor"]["pid"] == house.process.pid
    assert os.path.exists(path_of(house))
