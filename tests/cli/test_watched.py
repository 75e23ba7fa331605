"""`firefly-run reload --watch`: a saved file is in force, a broken one is told, and the next one is taken again."""

from __future__ import annotations

import json
import os
import signal
import threading

from firefly_core.cli.watched import Watched


def test_only_sources_count_and_only_when_they_have_come_to_rest(tmp_path):
    for folder in ("game", "var", ".git", "venv"):
        (tmp_path / folder).mkdir()
    (tmp_path / "venv" / "pyvenv.cfg").touch()
    (tmp_path / "game" / "rules.py").write_text("one")
    watched = Watched(tmp_path)
    seen = []
    waiter = threading.Thread(target=lambda: seen.extend(watched.wait(0.05)))
    waiter.start()
    for other in ("var/x.py", ".git/x.py", "venv/x.py", "game/picture.png"):
        (tmp_path / other).write_text("x")
    (tmp_path / "game" / "new.py").write_text("x")
    (tmp_path / "game" / "rules.py").write_text("two")
    (tmp_path / "firefly.toml").write_text("")
    waiter.join(10)
    assert seen == ["firefly.toml", "game/new.py", "game/rules.py"]


def test_a_file_that_is_taken_away_is_a_change(tmp_path):
    (tmp_path / "a.py").write_text("x")
    watched = Watched(tmp_path)
    os.unlink(tmp_path / "a.py")
    assert watched.wait(0.01) == ["a.py"]


def test_what_is_saved_is_in_force_and_what_is_broken_is_told(small_game):
    small_game.start()
    small_game.wait_log("all servers ready")
    watcher = small_game.start("reload", "--watch")
    small_game.wait_log("Watching ")
    game = small_game.folder / "game.py"
    whole = game.read_text()
    ask = b'{"id": 1, "cmd": "login"}'
    game.write_text(whole.replace('"hello"', '"good morning"'))
    small_game.wait_log("It is in force.")
    assert json.loads(small_game.ask(ask)).get("body") == "good morning"
    game.write_text("(")
    small_game.wait_log("Nothing was changed.")
    assert json.loads(small_game.ask(ask)).get("body") == "good morning"
    game.write_text(whole.replace('"hello"', '"good night"'))
    small_game.wait_log("It is in force.", times=2)
    assert json.loads(small_game.ask(ask)).get("body") == "good night"
    watcher.send_signal(signal.SIGINT)
    assert small_game.wait_exit(watcher) in (1, 130)
