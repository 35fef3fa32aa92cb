"""Listings, page by page."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import unquote_plus

from holdfast.errors import ServiceError
from holdfast.objects.driver import CommonPrefix, ObjectInfo
from holdfast.objects.drivers.s3.document import unreadable
from holdfast.objects.drivers.s3.facts import iso_time, plain_etag
from holdfast.objects.drivers.s3.service import Ask
from holdfast.objects.history import Upload
from holdfast.objects.listing import group_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable

    from holdfast.objects.drivers.s3.document import Element
    from holdfast.objects.drivers.s3.service import Service

_NO_PREFIX = frozenset({"XMinioInvalidObjectName", "XMinioInvalidResourceName"})
_FOLDERS = "/"  # the delimiter that every server knows


async def entries(
    service: Service, prefix: str, *, after: str | None, delimiter: str | None
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
    service: Service, prefix: str, after: str | None, delimiter: str | None
) -> AsyncIterator[Element]:
    fixed = [("list-type", "2"), ("encoding-type", "url"), ("prefix", prefix)]
    if delimiter is not None:
        fixed.append(("delimiter", delimiter))
    place = [("start-after", after)] if after else []
    while True:
        try:
            reply = await service.call(Ask("ListObjectsV2", "GET", query=(*fixed, *place)))
        except ServiceError as error:
            if error.code not in _NO_PREFIX or not (prefix or place):
                raise
            # MinIO lists no "a/." though it keeps "a/.x": all that the folder above has, then.
            prefix = prefix[: prefix.rstrip("/").rfind("/") + 1]
            fixed = [("list-type", "2"), ("encoding-type", "url"), ("prefix", prefix)]
            place = []
            continue
        page = reply.document("ListBucketResult")
        yield page
        if page.get("IsTruncated") != "true":
            return
        place = [("continuation-token", page.need("NextContinuationToken"))]


async def uploads(service: Service, prefix: str) -> AsyncIterator[Upload]:
    """Yield each upload in parts under *prefix* that is neither done nor aborted."""
    fixed = (("uploads", ""), ("encoding-type", "url"))  # MinIO takes a prefix for a whole key
    place: tuple[tuple[str, str], ...] = ()
    while True:
        reply = await service.call(Ask("ListMultipartUploads", "GET", query=(*fixed, *place)))
        page = reply.document("ListMultipartUploadsResult")
        decoded = decoder(page)
        for item in page.all("Upload"):
            key = decoded(item.need("Key"))
            if key.startswith(prefix):
                yield Upload(key, item.need("UploadId"), iso_time(item.need("Initiated")))
        if page.get("IsTruncated") != "true":
            return
        place = (
            ("key-marker", decoded(page.need("NextKeyMarker"))),
            ("upload-id-marker", page.need("NextUploadIdMarker")),
        )


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
    """Return the size that *item* of a listing says."""
    text = item.need("Size")
    if not (text.isascii() and text.isdigit()):
        raise unreadable(f"{text!r} is no size")
    return int(text)


def _prefixes(page: Element) -> list[CommonPrefix]:
    decoded = decoder(page)
    return [CommonPrefix(decoded(item.need("Prefix"))) for item in page.all("CommonPrefixes")]


def decoder(page: Element) -> Callable[[str], str]:
    """Return what turns a name in *page* into a key."""
    return unquote_plus if page.get("EncodingType") == "url" else str


def _name(entry: ObjectInfo | CommonPrefix) -> str:
    return entry.key if isinstance(entry, ObjectInfo) else entry.prefix
