"""Epochs only ever grow."""

from __future__ import annotations

import time

import pytest

from firefly_core.kernel.supervisor.epochs import Epochs


def test_each_name_is_counted_by_itself_and_across_starts(tmp_path):
    first = Epochs(tmp_path / "epochs")
    assert [first.count("world-1"), first.count("world-1"), first.count("gate-1")] == [1, 2, 1]
    second = Epochs(tmp_path / "epochs")
    assert second.count("world-1") == 3
    assert second.last("world-1") == 3
    assert sorted(path.name for path in (tmp_path / "epochs").iterdir()) == ["gate-1", "world-1"]


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"-3", b"many", b"1" * 5000])
def test_a_file_that_cannot_be_read_never_sends_the_epoch_backwards(tmp_path, content):
    (tmp_path / "world-1").write_bytes(content)
    assert Epochs(tmp_path).count("world-1") >= int(time.time()) - 5


def test_a_file_that_was_removed_while_the_supervisor_runs_is_no_step_back(tmp_path):
    epochs = Epochs(tmp_path)
    epochs.count("world-1")
    (tmp_path / "world-1").unlink()
    assert epochs.count("world-1") == 2


def test_an_epoch_that_cannot_be_kept_is_an_error_and_counts_all_the_same(tmp_path):
    (tmp_path / "epochs").write_text("a file where the folder should be")
    epochs = Epochs(tmp_path / "epochs")
    for _ in range(2):
        before = epochs.last("world-1")
        with pytest.raises(OSError, match="epochs"):
            epochs.count("world-1")
        assert epochs.last("world-1") > before
