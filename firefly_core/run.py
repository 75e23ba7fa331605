"""firefly-run: the program. gevent patches before anything else is imported, unless this process only supervises."""

from __future__ import annotations

import sys
from collections.abc import Sequence

__all__ = ["main", "supervises"]

WITH_VALUE = ("-c", "--config", "--set")


def supervises(arguments: Sequence[str]) -> bool:
    """Whether these arguments ask for all servers, and name no command and no single server.

    The supervisor must not be patched: it starts processes, takes signals and reads pipes without any hub.
    """
    rest = iter(arguments)
    for argument in rest:
        if argument in WITH_VALUE:
            next(rest, None)
        elif not argument.startswith(tuple(f"{name}=" for name in WITH_VALUE if name.startswith("--"))):
            return False
    return True


def main() -> None:
    """Run `firefly-run` with the arguments of this process."""
    if not supervises(sys.argv[1:]):
        from gevent import monkey

        monkey.patch_all()
    from firefly_core.cli.main import main as run

    run(prog_name="firefly-run")


if __name__ == "__main__":
    main()
