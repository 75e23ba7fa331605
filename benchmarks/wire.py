"""What the load client says: the bytes of a request in each format."""

from __future__ import annotations

import json
import struct

__all__ = ["BODY", "datapack", "json_request", "pinus_package", "pinus_request"]

BODY = b"x" * 64
ID = 1000001
"""Seven digits: the client counts on from here."""


def datapack(command: int, body: bytes = BODY) -> bytes:
    """Give a datapack frame whose six header values are 0."""
    return bytes(9) + struct.pack("!2I", len(body) + 4, command) + body


def json_request(command: int, body: object) -> tuple[bytes, int]:
    """Give a message of the json format, and where in it the number stands that the client changes."""
    text = json.dumps({"id": ID, "cmd": command, "body": body}, separators=(",", ":")).encode()
    return text, text.index(str(ID).encode())


def pinus_package(kind: int, body: bytes) -> bytes:
    """Give a package of the Pomelo format: kind, length (u24), body."""
    return bytes([kind]) + len(body).to_bytes(3, "big") + body


def pinus_request(route: str, body: object) -> bytes:
    """Give a Pomelo request with id 1."""
    text = json.dumps(body, separators=(",", ":")).encode()
    return pinus_package(4, bytes([0, 1, len(route)]) + route.encode() + text)
