"""Cache: values that expire, with one meaning in memory and in Redis, also when Redis is away."""

from typing import TYPE_CHECKING

from holdfast.late_import import late_names

if TYPE_CHECKING:
    from holdfast.cache.cache import Cache
    from holdfast.cache.cache_lock import HeldLock
    from holdfast.cache.cached_metadata import CachedMetadata
    from holdfast.cache.cached_repository import CachedRepository
    from holdfast.cache.connect import open_cache
    from holdfast.cache.driver import CacheCapability, Outcome
    from holdfast.cache.notifier import open_notifier
    from holdfast.cache.options import CacheOptions
    from holdfast.cache.outbox import CacheInvalidation, Outbox
else:
    __getattr__ = late_names(
        __name__,
        {
            "holdfast.cache.cache": ("Cache",),
            "holdfast.cache.cache_lock": ("HeldLock",),
            "holdfast.cache.cached_metadata": ("CachedMetadata",),
            "holdfast.cache.cached_repository": ("CachedRepository",),
            "holdfast.cache.connect": ("open_cache",),
            "holdfast.cache.driver": ("CacheCapability", "Outcome"),
            "holdfast.cache.notifier": ("open_notifier",),
            "holdfast.cache.options": ("CacheOptions",),
            "holdfast.cache.outbox": ("CacheInvalidation", "Outbox"),
        },
    )


__all__ = [
    "Cache",
    "CacheCapability",
    "CacheInvalidation",
    "CacheOptions",
    "CachedMetadata",
    "CachedRepository",
    "HeldLock",
    "Outbox",
    "Outcome",
    "open_cache",
    "open_notifier",
]
