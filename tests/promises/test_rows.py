"""The short form of every promise."""

import sys
from pathlib import Path

import pytest

ROOT = str(Path(__file__).parents[2])
if ROOT not in sys.path:
    sys.path.append(ROOT)

from tests.promises.ledger import JSON, PAGE, page, read  # noqa: E402
from tests.promises.rows import ROWS  # noqa: E402


@pytest.mark.parametrize("row", [row for row in ROWS if row.quick], ids=lambda row: row.name)
def test_a_promise_is_kept(row):
    outcome = row.run(row.quick)
    assert outcome.kept, outcome.figure
    assert outcome.tries > 0


def test_the_page_says_what_was_counted():
    if JSON.exists():
        assert PAGE.read_text() == page(read())


def test_every_row_has_a_name_of_its_own():
    assert len({row.name for row in ROWS}) == len(ROWS)
