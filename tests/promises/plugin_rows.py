"""Rows A56 (C33 too) and A57: plugins that break in every hook, and the order in which plugins are called."""

from __future__ import annotations

import inspect
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import attrs

from firefly_core.channel.network import SocketNetwork
from firefly_core.errors import FireflyError, RemoteError
from firefly_core.kernel import hookspecs
from firefly_core.testing import FakeClient
from firefly_core.testing.client_wire import JsonWire
from tests.promises.ledger import ROOT, Outcome, Row
from tests.promises.operated_game import operated_game
from tests.promises.running_game import free_ports, wait_until

__all__ = ["ROWS"]

TOML = """
[firefly]
plugins = ["gate", "root", "node", "protocols", "bad", "good"]
[servers.gate.gate]
listen = { url = "tcp://127.0.0.1:{door}", protocol = "json" }
[servers.gate.root]
listen = "tcp://127.0.0.1:{root}"
[servers.world]
handlers = ["world"]
[servers.world.node]
roots = ["gate"]
"""
WORLD = "from firefly_core import command\n@command(1, public=True)\ndef ping(ctx, n: int) -> int:\n    return n\n"
HEAD = "from firefly_core.kernel.hookspecs import hookimpl\nFIREFLY_API = 1\n"
HOOKS = {
    name: list(inspect.signature(hook).parameters)
    for name, hook in vars(hookspecs).items()
    if name.startswith("firefly_")
}
OFFERS = ("services", "protocols", "codecs", "caches", "context", "middleware", "cli")
DECISIONS = ("authenticate", "route")
AT_START = (*(f"firefly_{offer}" for offer in OFFERS), "firefly_started")
LATER = ("firefly_context", "firefly_middleware", "firefly_started", "firefly_cli")
AT_RUN_TIME = tuple(hook for hook in HOOKS if hook not in AT_START)
WAYS = {
    "raises": "    raise KeyError('no luck')\n",
    "exits": "    raise SystemExit(3)\n",
    "spins": "    while True: pass\n",
    "dies": "    import os; os._exit(7)\n",
    "another signature": "",
    "misspelt": "",
}
IMPORTS = {
    "raises": "raise KeyError('no luck')\n",
    "exits": "raise SystemExit(3)\n",
    "spins": "while True: pass\n",
    "dies": "import os; os._exit(7)\n",
    "imports in a circle": "import bad_other\nbad_other.nothing\n",
    "needs what is not there": "import no_such_module\n",
}
HEARD = """
import os
from pathlib import Path
def note(name):
    with open(Path(os.environ["HEARD"]), "a") as file:
        file.write(name + "\\n")
"""


@attrs.frozen
class Fault:
    """One plugin that is broken: in a hook, or where it is imported (no hook)."""

    hook: str
    way: str

    def source(self) -> str:
        """Give the plugin's module."""
        if not self.hook:
            return HEAD + IMPORTS[self.way]
        parameters = ", ".join(HOOKS[self.hook])
        name = self.hook
        if self.way == "another signature":
            parameters = "nobody_gives_this"
        elif self.way == "misspelt":
            name = self.hook + "s_and_more"
        return f"{HEAD}@hookimpl\ndef {name}({parameters}):\n{WAYS[self.way] or '    return None' + chr(10)}"


def install(site: Path, name: str, source: str) -> None:
    """Install a plugin as a distribution of its own."""
    (site / f"{name}.py").write_text(source)
    info = site / f"{name}_dist-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}-dist\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[firefly.plugins]\n{name} = {name}\n")


def start_faults() -> list[Fault]:
    """Give every fault that must keep everything from starting."""
    faults = [Fault("", way) for way in IMPORTS]
    # One that dies in a server, where those of LATER are called, is a crash of that server: row A44.
    ways = {hook: ("raises", "exits", "spins", *(() if hook in LATER else ("dies",))) for hook in AT_START}
    faults += [Fault(hook, way) for hook, ways_of_it in ways.items() for way in ways_of_it]
    return faults + [Fault(hook, way) for hook in HOOKS for way in ("another signature", "misspelt")]


def refuse(fault: Fault) -> tuple[str, float]:
    """Start with a broken plugin; gives what was not as it should be, and the seconds."""
    with tempfile.TemporaryDirectory(prefix="plugin-") as name:
        folder = Path(name)
        text = TOML
        for place, port in zip(("door", "root"), free_ports(2), strict=True):
            text = text.replace(f"{{{place}}}", str(port))
        (folder / "firefly.toml").write_text(text)
        (folder / "world.py").write_text(WORLD)
        install(folder, "bad", fault.source())
        install(folder, "good", HEAD + "@hookimpl\ndef firefly_reloaded(kernel): ...\n")
        (folder / "bad_other.py").write_text("from bad import FIREFLY_API, later\n")
        environ = {**os.environ, "PYTHONPATH": f"{folder}:{ROOT}:{ROOT / 'plugins'}"}
        command = [sys.executable, "-m", "firefly_core.run", *(["what"] if fault.hook == "firefly_cli" else [])]
        began = time.monotonic()
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(command, cwd=folder, env=environ, stdout=log, stderr=log)
            try:
                status = process.wait(30)
            except subprocess.TimeoutExpired:
                process.terminate()
                process.wait(30)
                status = -1
        said = (folder / "log").read_text()
    return judge(fault, status, said), time.monotonic() - began


def judge(fault: Fault, status: int, said: str) -> str:
    """Say what was not as promised; empty: all was."""
    if fault.way == "dies":  # then nobody is left to say in which
        named = "the check of the configuration ended with exit 7" in said
    else:
        named = "'bad' (bad-dist 1.0)" in said and (not fault.hook or fault.hook in said)
    if status == 78 and named and "Traceback" not in said and "all servers ready" not in said:
        return ""
    return f"{fault.hook or 'import'} {fault.way}: exit {status}, {said[-300:]!r}"


def run_time() -> list[str]:
    """Run a game with a plugin that raises in every hook that is called while it runs; gives what was wrong."""
    bad = HEAD + "".join(
        f"@hookimpl\ndef {hook}({', '.join(HOOKS[hook])}):\n{WAYS['raises' if number % 2 else 'exits']}"
        for number, hook in enumerate(AT_RUN_TIME)
        if hook != "firefly_route"
    )
    good = (
        HEAD
        + HEARD
        + "".join(
            f"@hookimpl\ndef {hook}({', '.join(HOOKS[hook])}):\n    note('{hook}')\n"
            for hook in AT_RUN_TIME
            if hook.removeprefix("firefly_") not in DECISIONS
        )
    )
    notices = [hook for hook in AT_RUN_TIME if hook.removeprefix("firefly_") not in DECISIONS]
    with tempfile.TemporaryDirectory(prefix="site-") as name:
        site = Path(name)
        install(site, "bad", bad)
        install(site, "good", good)
        environ = {"PYTHONPATH": f"{site}:{ROOT}:{ROOT / 'plugins'}", "HEARD": str(site / "heard")}
        with operated_game(TOML, {"world": WORLD}, environ=environ) as game:
            url = f"tcp://127.0.0.1:{game.ports['door']}"
            client = FakeClient(SocketNetwork(), url, JsonWire(stream=True))
            wait_until(lambda: answer(client, "ping", 5) == 5, "the game")
            login = answer(client, "firefly.login", {"token": "x"})
            client.close()
            (game.folder / "world.py").write_text(WORLD + "# new\n")
            reloaded = game.run("reload")
            after = FakeClient(SocketNetwork(), url, JsonWire(stream=True))
            alive = answer(after, "ping", 6) == 6
            after.close()
        heard = Counter((site / "heard").read_text().split())
    wrong = [f"{hook} was not heard" for hook in notices if not heard[hook]]
    if login != "internal":
        wrong.append(f"a decision that raises: {login}")
    if reloaded.returncode or not alive:
        wrong.append(f"not alive: {reloaded.stderr}")
    return wrong


def answer(client: FakeClient, command: str, body: object) -> object:
    """Give an answer, or the code of an error."""
    try:
        return client.request(command, body)
    except RemoteError as error:
        return error.code
    except FireflyError as error:
        return repr(error)


def a56_broken(count: int) -> Outcome:
    """Start with `count` kinds of broken plugins; then, when there is time for all, break at run time."""
    faults = start_faults()
    whole = count >= len(faults)
    chosen = faults if whole else [fault for fault in faults if fault.way == "raises"][:count]
    told = [refuse(fault) for fault in chosen]
    wrong = [fault for fault, _ in told if fault]
    spins = [seconds for (_, seconds), fault in zip(told, chosen, strict=True) if fault.way == "spins"]
    figure = f"{len(chosen) - len(wrong)} of {len(chosen)} refused with 78, plugin, hook and distribution"
    if whole:
        late = run_time()
        wrong += late
        figure += (
            f", a spin after {max(spins):.1f} s at most; {len(late)} wrong at run time in {len(AT_RUN_TIME)} hooks"
        )
    return Outcome(len(chosen), figure + "".join(f"; {each}" for each in wrong[:3]), not wrong)


# ----------------------------------------------------------------------------------------------------------- order

ORDER = """
import json, sys
from firefly_core.kernel.plugins.plugins import load_plugins
found = []
for path in json.load(sys.stdin):
    sys.path[:] = path + [each for each in sys.path if each not in path]
    for name in ("one", "two", "three", "four", "five"):
        sys.modules.pop(name, None)
    plugins = load_plugins(["one", "two", "three", "four", "five"])
    heard = []
    plugins.notify("firefly_stopping", kernel=heard)
    heard.append(plugins.hook.firefly_route(session=None, command=None, nodes=["to-"]))
    found.append(heard)
print(json.dumps(found))
"""
HEARS = (
    HEAD + "@hookimpl\ndef firefly_stopping(kernel):\n    kernel.append(__name__)\n"
    "@hookimpl\ndef firefly_route(nodes):\n    return nodes[0] + __name__ if __name__ != 'one' else None\n"
)


def a57_order(count: int) -> Outcome:
    """Have five plugins found in `count` orders; they are called in one."""
    names = ("one", "two", "three", "four", "five")
    chance = random.Random(57)
    with tempfile.TemporaryDirectory(prefix="order-") as name:
        paths = []
        for plugin in names:
            (Path(name) / plugin).mkdir()
            install(Path(name) / plugin, plugin, HEARS)
        for _ in range(count):
            path = [str(Path(name) / plugin) for plugin in names]
            chance.shuffle(path)
            paths.append(path)
        environ = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'plugins'}"}
        ended = subprocess.run(
            [sys.executable, "-c", ORDER],
            input=json.dumps(paths),
            env=environ,
            capture_output=True,
            text=True,
            timeout=60,
        )
    orders = {tuple(order) for order in json.loads(ended.stdout)}
    discovered = len({tuple(path) for path in paths})
    figure = f"{len(orders)} order of calls in {count} loads, which found the plugins in {discovered} orders"
    return Outcome(count, figure, orders == {(*names, "to-two")})


ROWS = [
    Row("A56", "a broken plugin is named, and never half loaded", a56_broken, 2, len(start_faults())),
    Row("A57", "plugins are called in the order of the file, however they are found", a57_order, 50, 1_000),
]
