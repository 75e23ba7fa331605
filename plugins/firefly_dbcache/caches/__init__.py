"""Caches behind the owner's memory: memory:// and memcached."""
