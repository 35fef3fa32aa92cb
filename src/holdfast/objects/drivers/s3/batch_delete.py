"""Deletes many objects or versions, a thousand in one request."""

from __future__ import annotations

import os.path
from contextlib import aclosing
from typing import TYPE_CHECKING

from holdfast.errors import ObjectLockedError, ServiceError, UnavailableError
from holdfast.objects.drivers.s3.headers import plain_text
from holdfast.objects.drivers.s3.listing_pages import list_objects
from holdfast.objects.drivers.s3.object_lock import refused, remove_version
from holdfast.objects.drivers.s3.service import document_request
from holdfast.objects.drivers.s3.service_errors import is_passing_code
from holdfast.objects.drivers.s3.xml_document import Element, fits, write, write_text
from holdfast.objects.object_info import ObjectInfo

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from holdfast.objects.drivers.s3.service import S3Service
    from holdfast.objects.object_info import ObjectVersion

_BATCH = 1000
_WORTH_LISTING = 8  # a request lists a thousand; so few keys are cheaper to look at
_STATUS = {
    "AccessDenied": 403,
    "MethodNotAllowed": 405,
    "InvalidArgument": 400,
    "InvalidRequest": 400,  # MinIO's for what a lock holds
}
_Batch = dict[tuple[str, str | None], str]  # what XML names each version, or key
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
    """Remove *keys*, which XML can hold.

    Raises ServiceError for the first that is refused, UnavailableError for one that can't be
    removed now, each after the others of its batch.
    """
    for start in range(0, len(keys), _BATCH):
        batch: _Batch = {
            (key, None): write("Object", write_text("Key", key))
            for key in keys[start : start + _BATCH]
        }
        for error in await _asked(service, batch):
            if error.get("Code") != "NoSuchKey":
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
        batch: _Batch = {
            (key, version): write(
                "Object", write_text("Key", key), write_text("VersionId", version)
            )
            for key, version in every[start : start + _BATCH]
        }
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


async def _asked(service: S3Service, batch: _Batch) -> list[Element]:
    """Return what the service refused of *batch*, after what may pass was asked again.

    Raises UnavailableError for what did not pass.
    """
    refused: list[Element] = []
    attempt = 0
    while batch:
        attempt += 1
        body = write("Delete", write_text("Quiet", "true"), *batch.values()).encode()
        request = document_request("DeleteObjects", "POST", (("delete", ""),), body)
        again: _Batch = {}
        passing: list[Element] = []
        response = await service.call(request)
        for error in response.document("DeleteResult").all("Error"):
            key = error.need("Key")
            named = (key, error.get("VersionId"))
            named = named if named in batch else (key, None)
            if not is_passing_code(error.get("Code") or "") or named not in batch:
                refused.append(error)
                continue
            again[named] = batch[named]
            passing.append(error)
        if passing and not await service.pause(attempt):
            raise UnavailableError(f"failed after {attempt} attempts: {_refusal(passing[0])}")
        batch = again
    return refused


def _refusal(error: Element) -> ServiceError:
    code = (error.get("Code") or "").strip()
    return ServiceError(
        f"DeleteObjects of {error.get('Key')!r}",
        _STATUS.get(code, 200),  # that of the answer which told of it
        plain_text(code),
        plain_text(error.get("Message") or "no reason given"),
    )
