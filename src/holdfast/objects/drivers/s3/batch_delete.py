"""Deletes many objects or versions, a thousand in one request."""

from __future__ import annotations

import os.path
from contextlib import aclosing
from typing import TYPE_CHECKING

from holdfast.errors import ObjectLockedError, ServiceError
from holdfast.objects.drivers.s3.listing_pages import list_objects
from holdfast.objects.drivers.s3.object_lock import refused, remove_version
from holdfast.objects.drivers.s3.service import document_request
from holdfast.objects.drivers.s3.xml_document import Element, fits, write, write_text
from holdfast.objects.object_info import ObjectInfo

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from holdfast.objects.drivers.s3.service import S3Service
    from holdfast.objects.object_info import ObjectVersion

_BATCH = 1000
_WORTH_LISTING = 8  # a request lists a thousand; so few keys are cheaper to look at
_STRANGERS = 4  # for each key asked for; where a listing shows more, it is given up


async def listed(service: S3Service, keys: Sequence[str]) -> set[str]:
    """Return those of *keys* that a listing shows at a good price. The others may be there too."""
    if len(keys) < _WORTH_LISTING:
        return set()
    wanted, last = set(keys), max(keys)
    prefix = os.path.commonprefix([min(keys), last])  # noqa: RUF071 - of text, not of folders
    found: set[str] = set()
    left = _STRANGERS * len(keys) + _BATCH
    listing: AsyncGenerator[object, None] = list_objects(
        service, prefix, after=None, delimiter=None
    )
    async with aclosing(listing) as shown:
        async for entry in shown:
            assert isinstance(entry, ObjectInfo), "without a delimiter nothing is gathered"
            left -= 1
            if entry.key in wanted:
                found.add(entry.key)
            if entry.key >= last or not left:
                break
    return found


async def delete(service: S3Service, keys: Sequence[str]) -> None:
    """Remove *keys*, which XML can hold. Raises ServiceError for the first that is refused."""
    for start in range(0, len(keys), _BATCH):
        batch = [write("Object", write_text("Key", key)) for key in keys[start : start + _BATCH]]
        for error in await _asked(service, batch):
            raise _refusal(error)


async def erase(service: S3Service, versions: Sequence[ObjectVersion]) -> list[ObjectVersion]:
    """Remove *versions* permanently; return those that a lock holds."""
    held: list[ObjectVersion] = []
    for found in versions:
        if not fits(found.key):
            try:
                await remove_version(service, found.key, found.version)
            except ObjectLockedError:
                held.append(found)
    named = {(found.key, found.version): found for found in versions if fits(found.key)}
    every = list(named)
    for start in range(0, len(every), _BATCH):
        batch = [
            write("Object", write_text("Key", key), write_text("VersionId", version))
            for key, version in every[start : start + _BATCH]
        ]
        for error in await _asked(service, batch):
            key, version = error.need("Key"), error.get("VersionId") or "null"
            if error.get("Code") in ("NoSuchVersion", "NoSuchKey"):
                continue
            # Inside a 200 the error has no status of its own: look for a lock.
            reason = await refused(service, key, version, _refusal(error))
            if not isinstance(reason, ObjectLockedError):
                raise reason
            held.append(named[key, version])
    return held


async def _asked(service: S3Service, objects: list[str]) -> list[Element]:
    """Return what the service refused of a batch."""
    body = write("Delete", write_text("Quiet", "true"), *objects).encode()
    response = await service.call(
        document_request("DeleteObjects", "POST", (("delete", ""),), body)
    )
    return list(response.document("DeleteResult").all("Error"))


def _refusal(error: Element) -> ServiceError:
    return ServiceError(
        f"DeleteObjects of {error.get('Key')!r}",
        403,
        error.get("Code") or "",
        error.get("Message") or "no reason given",
    )
