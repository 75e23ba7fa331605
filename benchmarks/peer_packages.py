"""The peers from the package indexes: a virtual environment and a node folder of their own, below var/."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import cached_property
from importlib.metadata import distributions
from pathlib import Path

from benchmarks.places import NODE, PEERS, VENV

__all__ = ["PeerPackages"]

REQUIREMENTS = PEERS / "requirements.txt"
MINUTES = 10


def _run(command: list[str | Path], folder: Path | None = None) -> str:
    """Run an installer; give the reason when it fails."""
    try:
        done = subprocess.run(
            [str(part) for part in command], cwd=folder, capture_output=True, text=True, timeout=MINUTES * 60
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return "" if done.returncode == 0 else (done.stderr.strip().splitlines() or ["no reason given"])[-1]


class PeerPackages:
    """Installs each package once, when it is first asked for. `offline`: only what is installed already."""

    def __init__(self, say: Callable[[str], None], *, offline: bool = False) -> None:
        self._say = say
        self._offline = offline
        self._failed: dict[str, str] = {}

    @cached_property
    def python(self) -> Path:
        """The interpreter of the peers' virtual environment, which is made when it is missing."""
        python = VENV / "bin" / "python"
        if not python.exists():
            self._say("making a virtual environment for the peers")
            _run([sys.executable, "-m", "venv", VENV])
        return python

    def versions(self) -> dict[str, str]:
        """Give the versions of all peers that are installed."""
        found = {}
        for package in self._wanted():
            version = self._installed(package)
            if version:
                found[package] = version
        for package in ("@colyseus/core", "pinus", "pinus-rpc"):
            about = NODE / "node_modules" / package / "package.json"
            if about.exists():
                found[package] = about.read_text().split('"version": "')[1].split('"')[0]
        return found

    def missing(self, package: str) -> str:
        """Install a Python package if need be; give why it cannot be had, or nothing."""
        if self._installed(package):
            return ""
        if package not in self._failed:
            self._failed[package] = self._install(package)
        return self._failed[package]

    def _install(self, package: str) -> str:
        if self._offline:
            return "not installed"
        self._say(f"installing {package} for the peers")
        command: list[str | Path] = [self.python, "-m", "pip", "install", "--quiet", self._wanted()[package]]
        reason = _run(command)
        return f"pip cannot install it: {reason}" if reason else ""

    def _installed(self, package: str) -> str:
        """Give the version that is installed, or nothing."""
        for place in VENV.glob("lib/python3*/site-packages"):
            for found in distributions(name=package, path=[str(place)]):
                return found.version
        return ""

    def _wanted(self) -> dict[str, str]:
        """Give name and requirement of every Python peer."""
        lines = [line.split("#")[0].strip() for line in REQUIREMENTS.read_text().splitlines()]
        return {line.split("=")[0]: line for line in lines if line}

    @cached_property
    def node_missing(self) -> str:
        """Why there are no peers from npm, or nothing; installs them if need be."""
        node, npm = shutil.which("node"), shutil.which("npm")
        if node is None or npm is None:
            return "node and npm are not here"
        shutil.copytree(PEERS / "node", NODE, dirs_exist_ok=True)
        if (NODE / "node_modules" / "pinus").exists():
            return ""
        if self._offline:
            return "not installed"
        self._say("installing Colyseus and Pinus for the peers")
        reason = _run([npm, "install", "--no-audit", "--no-fund", "--ignore-scripts"], NODE)
        return f"npm cannot install them: {reason}" if reason else ""
