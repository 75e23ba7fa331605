"""docs/operations.md says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import attrs
import firefly_admin
from firefly_admin.actions import ACTIONS
from firefly_admin.config import AdminConfig
from prometheus_client.parser import text_string_to_metric_families

DOCS = Path(firefly_admin.__file__).parents[2] / "docs"
PAGE = (DOCS / "operations.md").read_text()


def test_every_route_is_on_the_page_and_nothing_else(desk):
    told = set(re.findall(r"`(GET|POST) (/\S*)`", PAGE))
    application = desk.admin._servers[0].application
    known = {
        (method, rule.rule)
        for rule in application.url_map.iter_rules()
        for method in rule.methods - {"HEAD", "OPTIONS"}
        if rule.endpoint not in ("console", "files")
    }
    assert told == known


def test_every_key_of_an_action_is_on_the_page():
    for action, kind in ACTIONS.items():
        (line,) = [line for line in PAGE.splitlines() if f"POST /api/{action}`" in line]
        if action != "enable":
            assert set(kind.__struct_fields__) <= set(re.findall(r'"(\w+)"', line)), action


def test_every_metric_on_the_page_is_exported(desk, supervisor):
    desk.enter("ada")
    desk.look()
    found = {family.name for family in text_string_to_metric_families(desk.ask("GET", "/metrics").body.decode())}
    told = {name.removesuffix("_total") for name in re.findall(r"`(firefly_[a-z_]+)`", PAGE)}
    told -= {"firefly_handler_errors"}  # there as soon as a handler has failed
    assert len(told) >= 12
    assert told <= found


def test_its_pictures_pages_and_keys_are_there():
    for target in re.findall(r"\]\(([^)#]+)\)", PAGE):
        assert (DOCS / target).is_file(), target
    keys = {field.name for field in attrs.fields(AdminConfig)}
    assert {"roots", "token", "hosts", "interval", "bad_tokens", "notice_push"} <= keys
    for name in ("roots", "hosts", "interval", "bad_tokens", "notice_push"):
        assert f"`{name}`" in PAGE
