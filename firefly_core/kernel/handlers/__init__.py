"""Handlers: what the decorators mark, what stands around a handler, and how one is run."""
