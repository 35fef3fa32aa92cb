"""Validates entries against the versions of their tags, and gives tags their versions.

A tag's version is random bytes under the tag's own name. An entry carries the versions that its
tags had when it was made; invalidating a tag removes its version, and the next use makes another,
so every entry from before is a miss, however many there are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.cache import envelope
from holdfast.cache.driver import swap_one

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from holdfast.cache.driver import CacheDriver

_VERSION_TTL = 7 * 86400 * 1000
"""Milliseconds that a tag's version lives; an entry that outlives its tag's version is a miss."""


async def validated(driver: CacheDriver, raws: Sequence[bytes | None]) -> list[bytes | None]:
    """Return *raws* with None for load locks and for what a tag's invalidation removed.

    Asks the driver once for all tags' versions, and not at all where there are none.
    """
    headers = [
        None if raw is None or envelope.is_plain(raw) else envelope.header_of(raw) for raw in raws
    ]
    names = list({tag: None for header in headers if header is not None for tag in header.tags})
    versions = dict(zip(names, await driver.get_many(names), strict=True)) if names else {}
    return [
        raw
        if raw is None
        or header is None
        or not (envelope.is_load_lock(raw) or header.is_invalidated(versions))
        else None
        for raw, header in zip(raws, headers, strict=True)
    ]


async def valid_payloads(
    driver: CacheDriver, raws: Sequence[bytes | None]
) -> Sequence[bytes | None]:
    """Return the values' own bytes in *raws*, with None for what `validated` takes out."""
    start = envelope.ENVELOPE
    if not [raw for raw in raws if raw is not None and raw[:1] == start]:
        return raws  # all of them plain: no more to do for each
    valid = await validated(driver, raws)
    return [None if raw is None else envelope.payload_of(raw) for raw in valid]


async def completed_versions(
    driver: CacheDriver, versions: Mapping[str, bytes | None]
) -> dict[str, bytes]:
    """Return *versions* with a new one stored for every tag that has none."""
    complete: dict[str, bytes] = {}
    for tag, found in versions.items():
        version = found
        while version is None:
            new = envelope.new_version()
            if await swap_one(driver, tag, new, over=None, ttl=_VERSION_TTL):
                version = new
            else:
                (version,) = await driver.get_many([tag])
        complete[tag] = version
    return complete


async def current_versions(driver: CacheDriver, tags: Sequence[str]) -> dict[str, bytes]:
    """Return the versions of *tags* now, one stored for each that has none."""
    if not tags:
        return {}
    found = await driver.get_many(tags)
    return await completed_versions(driver, dict(zip(tags, found, strict=True)))
