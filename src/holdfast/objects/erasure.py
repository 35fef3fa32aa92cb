"""The right to be forgotten: everything that a bucket holds under a key, for good."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from holdfast.errors import ObjectLockedError, UnavailableError, UnsupportedError
from holdfast.objects.abilities import BulkDeleter, BulkEraser, Historian, UploadKeeper
from holdfast.objects.driver import Capability, ObjectInfo

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from holdfast.objects.driver import Driver
    from holdfast.objects.history import ObjectVersion

_MOST_PASSES = 10
_BATCH = 1000


@dataclass(frozen=True, slots=True)
class Erasure:
    """What was removed: *objects* and their old versions, *markers* of deletions, *uploads*.

    *held* are the versions that a lock still keeps: while there are any, it is not done.
    """

    objects: int
    markers: int
    uploads: int
    held: tuple[ObjectVersion, ...]


async def erase(driver: Driver, prefix: str, belongs: Callable[[str], bool]) -> Erasure:
    """Remove all under *prefix* whose key *belongs*, until nothing is left but what is held.

    Raises UnavailableError when others write faster than this removes, and UnsupportedError where
    the backend may hide what is there.
    """
    await _check_visible(driver, prefix)
    uploads = await _drop_uploads(driver, prefix, belongs)
    if Capability.VERSIONS not in driver.capabilities:
        objects = await _erase_objects(driver, prefix, belongs)
        return Erasure(objects, 0, uploads + await _drop_uploads(driver, prefix, belongs), ())
    objects = markers = 0
    for _ in range(_MOST_PASSES):
        removed, held = await _erase_versions(driver, prefix, belongs)
        uploads += await _drop_uploads(driver, prefix, belongs)
        objects += sum(not version.marker for version in removed)
        markers += sum(version.marker for version in removed)
        if not removed:
            return Erasure(objects, markers, uploads, tuple(held))
    raise UnavailableError(f"{prefix!r} is written faster than it can be erased")


async def _check_visible(driver: Driver, prefix: str) -> None:
    """Raise UnsupportedError when an object stands where the prefix has a folder.

    Some servers then keep what is below, and leave it out of every listing.
    """
    if Capability.KEY_INSIDE_KEY in driver.capabilities:
        return
    parts = prefix.split("/")
    for count in range(1, len(parts)):
        above = "/".join(parts[:count])
        if above and await driver.head(above) is not None:
            raise UnsupportedError(
                f"{Capability.KEY_INSIDE_KEY}, so it can't show what to erase below {above!r}; "
                "erase that too",
                driver.name,
            )


async def _erase_objects(driver: Driver, prefix: str, belongs: Callable[[str], bool]) -> int:
    total = 0
    for _ in range(_MOST_PASSES):
        listed = driver.list(prefix, after=None, delimiter=None)
        infos = [entry async for entry in listed if isinstance(entry, ObjectInfo)]
        keys = [info.key for info in infos if belongs(info.key)]
        if not keys:
            return total
        if isinstance(driver, BulkDeleter):
            await driver.delete_many(keys)
        else:
            for key in keys:
                await driver.delete(key)
        total += len(keys)
    raise UnavailableError(f"{prefix!r} is written faster than it can be erased")


async def _erase_versions(
    driver: Driver, prefix: str, belongs: Callable[[str], bool]
) -> tuple[list[ObjectVersion], list[ObjectVersion]]:
    """Return what one pass removed, and what a lock holds."""
    historian = cast("Historian", driver)
    every = [found async for found in historian.versions(prefix) if belongs(found.key)]
    held: list[ObjectVersion] = []
    for start in range(0, len(every), _BATCH):
        held += await _erase_batch(driver, every[start : start + _BATCH])
    kept = {(version.key, version.version) for version in held}
    return [found for found in every if (found.key, found.version) not in kept], held


async def _erase_batch(driver: Driver, batch: Sequence[ObjectVersion]) -> Sequence[ObjectVersion]:
    if isinstance(driver, BulkEraser):
        return await driver.erase(batch)
    held: list[ObjectVersion] = []
    for found in batch:
        try:
            await cast("Historian", driver).delete_version(found.key, found.version)
        except ObjectLockedError:
            held.append(found)
    return held


async def _drop_uploads(driver: Driver, prefix: str, belongs: Callable[[str], bool]) -> int:
    if not isinstance(driver, UploadKeeper):
        return 0
    found = [upload async for upload in driver.uploads(prefix) if belongs(upload.key)]
    for upload in found:
        await driver.abort_upload(upload)
    return len(found)
