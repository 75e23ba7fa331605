"""What an operator hears of a supervisor that is there and does not answer."""

from __future__ import annotations

import socket

import pytest
from click.testing import CliRunner

from firefly_core.cli import operator
from firefly_core.cli.drain import drain
from firefly_core.cli.invocation import Invocation
from firefly_core.cli.restart import restart
from firefly_core.cli.stop import stop


@pytest.mark.parametrize("command", [drain, restart, stop])
def test_a_supervisor_that_hangs_is_not_waited_for_as_long_as_a_drain_may_take(tmp_path, monkeypatch, command):
    monkeypatch.setattr(operator, "ALIVE", 0.2)
    file = tmp_path / "firefly.toml"
    file.write_text("[firefly]\nplugins = []\n")
    (tmp_path / "var").mkdir()
    with socket.socket(socket.AF_UNIX) as hanging:
        hanging.bind(str(tmp_path / "var" / "firefly.sock"))
        hanging.listen(4)
        ended = CliRunner().invoke(command, ["world"], obj=Invocation(file))
    assert ended.exit_code == 1
    assert "firefly-run has not answered within 0.2 s" in ended.output
