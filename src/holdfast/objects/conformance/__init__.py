"""The suite that every backend of buckets passes, for pytest with anyio's plugin.

A backend writes a `BucketHarness` and a test class that inherits `BucketConformance` and has a
fixture ``harness`` that returns it. Every case then runs on the async and on the blocking bucket.
"""

from holdfast.objects.conformance.harness import BucketHarness
from holdfast.objects.conformance.suite import BucketConformance

__all__ = ["BucketConformance", "BucketHarness"]
