"""docs/bounds.md names a metric for every key that is a limit, and only metrics that there are."""

from __future__ import annotations

import re
from pathlib import Path

import firefly_admin
import pytest
from prometheus_client.parser import text_string_to_metric_families

DOCS = Path(firefly_admin.__file__).parents[2] / "docs"
LIMIT = re.compile(r"a (size|duration|rate)|an integer")
NO_LIMITS = {
    "servers.NAME.replicas",
    "admin.notice_push",
    "gate.login_command",
    "web.max_age",  # the browser's
    "tokens.lifetime",  # the token's own
}
"""Keys with a number that bounds nothing of the servers."""
LATER = {"firefly_gate_closed", "firefly_links_closed", "firefly_gate_errors_by_code"}
LATER |= {"firefly_handler_errors"}
"""Metrics with a word for a label: there as soon as there is one to tell."""
TOML = """
[firefly]
plugins = ["gate", "root", "node", "protocols", "db-cache", "web", "admin"]
[servers.gate.gate]
listen = {{ url = "tcp://127.0.0.1:11009", protocol = "json" }}
login_timeout = 0.3
[servers.gate.root]
listen = "tcp://127.0.0.1:10000"
[servers.gate.web]
listen = "http://127.0.0.1:0"
static = "."
[servers.world.node]
roots = ["gate"]
[servers.world.db-cache]
database = "sqlite:///bounds.db"
models = ["example_game.models"]
[servers.admin.admin]
listen = "http://127.0.0.1:0"
interval = 0.25
{token}
{keys}
"""


def table() -> dict[str, set[str]]:
    """Give the metrics of each key on the page."""
    told: dict[str, set[str]] = {}
    for line in (DOCS / "bounds.md").read_text().splitlines():
        if line.startswith("| `"):
            keys, metrics = line.strip("| ").split(" | ")
            for key in re.findall(r"`([^`]+)`", keys):
                assert key not in told, key
                told[key] = set(re.findall(r"`(firefly_[a-z_]+)`", metrics))
                assert told[key], key
    return told


def limits() -> set[str]:
    """Give every key of docs/config.md that is a number of something."""
    found = set()
    section = ""
    for line in (DOCS / "config.md").read_text().splitlines():
        if line.startswith("#"):
            named = re.fullmatch(r"## `\[(.+)\]`", line)
            section = named[1].removeprefix("servers.NAME.") if named else ""
        row = re.match(r"\| `(\w+)` \| ([^|]+) \|", line)
        if row and section and LIMIT.match(row[2]):
            found.add(f"{section}.{row[1]}")
    return found - NO_LIMITS


def test_every_limit_has_a_metric_and_no_other_key_is_on_the_page():
    assert limits() == set(table())


@pytest.fixture
def exported(make_desk, supervisor_of):
    """Give the names of every metric of a cluster that has all services, in which a few things went wrong."""
    desk = make_desk(toml=TOML)
    supervisor_of(desk)
    client = desk.cluster.connect()  # never logs in
    desk.enter("ada").ask("broken")
    assert client.wait_closed(timeout=10)
    desk.cluster.kernel("world").mesh.peers["gate-1"].channel.close("tried")

    def names() -> set[str]:
        desk.look()
        text = desk.ask("GET", "/metrics").body.decode()
        return {family.name for family in text_string_to_metric_families(text)}

    desk.wait(lambda: names() >= LATER, "what went wrong is told")
    return names()


def test_every_metric_on_the_page_is_exported_by_a_cluster_that_has_all_services(exported):
    wanted = {metric.removesuffix("_total") for metrics in table().values() for metric in metrics}
    assert wanted - exported == set()
