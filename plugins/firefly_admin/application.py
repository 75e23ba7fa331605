"""The Flask application of the admin: probes for machines, an API behind a token, the console's files.

Before anything else each request is looked at: the Host that it names, the page that it comes from, and under /api the
token. What changes something is a POST of JSON with the header X-Firefly-Admin, which no foreign page can send.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from flask import Flask, Response, request, send_from_directory
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from firefly_admin.access import Access, Denied
from firefly_admin.actions import ACTIONS, Actions
from firefly_admin.body import read_body
from firefly_admin.metrics import CONTENT_TYPE
from firefly_core.errors import CallError, Overloaded, PayloadError, Refuse, RemoteError, Unavailable

if TYPE_CHECKING:
    from firefly_admin.panorama import Panorama

__all__ = ["make_application"]

CONSOLE = Path(__file__).with_name("console")
READING = ("GET", "HEAD")
TYPES = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
    ".txt": "text/plain",
}
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
NOTHING = "default-src 'none'; frame-ancestors 'none'"
PAGE = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'{doors}; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
STATUSES = {"bad_request": 400, "not_found": 404, "busy": 409, "refused": 409}
WHOLE = 2**31


def make_application(
    *,
    access: Access,
    panorama: Panorama,
    actions: Actions,
    metrics: Callable[[], bytes],
    hosts: Collection[str],
    doors: Callable[[str], Collection[str]],
    failed: Callable[[BaseException], str],
) -> Flask:
    """Make the application.

    `hosts` are the names that a request's Host may have. `doors` gives, for the host by which a browser has come, the
    WebSocket addresses that the console may open. `failed` logs what nobody expected and gives the id to tell.
    """
    application = Flask("firefly_admin", static_folder=None, template_folder=None)
    application.config["PROVIDE_AUTOMATIC_OPTIONS"] = False
    application.url_map.merge_slashes = False

    @application.before_request
    def guard() -> Any:
        return _guard(hosts, access)

    @application.after_request
    def add_headers(response: Response) -> Response:
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        response.headers.setdefault("Content-Security-Policy", NOTHING)
        return response

    @application.errorhandler(HTTPException)
    def tell(error: HTTPException) -> Any:
        valid = error.valid_methods if isinstance(error, MethodNotAllowed) else None
        allow = {"Allow": ", ".join(sorted(valid))} if valid else {}
        return _error(error.code or 500, error.name.lower().replace(" ", "_"), error.name, allow)

    @application.errorhandler(Exception)
    def explain(error: Exception) -> Any:
        return _explain(error, failed)

    _add_probes(application, panorama, metrics)
    _add_views(application, panorama)
    _add_actions(application, actions)
    _add_console(application, doors)
    return application


def _guard(hosts: Collection[str], access: Access) -> Any:
    """Give an answer in place of the view's where a request may not be answered."""
    host = request.host
    if _name_of(host) not in hosts:
        return _error(421, "wrong_host", "this server is not called that")
    origin = request.headers.get("Origin")
    if origin is not None and origin.partition("://")[2] != host:
        return _error(403, "foreign_origin", "another page may not ask")
    if request.path != "/api" and not request.path.startswith("/api/"):
        return None
    if request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
        return _error(403, "foreign_origin", "another page may not ask")
    try:
        access.check(request.headers.get("Authorization"), request.remote_addr or "")
    except Denied as denied:
        more = {"WWW-Authenticate": "Bearer"} if denied.status == 401 else {"Retry-After": "60"}
        return _error(denied.status, denied.code, denied.message, more)
    return None


def _name_of(host: str) -> str:
    """Give the name in a Host header, without its port."""
    return (host.partition("]")[0] + "]" if host.startswith("[") else host.partition(":")[0]).lower()


def _explain(error: Exception, failed: Callable[[BaseException], str]) -> Response:
    if isinstance(error, Refuse):
        return _error(STATUSES.get(error.code, 400), error.code, error.message)
    if isinstance(error, PayloadError):
        return _error(400, "bad_request", str(error))
    if isinstance(error, Overloaded | Unavailable):
        return _error(503, "unavailable", str(error))
    if isinstance(error, CallError):
        message = error.message if isinstance(error, RemoteError) else str(error)
        return _error(STATUSES.get(error.code, 502), error.code, message)
    return _error(500, "internal", f"something went wrong, see {failed(error)} in the log")


def _add_probes(application: Flask, panorama: Panorama, metrics: Callable[[], bytes]) -> None:
    @application.get("/healthz", provide_automatic_options=False)
    def healthz() -> Any:
        return _json({"status": "ok"})

    @application.get("/readyz", provide_automatic_options=False)
    def readyz() -> Any:
        ready, states = panorama.ready()
        return _json({"ready": ready, "servers": states}, 200 if ready else 503)

    @application.get("/metrics", provide_automatic_options=False)
    def exposition() -> Any:
        return Response(metrics(), content_type=CONTENT_TYPE)


def _add_views(application: Flask, panorama: Panorama) -> None:
    def sessions() -> Any:
        text, server = _text("q"), _text("server") or None
        return panorama.sessions(text, server, _number("offset", 0, 0, WHOLE), _number("limit", 100, 1, 500))

    def logs() -> Any:
        after = {name[6:]: _number(name, 0, 0, WHOLE) for name in request.args if name.startswith("after.")}
        server = _text("server") or None
        return panorama.logs(server, _text("level") or "debug", _text("q"), _number("limit", 200, 1, 500), after)

    views: dict[str, Callable[[], Any]] = {
        "topology": panorama.topology,
        "history": panorama.history,
        "sessions": sessions,
        "commands": panorama.commands,
        "describe": panorama.describe,
        "groups": panorama.groups,
        "db": panorama.database,
        "logs": logs,
    }
    for name, view in views.items():
        application.add_url_rule(
            f"/api/{name}", name, _answering(view), methods=READING, provide_automatic_options=False
        )


def _answering(view: Callable[[], Any]) -> Callable[[], Response]:
    return lambda: _json(view())


def _add_actions(application: Flask, actions: Actions) -> None:
    def act(action: str) -> Response:
        kind = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            return _error(415, "unsupported_media_type", "send Content-Type: application/json")
        if request.headers.get("X-Firefly-Admin") != "1":
            return _error(403, "foreign_origin", "send X-Firefly-Admin: 1")
        order = read_body(request.get_data(), ACTIONS[action])
        return _json(actions.do(action, order, request.remote_addr or ""))

    for action in ACTIONS:
        application.add_url_rule(
            f"/api/{action}",
            action,
            act,
            methods=["POST"],
            defaults={"action": action},
            provide_automatic_options=False,
        )


def _add_console(application: Flask, doors: Callable[[str], Collection[str]]) -> None:
    def view(path: str) -> Any:
        response = send_from_directory(CONSOLE, path, mimetype=TYPES.get(Path(path).suffix, "application/octet-stream"))
        if path == "index.html":
            opened = "".join(f" {door}" for door in doors(_name_of(request.host)))
            response.headers["Content-Security-Policy"] = PAGE.format(doors=opened)
        response.headers["Cache-Control"] = "no-cache"
        return response

    application.add_url_rule(
        "/", "console", view, methods=READING, defaults={"path": "index.html"}, provide_automatic_options=False
    )
    application.add_url_rule("/console/<path:path>", "files", view, methods=READING, provide_automatic_options=False)


def _text(name: str) -> str:
    text = request.args.get(name, "")
    if len(text) > 200:
        raise Refuse("bad_request", f"{name} has more than 200 characters")
    return text


def _number(name: str, default: int, low: int, high: int) -> int:
    text = request.args.get(name)
    if text is None:
        return default
    if not text.isascii() or not text.isdigit() or len(text) > 12 or not low <= int(text) <= high:
        raise Refuse("bad_request", f"{name} is a number from {low} to {high}")
    return int(text)


def _json(value: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(value), status, content_type="application/json")


def _error(status: int, code: str, message: str, headers: Any = None) -> Response:
    response = _json({"error": {"code": code, "message": message}}, status)
    response.headers.update(headers or {})
    return response
