"""Listings of objects, versions, uploads and parts, page by page."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import unquote_plus

from holdfast.errors import ServiceError
from holdfast.objects.delimiter import group_of
from holdfast.objects.drivers.s3.headers import count_in, exact_time, iso_time, plain_etag
from holdfast.objects.drivers.s3.service import S3Request
from holdfast.objects.drivers.s3.xml_document import unreadable
from holdfast.objects.object_info import (
    NULL_VERSION,
    CommonPrefix,
    ObjectInfo,
    ObjectVersion,
    Upload,
    UploadPart,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable

    from holdfast.objects.drivers.s3.service import S3Service
    from holdfast.objects.drivers.s3.xml_document import Element

_NO_PREFIX = frozenset({"XMinioInvalidObjectName", "XMinioInvalidResourceName"})
_MOST_EMPTY = 1000  # pages in a row; S3 skips over what was deleted by some
_FOLDERS = "/"  # the delimiter that every server knows


class PageProgress:
    """Sees to it that pages come to an end: each must lead to another place than all before it."""

    def __init__(self, operation: str) -> None:
        self._operation = operation
        self._seen: set[int] = set()
        self._empty = 0

    def check(self, place: str, *, empty: bool) -> None:
        """Note that a page, which may be *empty*, leads to *place*. Raises ServiceError."""
        mark = hash(place)
        self._empty = self._empty + 1 if empty else 0
        if mark in self._seen or self._empty > _MOST_EMPTY:
            raise ServiceError(
                self._operation, 200, "NoProgress", "its pages go on forever without an end"
            )
        self._seen.add(mark)


async def list_objects(
    service: S3Service, prefix: str, *, after: str | None, delimiter: str | None
) -> AsyncGenerator[ObjectInfo | CommonPrefix, None]:
    """Yield objects and common prefixes that come after *after*, in code-point order."""
    asked = delimiter if delimiter == _FOLDERS else None
    last: str | None = None
    async for page in _pages(service, prefix, after, asked):
        every: list[ObjectInfo | CommonPrefix] = [*_objects(page), *_prefixes(page)]
        for entry in sorted(every, key=_name):
            if not _name(entry).startswith(prefix):
                continue  # more was asked for than that: see _pages
            group = None
            if delimiter is not None and isinstance(entry, ObjectInfo):
                group = group_of(entry.key, prefix, delimiter)
            found = entry if group is None else CommonPrefix(group)
            name = _name(found)
            if (after is None or name > after) and name != last:
                yield found
                last = name


async def _pages(
    service: S3Service, prefix: str, after: str | None, delimiter: str | None
) -> AsyncIterator[Element]:
    fixed = [("list-type", "2"), ("encoding-type", "url"), ("prefix", prefix)]
    if delimiter is not None:
        fixed.append(("delimiter", delimiter))
    position = [("start-after", after)] if after else []
    progress = PageProgress("ListObjectsV2")
    while True:
        try:
            response = await service.call(
                S3Request("ListObjectsV2", "GET", query=(*fixed, *position))
            )
        except ServiceError as error:
            if error.code not in _NO_PREFIX or not (prefix or position):
                raise
            # MinIO lists no "a/." though it keeps "a/.x": all that the folder above has, then.
            prefix = prefix[: prefix.rstrip("/").rfind("/") + 1]
            fixed = [("list-type", "2"), ("encoding-type", "url"), ("prefix", prefix)]
            position = []
            continue
        page = response.document("ListBucketResult")
        yield page
        if page.get("IsTruncated") != "true":
            return
        token = page.need("NextContinuationToken")
        progress.check(token, empty=page.empty("Contents", "CommonPrefixes"))
        position = [("continuation-token", token)]


async def list_uploads(service: S3Service, prefix: str) -> AsyncIterator[Upload]:
    """Yield each upload in parts under *prefix* that is neither done nor aborted."""
    fixed = (("uploads", ""), ("encoding-type", "url"))  # MinIO takes a prefix for a whole key
    position: tuple[tuple[str, str], ...] = ()
    progress = PageProgress("ListMultipartUploads")
    while True:
        response = await service.call(
            S3Request("ListMultipartUploads", "GET", query=(*fixed, *position))
        )
        page = response.document("ListMultipartUploadsResult")
        decoded = decoder(page)
        for item in page.all("Upload"):
            key = decoded(item.need("Key"))
            if key.startswith(prefix):
                yield Upload(key, item.need("UploadId"), iso_time(item.need("Initiated")))
        if page.get("IsTruncated") != "true":
            return
        position = (
            ("key-marker", decoded(page.need("NextKeyMarker"))),
            ("upload-id-marker", page.need("NextUploadIdMarker")),
        )
        progress.check(str(position), empty=page.empty("Upload"))


async def list_parts(service: S3Service, key: str, upload: str) -> list[UploadPart]:
    """Return the parts that the upload of *key* with that id has, by number."""
    found: list[UploadPart] = []
    marker = "0"
    progress = PageProgress("ListParts")
    while True:
        query = (("part-number-marker", marker), ("uploadId", upload))
        response = await service.call(S3Request("ListParts", "GET", key, query))
        page = response.document("ListPartsResult")
        for item in page.all("Part"):
            number = count_in(item.need("PartNumber"))
            if number is None:
                raise unreadable("a part has no number")
            found.append(UploadPart(number, size_in(item), item.need("ETag")))
        if page.get("IsTruncated") != "true":
            return found
        marker = page.need("NextPartNumberMarker")
        progress.check(marker, empty=page.empty("Part"))


async def list_versions(service: S3Service, prefix: str) -> AsyncIterator[ObjectVersion]:
    """Yield versions and markers: keys in order, the versions of one from new to old."""
    fixed = (("versions", ""), ("encoding-type", "url"), ("prefix", prefix))
    position: tuple[tuple[str, str], ...] = ()
    progress = PageProgress("ListObjectVersions")
    while True:
        response = await service.call(
            S3Request("ListObjectVersions", "GET", query=(*fixed, *position))
        )
        page = response.document("ListVersionsResult")
        decoded = decoder(page)
        items = [item for item in page.children() if item.name in ("Version", "DeleteMarker")]
        # Some services list all markers behind all versions.
        items.sort(key=lambda item: exact_time(item.need("LastModified")), reverse=True)
        items.sort(key=lambda item: (decoded(item.need("Key")), item.get("IsLatest") != "true"))
        for item in items:
            yield _version(item, decoded)
        if page.get("IsTruncated") != "true":
            return
        position = (
            ("key-marker", decoded(page.need("NextKeyMarker"))),
            ("version-id-marker", page.get("NextVersionIdMarker") or NULL_VERSION),
        )
        progress.check(str(position), empty=not items)


def _objects(page: Element) -> list[ObjectInfo]:
    decoded = decoder(page)
    return [
        ObjectInfo(
            key=decoded(item.need("Key")),
            size=size_in(item),
            content_type=None,
            metadata=None,
            etag=plain_etag(item.get("ETag") or ""),
            modified=iso_time(item.need("LastModified")),
            sha256=None,
        )
        for item in page.all("Contents")
    ]


def size_in(item: Element) -> int:
    """Return the size of *item* of a listing, in stored bytes."""
    text = item.need("Size")
    size = count_in(text)
    if size is None:
        raise unreadable(f"{text[:50]!r} is not a size")
    return size


def _prefixes(page: Element) -> list[CommonPrefix]:
    decoded = decoder(page)
    return [CommonPrefix(decoded(item.need("Prefix"))) for item in page.all("CommonPrefixes")]


def decoder(page: Element) -> Callable[[str], str]:
    """Return what turns a name in *page* into a key."""
    return unquote_plus if page.get("EncodingType") == "url" else str


def _name(entry: ObjectInfo | CommonPrefix) -> str:
    return entry.key if isinstance(entry, ObjectInfo) else entry.prefix


def _version(item: Element, decoded: Callable[[str], str]) -> ObjectVersion:
    marker = item.name == "DeleteMarker"
    return ObjectVersion(
        key=decoded(item.need("Key")),
        version=item.get("VersionId") or NULL_VERSION,
        latest=item.get("IsLatest") == "true",
        marker=marker,
        size=0 if marker else size_in(item),
        etag="" if marker else plain_etag(item.get("ETag") or ""),
        modified=iso_time(item.need("LastModified")),
    )
