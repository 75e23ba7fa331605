"""docs/hooks.md says what the specifications say."""

from pathlib import Path

from firefly_core.kernel import hookspecs
from firefly_core.kernel.plugins.hooks_page import hooks_page

PAGE = Path(__file__).parents[3] / "docs" / "hooks.md"


def test_the_page_is_current():
    assert PAGE.read_text() == hooks_page(), "run `make docs`"


def test_every_hook_is_on_it_once():
    names = [name for name in vars(hookspecs) if name.startswith("firefly_")]
    assert len(names) >= 15
    assert [hooks_page().count(f"### {name}\n") for name in names] == [1] * len(names)
