from __future__ import annotations

import json
import logging
from collections.abc import Callable
from types import ModuleType

import pytest
from firefly_web import route
from firefly_web.routes import collect_routes

from firefly_core.errors import ConfigurationError


def module(**names: object) -> ModuleType:
    made = ModuleType("some_routes")
    vars(made).update(names)
    return made


def test_the_mark_leaves_the_function_as_it_is() -> None:
    @route("/a")
    @route("/b", methods=["POST"])
    def f(ctx, request):
        return 7

    assert f(None, None) == 7
    found = collect_routes([module(f=f, again=f)])
    assert [(r.rule, r.methods) for r in found] == [("/b", ("POST",)), ("/a", ("GET",))]


def test_all_problems_are_told_at_once_each_with_file_and_line() -> None:
    @route("no-slash")
    def one(ctx, request): ...

    @route("/<broken")
    def two(ctx, request): ...

    @route("/x", methods=["FETCH"])
    def three(ctx, request): ...

    @route("/y/<part>")
    def four(ctx, request): ...

    @route("/z")
    async def five(ctx, request): ...

    @route("/<unknown:x>")
    def six(ctx, request, x): ...

    with pytest.raises(ConfigurationError) as caught:
        collect_routes([module(one=one, two=two, three=three, four=four, five=five, six=six), module()])
    problems = caught.value.problems
    assert len(problems) == 7
    assert all("test_routes.py:" in problem for problem in problems[:6])
    assert "(ctx, request, part)" in problems[3]
    assert "no routes in it" in problems[6]


def test_two_functions_for_one_path_and_method_clash_by_name() -> None:
    @route("/a", methods=["GET", "POST"])
    def one(ctx, request): ...

    @route("/a")
    def two(ctx, request): ...

    @route("/a", methods=["PUT"])
    def three(ctx, request): ...

    with pytest.raises(ConfigurationError) as caught:
        collect_routes([module(one=one, two=two, three=three)])
    assert len(caught.value.problems) == 1
    assert "'/a' is taken by one at" in caught.value.problems[0]


def test_a_route_gets_context_request_and_parts_and_its_text_is_html(serve: Callable) -> None:
    answer = serve(routes=True).get("/hello/Ann?q=7")
    assert (answer.status, answer.body) == (200, b"<p>hello Ann of hello, 7")
    assert answer.headers["content-type"].startswith("text/html")
    assert "content-security-policy" in answer.headers


def test_objects_are_sent_as_json_bytes_as_they_are_and_none_as_nothing(serve: Callable) -> None:
    site = serve(routes=True)
    posted = site.get("/point", method="POST", body=b"12345")
    assert (posted.headers["content-type"], json.loads(posted.body)) == ("application/json", {"x": 5})
    assert site.get("/bytes").body == b"\0\1"
    assert (site.get("/nothing").status, site.get("/nothing").body) == (204, b"")


def test_a_route_may_say_its_own_status_and_headers(serve: Callable) -> None:
    answer = serve(routes=True).get("/own")
    assert (answer.status, answer.headers["content-security-policy"]) == (201, "default-src 'none'")


def test_routes_stand_before_files_and_files_are_still_served(serve: Callable) -> None:
    site = serve(routes=True)
    (site.folder / "nothing").write_text("a file of that name")
    assert site.get("/nothing").status == 204
    assert site.get("/meadow.js").status == 200


def test_a_refusal_reaches_the_client_as_code_and_message(serve: Callable) -> None:
    answer = serve(routes=True).get("/refused")
    assert answer.status == 400
    assert json.loads(answer.body) == {"error": {"code": "too_far", "message": "out of reach"}}


def test_a_server_that_is_away_is_a_503(serve: Callable) -> None:
    answer = serve(routes=True).get("/away")
    assert (answer.status, json.loads(answer.body)["error"]["code"]) == (503, "unavailable")


def test_an_error_is_logged_and_the_client_only_learns_its_trace(
    serve: Callable, caplog: pytest.LogCaptureFixture
) -> None:
    site = serve(routes=True)
    with caplog.at_level(logging.ERROR):
        answer = site.get("/broken")
    error = json.loads(answer.body)["error"]
    assert (answer.status, error["code"]) == (500, "internal")
    assert b"secret" not in answer.body
    assert b"Traceback" not in answer.body
    (record,) = [record for record in caplog.records if "broken" in record.getMessage()]
    assert record.exc_info is not None
    assert record.firefly["trace"] in error["message"]  # type: ignore[attr-defined]


def test_a_route_that_takes_too_long_is_cut_and_told(serve: Callable) -> None:
    site = serve("timeout = 0.2", routes=True)
    assert site.get("/slow").status == 503
    assert site.get("/meadow.js").status == 200


def test_a_method_that_a_route_does_not_have_is_refused(serve: Callable) -> None:
    answer = serve(routes=True).get("/refused", method="POST")
    assert answer.status == 405


def test_another_sites_page_cannot_post(serve: Callable) -> None:
    site = serve(routes=True)
    for origin in ("http://evil.example", "null", "http://localhost.evil.example", "http://localhost:9"):
        assert site.get("/point", f"Origin: {origin}", method="POST", body=b"1").status == 403
    assert site.get("/point", "Origin: http://localhost", method="POST", body=b"1").status == 200
