"""Plugins: found by entry point, checked, and called in the order of the file."""
