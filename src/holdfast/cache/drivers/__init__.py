"""Backends of caches: memory, and Redis in its folder."""
