"""HttpServer: gevent's WSGI server within bounds of connections, bytes and time, logging as Firefly does.

A request is read whole (line, headers, body) before the application sees it, within `head_timeout`; the answer must
have been taken within `timeout`. Bodies in chunks are refused: nothing that a page sends needs them.
"""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Callable
from http.client import HTTPException
from io import BytesIO
from typing import Any, cast

import attrs
import gevent
from gevent import socket
from gevent.pool import Pool
from gevent.pywsgi import WSGIHandler, WSGIServer

from firefly_core.channel.network import bind_socket

__all__ = ["HttpLimits", "HttpServer"]

MAX_LINE = 8192
LINGER = 0.5
LINGER_READS = 16
LENGTH = re.compile(r"[0-9]{1,12}")
REASONS = {
    400: "Bad Request",
    408: "Request Timeout",
    411: "Length Required",
    413: "Content Too Large",
    414: "URI Too Long",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    503: "Service Unavailable",
}


@attrs.frozen(kw_only=True)
class HttpLimits:
    """The bounds of one server: seconds, bytes, connections."""

    timeout: float = 30.0
    head_timeout: float = 5.0
    idle_timeout: float = 15.0
    max_connections: int = 256
    max_head: int = 16384
    max_body: int = 65536


class Refused(ValueError):
    """A request that is not taken; the client is told the status and the connection ends."""

    def __init__(self, status: int) -> None:
        super().__init__(REASONS[status])
        self.status = status


class Late(BaseException):
    """A deadline has passed. A BaseException, so that no `except Exception` of an application takes it for its own."""


def answer(status: int) -> bytes:
    """Give a whole HTTP answer that ends its connection."""
    body = f"{status} {REASONS[status]}\n".encode()
    head = (
        f"HTTP/1.1 {status} {REASONS[status]}\r\nContent-Type: text/plain; charset=utf-8\r\n"
        f"X-Content-Type-Options: nosniff\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body


class BoundedHead:
    """What the header parser reads from: a file that refuses to give more than so many bytes."""

    def __init__(self, file: Any, left: int) -> None:
        self._file = file
        self._left = left

    def readline(self, limit: int) -> bytes:
        line: bytes = self._file.readline(min(limit, self._left + 1))
        self._left -= len(line)
        if self._left < 0:
            raise Refused(431)
        return line


class HttpHandler(WSGIHandler):
    """One connection."""

    server: HttpServer

    def handle(self) -> None:
        try:
            super().handle()
        except (Late, OSError):
            self.server.count("late_or_lost")
        finally:
            self.server.leave()

    def handle_one_request(self) -> Any:
        self.response_length = 0
        self.headers_sent = False
        limits = self.server.limits
        try:
            line = self._wait_line(limits.idle_timeout)
            if not line:
                return None
            with gevent.Timeout(limits.head_timeout, Late()):
                self.read_request(line)
                self._check_head()
                self.environ = self._take_body(self.get_environ())
        except Refused as refused:
            return self._refuse(refused.status)
        except Late:
            return self._refuse(408)
        except HTTPException:
            return self._refuse(431)  # over a hundred headers, or one without an end
        except OSError:
            return None
        except Exception:
            # whatever pywsgi and http.client raise for lines that are not HTTP
            return self._refuse(400)
        self.application = self.server.application
        self.handle_one_response()
        return None if self.close_connection or self.server.draining else True

    def _wait_line(self, timeout: float) -> str:
        """Give the next request's first line; empty: the client has gone, or says nothing."""
        try:
            with gevent.Timeout(timeout, Late()):
                line = self.rfile.readline(MAX_LINE + 1)
        except Late:
            return ""
        if len(line) > MAX_LINE:
            raise Refused(414)
        self.requestline = line.decode("latin-1")
        return self.requestline if line.endswith(b"\n") else ""

    def MessageClass(self, *args: Any) -> Any:
        file, *rest = args
        bounded = cast(Any, BoundedHead(file, self.server.limits.max_head))
        return super().MessageClass(bounded, *rest)

    def _check_head(self) -> None:
        """Refuse what two readers could read differently, and what is too long."""
        headers = self.headers
        if self.request_version not in ("HTTP/1.0", "HTTP/1.1"):
            raise Refused(400)
        hosts = headers.get_all("host", [])
        if len(hosts) > 1 or (not hosts and self.request_version == "HTTP/1.1"):
            raise Refused(400)
        if headers.get("transfer-encoding") is not None:
            raise Refused(411)
        lengths = headers.get_all("content-length", [])
        if len(lengths) > 1 or any(LENGTH.fullmatch(length) is None for length in lengths):
            raise Refused(400)
        if (self.content_length or 0) > self.server.limits.max_body:
            raise Refused(413)

    def _take_body(self, environ: dict[str, Any]) -> dict[str, Any]:
        """Read the whole body now, so that nothing of the answer ever waits for the client to send."""
        environ["wsgi.input"] = BytesIO(cast(Any, self.wsgi_input).read())
        environ["wsgi.input_terminated"] = True
        return environ

    def handle_one_response(self) -> None:
        self.server.busy += 1
        try:
            with gevent.Timeout(self.server.limits.timeout, Late()):
                super().handle_one_response()
        finally:
            self.server.busy -= 1

    def handle_error(self, kind: Any, error: Any, trace: Any) -> None:
        """Answer what the application let through; a deadline is no error of ours, the connection just ends."""
        self.close_connection = True
        if kind is Late:
            self.server.count("late_or_lost")
            if not self.headers_sent:
                self._refuse_now(503)
        elif not issubclass(kind, gevent.GreenletExit):
            self.server.logger.error("a request failed", exc_info=(kind, error, trace))
            if not self.headers_sent:
                self._refuse_now(500)

    def _refuse(self, status: int) -> Any:
        """Tell the client, then hear what it still sends: closing over unread bytes would reset the answer."""
        self._refuse_now(status)
        with contextlib.suppress(Late, OSError), gevent.Timeout(LINGER, Late()):
            self.socket.shutdown(socket.SHUT_WR)
            for _ in range(LINGER_READS):
                if not self.socket.recv(65536):
                    break
        return None

    def _refuse_now(self, status: int) -> None:
        self.server.count("refused")
        self.server.logger.info("refused %s %s", self.client_address[0], status)
        with contextlib.suppress(Late, OSError), gevent.Timeout(1.0, Late()):
            self.socket.sendall(answer(status))

    def log_request(self) -> None:
        # Without the query: whoever puts a secret there by mistake must not find it in a log.
        line = ascii((self.requestline or "").strip().partition("?")[0])[1:-1][:300]
        self.server.count("requests")
        self.server.logger.debug("%s %s %s", self.client_address[0], line, self.code)


class HttpServer(WSGIServer):
    """Serves one application at one address, which it holds from the beginning; raises OSError if it cannot be had."""

    handler_class = HttpHandler

    def __init__(
        self,
        place: tuple[str, int],
        application: Callable[..., Any],
        limits: HttpLimits,
        logger: logging.Logger,
    ) -> None:
        self.limits = limits
        self.logger = logger
        self.draining = False
        self.open = 0
        """Connections that are open now."""
        self.busy = 0
        """Requests that are being answered now."""
        self.counts = {"requests": 0, "refused": 0, "late_or_lost": 0, "turned_away": 0}
        # named here, or pywsgi would ask a name server before it serves
        environ = {"SERVER_NAME": place[0]}
        listener = socket.socket(fileno=bind_socket(*place).detach())
        super().__init__(listener, application, spawn=Pool(), log=None, error_log=logger, environ=environ)

    def count(self, what: str) -> None:
        """Add one to a counter."""
        self.counts[what] += 1

    def leave(self) -> None:
        """Note that a connection has ended."""
        self.open -= 1

    def do_handle(self, *args: Any) -> None:
        """Take a connection, or tell it that there are too many: one that is left unanswered would wait for nothing."""
        if self.open >= self.limits.max_connections:
            self.count("turned_away")
            try:
                args[0].setblocking(False)
                args[0].send(answer(503))
            except OSError:
                pass
            self.do_close(*args)
            return
        self.open += 1
        super().do_handle(*args)

    def drain(self) -> None:
        """Take nothing new and wait until every answer that was begun is sent; the caller bounds the wait."""
        self.draining = True
        self.close()
        while self.busy:
            gevent.sleep(0.01)
