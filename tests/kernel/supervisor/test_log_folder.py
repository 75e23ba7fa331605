"""Log files: appended, set aside by size, never cut off, and a full disk is survived."""

import errno
import os
import time

import pytest

from firefly_core.errors import ConfigurationError
from firefly_core.kernel.supervisor import log_folder as module
from firefly_core.kernel.supervisor.log_folder import LogFolder, check, problem_of
from firefly_core.kernel.supervisor.plan import Plan


@pytest.fixture
def make(tmp_path):
    made = []

    def begin(size=100, files=3):
        made.append(LogFolder(tmp_path / "log", size=size, files=files))
        return made[-1]

    yield begin
    for each in made:
        each.close()


def wait(condition):
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def lines(folder, name):
    path = folder.folder / name
    return path.read_bytes().splitlines() if path.exists() else []


def fill(folder, numbers, name="world-1"):
    """Write lines of 40 bytes, each on its own, and wait until they are there."""
    for number in numbers:
        text = b"%039d\n" % number
        folder.write(name, text)
        wait(
            lambda text=text: (
                text in (folder.folder / f"{name}.log").read_bytes()
                if (folder.folder / f"{name}.log").exists()
                else False
            )
        )


def test_each_process_has_a_file(make):
    folder = make()
    folder.write("world-1", b"one\n")
    folder.write("gate-1", b"two\n")
    wait(lambda: lines(folder, "world-1.log") == [b"one"] and lines(folder, "gate-1.log") == [b"two"])
    assert oct((folder.folder / "world-1.log").stat().st_mode)[-3:] == "640"


def test_a_new_start_appends(make):
    first = make()
    fill(first, [1])
    first.close()
    second = make()
    fill(second, [2])
    assert [int(line) for line in lines(second, "world-1.log")] == [1, 2]


def test_a_full_file_is_set_aside_and_the_oldest_one_goes(make):
    folder = make(size=100, files=2)
    fill(folder, range(1, 9))
    assert [int(line) for line in lines(folder, "world-1.log")] == [7, 8]
    assert [int(line) for line in lines(folder, "world-1.log.1")] == [5, 6]
    assert [int(line) for line in lines(folder, "world-1.log.2")] == [3, 4]
    assert sorted(path.name for path in folder.folder.iterdir()) == ["world-1.log", "world-1.log.1", "world-1.log.2"]


def test_a_line_longer_than_a_file_is_written_whole(make):
    folder = make(size=100)
    folder.write("world-1", b"x" * 500 + b"\n")
    wait(lambda: lines(folder, "world-1.log") == [b"x" * 500])
    fill(folder, [1])
    assert lines(folder, "world-1.log.1") == [b"x" * 500]


def test_files_that_were_moved_away_are_opened_anew_when_told(make):
    folder = make(size=10_000)
    fill(folder, [1])
    (folder.folder / "world-1.log").rename(folder.folder / "moved")
    folder.write("world-1", b"still\n")
    wait(lambda: b"still" in lines(folder, "moved"))
    folder.reopen()
    fill(folder, [2])
    assert [int(line) for line in lines(folder, "world-1.log")] == [2]
    assert len(lines(folder, "moved")) == 2


def test_half_a_line_that_a_crash_has_left_is_not_continued(make):
    folder = make(size=10_000)
    folder.folder.mkdir()
    (folder.folder / "world-1.log").write_bytes(b"whole\nhal")
    fill(folder, [1])
    assert lines(folder, "world-1.log")[:2] == [b"whole", b"hal"]


def test_a_full_disk_is_survived_and_what_it_cost_is_counted(make, monkeypatch):
    folder = make(size=10_000)
    fill(folder, [1])
    write = os.write
    room = [3]

    def full(descriptor, data):
        if len(data) > room[0]:
            if room[0] == 0:
                raise OSError(errno.ENOSPC, "No space left on device")
            data, room[0] = data[: room[0]], 0
        return write(descriptor, data)

    monkeypatch.setattr(module.os, "write", full)
    folder.write("world-1", b"lost one\nlost two\n")
    lost = {}
    wait(lambda: lost.update(folder.take_lost()) or lost == {"world-1": 2})
    assert "No space left on device" in folder.trouble
    room[0] = 10**9
    fill(folder, [2])
    assert lines(folder, "world-1.log") == [b"%039d" % 1, b"los", b"%039d" % 2]


def test_a_folder_that_cannot_be_had_is_said_before_anything_is_written(tmp_path):
    (tmp_path / "file").write_text("")
    plan = Plan(name="m", path="", var="", servers=(), log_folder=str(tmp_path / "file"))
    assert problem_of(plan) == f"firefly.log_folder: {tmp_path}/file cannot be made: File exists"
    with pytest.raises(ConfigurationError, match="log_folder"):
        check(plan)
    made = Plan(name="m", path="", var="", servers=(), log_folder=str(tmp_path / "a" / "b"))
    assert problem_of(made) == ""
    assert (tmp_path / "a" / "b").is_dir()
    assert problem_of(Plan(name="m", path="", var="", servers=())) == ""


def test_a_folder_that_cannot_be_written_is_counted_too(make, tmp_path):
    (tmp_path / "log").write_text("a file")
    folder = make()
    folder.write("world-1", b"one\n")
    wait(lambda: folder.take_lost() == {"world-1": 1})


def test_a_link_in_the_place_of_a_file_is_not_followed(make, tmp_path):
    folder = make()
    folder.folder.mkdir()
    (folder.folder / "world-1.log").symlink_to(tmp_path / "elsewhere")
    folder.write("world-1", b"one\n")
    wait(lambda: folder.take_lost() == {"world-1": 1})
    assert not (tmp_path / "elsewhere").exists()


def test_what_is_queued_is_written_at_the_end(make):
    folder = make(size=10_000_000)
    for number in range(1000):
        folder.write("world-1", b"%d\n" % number)
    folder.close()
    assert len(lines(folder, "world-1.log")) == 1000
