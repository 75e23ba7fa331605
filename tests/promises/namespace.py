"""A network namespace behind a cable of its own, which can be cut so that nobody is told; needs root and iproute2.

The cable is cut by making both ends believe in a neighbour that does not exist: nothing arrives any more.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator

__all__ = ["Namespace", "namespace"]

NOBODY = "02:00:00:00:00:01"


class Namespace:
    """A network namespace behind a cable of its own."""

    def __init__(self) -> None:
        number = os.getpid() % 60_000
        self.name = f"firefly-{number}"
        self.device = f"ff{number}"
        net = f"10.{200 + number % 50}.{number // 50 % 256}"
        self.here, self.there = f"{net}.1", f"{net}.2"
        self.inside = ("ip", "netns", "exec", self.name)
        run("ip", "netns", "add", self.name)
        try:
            run("ip", "link", "add", self.device, "type", "veth", "peer", "name", "cable", "netns", self.name)
            run("ip", "address", "add", f"{self.here}/30", "dev", self.device)
            run("ip", "link", "set", self.device, "up")
            run(*self.inside, "ip", "address", "add", f"{self.there}/30", "dev", "cable")
            for device in ("cable", "lo"):
                run(*self.inside, "ip", "link", "set", device, "up")
        except BaseException:
            self.close()
            raise

    def cut(self) -> None:
        """Let nothing arrive, either way."""
        self._neighbour(("replace", NOBODY))

    def heal(self) -> None:
        """Let everything arrive again."""
        run("ip", "neigh", "flush", "dev", self.device, "nud", "permanent")
        run(*self.inside, "ip", "neigh", "flush", "dev", "cable", "nud", "permanent")

    def _neighbour(self, what: tuple[str, str]) -> None:
        verb, address = what
        how = ["lladdr", address, "nud", "permanent", "dev"]
        run("ip", "neigh", verb, self.there, *how, self.device)
        run(*self.inside, "ip", "neigh", verb, self.here, *how, "cable")

    def close(self) -> None:
        """Remove it; the cable goes with it."""
        run("ip", "netns", "delete", self.name)


def run(*command: str) -> None:
    """Run a command of iproute2."""
    subprocess.run(command, check=True, capture_output=True)


@contextlib.contextmanager
def namespace() -> Iterator[Namespace | None]:
    """Give a namespace, or None where there can be none."""
    made = None
    if os.geteuid() == 0 and shutil.which("ip"):
        with contextlib.suppress(subprocess.CalledProcessError):
            made = Namespace()
    try:
        yield made
    finally:
        if made is not None:
            made.close()
