"""Run Autobahn's WebSocket suite against a gate: `python -m tests.autobahn`, `--cases 1.*,7.*`.

The suite runs on CPython 2.7 and nothing else: where there is one (PYTHON27, `python2.7`, pyenv's), the suite is
installed into var/autobahn and run; where there is none, that is said, with exit status 3. The result goes to
docs/autobahn.json and, as row A10, to docs/promises.json.
"""

from __future__ import annotations

from gevent import monkey

monkey.patch_all()

import json  # noqa: E402
import os  # noqa: E402
import shutil  # noqa: E402
import subprocess  # noqa: E402
import sys  # noqa: E402
from collections import Counter  # noqa: E402
from collections.abc import Iterator  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

import click  # noqa: E402

from tests.autobahn.echo_gate import echo_gate  # noqa: E402
from tests.promises.ledger import Outcome, Row, append, commit  # noqa: E402
from tests.promises.running_game import free_ports  # noqa: E402

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "var" / "autobahn"
RESULT = ROOT / "docs" / "autobahn.json"
SUITE = "autobahntestsuite==25.10.1"
NOT_HERE = 3
PASSED = ("OK", "NON-STRICT", "INFORMATIONAL")
SPARED = 1
"""Cases of which one may fail: 7.1.5 asks what the RFC leaves open."""
ROW = Row("A10", "WebSocket conforms to RFC 6455 and 7692, by Autobahn's suite", lambda _: Outcome(0, "", True), 0, 0)


def pythons() -> Iterator[str]:
    """Give what could be CPython 2.7, the best first."""
    yield from filter(None, [os.environ.get("PYTHON27"), shutil.which("python2.7"), shutil.which("python2")])
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    yield from sorted(map(str, root.glob("versions/2.7*/bin/python")), reverse=True)


def find_python() -> str | None:
    """Give a CPython 2.7 that starts, or None."""
    ask = "import sys, platform; sys.exit(sys.version_info[:2] != (2, 7) or platform.python_implementation()[0] != 'C')"
    for python in pythons():
        done = subprocess.run([python, "-c", ask], capture_output=True, check=False)
        if done.returncode == 0:
            return python
    return None


def install(python: str) -> dict[str, str]:
    """Install the suite into a folder of its own; give the environment that it runs in."""
    environ = {**os.environ, "PYTHONUSERBASE": str(FOLDER / "base"), "PYTHONPATH": ""}
    if not (FOLDER / "base" / "bin" / "wstest").exists():
        FOLDER.mkdir(parents=True, exist_ok=True)
        command = [python, "-m", "pip", "install", "--quiet", "--no-warn-script-location", "--user", SUITE]
        subprocess.run(command, env=environ, check=True, timeout=900, cwd=FOLDER)
    return environ


def run_suite(python: str, environ: dict[str, str], port: int, cases: list[str]) -> dict[str, Any]:
    """Run the suite against the gate at `port`; give its report of every case."""
    reports = FOLDER / "reports"
    shutil.rmtree(reports, ignore_errors=True)
    spec = {
        "outdir": str(reports),
        "servers": [{"agent": "firefly", "url": f"ws://127.0.0.1:{port}/"}],
        "cases": cases,
        "exclude-cases": [],
        "exclude-agent-cases": {},
    }
    (FOLDER / "spec.json").write_text(json.dumps(spec))
    command = [python, str(FOLDER / "base" / "bin" / "wstest"), "-m", "fuzzingclient", "-s", str(FOLDER / "spec.json")]
    with (FOLDER / "log.txt").open("wb") as log:
        subprocess.run(command, env=environ, stdout=log, stderr=log, cwd=FOLDER, timeout=5400, check=True)
    return dict(json.loads((reports / "index.json").read_text())["firefly"])


def summary(report: dict[str, Any]) -> dict[str, Any]:
    """Give what docs/autobahn.json holds: counts, and each case that is not simply OK."""
    behaviour = Counter(each["behavior"] for each in report.values())
    return {
        "suite": SUITE,
        "commit": commit(),
        "cases": len(report),
        "passed": sum(behaviour[word] for word in PASSED),
        "behaviour": dict(behaviour),
        "closing": dict(Counter(each["behaviorClose"] for each in report.values())),
        "not plainly OK": {
            name: [each["behavior"], each["behaviorClose"]]
            for name, each in sorted(report.items(), key=lambda item: [int(part) for part in item[0].split(".")])
            if (each["behavior"], each["behaviorClose"]) != ("OK", "OK")
        },
    }


@click.command()
@click.option("--cases", default="*", help="Which cases, as 1.*,7.1.*; only all of them are written down.")
def main(cases: str) -> None:
    """Run the suite and say how many cases passed."""
    python = find_python()
    if python is None:
        click.echo("not run here: Autobahn's suite needs CPython 2.7 (set PYTHON27)")
        sys.exit(NOT_HERE)
    environ = install(python)
    [port] = free_ports(1)
    with echo_gate(port):
        found = summary(run_suite(python, environ, port, cases.split(",")))
    click.echo(json.dumps(found, indent=1))
    kinds = ", ".join(f"{number} {word}" for word, number in found["behaviour"].items())
    figure = f"{found['passed']} of {found['cases']} pass ({kinds})"
    kept = found["passed"] >= found["cases"] - SPARED
    if cases == "*":
        RESULT.write_text(json.dumps(found, indent=1) + "\n")
        append(ROW, Outcome(found["cases"], figure, kept))
    click.echo(figure)
    sys.exit(not kept)


if __name__ == "__main__":
    main()
