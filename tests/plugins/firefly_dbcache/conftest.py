"""Owners in folders of their own; the real servers come from tests/promises/servers.py."""

import contextlib

import pytest

from tests.promises import lab


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
