"""The Flask application behind a web service: files first by folder, the game's routes, and headers on everything."""

from __future__ import annotations

import mimetypes
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from flask import Flask, Response, abort, request, send_from_directory
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from firefly_core.errors import (
    CallError,
    CommandTimeout,
    Conflict,
    DeadlineExceeded,
    Disconnected,
    NotFound,
    Overloaded,
    PayloadError,
    Refuse,
    Unavailable,
    client_error,
)
from firefly_web.routes import Route

__all__ = ["make_application"]

Trace = Callable[[BaseException, Route], str]

PLAIN = {"Content-Type": "text/plain; charset=utf-8"}
READING = ("GET", "HEAD")
TYPES = {  # said here, because the system's own table differs from machine to machine and `nosniff` forbids guessing
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".json": "application/json",
    ".mjs": "text/javascript",
    ".mp3": "audio/mpeg",
    ".ogg": "audio/ogg",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain",
    ".wasm": "application/wasm",
    ".webp": "image/webp",
    ".woff2": "font/woff2",
}
STATUSES: tuple[tuple[type[BaseException], int], ...] = (
    (Refuse, 400),
    (PayloadError, 400),
    (NotFound, 404),
    (Conflict, 409),
    (DeadlineExceeded, 504),
    (CommandTimeout, 504),
    (Unavailable, 503),
    (Disconnected, 503),
    (Overloaded, 503),
)


def make_application(
    *,
    folders: Mapping[str, Path],
    routes: Sequence[Route],
    run: Callable[..., Any],
    trace: Trace,
    policy: str,
    hosts: Collection[str],
    max_age: float,
    max_body: int,
) -> Flask:
    """Make the application. `folders` are served, each below its path ("": everywhere else).

    `run(route, request, parts)` calls a route's function; `trace(error, route)` logs what it should not have raised and
    gives the id to tell the client. `hosts` are the names that a request's Host may have; empty: any.
    """
    application = Flask("firefly_web", static_folder=None, template_folder=None)
    application.config["MAX_CONTENT_LENGTH"] = max_body
    # Checked by `guard`: only GET and HEAD, and what a route asks for, exist at all.
    application.config["PROVIDE_AUTOMATIC_OPTIONS"] = False
    headers = {
        "Content-Security-Policy": policy,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "same-origin",
        "Cross-Origin-Opener-Policy": "same-origin",
    }

    @application.before_request
    def guard() -> None:
        if hosts and _name_of(request.host) not in hosts:
            # a name that somebody has pointed at this machine: his pages must not read what is served here
            abort(421)
        origin = request.headers.get("Origin")
        if request.method not in READING and origin and origin.partition("://")[2] != request.host:
            abort(403)

    @application.after_request
    def add_headers(response: Response) -> Response:
        for name, value in headers.items():
            response.headers.setdefault(name, value)
        return response

    @application.errorhandler(HTTPException)
    def tell(error: HTTPException) -> Any:
        valid = error.valid_methods if isinstance(error, MethodNotAllowed) else None
        allow = {"Allow": ", ".join(sorted(valid))} if valid else {}
        return f"{error.code} {error.name}\n", error.code or 500, {**PLAIN, **allow}

    for route in routes:
        _add_route(application, route, run, trace)
    for below, folder in folders.items():
        _add_files(application, below, folder.resolve(), max_age)
    return application


def _name_of(host: str) -> str:
    """Give the name in a Host header, without its port."""
    return (host.partition("]")[0] + "]" if host.startswith("[") else host.partition(":")[0]).lower()


def _add_route(application: Flask, route: Route, run: Callable[..., Any], trace: Trace) -> None:
    def view(**parts: Any) -> Any:
        try:
            result = run(route, request._get_current_object(), parts)  # type: ignore[attr-defined]
            return _response(result)
        except HTTPException:
            raise
        except (Exception, CommandTimeout) as error:
            return _error(error, route, trace)

    methods = [*route.methods, *(["HEAD"] if "GET" in route.methods else [])]
    endpoint = f"{route.source}:{route.rule}"
    application.add_url_rule(
        route.rule, endpoint.replace(".", "_"), view, methods=methods, provide_automatic_options=False
    )


def _response(result: Any) -> Any:
    """Turn what a route's function returned into what Flask understands."""
    if result is None:
        return "", 204
    if isinstance(result, Response | str | tuple):
        return result
    if isinstance(result, bytes):
        return Response(result, content_type="application/octet-stream")
    return _json(result, 200)


def _error(error: BaseException, route: Route, trace: Trace) -> Response:
    told = client_error(error)
    if told is None and isinstance(error, NotFound):
        told = ("not_found", str(error) or "there is no such thing")
    if told is None:
        code = error.code if isinstance(error, CallError) else "internal"
        told = (code, f"something went wrong, see {trace(error, route)} in the log")
    status = next((status for kind, status in STATUSES if isinstance(error, kind)), 500)
    return _json({"error": {"code": told[0], "message": told[1]}}, status)


def _json(value: Any, status: int) -> Response:
    return Response(msgspec.json.encode(value), status, content_type="application/json")


def _add_files(application: Flask, below: str, folder: Path, max_age: float) -> None:
    def view(path: str) -> Response:
        if path.endswith("/") or not path:
            path += "index.html"
        if any(part.startswith(".") for part in path.split("/")):
            abort(404)  # hidden files, and every way upwards
        if "\0" in path or not (folder / path).resolve().is_relative_to(folder):
            abort(404)  # a link that leads out of the folder
        kind = TYPES.get(Path(path).suffix.lower()) or mimetypes.guess_type(path)[0]
        response = send_from_directory(
            folder, path, mimetype=kind or "application/octet-stream", max_age=round(max_age) or None
        )
        if not max_age:
            response.headers["Cache-Control"] = "no-cache"
        return response

    for rule in (f"{below}/", f"{below}/<path:path>"):
        application.add_url_rule(
            rule,
            f"files of {below}/".replace(".", "_"),
            view,
            methods=READING,
            defaults={"path": ""} if rule == f"{below}/" else None,
            provide_automatic_options=False,
        )
