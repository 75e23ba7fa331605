"""The first lines of every test run patch, as every entry point does."""

from gevent import monkey

monkey.patch_all()

import importlib  # noqa: E402
import os  # noqa: E402
import re  # noqa: E402
import subprocess  # noqa: E402
import sys  # noqa: E402
from pathlib import Path  # noqa: E402

import pytest  # noqa: E402

# Under `make test` these are set, and a make that a test starts would take itself for a part of the outer one.
for _name in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "MAKEOVERRIDES"):
    os.environ.pop(_name, None)

ROOT = str(Path(__file__).parents[1])
if ROOT not in sys.path:
    sys.path.append(ROOT)  # what tests share is imported as `tests.NAME`

KIT = Path(__file__).parent / "kit" / "firefly_kit.py"


@pytest.fixture
def distribution(tmp_path, monkeypatch):
    """Install distributions of one's own: real files on `sys.path`, found by importlib.metadata.

    `distribution("meadow-extras", {"meadow_extras": "source"}, plugins={"extras": "meadow_extras"})`.
    """
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))

    def install(name, modules, *, plugins=(), handlers=(), version="1.0", folder=None):
        home = folder or site
        for module, source in modules.items():
            file = home / (module.replace(".", "/") + ".py")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(source)
        info = home / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        groups = {"firefly.plugins": dict(plugins), "firefly.handlers": dict(handlers)}
        lines = []
        for group, points in groups.items():
            lines += [f"[{group}]", *(f"{point} = {value}" for point, value in points.items())]
        (info / "entry_points.txt").write_text("\n".join(lines) + "\n")
        importlib.invalidate_caches()
        return home

    yield install
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None) or "").startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.fixture
def kit(distribution):
    """Install the plugin `kit` of tests/kit, from distribution `firefly-kit 1.0`."""
    distribution("firefly-kit", {"firefly_kit": KIT.read_text()}, plugins={"kit": "firefly_kit"})


@pytest.fixture
def game(tmp_path, kit):
    """Write a firefly.toml into a folder of its own: `game("[firefly]...", world="source of world.py")` gives its path.

    Without a text it is a whole one of two servers; `changes` replace parts of it.
    """
    folder = tmp_path / "game"
    folder.mkdir()

    def write(text=GAME, changes=(), **modules):
        for old, new in dict(changes).items():
            assert old in text
            text = text.replace(old, new)
        for name, source in modules.items():
            (folder / f"{name}.py").write_text(source)
        importlib.invalidate_caches()
        file = folder / "firefly.toml"
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        return file

    return write


GAME = """\
[firefly]
name = "meadow"
plugins = ["kit"]

[servers.gate]
[servers.gate.door]
listen = [
  { url = "tcp://127.0.0.1:11009", header = [1, 2] },
  { url = "ws://127.0.0.1:11010/", origins = ["http://127.0.0.1:8000"] },
]
[servers.gate.mesh]
listen = "tcp://127.0.0.1:10000"

[servers.world.mesh]
roots = ["gate"]
[servers.world.store]
database = "sqlite:///var/meadow.db"
"""


@pytest.fixture(scope="session")
def npm():
    """Install npm packages, `npm("ws@8.18.0")`, once into a folder that later runs find again; give `node_modules`."""

    def install(*packages):
        name = "-".join(re.sub(r"[^a-z0-9.]", "_", each) for each in packages)
        folder = Path(__file__).parents[1] / "var" / "npm" / name
        stamp = folder / "installed"
        if not stamp.exists():
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "package.json").write_text('{"private": true}')
            options = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", "--prefer-offline"]
            subprocess.run(["npm", "install", *options, *packages], cwd=folder, check=True, timeout=120)
            stamp.touch()
        return folder / "node_modules"

    return install
