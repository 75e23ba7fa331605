"""Rows A18 to A30: channels between servers under everything that a network can do."""

from __future__ import annotations

from tests.promises.ledger import Row

__all__ = ["ROWS"]

ROWS: list[Row] = []
