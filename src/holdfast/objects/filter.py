"""Filters of listings: by content type, size, time and tags."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from datetime import datetime
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from holdfast.capability import require
from holdfast.errors import InvalidValueError
from holdfast.objects.capabilities import BatchInspector, Tagger
from holdfast.objects.checks import check_count, check_tags
from holdfast.objects.driver import BucketCapability
from holdfast.objects.object_info import CommonPrefix, ObjectInfo

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from holdfast.objects.driver import BucketDriver

_BATCH = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Conditions on an object; it has to fit all that are given.

    *types*: one of these content types, where ``video/*`` stands for all of its kind and
    parameters don't matter. *least* and *most*: bytes of the content. *since* and *before*: aware
    times of the last write, the second exclusive. *tags*: the object has all of these.
    """

    types: tuple[str, ...] = ()
    least: int | None = None
    most: int | None = None
    since: datetime | None = None
    before: datetime | None = None
    tags: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not isinstance(self.types, tuple | list | set | frozenset) or not all(
            isinstance(kind, str) and "/" in kind for kind in self.types
        ):
            raise InvalidValueError("filter", "types", "expected a tuple like ('video/*',)")
        for name in ("least", "most"):
            check_count(getattr(self, name), of="filter", field=name)
        for name in ("since", "before"):
            time = getattr(self, name)
            if time is not None and not (isinstance(time, datetime) and time.tzinfo is not None):
                raise InvalidValueError("filter", name, f"expected an aware time, got {time!r}")
        check_tags(self.tags, of="filter")

    @property
    def asks_for_more(self) -> bool:
        """Whether it needs what some listings don't have: the type, or the size of the content."""
        return bool(self.types) or self.least is not None or self.most is not None

    def fits_time(self, info: ObjectInfo) -> bool:
        """Return whether the time of *info* fits."""
        return (self.since is None or info.modified >= self.since) and (
            self.before is None or info.modified < self.before
        )

    def fits(self, info: ObjectInfo) -> bool:
        """Return whether all that is known of *info* fits: anything but the tags."""
        kind = (info.content_type or "").partition(";")[0].strip().lower()
        return (
            self.fits_time(info)
            and (self.least is None or info.size >= self.least)
            and (self.most is None or info.size <= self.most)
            and (not self.types or any(fnmatchcase(kind, wanted.lower()) for wanted in self.types))
        )


async def filtered(
    driver: BucketDriver, where: Filter, prefix: str, *, after: str | None, delimiter: str | None
) -> AsyncGenerator[ObjectInfo | CommonPrefix, None]:
    """Yield the entries of a listing that fit, common prefixes always, in its order.

    Where listings don't have them, types and sizes cost a `head` of each object, and its result
    is yielded: a listing may have the size of compressed bytes. Tags always cost a request.
    """
    if where.tags:
        require(BucketCapability.TAGS, driver.capabilities, driver.name)
    batch: list[ObjectInfo | CommonPrefix] = []
    listing = driver.list(prefix, after=after, delimiter=delimiter)
    async with AsyncExitStack() as stack:
        if isinstance(listing, AsyncGenerator):
            stack.push_async_callback(listing.aclose)
        async for entry in listing:
            if isinstance(entry, CommonPrefix) or where.fits_time(entry):
                batch.append(entry)
            if len(batch) >= _BATCH:
                for found in await _fitting(driver, where, batch):
                    yield found
                batch = []
    for found in await _fitting(driver, where, batch):
        yield found


async def _fitting(
    driver: BucketDriver, where: Filter, batch: list[ObjectInfo | CommonPrefix]
) -> list[ObjectInfo | CommonPrefix]:
    """Return those of *batch* that fit in the rest too; what vanished meanwhile does not."""
    left = {entry.key: entry for entry in batch if isinstance(entry, ObjectInfo)}
    if where.asks_for_more:
        unknown = [key for key, info in left.items() if info.content_type is None]
        for key, info in zip(unknown, await _described(driver, unknown), strict=True):
            if info is None:
                del left[key]
            else:
                left[key] = replace(info, version=None)
        left = {key: info for key, info in left.items() if where.fits(info)}
    if where.tags:
        keys = list(left)
        tagged = dict(zip(keys, await _tagged(driver, keys), strict=True))
        left = {
            key: info for key, info in left.items() if where.tags.items() <= tagged[key].items()
        }
    return [
        entry if isinstance(entry, CommonPrefix) else left[entry.key]
        for entry in batch
        if isinstance(entry, CommonPrefix) or entry.key in left
    ]


async def _described(driver: BucketDriver, keys: list[str]) -> Sequence[ObjectInfo | None]:
    if isinstance(driver, BatchInspector):
        return await driver.describe(keys)
    return [await driver.head(key) for key in keys]


async def _tagged(driver: BucketDriver, keys: list[str]) -> Sequence[dict[str, str]]:
    if isinstance(driver, BatchInspector):
        return await driver.tagged(keys)
    assert isinstance(driver, Tagger)
    found: list[dict[str, str]] = []
    for key in keys:
        there = await driver.head(key) is not None
        found.append(await driver.tags(key) if there else {})
    return found
