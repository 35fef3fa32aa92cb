"""Versions and delete markers, page by page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.errors import ServiceError
from holdfast.objects.drivers.s3.facts import exact_time, iso_time, plain_etag
from holdfast.objects.drivers.s3.listing import decoder, size_in
from holdfast.objects.drivers.s3.locking import refused
from holdfast.objects.drivers.s3.service import Ask
from holdfast.objects.history import NULL, ObjectVersion

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from holdfast.objects.drivers.s3.document import Element
    from holdfast.objects.drivers.s3.service import Service


async def versions(service: Service, prefix: str) -> AsyncIterator[ObjectVersion]:
    """Yield versions and markers: keys in order, the versions of one from new to old."""
    fixed = (("versions", ""), ("encoding-type", "url"), ("prefix", prefix))
    place: tuple[tuple[str, str], ...] = ()
    while True:
        reply = await service.call(Ask("ListObjectVersions", "GET", query=(*fixed, *place)))
        page = reply.document("ListVersionsResult")
        decoded = decoder(page)
        items = [item for item in page.children() if item.name in ("Version", "DeleteMarker")]
        # Some services list all markers behind all versions.
        items.sort(key=lambda item: exact_time(item.need("LastModified")), reverse=True)
        items.sort(key=lambda item: (decoded(item.need("Key")), item.get("IsLatest") != "true"))
        for item in items:
            yield _version(item, decoded)
        if page.get("IsTruncated") != "true":
            return
        place = (
            ("key-marker", decoded(page.need("NextKeyMarker"))),
            ("version-id-marker", page.get("NextVersionIdMarker") or NULL),
        )


async def is_there(service: Service, key: str, version: str) -> bool:
    """Return whether there is such a version or marker."""
    try:
        await service.call(Ask("HeadObject", "HEAD", key, (("versionId", version),)))
    except ServiceError as error:
        if error.status in (400, 404):  # 400: a text that is no version at all
            return error.status == 404 and await _is_marker(service, key, version)
        if error.status == 405:
            return True
        raise
    return True


async def remove(service: Service, key: str, version: str) -> bool:
    """Remove one version or marker for good. Raises ObjectLockedError."""
    if not await is_there(service, key, version):
        return False
    try:
        await service.call(Ask("DeleteObject", "DELETE", key, (("versionId", version),)))
    except ServiceError as error:
        raise await refused(service, key, version, error) from error
    return True


async def _is_marker(service: Service, key: str, version: str) -> bool:
    async for found in versions(service, key):
        if found.key != key:
            return False
        if found.version == version:
            return True
    return False


def _version(item: Element, decoded: Callable[[str], str]) -> ObjectVersion:
    marker = item.name == "DeleteMarker"
    return ObjectVersion(
        key=decoded(item.need("Key")),
        version=item.get("VersionId") or NULL,
        latest=item.get("IsLatest") == "true",
        marker=marker,
        size=0 if marker else size_in(item),
        etag="" if marker else plain_etag(item.get("ETag") or ""),
        modified=iso_time(item.need("LastModified")),
    )
