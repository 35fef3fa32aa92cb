"""Cache: values that expire, with one meaning in memory and in Redis, also when Redis is away."""

from holdfast.cache.cache import Cache
from holdfast.cache.driver import Outcome
from holdfast.cache.health import Health, State, Statistics
from holdfast.cache.metadata import CachedMetadata
from holdfast.cache.metrics import exposition
from holdfast.cache.opening import open_cache
from holdfast.cache.options import CacheOptions
from holdfast.cache.relay import CacheInvalidation, Relay
from holdfast.cache.repository import CachedRepository

__all__ = [
    "Cache",
    "CacheInvalidation",
    "CacheOptions",
    "CachedMetadata",
    "CachedRepository",
    "Health",
    "Outcome",
    "Relay",
    "State",
    "Statistics",
    "exposition",
    "open_cache",
]
