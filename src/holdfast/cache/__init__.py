"""Cache: values that expire, with one meaning in memory and in Redis, also when Redis is away."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from holdfast.cache.cache import Cache
    from holdfast.cache.cached_metadata import CachedMetadata
    from holdfast.cache.cached_repository import CachedRepository
    from holdfast.cache.connect import open_cache
    from holdfast.cache.driver import CacheCapability, Outcome
    from holdfast.cache.options import CacheOptions
    from holdfast.cache.outbox import CacheInvalidation, Outbox
    from holdfast.cache.prometheus import exposition
else:
    _MODULES = {
        "Cache": "cache",
        "CacheCapability": "driver",
        "CacheInvalidation": "outbox",
        "CacheOptions": "options",
        "CachedMetadata": "cached_metadata",
        "CachedRepository": "cached_repository",
        "Outbox": "outbox",
        "Outcome": "driver",
        "exposition": "prometheus",
        "open_cache": "connect",
    }

    def __getattr__(name: str) -> object:
        """Import what is asked for, so that nothing is loaded that nobody uses."""
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        found = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
        globals()[name] = found
        return found


__all__ = [
    "Cache",
    "CacheCapability",
    "CacheInvalidation",
    "CacheOptions",
    "CachedMetadata",
    "CachedRepository",
    "Outbox",
    "Outcome",
    "exposition",
    "open_cache",
]
