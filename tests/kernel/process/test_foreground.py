"""What a process without a supervisor does for itself."""

from __future__ import annotations

import gevent
import pytest

from firefly_core.kernel.process.foreground import shared_secret


def test_everybody_who_asks_gets_the_secret_of_the_first(tmp_path):
    path = tmp_path / "secret"
    secrets = [greenlet.get() for greenlet in [gevent.spawn(shared_secret, path) for _ in range(5)]]
    assert len(set(secrets)) == 1
    assert len(bytes.fromhex(secrets[0].decode())) == 32
    assert path.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in tmp_path.iterdir()] == ["secret"]


def test_a_folder_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        shared_secret(tmp_path / "var" / "secret")
