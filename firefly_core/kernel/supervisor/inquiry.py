"""Inquiry: a question to a running supervisor, asked by a program of the same user; blocks for the answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from firefly_core.errors import RemoteError, Unavailable
from firefly_core.kernel.supervisor.control_socket import connect

__all__ = ["ask"]

CHUNK = 64 * 1024
NUMBER = 1


def ask(path: Path, what: str, *, timeout: float | None = None, **values: Any) -> Any:
    """Ask the supervisor whose socket is at `path`; `kernel/supervisor/control_pipe.py` has the questions.

    Values that are None or False are left out. Raises RemoteError with the supervisor's reason, and Unavailable when
    nobody listens there, when it does not answer within `timeout` seconds, and when it ends first.
    """
    said = {name: value for name, value in values.items() if value is not None and value is not False}
    try:
        with connect(path) as pipe:
            pipe.settimeout(timeout)
            pipe.sendall(json.dumps({"ask": NUMBER, "what": what, **said}).encode() + b"\n")
            answer = _read(pipe)
    except TimeoutError:
        raise Unavailable(f"firefly-run has not answered within {timeout:g} s") from None
    except (FileNotFoundError, ConnectionRefusedError):
        raise Unavailable(f"no firefly-run listens at {path}: nothing runs, or another user's") from None
    except OSError as error:
        raise Unavailable(f"{path}: {error.strerror or error}") from error
    if "error" in answer:
        raise RemoteError("refused", str(answer["error"]))
    return answer.get("result")


def _read(pipe: Any) -> dict[str, Any]:
    line = b""
    while not line.endswith(b"\n"):
        data = pipe.recv(CHUNK)
        if not data:
            raise Unavailable("firefly-run has ended before it answered")
        line += data
    answer: dict[str, Any] = json.loads(line)
    return answer
