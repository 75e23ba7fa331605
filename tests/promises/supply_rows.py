"""Row A59: what Firefly runs with is listed, and none of it is known to be vulnerable, where somebody can be asked."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any

from tests.promises.ledger import ROOT, Outcome, Row

__all__ = ["ROWS"]


def listed() -> dict[str, str]:
    """Give what .ci/sbom lists, name to version."""
    ended = subprocess.run([sys.executable, str(ROOT / ".ci" / "sbom")], capture_output=True, text=True, check=True)
    return {each["name"]: each["version"] for each in json.loads(ended.stdout)["components"]}


def audit(components: dict[str, str]) -> tuple[int, int] | None:
    """Give how many components pip-audit knows, and their vulnerabilities; None: it is not here, or reaches nobody."""
    program = shutil.which("pip-audit")
    if program is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "requirements.txt"
        file.write_text("".join(f"{name}=={version}\n" for name, version in components.items()))
        command = [program, "-r", str(file), "--no-deps", "--disable-pip", "--format", "json"]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=300)
    try:
        told: list[dict[str, Any]] = json.loads(ended.stdout)["dependencies"]
    except (ValueError, KeyError):
        return None
    known = [each for each in told if "vulns" in each]
    return (len(known), sum(len(each["vulns"]) for each in known)) if known else None


def a59_supply(count: int) -> Outcome:
    """List the components, and have them looked up."""
    components = listed()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    texts = [*project["dependencies"], *project["optional-dependencies"]["postgres"]]
    direct = {text.partition(">")[0].partition("[")[0].lower() for text in texts}
    missing = direct - set(components)
    asked = audit(components) if count > 1 else None
    said = "pip-audit: not run here" if asked is None else f"{asked[1]} known vulnerabilities in {asked[0]} of them"
    figure = f"{len(components)} components listed, {len(missing)} of {len(direct)} direct ones missing; {said}"
    return Outcome(len(components), figure, not missing and (asked is None or asked[1] == 0))


ROWS = [Row("A59", "what it runs with is listed, and not known to be vulnerable", a59_supply, 1, 2)]
