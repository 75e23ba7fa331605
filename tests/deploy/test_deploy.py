"""The examples in deploy/ fit the program that they start."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import attrs
import pytest

from firefly_core.errors import ExitStatus
from firefly_core.kernel.config.sections import FireflyConfig
from firefly_core.kernel.supervisor.shutdown import Patience
from firefly_core.run import supervises

ROOT = Path(__file__).parents[2]
UNIT = (ROOT / "deploy" / "firefly.service").read_text()
CONTAINER = (ROOT / "deploy" / "Containerfile").read_text()
COMPOSE = (ROOT / "deploy" / "compose.yaml").read_text()
RUN = [sys.executable, "-m", "firefly_core.run"]
DRAIN = attrs.fields(FireflyConfig).drain_timeout.default + Patience().kill
"""Seconds that a stop takes at most."""


def keys(section: str) -> dict[str, str]:
    """Give a section of the unit, which sets no key twice."""
    body = UNIT.split(f"[{section}]\n")[1].partition("\n[")[0]
    lines = [line.partition("=") for line in body.splitlines() if line and not line.startswith("#")]
    assert len({key for key, _, _ in lines}) == len(lines)
    return {key: value for key, _, value in lines}


def run(*command: str, folder: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    path = {"PYTHONPATH": f"{ROOT}:{ROOT / 'plugins'}"}
    return subprocess.run(
        command, cwd=folder, env={**os.environ, **path, **environ}, capture_output=True, text=True, timeout=30
    )


def compose_environment(name: str) -> dict[str, str]:
    """Give the variables of the game in compose.yaml, with a secret of its own in each place for one."""
    text = re.sub(r"\$\{\w+:\?[^}]*\}", name * 40, COMPOSE)
    block = re.search(r"^ {6}FIREFLY_SET: \|\n((?: {8}.*\n)+)", text, re.MULTILINE)
    plain = dict(re.findall(r"^ {6}(FIREFLY_\w+): (?!\|)(.+)$", text, re.MULTILINE))
    assert block is not None
    return {**plain, "FIREFLY_SET": re.sub("^ {8}", "", block[1], flags=re.MULTILINE)}


def test_the_unit_says_what_firefly_run_needs_of_systemd() -> None:
    service = keys("Service")
    assert service["Type"] == "notify"
    assert service["KillMode"] == "mixed"
    assert service["Restart"] == "on-failure"
    assert service["RestartPreventExitStatus"] == str(int(ExitStatus.CONFIGURATION))
    assert service["ExecReload"] == "/bin/kill -HUP $MAINPID"
    assert service["OOMPolicy"] == "continue"
    assert float(service["TimeoutStopSec"]) > DRAIN
    assert service["ReadWritePaths"] == f"{service['WorkingDirectory']}/var"


def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    program = tmp_path / "firefly-run"
    shutil.copy("/bin/true", program)
    unit = tmp_path / "meadow.service"
    unit.write_text(UNIT.replace("/srv/meadow/.venv/bin/firefly-run", str(program)))
    known = re.compile(r"(#.*|\[(Unit|Service|Install)\]|[A-Z][A-Za-z]+=.*|)")
    assert [line for line in UNIT.splitlines() if not known.fullmatch(line)] == []
    if shutil.which("systemd-analyze"):  # a machine without systemd has only the look above
        verified = run("systemd-analyze", "verify", "--man=no", str(unit), folder=tmp_path)
        assert (verified.returncode, verified.stderr) == (0, "")


def test_what_the_unit_starts_is_a_command_line_of_firefly_run(tmp_path: Path) -> None:
    program, *flags = shlex.split(keys("Service")["ExecStart"])
    assert Path(program).name == "firefly-run"
    assert supervises(flags)
    assert run(*RUN, "init", "meadow", folder=tmp_path).returncode == 0
    here = [flag.replace("/srv", str(tmp_path)) for flag in flags]
    checked = run(*RUN, *here, "check", folder=tmp_path)
    assert (checked.returncode, checked.stderr) == (0, "")
    assert "no problems" in checked.stdout


def test_the_variables_in_compose_yaml_fit_the_game_that_it_starts() -> None:
    checked = run(*RUN, "check", folder=ROOT, **compose_environment("s"))
    assert (checked.returncode, checked.stderr) == (0, "")
    listens = re.findall(r"0\.0\.0\.0:(\d+)", compose_environment("s")["FIREFLY_SET"])
    published = re.findall(r'"127\.0\.0\.1:(\d+):(\d+)"', COMPOSE)
    assert sorted(published) == sorted((port, port) for port in listens)


def test_compose_yaml_gives_a_stop_the_time_that_it_takes() -> None:
    found = re.search(r"stop_grace_period: (\d+)s", COMPOSE)
    assert found is not None
    assert float(found[1]) > DRAIN
    assert "\t" not in COMPOSE
    assert [line for line in COMPOSE.splitlines() if (len(line) - len(line.lstrip())) % 2] == []


@pytest.mark.parametrize("text", [CONTAINER, COMPOSE, UNIT], ids=["Containerfile", "compose.yaml", "firefly.service"])
def test_no_secret_and_no_latest_image_stands_in_an_example(text: str) -> None:
    assert not re.search(r"(SECRET|TOKEN|PASSWORD)\w*[=:] *[\w-]{8,}$", text, re.MULTILINE)
    for image in re.findall(r"(?:^FROM|image:) (\S+)", text, re.MULTILINE):
        assert re.fullmatch(r"[a-z]+:[0-9].*", image), image


def test_what_the_containerfile_copies_is_there_and_what_it_runs_is_installed() -> None:
    copied = [word for line in re.findall(r"^COPY (.+)$", CONTAINER, re.MULTILINE) for word in line.split()[:-1]]
    assert {"firefly_core", "plugins", "firefly.toml", "example_game"} <= set(copied)
    assert [name for name in copied if not (ROOT / name).exists()] == []
    [entry] = re.findall(r"^ENTRYPOINT (.+)$", CONTAINER, re.MULTILINE)
    assert json.loads(entry) == ["firefly-run"]
    assert 'firefly-run = "firefly_core.run:main"' in (ROOT / "pyproject.toml").read_text()
