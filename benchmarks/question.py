"""One question to a server, on a connection of its own: for commands that measure something themselves."""

from __future__ import annotations

import json
import socket
import struct
from typing import Any

from benchmarks.wire import datapack

__all__ = ["ask", "ask_json"]


def _frame(sock: socket.socket) -> bytes:
    head = _exactly(sock, 17)
    return _exactly(sock, struct.unpack_from("!I", head, 9)[0] - 4)


def _exactly(sock: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = sock.recv(size - len(data))
        if not more:
            raise ConnectionError("the server closed the connection")
        data += more
    return data


def ask(port: int, *frames: bytes, timeout: float = 60.0) -> bytes:
    """Send frames one after the other, each when the last was answered; give the body of the last answer."""
    body = b""
    with socket.create_connection(("127.0.0.1", port), timeout=timeout) as sock:
        for frame in frames:
            sock.sendall(frame)
            body = _frame(sock)
    return body


def ask_json(port: int, command: int, question: object, timeout: float = 60.0) -> Any:
    """Ask a command whose bodies are JSON; raises RuntimeError when the answer is an error."""
    answer = json.loads(ask(port, datapack(command, json.dumps(question).encode()), timeout=timeout))
    if isinstance(answer, dict) and "error" in answer:
        raise RuntimeError(f"command {command}: {answer['error']}")
    return answer
