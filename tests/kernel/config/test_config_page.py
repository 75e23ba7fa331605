import tomllib
from pathlib import Path

import pytest

from firefly_core.kernel.config.config_page import main, page, plugins_of
from firefly_core.kernel.plugins.plugins import load_plugins

ROOT = Path(__file__).parents[3]


@pytest.fixture
def ours(distribution):
    """Install our own distribution as pyproject.toml declares it, whatever is installed just now."""
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    points = declared.get("entry-points", {}).get("firefly.plugins", {})
    distribution("firefly-core", {}, plugins=points, version=declared["version"])


def test_page_in_the_docs_is_current(ours):
    made = page(load_plugins(plugins_of("firefly-core")))
    assert (ROOT / "docs" / "config.md").read_text() == made, "run `make docs`"


def test_every_key_of_every_service_and_protocol_is_on_the_page(kit):
    text = page(load_plugins(["kit"]))
    for line in (
        "## `[firefly]`",
        "## `[servers.NAME]`",
        "## `[servers.NAME.door]`",
        '| `allowed` | a rate such as "30/s", "100/min" or "5/10s", or "off" | `"30/s"` | '
        "messages a session may send |",
        "| `max_frame` | a size in bytes from 1024 to 16777216 | `65536` | largest frame |",
        "In a table of `listen`, beside `url`:",
        "| `origins` | a list, each a text of 1 to 1000 characters | `[]` | who may connect |",
        "A server with this service has one process: `replicas` must be 1.",
        "| `token` | a secret of 16 to 1024 printable characters, best as ${NAME} from the environment |  | a secret |",
        '### `protocol = "line"`',
        "Codecs: `json`; by default `json`.",
        "| `header` | a list, each a size in bytes from 0 to 255 | `[0, 0]` | header values |",
    ):
        assert line in text.splitlines(), line


def test_plugins_of_one_distribution_are_found(kit, distribution):
    distribution("firefly-kit-more", {}, plugins={"more": "more"})
    assert plugins_of("firefly-kit") == ["kit"]


def test_page_is_written_to_a_file(kit, tmp_path):
    main(str(tmp_path / "config.md"), "firefly-kit")
    assert (tmp_path / "config.md").read_text() == page(load_plugins(["kit"]))
