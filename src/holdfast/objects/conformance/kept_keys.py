"""Puts objects for a case, as far as the backend keeps their keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.errors import ObjectKeyError
from holdfast.objects.driver import BucketCapability

if TYPE_CHECKING:
    from collections.abc import Iterable

    from holdfast.objects.bucket import Bucket
    from holdfast.objects.conformance.harness import BucketHarness


async def fill(bucket: Bucket, keys: Iterable[str], harness: BucketHarness) -> list[str]:
    """Put under each of *keys* its own name; return those that the backend didn't refuse.

    Where keys can't lie inside one another, those that do are left out.
    """
    kept: list[str] = []
    for key in _apart(keys, harness):
        try:
            await bucket.put(key, key.encode())
        except ObjectKeyError:
            assert BucketCapability.ANY_KEY not in harness.capabilities
        else:
            kept.append(key)
    return kept


def _apart(keys: Iterable[str], harness: BucketHarness) -> list[str]:
    every = list(keys)
    if BucketCapability.KEY_INSIDE_KEY in harness.capabilities:
        return every
    return [
        key
        for key in every
        if not any(key.startswith(f"{other.rstrip('/')}/") for other in every if other != key)
    ]
