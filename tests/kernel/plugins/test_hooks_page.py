"""docs/hooks.md says what the specifications say."""

from importlib.metadata import entry_points
from pathlib import Path

from firefly_core.kernel import hookspecs
from firefly_core.kernel.plugins.hooks_page import hooks_page
from firefly_core.kernel.plugins.plugin_check import specifications

PAGE = Path(__file__).parents[3] / "docs" / "hooks.md"


def test_the_page_is_current():
    assert PAGE.read_text() == hooks_page(), "run `make docs`"


def test_every_hook_is_on_it_once():
    names = [name for name in vars(hookspecs) if name.startswith("firefly_")]
    assert len(names) >= 15
    assert [hooks_page().count(f"### {name}\n") for name in names] == [1] * len(names)


def test_each_hook_is_used_by_a_plugin_of_ours():
    used = set()
    for name in ("gate", "root", "node", "db-cache", "protocols", "web", "admin", "tokens", "together"):
        [point] = entry_points(group="firefly.plugins", name=name)
        used |= {hook for hook in specifications() if hasattr(point.load(), hook)}
    assert set(specifications()) - used == set()
