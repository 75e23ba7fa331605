"""Rows: a model taken apart, its columns' values, and changes to rows."""
