"""The opening handshake of a WebSocket: one HTTP request is judged, and answered with 101 or with a refusal."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, cast

import attrs

from firefly_core.errors import ProtocolError

if TYPE_CHECKING:
    from websockets.extensions import ServerExtensionFactory
    from websockets.extensions.permessage_deflate import PerMessageDeflate
    from websockets.http11 import Request
    from websockets.server import ServerProtocol

__all__ = ["LARGEST_HEAD", "WINDOW", "Opened", "Refused", "accept", "take"]

LARGEST_HEAD = 8192
"""Bytes of the longest request that is read, its empty line included."""
EMPTY_LINE = b"\r\n\r\n"
WINDOW = 12
"""Bits of the window that messages to a client are compressed with: with zlib's 15 they are 9 % smaller and take four
times as long.
"""


@attrs.frozen
class Opened:
    """A request that opens a WebSocket: how it is answered, and how messages may be compressed, if that was agreed."""

    answer: bytes
    deflate: PerMessageDeflate | None = None


class Refused(ProtocolError):
    """The request opens no WebSocket here; `response` is the HTTP answer to write before closing."""

    def __init__(self, reason: str, message: str, response: bytes) -> None:
        super().__init__(reason, message)
        self.response = response


def refused(reason: str, status: HTTPStatus, message: str) -> Refused:
    """Make a refusal with a short answer in plain text."""
    body = f"{message}\n".encode()
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\nConnection: close\r\n"
        f"Content-Type: text/plain; charset=utf-8\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return Refused(reason, message, head.encode() + body)


def take(
    data: bytes, path: str, origins: Collection[str] | None, *, compression: bool = False
) -> tuple[Opened, bytes] | None:
    """Take the request that `data` begins with; give what opens the WebSocket, and what came behind.

    None: the request is not complete. `path` must be the request's, whose query is not looked at. `origins` are the
    pages that may connect: `none` stands for clients that send no Origin, `*` or None for everybody. Raises Refused.
    """
    if data and not b"A" <= data[:1] <= b"Z":
        raise refused("bad_handshake", HTTPStatus.BAD_REQUEST, "this is not an HTTP request")
    end = data.find(EMPTY_LINE, 0, LARGEST_HEAD) + len(EMPTY_LINE)
    if end >= len(EMPTY_LINE):
        return accept(data[:end], path, origins, compression=compression), data[end:]
    if len(data) >= LARGEST_HEAD:
        status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
        raise refused("handshake_too_long", status, f"the request is longer than {LARGEST_HEAD} bytes")
    return None


def accept(head: bytes, path: str, origins: Collection[str] | None, *, compression: bool = False) -> Opened:
    """Judge a whole request, its empty line included, and give what opens the WebSocket; raises Refused."""
    server = _server(origins, compression)
    request = _parse(server, head)
    if request.path.partition("?")[0] != path:
        raise refused("bad_path", HTTPStatus.NOT_FOUND, "nothing is served under this path")
    response = server.accept(request)
    if "Date" in response.headers:
        del response.headers["Date"]
    if response.status_code == HTTPStatus.SWITCHING_PROTOCOLS:
        agreed = next(iter(server.extensions), None)
        return Opened(response.serialize(), cast("PerMessageDeflate | None", agreed))
    reason = "bad_origin" if response.status_code == HTTPStatus.FORBIDDEN else "bad_handshake"
    raise Refused(reason, str(server.handshake_exc), response.serialize())


def _server(origins: Collection[str] | None, compression: bool) -> ServerProtocol:
    from logging import CRITICAL, Logger

    from websockets.server import ServerProtocol
    from websockets.typing import Origin

    allowed: list[Origin | None] | None = None
    if origins is not None and "*" not in origins:
        allowed = [None if origin == "none" else Origin(origin) for origin in origins]
    # A logger of its own, that is silent: a request's query may hold a secret.
    logger = Logger("websocket", CRITICAL + 1)
    return ServerProtocol(origins=allowed, extensions=_extensions() if compression else None, logger=logger)


def _extensions() -> Sequence[ServerExtensionFactory]:
    """Give what may be agreed on: each message compressed for itself, so that no connection keeps a window."""
    from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory

    return [ServerPerMessageDeflateFactory(True, True, server_max_window_bits=WINDOW)]


def _parse(server: ServerProtocol, head: bytes) -> Request:
    from websockets.http11 import Request

    server.receive_data(head)
    for event in server.events_received():
        if isinstance(event, Request):
            return event
    answer = b"".join(server.data_to_send())
    if answer:
        status, _, _ = answer.partition(b"\r\n")
        raise refused("bad_handshake", HTTPStatus(int(status.split()[1])), str(server.handshake_exc))
    raise refused("bad_handshake", HTTPStatus.BAD_REQUEST, "this is not a request for a WebSocket")
