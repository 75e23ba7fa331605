from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import gevent
import pytest

from firefly_core.errors import ConfigurationError
from firefly_core.kernel.config.cluster import load
from firefly_core.kernel.kernel import Kernel


def test_the_folder_itself_is_its_index(serve: Callable) -> None:
    answer = serve().get("/")
    assert (answer.status, answer.body) == (200, b"<!doctype html><p>the meadow")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"


def test_a_folder_below_has_its_index_too(serve: Callable) -> None:
    assert serve().get("/sub/").body == b"sub"


def test_scripts_have_a_type_that_browsers_run(serve: Callable) -> None:
    assert serve().get("/meadow.js").headers["content-type"].startswith("text/javascript")


def test_every_answer_carries_the_policy_and_forbids_guessing(serve: Callable) -> None:
    site = serve()
    for path in ("/", "/meadow.js", "/nothing-there"):
        headers = site.get(path).headers
        assert headers["content-security-policy"].startswith("default-src 'self'")
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert "server" not in headers


def test_the_policy_can_be_another(serve: Callable) -> None:
    site = serve("content_policy = \"default-src 'none'\"")
    assert site.get("/").headers["content-security-policy"] == "default-src 'none'"


def test_an_unchanged_file_is_not_sent_again(serve: Callable) -> None:
    site = serve()
    first = site.get("/meadow.js")
    assert first.headers["cache-control"] == "no-cache"
    again = site.get("/meadow.js", f"If-None-Match: {first.headers['etag']}")
    assert (again.status, again.body) == (304, b"")
    (site.folder / "meadow.js").write_text("export const a = 2; // longer")
    changed = site.get("/meadow.js", f"If-None-Match: {first.headers['etag']}")
    assert (changed.status, changed.headers["etag"] != first.headers["etag"]) == (200, True)


def test_a_file_may_be_kept_for_a_time(serve: Callable) -> None:
    control = serve("max_age = 60").get("/meadow.js").headers["cache-control"]
    assert "max-age=60" in control
    assert "no-cache" not in control


@pytest.mark.parametrize(
    "path",
    [
        "/../secret.txt",
        "/%2e%2e/secret.txt",
        "/..%2fsecret.txt",
        "/sub/../../secret.txt",
        "/sub/..%5c..%5csecret.txt",
        "//secret.txt",
        "/./../secret.txt",
        "/.hidden",
        "/sub/../.hidden",
        "/%00",
        "/index.html%00.js",
        "/link.txt",
        "/outside/secret.txt",
        "/etc/passwd",
        "//etc/passwd",
    ],
)
def test_nothing_outside_of_the_folder_and_nothing_hidden_is_served(serve: Callable, path: str) -> None:
    site = serve()
    (site.folder / "link.txt").symlink_to(site.folder.parent / "secret.txt")
    (site.folder / "outside").symlink_to(site.folder.parent)
    answer = site.get(path)
    assert answer.status in (404, 308)
    assert b"secret" not in answer.body
    assert b"hidden" not in answer.body
    if answer.status == 308:
        assert answer.headers["location"].startswith("http://localhost/")


@pytest.fixture
def serve_client(serve: Callable, tmp_path: Path) -> Callable:
    """Serve a second folder below /client, and a third below /a/b.c."""
    (tmp_path / "clients" / "inner").mkdir(parents=True)
    (tmp_path / "clients" / "client.js").write_text("export const client = 1;")
    (tmp_path / "clients" / "inner" / "index.html").write_text("inner")
    (tmp_path / "clients" / ".hidden").write_text("hidden")
    return lambda: serve('files = { "/client" = "clients", "/a/b.c" = "clients/inner" }')


def test_another_folder_is_served_below_its_path(serve_client: Callable) -> None:
    site = serve_client()
    answer = site.get("/client/client.js")
    assert (answer.status, answer.body) == (200, b"export const client = 1;")
    assert answer.headers["content-type"].startswith("text/javascript")
    assert site.get("/client/inner/").body == b"inner"
    assert site.get("/a/b.c/").body == b"inner"
    assert site.get("/").body == b"<!doctype html><p>the meadow"
    assert site.get("/client.js").status == 404


@pytest.mark.parametrize("path", ["/client/../../secret.txt", "/client/%2e%2e/secret.txt", "/client/.hidden"])
def test_nothing_outside_of_another_folder_is_served(serve_client: Callable, path: str) -> None:
    answer = serve_client().get(path)
    assert answer.status in (404, 308)
    assert b"secret" not in answer.body
    assert b"hidden" not in answer.body


def test_what_is_not_there_is_a_plain_404(serve: Callable) -> None:
    answer = serve().get("/no-such-file.js?<script>")
    assert (answer.status, answer.body) == (404, b"404 Not Found\n")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"


def test_head_gives_the_headers_without_the_file(serve: Callable) -> None:
    answer = serve().get("/meadow.js", method="HEAD")
    assert (answer.status, answer.headers["content-length"]) == (200, "19")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT", "BREW"])
def test_files_can_only_be_read(serve: Callable, method: str) -> None:
    answer = serve().get("/meadow.js", method=method)
    assert answer.status == 405
    assert answer.headers["allow"] == "GET, HEAD"


def test_a_foreign_name_for_this_machine_is_refused_on_loopback(serve: Callable) -> None:
    site = serve()
    for host in ("localhost:8000", "127.0.0.1", "LOCALHOST", "[::1]:80"):
        assert site.get("/", f"Host: {host}").status == 200
    for host in ("evil.example", "evil.example:8000", "localhost.evil.example", "127.0.0.1.evil.example"):
        assert site.get("/", f"Host: {host}").status == 421


def test_the_names_can_be_configured(serve: Callable) -> None:
    site = serve('hosts = ["meadow.example"]')
    assert site.get("/", "Host: Meadow.Example:443").status == 200
    assert site.get("/", "Host: localhost").status == 421


def test_draining_ends_what_was_asked_and_takes_nothing_new(serve: Callable) -> None:
    site = serve(routes=True, keys="timeout = 0.5")
    with site.connect() as idle, site.connect() as client:
        client.sendall(b"GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n")
        with gevent.Timeout(5):
            while site.web.statistics()["connections"] != 2:
                gevent.sleep(0.01)
            while not any(server.busy for server in site.web._servers):
                gevent.sleep(0.01)
        address = site.web.addresses[0]
        with gevent.Timeout(5):
            site.web.drain()
        assert client.recv(100).startswith(b"HTTP/1.1 503")
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(address, timeout=2)
        idle.close()


def test_stopping_closes_every_connection_and_may_be_done_twice(serve: Callable) -> None:
    site = serve()
    with site.connect() as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert client.recv(15) == b"HTTP/1.1 200 OK"
        with gevent.Timeout(5):
            site.web.stop()
            site.web.stop()
            while client.recv(65536):
                pass
    assert site.web.addresses == []


def test_statistics_count_requests_and_refusals(serve: Callable) -> None:
    site = serve()
    site.get("/")
    site.send(b"nonsense\r\n\r\n")
    figures = site.web.statistics()
    assert figures["requests_total"] == 1
    assert figures["refused_total"] == 1


def test_an_address_that_is_taken_is_a_configuration_error(serve: Callable, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        text = (
            f'[firefly]\nname = "t"\nplugins = ["web"]\n'
            f'[servers.a.web]\nlisten = "http://127.0.0.1:{port}"\nstatic = "page"\n'
        )
        (tmp_path / "firefly.toml").write_text(text)
        with pytest.raises(ConfigurationError, match=rf"servers.a.web.listen.*{port}.*in use"):
            Kernel(load(tmp_path / "firefly.toml", {}), "a").start()


@pytest.mark.parametrize(
    ("keys", "needs"),
    [
        ("", "nothing to serve"),
        ('static = "no-such-folder"', "a folder that exists"),
        ('files = { "/client" = "no-such-folder" }', "folders that exist"),
        ('files = { "client" = "page" }', "paths such as"),
        ('files = { "/" = "page" }', "paths such as"),
        ('files = { "/client/" = "page" }', "paths such as"),
        ('files = { "/a/../b" = "page" }', "paths such as"),
        ('files = { "/<path:x>" = "page" }', "paths such as"),
        ('files = { "/client" = 7 }', "files"),
        ('routes = ["no_such_module"]', "no such module"),
        ('static = "page"\nmax_connections = 0', "max_connections"),
        ('static = "page"\nmax_boddy = 1', "max_body"),
    ],
)
def test_what_cannot_be_served_is_found_by_the_check(serve: Callable, tmp_path: Path, keys: str, needs: str) -> None:
    head = '[firefly]\nname = "t"\nplugins = ["web"]\n[servers.a.web]\nlisten = "http://127.0.0.1:0"\n'
    (tmp_path / "firefly.toml").write_text(head + keys)
    with pytest.raises(ConfigurationError, match=needs):
        load(tmp_path / "firefly.toml", {})


def test_flask_is_not_imported_before_the_service_starts() -> None:
    code = "import sys, firefly_web; sys.exit('flask' in sys.modules or 'gevent.pywsgi' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
