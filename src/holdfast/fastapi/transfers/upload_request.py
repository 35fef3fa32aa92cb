"""Receives the file in a request into a bucket, and removes it again when the request fails."""

from __future__ import annotations

import logging
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

import anyio
from fastapi import HTTPException
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError

from holdfast.errors import ConfigurationError, HoldfastError, InvalidValueError
from holdfast.fastapi.request_limits import lift_body_limit
from holdfast.fastapi.transfers.content_sniffing import SNIFFED, fits_type, is_of_type
from holdfast.fastapi.transfers.file_names import safe_file_name
from holdfast.fastapi.transfers.multipart_body import MultipartBody
from holdfast.fastapi.transfers.request_body import FORM_BYTES, UploadLimits, body_chunks, too_large
from holdfast.objects import BucketCapability, PutOptions
from holdfast.option_checks import check_kind
from holdfast.records.transactions.scope import in_transaction

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Mapping

    from starlette.requests import Request

    from holdfast.objects import Bucket, ObjectInfo

M = TypeVar("M", bound=BaseModel)

_log = logging.getLogger(__name__)
_UNKNOWN = "application/octet-stream"
_FORM = "multipart/form-data"
_PATIENCE = 30.0  # seconds for the removal of an object that nobody wants
_LIMITS = UploadLimits()
_OPTIONS = PutOptions()


@dataclass(frozen=True, slots=True)
class ReceivedUpload:
    """A file that was received: *info* is of the stored object, under the server's own key.

    *filename* is the client's name for it, made safe to show, None when it gave none. *fields*
    are the form's other fields.
    """

    info: ObjectInfo
    filename: str | None
    fields: Mapping[str, str]

    @property
    def key(self) -> str:
        """The key of the stored object."""
        return self.info.key

    def form(self, model: type[M]) -> M:
        """Return the fields as a *model*. Raises RequestValidationError: a 422 for the client."""
        try:
            return model.model_validate(dict(self.fields))
        except ValidationError as error:
            raise RequestValidationError(
                [{**each, "loc": ("body", *each["loc"])} for each in error.errors()]
            ) from None


@asynccontextmanager
async def receive_upload(
    request: Request,
    bucket: Bucket,
    key: str,
    *,
    limits: UploadLimits = _LIMITS,
    options: PutOptions = _OPTIONS,
) -> AsyncIterator[ReceivedUpload]:
    """Store the file in *request* as *key*, a new one; remove it when the block raises.

    The file is the whole body, or the one file of a multipart form, and goes to the bucket as it
    comes: no more than some windows of it are in memory. A bucket on S3, which asks for length and
    checksum first, keeps what is beyond 4 MiB in a local file without a name until all is there.
    Nothing is stored when the client leaves, or when anything is refused.

    Nothing that the client says reaches the key or the metadata. The transaction that notes the
    upload belongs inside the block, so that the object goes when it fails; around the block it
    would be held for as long as the client sends, and is refused with ConfigurationError.

    Raises HTTPException: 400 for a malformed or broken body, 408 for one that is too slow, 413
    for one that is too large, 415 for an encoded one and for a type that *limits* don't take.
    """
    check_kind(limits, UploadLimits, "limits")
    check_kind(options, PutOptions)
    if in_transaction():
        raise ConfigurationError(
            "an upload inside a transaction: it would be open for as long as the client sends, "
            "and the object would stay when it fails. Declare the upload before `Writing`, or "
            "open the transaction in the block of receive_upload"
        )
    lift_body_limit(request)
    received = await _received(request, bucket, key, limits, options)
    try:
        yield received
    except BaseException:
        await _remove(bucket, received.info)
        raise


async def _received(
    request: Request, bucket: Bucket, key: str, limits: UploadLimits, options: PutOptions
) -> ReceivedUpload:
    if BucketCapability.CONDITIONAL_CREATE in bucket.capabilities:
        options = replace(options, if_absent=True)
    content_type = request.headers.get("content-type", "")
    if content_type.partition(";")[0].strip().lower() != _FORM:
        chunks = body_chunks(request, limits)
        info = await _stored(bucket, key, _Body(chunks, content_type, limits), options)
        return ReceivedUpload(info, None, {})
    async with aclosing(body_chunks(request, limits, beside=FORM_BYTES)) as chunks:
        form = MultipartBody(content_type, chunks)
        part = await form.file()
        body = _Body(form.content(), part.content_type, limits)
        info = await _stored(bucket, key, body, options)
        try:
            await form.rest()
        except BaseException:
            await _remove(bucket, info)
            raise
    return ReceivedUpload(
        info, safe_file_name(part.filename) if part.filename else None, form.fields
    )


@dataclass(slots=True)
class _Body:
    chunks: AsyncGenerator[bytes, None]
    content_type: str
    limits: UploadLimits


async def _stored(bucket: Bucket, key: str, body: _Body, options: PutOptions) -> ObjectInfo:
    async with aclosing(body.chunks) as chunks:
        head = bytearray()
        while len(head) < SNIFFED and (chunk := await anext(chunks, b"")):
            head += chunk
        kind = _checked_type(bytes(head), body.content_type, body.limits)
        async with aclosing(_bounded(bytes(head), chunks, body.limits)) as content:
            try:
                return await bucket.put(key, content, content_type=kind, options=options)
            except InvalidValueError as error:
                if error.field == "content_type":
                    raise HTTPException(415, "the Content-Type is malformed") from error
                raise


async def _bounded(
    head: bytes, chunks: AsyncGenerator[bytes, None], limits: UploadLimits
) -> AsyncGenerator[bytes, None]:
    size, chunk = 0, head
    while chunk:
        size += len(chunk)
        if size > limits.most:
            raise too_large(limits)
        yield chunk
        chunk = await anext(chunks, b"")
    if size < limits.least:
        raise HTTPException(400, f"the upload has {size} bytes; expected at least {limits.least}")


def _checked_type(head: bytes, declared: str, limits: UploadLimits) -> str:
    if not limits.types:
        return declared or _UNKNOWN
    if not fits_type(declared, limits.types):
        raise HTTPException(
            415, f"a file of the type {declared[:80]!r}; expected {', '.join(limits.types)}"
        )
    if not is_of_type(head, declared):
        raise HTTPException(
            415, f"the file does not begin as one of the type {declared[:80]!r} does"
        )
    return declared


async def _remove(bucket: Bucket, info: ObjectInfo) -> None:
    """Remove the object, also from its versions, whatever ends the request; log a failure."""
    with anyio.move_on_after(_PATIENCE, shield=True):
        try:
            await bucket.delete(info.key, version=info.version)
        except HoldfastError:
            _log.exception("the object %r of a failed request could not be removed", info.key)
        else:
            return
    _log.error("the object %r of a failed request is left behind", info.key)
