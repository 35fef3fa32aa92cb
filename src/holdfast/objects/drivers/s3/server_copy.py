"""Server-side copies: the service makes them by itself, in one request or in parts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import quote

from holdfast.errors import ObjectNotFoundError, ServiceError, UnavailableError
from holdfast.objects.drivers.s3.headers import (
    VERSION,
    iso_time,
    plain_etag,
    quoted_etag,
    tagging_header,
)
from holdfast.objects.drivers.s3.multipart import MultipartUpload
from holdfast.objects.drivers.s3.service import S3Request
from holdfast.objects.drivers.s3.tags import tags_of
from holdfast.objects.drivers.s3.uploader import key_error

if TYPE_CHECKING:
    from holdfast.objects.drivers.s3.service import S3Response, S3Service
    from holdfast.objects.drivers.s3.uploader import HeadResult, Uploader
    from holdfast.objects.object_info import ObjectInfo

_MOST_COPIES = 5
# Headers that another program may have given an object, kept as they are.
_KEPT = ("cache-control", "content-disposition", "content-encoding", "content-language", "expires")


@dataclass(frozen=True, slots=True)
class CopySource:
    """The key that is copied, and one of its versions unless that is None."""

    key: str
    version: str | None


async def copy(
    service: S3Service, uploader: Uploader, source: CopySource, target: str
) -> ObjectInfo:
    """Publish *source* with all that it carries as *target*. Raises ObjectNotFoundError."""
    for _ in range(_MOST_COPIES):
        found = await uploader.head(source.key, source.version)
        if found is None:
            raise ObjectNotFoundError(source.key, source.version)
        try:
            return await _copied(service, uploader, source, target, found)
        except ServiceError as error:
            if error.status == 404:
                raise ObjectNotFoundError(source.key, source.version) from error
            if error.status != 412:  # replaced between the look at it and the copy
                raise key_error(target, error) from error
    raise UnavailableError(f"{source.key!r} is replaced faster than it can be copied")


async def _copied(
    service: S3Service, uploader: Uploader, source: CopySource, target: str, found: HeadResult
) -> ObjectInfo:
    info = found.info
    kept = {name: found.headers[name] for name in _KEPT if name in found.headers}
    headers = {**kept, **uploader.headers(info)}
    path = service.copy_source(source.key)
    copied = {
        "x-amz-copy-source": path
        if source.version is None
        else f"{path}?versionId={quote(source.version, safe='')}",
        "x-amz-copy-source-if-match": quoted_etag(info.etag),
    }
    if info.stored_size > uploader.options.most_copied:
        headers |= tagging_header(await tags_of(service, source.key))
        upload = MultipartUpload(service, uploader.options, target, headers)
        response = await upload.copy(info.stored_size, copied)
    else:
        headers |= {**copied, "x-amz-metadata-directive": "REPLACE"}
        response = await service.call(S3Request("CopyObject", "PUT", target, headers=headers))
    await uploader.check_encryption(target, response)
    return await _result(uploader, target, info, response)


async def _result(
    uploader: Uploader, target: str, info: ObjectInfo, response: S3Response
) -> ObjectInfo:
    copied = response.document("CopyObjectResult", "CompleteMultipartUploadResult")
    written = copied.get("LastModified")
    etag = plain_etag(copied.need("ETag"))
    if written is None:  # of a copy in parts, the service doesn't tell the time
        now = await uploader.head(target)
        if now is None or now.info.etag != etag:
            raise ObjectNotFoundError(target)
        return now.info
    return replace(
        info,
        key=target,
        etag=etag,
        modified=iso_time(written),
        version=response.headers.get(VERSION),
    )
