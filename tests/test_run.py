"""The program: what is patched when, and how soon it answers."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import pytest

from firefly_core.run import supervises
from tests.ports import free_ports

RUN = [sys.executable, "-m", "firefly_core.run"]


@pytest.mark.parametrize(
    ("arguments", "whether"),
    [
        ([], True),
        (["-c", "other.toml"], True),
        (["--config=other.toml", "--set", "firefly.log=json"], True),
        (["-c", "check"], True),
        (["--set=a.b=check"], True),
        (["check"], False),
        (["-c", "other.toml", "check"], False),
        (["--only", "world"], False),
        (["--only=world"], False),
        (["--help"], False),
        (["-cother.toml"], False),
    ],
)
def test_only_a_process_that_starts_all_servers_is_left_unpatched(arguments, whether):
    assert supervises(arguments) is whether


def test_everything_else_is_patched_before_click_is_imported():
    program = (
        "import sys, firefly_core.run\n"
        "from gevent import monkey\n"
        "real = monkey.patch_all\n"
        "def patch_all():\n"
        "    assert not [name for name in ('click', 'socket', 'threading', 'attrs', 'pluggy')"
        " if name in sys.modules and name not in before], sys.modules.keys()\n"
        "    real()\n"
        "before = set(sys.modules)\n"
        "monkey.patch_all = patch_all\n"
        "sys.argv = ['firefly-run', '--version']\n"
        "try:\n"
        "    firefly_core.run.main()\n"
        "finally:\n"
        "    assert monkey.is_module_patched('socket') and 'click' in sys.modules and 'click' not in before\n"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith("firefly-run ")


def test_help_is_there_soon_and_imports_neither_plugins_nor_databases_nor_web_servers(tmp_path: Path):
    program = (
        "import sys, firefly_core.run\n"
        "sys.argv = ['firefly-run', '--help']\n"
        "try:\n"
        "    firefly_core.run.main()\n"
        "finally:\n"
        "    heavy = {'peewee', 'flask', 'websockets', 'pymemcache', 'rich', 'msgspec', 'pluggy'} & set(sys.modules)\n"
        "    assert not heavy, heavy\n"
    )
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    ran = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert ran.returncode == 0, ran.stderr
    assert "--only NAME" in ran.stdout
    # It waits for nobody, so what it computes is how long it takes on an idle machine.
    took = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    assert took < 1.5, "five times the 0.3 s that are promised"


def test_a_gate_and_a_node_have_one_thread_each(tmp_path: Path):
    """With a second thread each system call takes longer (docs/design.md): 2 % of a gate's messages."""
    clients, root = free_ports(2)
    (tmp_path / "firefly.toml").write_text(
        f"""
        [firefly]
        plugins = ["gate", "root", "node", "protocols"]
        [servers.gate.gate]
        listen = {{ url = "tcp://127.0.0.1:{clients}", protocol = "datapack", codec = "raw" }}
        [servers.gate.root]
        listen = "tcp://127.0.0.1:{root}"
        [servers.world.node]
        roots = ["gate"]
        """
    )
    with subprocess.Popen(RUN, cwd=tmp_path, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as running:
        try:
            line = next(line for line in running.stderr if "all servers ready" in line or "fatal" in line)
            assert "ready" in line
            threads = {}
            for pid in Path(f"/proc/{running.pid}/task/{running.pid}/children").read_text().split():
                command = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
                if "--only" in command:
                    threads[command[command.index("--only") + 1]] = len(list(Path(f"/proc/{pid}/task").iterdir()))
        finally:
            running.terminate()
            running.communicate(timeout=30)
    assert threads == {"gate-1": 1, "world-1": 1}


def test_the_entry_point_of_the_distribution_is_this_program():
    from importlib.metadata import entry_points

    (script,) = entry_points(group="console_scripts", name="firefly-run")
    assert script.value == "firefly_core.run:main"
