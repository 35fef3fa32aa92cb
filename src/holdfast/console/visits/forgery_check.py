"""Keeps pages of others from writing in a visitor's name: Origin, and the token of each form.

It stands before every route of the console, and looks at what is not GET, HEAD or OPTIONS.
"""

from dataclasses import dataclass, field
from typing import Annotated, TypeAlias, cast
from urllib.parse import parse_qs

from fastapi import Depends, HTTPException
from starlette.requests import Request

from holdfast.console.console_site import site_of
from holdfast.console.visits.visit import is_form_token
from holdfast.fastapi.page_origin import SAFE_METHODS, is_own_page
from holdfast.fastapi.request_limits import lift_body_limit
from holdfast.fastapi.transfers.multipart_body import FilePart, MultipartBody
from holdfast.fastapi.transfers.request_body import FORM_BYTES, UploadLimits, body_chunks

TOKEN_FIELD = "form_token"  # noqa: S105 - the name of a field
TOKEN_HEADER = "x-form-token"  # noqa: S105 - the name of a header
_FORM = "application/x-www-form-urlencoded"
_MOST_FIELDS = 1000
_FOREIGN = "this was sent by a page of another origin"
_NO_TOKEN = "the form is of an earlier visit: go back, load the page again, and send it once more"  # noqa: S105


@dataclass(frozen=True, slots=True)
class SentForm:
    """The fields of a form, each with its values in order; text as it was typed."""

    fields: dict[str, list[str]] = field(default_factory=dict)

    def text(self, name: str, default: str = "") -> str:
        """Return the last value of the field *name*, *default* where it was not sent."""
        return self.fields[name][-1] if self.fields.get(name) else default

    def all(self, name: str) -> list[str]:
        """Return every value of the field *name*."""
        return list(self.fields.get(name, ()))

    def has(self, name: str) -> bool:
        """Return whether the field *name* was sent at all."""
        return name in self.fields


@dataclass(frozen=True, slots=True)
class SentFile:
    """A form with a file: *head* is what the client says of it, *body* has its bytes to come."""

    head: FilePart
    body: MultipartBody


async def check_forgery(request: Request) -> None:
    """Refuse, with 403, what writes and comes from no page of this console.

    The fields of a form are then there as `FormSent`, its file as `FileSent`.
    """
    if request.method in SAFE_METHODS:
        return
    if not is_own_page(request.headers, site_of(request).options.origins):
        raise HTTPException(403, _FOREIGN)
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    token = request.headers.get(TOKEN_HEADER)
    if kind == _FORM:
        form = await _read_form(request)
        request.state.form = form
        token = token or form.text(TOKEN_FIELD)
    elif kind == "multipart/form-data":
        lift_body_limit(request)
        most = int(site_of(request).platform.settings.limits.upload)
        chunks = body_chunks(request, UploadLimits(most=most), beside=FORM_BYTES)
        body = MultipartBody(request.headers["content-type"], chunks)
        request.state.file = SentFile(await body.file(), body)
        token = token or body.fields.get(TOKEN_FIELD)
    if not is_form_token(request, token or ""):
        raise HTTPException(403, _NO_TOKEN)


async def form_sent(request: Request) -> SentForm:
    """Return the fields of the form that was sent; none where it was no form."""
    return cast("SentForm", getattr(request.state, "form", SentForm()))


async def file_sent(request: Request) -> SentFile:
    """Return the file of the form that was sent. Raises HTTPException 415 for no such form."""
    found = getattr(request.state, "file", None)
    if found is None:
        raise HTTPException(415, "expected a form with a file: multipart/form-data")
    return cast("SentFile", found)


FormSent: TypeAlias = Annotated[SentForm, Depends(form_sent)]
"""A parameter of a route: the fields of the form that was sent."""

FileSent: TypeAlias = Annotated[SentFile, Depends(file_sent)]
"""A parameter of a route: the file of the form that was sent."""


async def _read_form(request: Request) -> SentForm:
    limits = UploadLimits(most=FORM_BYTES)
    content = b"".join([chunk async for chunk in body_chunks(request, limits)])
    try:
        fields = parse_qs(
            content.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=_MOST_FIELDS,
        )
    except ValueError as error:  # also what is not UTF-8
        raise HTTPException(400, f"the form can't be read: {error}") from None
    return SentForm(fields)
