"""The harness of the benchmarks measures a tiny case for real, and what it writes is whole."""

import json
import os
import subprocess
import sys
import xml.etree.ElementTree as xml
from pathlib import Path

import pytest

from benchmarks.compiler import build
from benchmarks.goals import GOALS
from benchmarks.load import LoadError, Target
from benchmarks.machine import Cores
from benchmarks.plot import plot
from benchmarks.report import report
from benchmarks.results import Results, Spread
from benchmarks.turns import TURNS
from benchmarks.wire import BODY, datapack, json_request

ROOT = Path(__file__).resolve().parent.parent.parent


def harness(folder, *arguments):
    command = [sys.executable, "-m", "benchmarks", "--offline", "--rounds", "1", "--seconds", "0.05"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "plugins")])}
    return subprocess.run(
        [*command, "--to", str(folder), *arguments], cwd=ROOT, env=environment, capture_output=True, text=True
    )


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    folder = tmp_path_factory.mktemp("result")
    done = harness(folder, "typed-echo", "broadcast-slice", "--only", "Firefly")
    assert done.returncode == 0, done.stderr
    return folder, done


def test_a_case_is_measured_and_written_as_json(measured):
    folder, _ = measured
    plain = json.loads((folder / "benchmarks.json").read_text())
    assert plain["absent"] == {}
    figures = plain["cases"]["typed-echo"]["Firefly"]["100 x 1"]
    assert all(len(values) == TURNS for values in figures.values())
    assert figures["rate"][0] > 0
    assert figures["cpu_us"][0] > 0
    assert set(plain["machine"]) == {"processor", "memory", "system", "python"}
    assert plain["versions"]["gevent"]


def test_the_page_has_the_goals_and_a_table_for_each_case(measured):
    folder, done = measured
    page = (folder / "benchmarks.md").read_text()
    for goal in GOALS:
        assert goal.measure in page
    assert "## A typed payload" in page
    assert "make bench CASE=typed-echo" in page
    assert "loop held by a broadcast to 5,000" in done.stdout


def test_the_plot_is_a_well_formed_picture(measured):
    folder, _ = measured
    picture = xml.fromstring((folder / "benchmarks.svg").read_text())
    assert picture.tag.endswith("svg")


def test_an_unknown_case_is_refused_with_the_names_of_all(tmp_path):
    done = harness(tmp_path, "gate-ecko")
    assert done.returncode == 2
    assert "gate-echo" in done.stderr
    assert not list(tmp_path.iterdir())


# ------------------------------------------------------------------------------------------------- the load client

ECHO = """
import socket, threading
def serve(sock):
    with sock:
        while data := sock.recv(65536):
            sock.sendall({answer})
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
"""


@pytest.fixture
def echo():
    started = []

    def start(answer="data"):
        server = subprocess.Popen([sys.executable, "-c", ECHO.format(answer=answer)], stdout=subprocess.PIPE, text=True)
        started.append(server)
        return Target(int(server.stdout.readline()), datapack(1), BODY, watch=(server.pid,), warmup=0.05)

    yield start
    for server in started:
        server.kill()
        server.wait()
        server.stdout.close()


@pytest.fixture(params=["c", "python"])
def load(request, monkeypatch):
    import benchmarks.load

    if request.param == "python":
        monkeypatch.setattr(benchmarks.load, "build", lambda name: None)
    elif build("load") is None:
        request.param = "python"
    made = benchmarks.load.Load(Cores.of_this_machine())
    assert made.kind == request.param
    return made


def test_the_client_counts_answers_latency_and_the_servers_cpu(load, echo):
    figures = load.run("echo", echo(), connections=3, in_flight=4, seconds=0.2)
    assert figures["answers"] > 0
    assert figures["least"] <= figures["answers"] / 3 <= figures["most"]
    assert 0 < figures["latency_us"]["p50"] <= figures["latency_us"]["p99"] <= figures["latency_us"]["max"]
    assert figures["latency_us"]["count"] == figures["answers"]
    assert figures["cpu"][0] > 0


def test_a_server_with_wrong_answers_is_not_measured(load, echo):
    with pytest.raises(LoadError, match="the answer is"):
        load.run("echo", echo(answer="data.replace(b'x', b'y')"), connections=1, in_flight=1, seconds=0.1)


def test_a_flood_is_counted_apart(load, echo):
    figures = load.run("echo", echo(), connections=2, in_flight=1, flood=50, seconds=0.2)
    assert figures["flood_answers"] > 0
    assert figures["latency_us"]["count"] == figures["answers"]


def test_connections_are_made_again_and_again(load, echo):
    figures = load.run("connect", echo(), in_flight=4, seconds=0.2)
    assert figures["answers"] > 0


def test_idle_connections_are_held_until_the_end(load, echo):
    target = echo()
    with load.hold(target, 5):
        states = [
            line.split()[3] for line in Path("/proc/net/tcp").read_text().splitlines() if port(line) == target.port
        ]
        assert states.count("01") == 5


def port(line):
    local = line.split()[1]
    return int(local.partition(":")[2], 16) if ":" in local else None


def test_the_number_that_changes_stands_where_the_client_is_told():
    request, at = json_request(4, {"x": 1})
    assert request[at : at + 7] == b"1000001"


# -------------------------------------------------------------------------------------------------------- the figures


def test_ratios_are_taken_turn_by_turn():
    plain = {"cases": {"case": {"A": {"load": {"rate": [10.0, 40.0]}}, "B": {"load": {"rate": [10.0, 20.0]}}}}}
    assert Results(plain).ratio("case", "A", "B", "load", "rate") == Spread(1.5, 1.0, 2.0)
    assert Results(plain).ratio("case", "A", "C", "load", "rate") is None


def test_every_goal_is_judged_by_its_limit_and_its_stretch():
    def figures(value):
        cases = {
            "gate-echo": {"Firefly": {"100 x 1": {"rate": [value]}}, "uvloop Protocol": {"100 x 1": {"rate": [1.0]}}}
        }
        return Results({"cases": cases})

    goal = GOALS[0]
    words = [goal.judge(figures(value)).word for value in (0.9, 0.95, 1.05)]
    assert words == ["missed", "reached", "stretch"]
    assert goal.judge(Results({"cases": {}})).word == "not measured"


def test_a_report_and_a_plot_can_be_made_of_nothing():
    plain = {
        "cases": {},
        "absent": {},
        "machine": {"processor": "none"},
        "date": "2026-11-23",
        "rounds": 1,
        "seconds": 1.0,
    }
    plain |= {"client": "c", "versions": {}, "titles": {}, "about": {}}
    assert "not measured" in report(plain)
    assert plot(Results(plain)).startswith("<svg")
