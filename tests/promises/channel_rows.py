"""Rows A21 to A30: channels between servers under everything that a network can do."""

from __future__ import annotations

from tests.promises import arrival_rows, deadline_rows, dialer_rows, pressure_rows, stranger_rows
from tests.promises.ledger import Row

__all__ = ["ROWS"]

ROWS: list[Row] = [
    *deadline_rows.ROWS,
    *dialer_rows.ROWS,
    *arrival_rows.ROWS,
    *pressure_rows.ROWS,
    *stranger_rows.ROWS,
]
