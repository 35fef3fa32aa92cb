"""The routes of a platform's bucket: lists, objects as they are, uploads, presigned URLs."""

from contextlib import aclosing
from datetime import datetime, timedelta
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel

from holdfast.access import Role
from holdfast.access.gate import AskedBy, allow
from holdfast.errors import ObjectNotFoundError
from holdfast.fastapi import problem_responses
from holdfast.fastapi.request_limits import lift_body_limit
from holdfast.fastapi.transfers.object_response import add_download, object_response
from holdfast.fastapi.transfers.request_body import UploadLimits, body_chunks
from holdfast.objects import CommonPrefix, ObjectInfo, PresignOptions, PutOptions
from holdfast.platform import Platform
from holdfast.platform.own_keys import check_may_write

MOST_PRESIGNED = 15 * 60  # seconds
_PAGE = 200
_Key = Annotated[str, Path(min_length=1, max_length=1024)]


class ObjectOut(BaseModel):
    """An object as clients see it; *size* is in bytes."""

    key: str
    size: int
    content_type: str | None
    etag: str
    modified: datetime
    sha256: str | None


class ObjectPage(BaseModel):
    """A part of a list, in the order of the keys; *next* is where the following one starts after.

    *prefixes* stand for what lies below them.
    """

    items: list[ObjectOut]
    prefixes: list[str]
    next: str | None


class PresignedOut(BaseModel):
    """A URL that is good, without a key, until it *expires*: as secret as what it leads to."""

    url: str
    expires: datetime


def object_routes(platform: Platform) -> APIRouter:
    """Return the routes of the bucket of *platform*."""
    bucket = platform.bucket
    limits = UploadLimits(most=int(platform.settings.limits.upload))
    router = APIRouter(tags=["objects"], responses=problem_responses(404))

    @router.get("/objects", dependencies=[allow(Role.VIEWER)])
    async def list_objects(
        prefix: Annotated[str, Query(max_length=1024)] = "",
        start_after: Annotated[str | None, Query(min_length=1, max_length=1024)] = None,
        delimiter: Literal["/"] | None = None,
        size: Annotated[int, Query(ge=1, le=1000)] = _PAGE,
    ) -> ObjectPage:
        """List objects whose key starts with *prefix*; with the delimiter `/`, as a folder."""
        page = ObjectPage(items=[], prefixes=[], next=None)
        last = ""
        found = (
            bucket.list(prefix, start_after=start_after)
            if delimiter is None
            else bucket.list(prefix, delimiter=delimiter, start_after=start_after)
        )
        async for each in found:
            if len(page.items) + len(page.prefixes) == size:
                page.next = last
                break
            if isinstance(each, CommonPrefix):
                page.prefixes.append(each.prefix)
                last = each.prefix
            else:
                page.items.append(_shown(each))
                last = each.key
        return page

    async def get_object(key: _Key, request: Request, download: bool = False) -> Response:
        """Send an object, or ranges of it."""
        name = key.rpartition("/")[2] if download else None
        return await object_response(request, bucket, key, download_as=name)

    looks = APIRouter(dependencies=[allow(Role.VIEWER)])
    add_download(looks, "/objects/{key:path}", get_object)
    router.include_router(looks)

    @router.put("/objects/{key:path}", dependencies=[allow(Role.OPERATOR)])
    async def put_object(key: _Key, request: Request, caller: AskedBy) -> ObjectOut:
        """Store the body as *key*, whole or not at all.

        `If-None-Match: *` stores only where nothing is, `If-Match` only over that ETag. Below
        `models/` and `logs/`, which domains keep for themselves, it needs an admin.
        """
        check_may_write(platform, bucket, caller, key)
        lift_body_limit(request)
        etag = request.headers.get("if-match")
        options = PutOptions(
            if_absent=request.headers.get("if-none-match") == "*",
            if_match=None if etag is None else etag.strip('"'),
        )
        kind = request.headers.get("content-type", "application/octet-stream")
        async with aclosing(body_chunks(request, limits)) as content:
            return _shown(await bucket.put(key, content, content_type=kind, options=options))

    @router.delete("/objects/{key:path}", status_code=204, dependencies=[allow(Role.OPERATOR)])
    async def delete_object(key: _Key, caller: AskedBy) -> None:
        """Delete an object; below `models/` and `logs/` it needs an admin."""
        check_may_write(platform, bucket, caller, key)
        if not await bucket.delete(key):
            raise ObjectNotFoundError(key)

    @router.post("/presigned/{key:path}", dependencies=[allow(Role.OPERATOR)])
    async def presign(
        key: _Key,
        seconds: Annotated[float, Query(gt=0, le=MOST_PRESIGNED)] = MOST_PRESIGNED,
    ) -> PresignedOut:
        """Give a URL by which anybody may read an object for a while; on S3 alone."""
        if not await bucket.exists(key):
            raise ObjectNotFoundError(key)
        made = await bucket.presign(key, PresignOptions(expires=timedelta(seconds=seconds)))
        return PresignedOut(url=made.url, expires=made.expires)

    return router


def _shown(info: ObjectInfo) -> ObjectOut:
    return ObjectOut(
        key=info.key,
        size=info.size,
        content_type=info.content_type,
        etag=info.etag,
        modified=info.modified,
        sha256=info.sha256,
    )
