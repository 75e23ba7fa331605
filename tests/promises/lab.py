"""Owners made for tests and promises: a real engine in a folder of its own, without a server around it."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import gevent
from firefly_dbcache.config import DbCacheConfig
from firefly_dbcache.handle import Handle
from firefly_dbcache.local_store import LocalStore
from firefly_dbcache.owner.owner import Owner
from firefly_dbcache.rows.durability import Durability
from firefly_dbcache.rows.table import Table

from firefly_core.kernel.config.config import read_alone
from tests.promises.models import MODELS

MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
"""Where files are that no power cut is about: how fast this machine's disk is does not matter then."""
QUICK = {"slack": 65536, "flush_interval": 0.01, "sync_interval": 0.05, "start_timeout": 2.0, "timeout": 5.0}


def make_config(folder: Path, **keys: Any) -> DbCacheConfig:
    """Give a configuration whose journal and SQLite file are in `folder`."""
    table = {"database": f"sqlite:///{folder}/game.db", "journal": str(folder / "journal"), **QUICK, **keys}
    return read_alone(DbCacheConfig, {name: value for name, value in table.items() if value is not None}, folder=folder)


def make_owner(folder: Path, models: Sequence[Any] = MODELS, *, parts: Any = None, **keys: Any) -> Owner:
    """Give an owner that is not started; `parts` are the arguments that `Owner` takes beside its configuration."""
    config = make_config(folder, **keys)
    tables = [Table(model, Durability.named(config.durability)) for model in models]
    return Owner(config, tables, log=logging.getLogger("firefly.lab"), **(parts or {}))


@contextlib.contextmanager
def running(folder: Path, models: Sequence[Any] = MODELS, *, parts: Any = None, **keys: Any) -> Iterator[Any]:
    """Start an owner, give its handle, and stop it cleanly; the owner is `handle.owner`."""
    owner = make_owner(folder, models, parts=parts, **keys)
    owner.start()
    gevent.sleep(0)  # its greenlets begin
    try:
        yield OwnedHandle(owner)
    finally:
        owner.stop()


class OwnedHandle(Handle):
    """`ctx.db` as handlers of the owner's server have it, and the owner itself."""

    def __init__(self, owner: Owner) -> None:
        super().__init__(LocalStore(owner))
        self.owner = owner


def abandon(owner: Owner) -> None:
    """Leave an owner as a killed process would: nothing is flushed or said, only its files are let go."""
    for part in (owner.flusher, owner.upkeep, owner.sync):
        greenlet = part._greenlet
        if greenlet is not None:
            greenlet.kill()
    for shard in owner.second.shards:
        shard._greenlet.kill()
    owner._running = False
    owner._release()


def wait_until(condition: Any, timeout: float = 10.0) -> None:
    """Wait until `condition()` is true; raises AssertionError when it does not become so in time."""
    with gevent.Timeout(timeout, AssertionError(f"not in time: {condition}")):
        while not condition():
            gevent.sleep(0.005)
