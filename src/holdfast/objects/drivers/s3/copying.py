"""Copies that the service makes by itself, in one request or in parts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import quote

from holdfast.errors import ObjectNotFoundError, ServiceError, UnavailableError
from holdfast.objects.drivers.s3.facts import VERSION, iso_time, plain_etag, quoted_etag
from holdfast.objects.drivers.s3.multipart import Multipart
from holdfast.objects.drivers.s3.service import Ask
from holdfast.objects.drivers.s3.tagging import tagging_header, tags_of
from holdfast.objects.drivers.s3.writing import naming

if TYPE_CHECKING:
    from holdfast.objects.driver import ObjectInfo
    from holdfast.objects.drivers.s3.service import Reply, Service
    from holdfast.objects.drivers.s3.writing import Found, Publisher

_MOST_COPIES = 5
# What another program may have said of an object, kept as it is.
_KEPT = ("cache-control", "content-disposition", "content-encoding", "content-language", "expires")


@dataclass(frozen=True, slots=True)
class Origin:
    """What is copied: a key, and one of its versions unless that is None."""

    key: str
    version: str | None


async def copy(service: Service, publisher: Publisher, origin: Origin, target: str) -> ObjectInfo:
    """Publish *origin* with all that it carries as *target*. Raises ObjectNotFoundError."""
    for _ in range(_MOST_COPIES):
        found = await publisher.head(origin.key, origin.version)
        if found is None:
            raise ObjectNotFoundError(origin.key, origin.version)
        try:
            return await _copied(service, publisher, origin, target, found)
        except ServiceError as error:
            if error.status == 404:
                raise ObjectNotFoundError(origin.key, origin.version) from error
            if error.status != 412:  # replaced between the look at it and the copy
                raise naming(target, error) from error
    raise UnavailableError(f"{origin.key!r} is replaced faster than it can be copied")


async def _copied(
    service: Service, publisher: Publisher, origin: Origin, target: str, found: Found
) -> ObjectInfo:
    info = found.info
    kept = {name: found.headers[name] for name in _KEPT if name in found.headers}
    headers = {**kept, **publisher.headers(info)}
    place = f"/{service.bucket}/{quote(origin.key, safe='-_.~/')}"
    source = {
        "x-amz-copy-source": place
        if origin.version is None
        else f"{place}?versionId={quote(origin.version, safe='')}",
        "x-amz-copy-source-if-match": quoted_etag(info.etag),
    }
    if info.stored_size > publisher.options.most_copied:
        headers |= tagging_header(await tags_of(service, origin.key))
        upload = Multipart(service, publisher.options, target, headers)
        reply = await upload.copy(info.stored_size, source)
    else:
        headers |= {**source, "x-amz-metadata-directive": "REPLACE"}
        reply = await service.call(Ask("CopyObject", "PUT", target, headers=headers))
    await publisher.check_encryption(target, reply)
    return await _told(publisher, target, info, reply)


async def _told(publisher: Publisher, target: str, info: ObjectInfo, reply: Reply) -> ObjectInfo:
    copied = reply.document("CopyObjectResult", "CompleteMultipartUploadResult")
    written = copied.get("LastModified")
    etag = plain_etag(copied.need("ETag"))
    if written is None:  # of a copy in parts, the service doesn't tell the time
        now = await publisher.head(target)
        if now is None or now.info.etag != etag:
            raise ObjectNotFoundError(target)
        return now.info
    return replace(
        info,
        key=target,
        etag=etag,
        modified=iso_time(written),
        version=reply.headers.get(VERSION),
    )
