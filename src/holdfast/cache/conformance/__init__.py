"""The suite that every backend of caches passes, for pytest with anyio's plugin.

A backend writes a `CacheHarness` and a test class that inherits `CacheConformance` and has a
fixture ``harness`` that returns it. Every case then runs on the async and on the blocking cache.
"""

from holdfast.cache.conformance.harness import CacheHarness
from holdfast.cache.conformance.suite import CacheConformance

__all__ = ["CacheConformance", "CacheHarness"]
