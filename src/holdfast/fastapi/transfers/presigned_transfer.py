"""Uploads and downloads that go between the client and the bucket, past the application."""

from __future__ import annotations

from datetime import (
    datetime,
    timedelta,
)
from typing import TYPE_CHECKING

from fastapi import HTTPException
from pydantic import BaseModel
from starlette.responses import RedirectResponse

from holdfast.errors import ObjectNotFoundError
from holdfast.fastapi.transfers.content_sniffing import SNIFFED, fits_type, is_of_type
from holdfast.fastapi.transfers.object_headers import described
from holdfast.fastapi.transfers.request_body import UploadLimits
from holdfast.objects import PresignOptions, PresignPostOptions
from holdfast.option_checks import check_kind

if TYPE_CHECKING:
    from holdfast.objects import Bucket, ObjectInfo

_LIMITS = UploadLimits()
_EXPIRES = timedelta(minutes=15)


class UploadForm(BaseModel):
    """A form that permits one upload: POST *fields*, then the file as ``file``, to *url*.

    Anyone who has it may upload until it *expires*, so it is never logged. *key* is where the file
    will be; the client hands it in afterwards, for `confirm_upload`.
    """

    url: str
    fields: dict[str, str]
    key: str
    expires: datetime


async def upload_form(
    bucket: Bucket,
    key: str,
    *,
    content_type: str,
    limits: UploadLimits = _LIMITS,
    expires: timedelta = _EXPIRES,
) -> UploadForm:
    """Return the form with which a client sends one file as *key* straight to the bucket.

    The server of the bucket holds it to the *content_type* and to the size in *limits*; what the
    bytes are, `confirm_upload` says. Choose the key yourself, a new one for each form, for the
    form may be used again until it expires.

    Raises HTTPException 415 for a type that *limits* don't take, UnsupportedError for a bucket
    without a server, ConfigurationError for a size beyond 5 GiB.
    """
    check_kind(limits, UploadLimits, "limits")
    if limits.types and not fits_type(content_type, limits.types):
        raise HTTPException(
            415, f"a file of the type {content_type[:80]!r}; expected {', '.join(limits.types)}"
        )
    options = PresignPostOptions(
        expires=expires, content_type=content_type, least=limits.least, most=limits.most
    )
    form = await bucket.presign_post(key, options)
    return UploadForm(url=form.url, fields=dict(form.fields), key=key, expires=form.expires)


async def confirm_upload(bucket: Bucket, key: str, *, limits: UploadLimits = _LIMITS) -> ObjectInfo:
    """Return what the client uploaded as *key*; remove it when *limits* don't take it.

    Only for keys that were given to this client. Raises HTTPException 404 while nothing is there,
    413 and 415 for what is too large or not what it says; that is removed.
    """
    check_kind(limits, UploadLimits, "limits")
    info = await bucket.head(key)
    if info is None:
        raise HTTPException(404, "nothing was uploaded yet")
    kind = info.content_type or ""
    refusal = None
    if not limits.least <= info.size <= limits.most:
        refusal = HTTPException(413, f"{info.size} bytes; expected {limits.least} to {limits.most}")
    elif limits.types:
        head = await bucket.get(key, end=min(SNIFFED, info.size), if_match=info.etag)
        if not fits_type(kind, limits.types) or not is_of_type(head, kind):
            refusal = HTTPException(415, f"the file is not of the type {kind[:80]!r}")
    if refusal is not None:
        await bucket.delete(key)
        raise refusal
    return info


async def presigned_redirect(
    bucket: Bucket,
    key: str,
    *,
    download_as: str | None = None,
    expires: timedelta = _EXPIRES,
) -> RedirectResponse:
    """Return a redirect (307) to a URL at which the bucket's own server sends *key*.

    The URL holds for *expires* and is not to be stored by anybody. What a browser could run is
    saved there instead of shown, as in `object_response`. Raises ObjectNotFoundError, and
    UnsupportedError for a bucket without a server.
    """
    info = await bucket.head(key)
    if info is None:
        raise ObjectNotFoundError(key)
    headers = described(info, download_as=download_as)
    answer = {name: headers[name] for name in ("content-disposition", "content-type")}
    url = await bucket.presign(key, PresignOptions(expires=expires, answer=answer))
    return RedirectResponse(
        url.url, 307, {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
    )
