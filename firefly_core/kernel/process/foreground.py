"""What a process has to do for itself that no supervisor has started: count its epoch, find a secret, try its ports."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

from firefly_core.errors import ConfigurationError
from firefly_core.kernel.config.cluster import Cluster
from firefly_core.kernel.process.control import Begin
from firefly_core.kernel.supervisor import listeners
from firefly_core.kernel.supervisor.cluster_plan import plan_of
from firefly_core.kernel.supervisor.epochs import Epochs

__all__ = ["begin_alone", "shared_secret"]

SECRET = 32


def begin_alone(cluster: Cluster, server: str, replica: int) -> Begin:
    """Give what a supervisor would have told; raises ConfigurationError with every port that is taken.

    Processes that are started so one by one find each other by a secret beside their epochs, in `firefly.var`.
    """
    (plan,) = (found for found in plan_of(cluster).servers if found.name == server)
    mine = [address for address in (*plan.held, *plan.own) if address.replica in (0, replica)]
    # Another replica may listen at a shared address already; only what is nobody else's can be tried.
    listeners.check(mine if plan.replicas == 1 else [address for address in mine if address.replica])
    var = cluster.firefly.var
    try:
        epoch = Epochs(var / "epochs").count(f"{server}-{replica}")
        secret = None if cluster.firefly.secret is not None else shared_secret(var / "secret")
    except OSError as error:
        raise ConfigurationError([f"{var}: cannot be used: {error.strerror or error}"]) from error
    return Begin(epoch=epoch, secret=secret, source="", listeners={})


def shared_secret(path: Path) -> bytes:
    """Give the secret in a file that only its owner may read; the first who asks makes it. Raises OSError."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, secrets.token_hex(SECRET).encode())
        os.fsync(descriptor)
        # A link fails where there is one already, so of two who come at once both read the same.
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
    finally:
        os.close(descriptor)
        draft.unlink()
    return path.read_bytes()
