"""Reading what counts: no leases, and nothing whose tags have moved on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.cache import entry

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from holdfast.cache.driver import Driver

_MARKER_LIFE = 7 * 86400 * 1000
"""Milliseconds that a tag's version lives; an entry that outlives its tag's version is a miss."""


async def valid(driver: Driver, raws: Sequence[bytes | None]) -> list[bytes | None]:
    """Return *raws* with None for leases and for what a tag's invalidation removed.

    Asks the driver once for all tags' versions, and not at all where there are none.
    """
    known = [None if raw is None or entry.is_plain(raw) else entry.facts(raw) for raw in raws]
    names = list({tag: None for facts in known if facts is not None for tag in facts.tags})
    versions = dict(zip(names, await driver.get_many(names), strict=True)) if names else {}
    return [
        raw
        if raw is None
        or facts is None
        or not (entry.is_lease(raw) or outdated(facts.tags, versions))
        else None
        for raw, facts in zip(raws, known, strict=True)
    ]


async def payloads(driver: Driver, raws: Sequence[bytes | None]) -> Sequence[bytes | None]:
    """Return the values' own bytes in *raws*, with None for what `valid` takes out."""
    envelope = entry.ENVELOPE
    if not [raw for raw in raws if raw is not None and raw[:1] == envelope]:
        return raws  # all of them plain: no more to do for each
    counted = await valid(driver, raws)
    return [None if raw is None else entry.payload(raw) for raw in counted]


def outdated(tags: Mapping[str, bytes], versions: Mapping[str, bytes | None]) -> bool:
    """Tell whether a tag in *tags* has another version now."""
    return any(versions.get(tag) != version for tag, version in tags.items())


async def made(driver: Driver, versions: Mapping[str, bytes | None]) -> dict[str, bytes]:
    """Return *versions* with a new one stored for every tag that has none."""
    complete: dict[str, bytes] = {}
    for tag, found in versions.items():
        version = found
        while version is None:
            new = entry.version()
            if await driver.swap(tag, new, over=None, ttl=_MARKER_LIFE):
                version = new
            else:
                (version,) = await driver.get_many([tag])
        complete[tag] = version
    return complete


async def current(driver: Driver, tags: Sequence[str]) -> dict[str, bytes]:
    """Return the versions of *tags* now, one stored for each that has none."""
    if not tags:
        return {}
    return await made(driver, dict(zip(tags, await driver.get_many(tags), strict=True)))
