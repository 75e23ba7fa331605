"""Owners in folders of their own, and the real servers, each started by the first test that wants it."""

import contextlib
import tempfile
from pathlib import Path

import pytest

from tests.promises import lab, servers


@pytest.fixture
def tmp_path():
    """Give a folder in memory: every start of an owner waits for the disk some ten times."""
    with tempfile.TemporaryDirectory(dir=lab.MEMORY) as name:
        yield Path(name)


@pytest.fixture
def owners(tmp_path):
    """Start owners in the test's folder: `db = owners(durability="fsync")`; the last one is stopped at the end."""
    with contextlib.ExitStack() as stack:

        def start(models=lab.MODELS, *, folder=None, parts=None, **keys):
            return stack.enter_context(lab.running(folder or tmp_path, models, parts=parts, **keys))

        yield start


@pytest.fixture
def db(owners):
    """The handle of a running owner on SQLite."""
    return owners()


def real(kind):
    with servers.running(lambda folder: kind(folder, durable=False), lab.MEMORY) as server:
        yield server


@pytest.fixture(scope="session")
def memcached_server():
    yield from real(servers.Memcached)


@pytest.fixture(scope="session")
def mariadb_server():
    yield from real(servers.Mariadb)


@pytest.fixture(scope="session")
def postgres_server():
    yield from real(servers.Postgres)


def running(server):
    """Give a server as a test wants to find it: up and answering, whatever the test before did to it."""
    server.thaw()
    if server.process is None or server.process.poll() is not None:
        server.start()
    return server


@pytest.fixture
def memcached(memcached_server):
    server = running(memcached_server)
    server.ask("flush_all")
    yield server
    running(server)


@pytest.fixture
def mariadb(mariadb_server):
    yield running(mariadb_server)
    running(mariadb_server)


@pytest.fixture
def postgres(postgres_server):
    yield running(postgres_server)
    running(postgres_server)


@pytest.fixture(params=["sqlite", "postgresql", "mysql"])
def database(request, tmp_path):
    """The URL of a new, empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/game.db"
    return request.getfixturevalue({"postgresql": "postgres", "mysql": "mariadb"}[request.param]).fresh("game")
