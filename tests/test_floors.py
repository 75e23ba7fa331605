"""The floors of the house hold, every plugin stands on them, and no second copy of a plugin can be imported."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PLUGINS = sorted(path.parent.name for path in (ROOT / "plugins").glob("*/__init__.py"))


def modules() -> Iterator[tuple[Path, ast.Module]]:
    for folder in ("firefly_core", "plugins", "example_game", "tests", "benchmarks"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            if "template" not in path.parts:
                yield path.relative_to(ROOT), ast.parse(path.read_text(), str(path))


def imports(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module


def test_every_import_goes_down_the_floors() -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "plugins")])}
    ran = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_every_plugin_stands_under_the_lint_and_in_the_wheel() -> None:
    lint = PROJECT["tool"]["importlinter"]
    floor = [part.strip() for part in lint["contracts"][2]["layers"][1].split("|")]
    find = PROJECT["tool"]["setuptools"]["packages"]["find"]
    assert floor == PLUGINS
    assert set(PLUGINS) <= set(lint["root_packages"])
    assert {f"{name}*" for name in PLUGINS} <= set(find["include"])
    assert "example_game*" not in find["include"]


def test_the_folder_of_plugins_is_a_source_root_and_never_a_package() -> None:
    assert not (ROOT / "plugins" / "__init__.py").exists()
    assert [name for name in sys.modules if name == "plugins" or name.startswith("plugins.")] == []
    wrong = [str(path) for path, tree in modules() if any(name.split(".")[0] == "plugins" for name in imports(tree))]
    assert wrong == []
