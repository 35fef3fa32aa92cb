"""Erasure, the right to be forgotten: removes permanently all that a bucket holds under a key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from holdfast.errors import ObjectLockedError, UnavailableError, UnsupportedError
from holdfast.objects.capabilities import BulkDeleter, BulkEraser, UploadStore, VersionStore
from holdfast.objects.driver import BucketCapability
from holdfast.objects.object_info import ObjectInfo, ObjectVersion

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from holdfast.objects.driver import BucketDriver

Listed = TypeVar("Listed", ObjectInfo, ObjectVersion)

_MOST_PASSES = 10
_BATCH = 1000


@dataclass(frozen=True, slots=True)
class Erasure:
    """What was removed: the numbers of *objects* and old versions, delete *markers*, *uploads*.

    *held* are the versions that a lock still keeps: while there are any, the erasure is not done.
    """

    objects: int
    markers: int
    uploads: int
    held: tuple[ObjectVersion, ...]


async def erase(driver: BucketDriver, prefix: str, belongs: Callable[[str], bool]) -> Erasure:
    """Remove all under *prefix* whose key *belongs*, until only what a lock holds is left.

    Raises UnavailableError when others write faster than this removes, and UnsupportedError where
    the backend may hide what is there.
    """
    await _check_visible(driver, prefix)
    uploads = await _drop_uploads(driver, prefix, belongs)
    if BucketCapability.VERSIONS not in driver.capabilities:
        objects = await _erase_objects(driver, prefix, belongs)
        return Erasure(objects, 0, uploads + await _drop_uploads(driver, prefix, belongs), ())
    objects = markers = 0
    for _ in range(_MOST_PASSES):
        done = await _erase_versions(driver, prefix, belongs)
        uploads += await _drop_uploads(driver, prefix, belongs)
        objects += done.objects
        markers += done.markers
        if not done.objects + done.markers:
            return Erasure(objects, markers, uploads, done.held)
    raise UnavailableError(f"{prefix!r} is written faster than it can be erased")


async def _check_visible(driver: BucketDriver, prefix: str) -> None:
    """Raise UnsupportedError when an object has the name of a folder in the prefix.

    Some servers then keep what is below, and leave it out of every listing.
    """
    if BucketCapability.KEY_INSIDE_KEY in driver.capabilities:
        return
    parts = prefix.split("/")
    for count in range(1, len(parts)):
        above = "/".join(parts[:count])
        if above and await driver.head(above) is not None:
            raise UnsupportedError(
                f"{BucketCapability.KEY_INSIDE_KEY}, so it can't show what to erase below "
                f"{above!r}; erase that too",
                driver.name,
            )


async def _erase_objects(driver: BucketDriver, prefix: str, belongs: Callable[[str], bool]) -> int:
    total = 0
    for _ in range(_MOST_PASSES):
        found = 0
        async for batch in _batches(_infos(driver, prefix), belongs):
            found += len(batch)
            keys = [info.key for info in batch]
            if isinstance(driver, BulkDeleter):
                await driver.delete_many(keys)
            else:
                for key in keys:
                    await driver.delete(key)
        if not found:
            return total
        total += found
    raise UnavailableError(f"{prefix!r} is written faster than it can be erased")


async def _erase_versions(
    driver: BucketDriver, prefix: str, belongs: Callable[[str], bool]
) -> Erasure:
    """Return what one pass removed, and what a lock holds."""
    objects = markers = 0
    held: list[ObjectVersion] = []
    assert isinstance(driver, VersionStore)
    async for batch in _batches(driver.versions(prefix), belongs):
        locked = await _erase_batch(driver, batch)
        kept = {(version.key, version.version) for version in locked}
        for found in batch:
            if (found.key, found.version) not in kept:
                objects += not found.marker
                markers += found.marker
        held += locked
    return Erasure(objects, markers, 0, tuple(held))


async def _infos(driver: BucketDriver, prefix: str) -> AsyncIterator[ObjectInfo]:
    async for entry in driver.list(prefix, after=None, delimiter=None):
        assert isinstance(entry, ObjectInfo), "without a delimiter nothing is gathered"
        yield entry


async def _batches(
    listed: AsyncIterator[Listed], belongs: Callable[[str], bool]
) -> AsyncIterator[list[Listed]]:
    """Yield what *belongs*, gathered, while it is listed: never all of it at once."""
    batch: list[Listed] = []
    async for entry in listed:
        if belongs(entry.key):
            batch.append(entry)
        if len(batch) == _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


async def _erase_batch(
    driver: BucketDriver, batch: Sequence[ObjectVersion]
) -> Sequence[ObjectVersion]:
    if isinstance(driver, BulkEraser):
        return await driver.erase(batch)
    assert isinstance(driver, VersionStore)
    held: list[ObjectVersion] = []
    for found in batch:
        try:
            await driver.delete_version(found.key, found.version)
        except ObjectLockedError:
            held.append(found)
    return held


async def _drop_uploads(driver: BucketDriver, prefix: str, belongs: Callable[[str], bool]) -> int:
    if BucketCapability.UPLOADS not in driver.capabilities:
        return 0
    assert isinstance(driver, UploadStore)
    found = [upload async for upload in driver.uploads(prefix) if belongs(upload.key)]
    for upload in found:
        await driver.abort_upload(upload)
    return len(found)
