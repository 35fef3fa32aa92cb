"""The routes of uploads in parts, which a script calls: begun, gone on with, ended, cancelled."""

from collections.abc import Awaitable, Callable
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import Protocol, TypeAlias

from fastapi import APIRouter, HTTPException, params
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from holdfast.access import Caller
from holdfast.access.gate import AskedBy
from holdfast.console.console_site import ConsoleSite
from holdfast.console.page import moved
from holdfast.console.uploads.upload_sessions import UploadSession, UploadSessions, part_bytes
from holdfast.console.visits.forgery_check import FormSent, SentForm
from holdfast.console.visits.visit import Notice
from holdfast.fastapi.request_limits import lift_body_limit
from holdfast.fastapi.transfers.request_body import UploadLimits, body_chunks, too_large
from holdfast.objects import Bucket, BucketCapability, PresignOptions

_URL_LIFE = timedelta(minutes=15)
_STRAIGHT = frozenset({BucketCapability.PRESIGN, BucketCapability.UPLOADS})


class UploadDestination(Protocol):
    """Where an upload goes: a bucket, or a project of videos."""

    @property
    def place(self) -> str:
        """What tells it from other destinations."""
        ...

    @property
    def page(self) -> str:
        """The address of the page that a cancelled upload leads back to."""
        ...

    @property
    def bucket(self) -> Bucket | None:
        """The bucket whose server may take the parts itself; None: they come through here."""
        ...

    async def admit(self, form: SentForm, size: int) -> str:
        """Return the key of the file that *form* announces, of *size* bytes.

        Raises HTTPException and HoldfastError for one that may not come.
        """
        ...

    async def check(self, key: str, *, replaces: bool) -> None:
        """Raise what says why nothing may be stored as *key*; asked again at the end."""
        ...

    async def store(self, session: UploadSession, sessions: UploadSessions) -> str:
        """Make of the parts in *sessions* what they are to be; return the address of that."""
        ...

    def address(self, session: UploadSession) -> str:
        """Return the address of the object that the bucket's server makes of the parts."""
        ...


Destined: TypeAlias = Callable[[Request, Caller], Awaitable[UploadDestination]]
"""Returns where an upload goes by what stands in the path of a request, and who asks."""


def owner_of(caller: Caller) -> str:
    """Return what tells whose an upload is: its key's or its login's, else `local`."""
    return caller.login or "local"


def takes_parts(bucket: Bucket) -> bool:
    """Return whether the server of *bucket* can take parts from a browser itself."""
    return bucket.capabilities >= _STRAIGHT


def upload_routes(
    site: ConsoleSite,
    path: str,
    destined: Destined,
    *,
    dependencies: list[params.Depends],
) -> APIRouter:
    """Return the routes below *path* of uploads to what *destined* says."""
    router = APIRouter(dependencies=dependencies)
    sessions = site.uploads
    one = f"{path}/{{identity}}"
    limits = UploadLimits(most=int(site.platform.settings.limits.upload))

    async def known(
        identity: str, request: Request, caller: Caller
    ) -> tuple[UploadDestination, UploadSession]:
        to = await destined(request, caller)
        return to, await sessions.find(identity, owner_of(caller), to.place)

    @router.post(path)
    async def begin(request: Request, caller: AskedBy, form: FormSent) -> Response:
        """Begin an upload of what the form announces, and say in which parts it is to come."""
        to = await destined(request, caller)
        size = _size_in(form)
        if size > limits.most:
            raise too_large(limits)
        key, now = await to.admit(form, size), datetime.now(UTC)
        await sessions.sweep(now, to.place, to.bucket)
        session = UploadSession(
            id="",
            owner=owner_of(caller),
            place=to.place,
            key=key,
            size=size,
            part=part_bytes(size),
            kind=form.text("type"),
            replaces=form.has("replace"),
            began=now,
        )
        straight = to.bucket if form.has("straight") and size else None
        return JSONResponse(
            await _shown(to, await sessions.begin(session, straight), sessions), 201
        )

    @router.get(one)
    async def look(identity: str, request: Request, caller: AskedBy) -> Response:
        """Say which parts of an upload are there."""
        to, session = await known(identity, request, caller)
        return JSONResponse(await _shown(to, session, sessions))

    @router.put(f"{one}/parts/{{number}}")
    async def take(identity: str, number: int, request: Request, caller: AskedBy) -> Response:
        """Take a part; a Content-Digest is checked."""
        _, session = await known(identity, request, caller)
        if session.upload is not None:
            raise HTTPException(409, "the parts of this upload go to the bucket's server")
        size = session.part_size(number)
        lift_body_limit(request)
        async with aclosing(body_chunks(request, UploadLimits(most=size))) as chunks:
            await sessions.take(session, number, chunks, request.headers.get("content-digest", ""))
        return Response(status_code=204)

    @router.post(f"{one}/parts/{{number}}")
    async def permit(identity: str, number: int, request: Request, caller: AskedBy) -> Response:
        """Give a URL to which a part goes straight."""
        to, session = await known(identity, request, caller)
        if session.upload is None or to.bucket is None:
            raise HTTPException(409, "the parts of this upload come through here")
        session.part_size(number)
        options = PresignOptions(
            method="PUT", expires=_URL_LIFE, upload=session.upload.id, part=number
        )
        return JSONResponse({"url": (await to.bucket.presign(session.key, options)).url})

    @router.post(f"{one}/end")
    async def end(identity: str, request: Request, caller: AskedBy) -> Response:
        """Make the parts, all of them there, what they are to be; once, however often asked."""
        to, session = await known(identity, request, caller)
        if not session.done:
            with sessions.ending(session):
                address = await _end(to, session, sessions)
                await sessions.finish(session, address)
                return JSONResponse({"done": address})
        return JSONResponse({"done": session.done})

    @router.post(f"{one}/cancel")
    async def cancel(identity: str, request: Request, caller: AskedBy) -> Response:
        """Forget an upload and its parts. A script is answered by nothing, a browser by a page."""
        to, session = await known(identity, request, caller)
        with sessions.ending(session):
            await sessions.drop(session, to.bucket)
        if request.headers.get("accept") == "application/json":
            return Response(status_code=204)
        return moved(request, to.page, Notice("The upload was cancelled; nothing of it is kept."))

    return router


async def _end(to: UploadDestination, session: UploadSession, sessions: UploadSessions) -> str:
    missing = session.count - len(await _there(to, session, sessions))
    if missing:
        raise HTTPException(409, f"{missing} parts of the upload are not there yet")
    await to.check(session.key, replaces=session.replaces)
    if session.upload is None:
        return await to.store(session, sessions)
    assert to.bucket is not None
    parts = await to.bucket.admin.parts(session.upload)
    etags = [each.etag for each in parts if each.number <= session.count]
    await to.bucket.admin.complete_upload(session.upload, etags)
    return to.address(session)


async def _shown(
    to: UploadDestination, session: UploadSession, sessions: UploadSessions
) -> dict[str, object]:
    there = [] if session.done else await _there(to, session, sessions)
    return {
        "id": session.id,
        "part": session.part,
        "count": session.count,
        "there": there,
        "straight": session.upload is not None,
        "done": session.done,
    }


async def _there(
    to: UploadDestination, session: UploadSession, sessions: UploadSessions
) -> list[int]:
    """Return the numbers of the parts that are there as wholes."""
    if session.upload is None or to.bucket is None:
        return await sessions.there(session)
    return [
        each.number
        for each in await to.bucket.admin.parts(session.upload)
        if each.number <= session.count and each.size == session.part_size(each.number)
    ]


def _size_in(form: SentForm) -> int:
    text = form.text("size")
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise HTTPException(400, "expected the size of the file in bytes")
    return int(text)
