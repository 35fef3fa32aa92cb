"""Buckets: keys as folders, previews that can't do harm, uploads, links, versions, deletion."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, HTTPException, Query
from starlette.requests import Request
from starlette.responses import Response

from holdfast.access import Role
from holdfast.access.gate import AskedBy, allow
from holdfast.console.buckets.bucket_places import bucket_crumbs, buckets_of, find_bucket
from holdfast.console.buckets.bucket_removal import add_removal
from holdfast.console.buckets.bucket_settings_pages import add_bucket_settings
from holdfast.console.buckets.bucket_uploads import FolderUpload, folder_uploads, server_origin
from holdfast.console.buckets.object_forms import (
    MOST_REWRITTEN,
    add_object_forms,
    lines_of,
    lock_in_force,
)
from holdfast.console.buckets.object_preview import preview_of
from holdfast.console.console_site import ConsoleSite
from holdfast.console.page import PageHead, moved, page
from holdfast.console.uploads.upload_routes import owner_of, upload_routes
from holdfast.console.visits.content_policy import POLICY_HEADER, content_policy
from holdfast.console.visits.forgery_check import FileSent, FormSent
from holdfast.console.visits.visit import Notice
from holdfast.errors import ObjectNotFoundError, UnsupportedError
from holdfast.fastapi.transfers.file_names import safe_file_name
from holdfast.fastapi.transfers.object_response import object_response
from holdfast.objects import (
    Bucket,
    BucketCapability,
    CommonPrefix,
    ObjectInfo,
    ObjectVersion,
    PresignOptions,
)
from holdfast.platform.own_keys import check_may_write

_PAGE = 200
_VERSIONS = 20
_SHARES = {"5": "5 minutes", "15": "15 minutes"}
_Key = Annotated[str, Query(min_length=1, max_length=1024)]
_Prefix = Annotated[str, Query(max_length=1024)]


def bucket_routes(site: ConsoleSite) -> APIRouter:
    """Return the routes of the pages of buckets."""
    router = APIRouter()

    router.include_router(
        upload_routes(
            site,
            "/buckets/{name}/uploads",
            folder_uploads(site),
            dependencies=[allow(Role.OPERATOR)],
        )
    )

    add_object_forms(router, site)
    add_removal(router, site)
    add_bucket_settings(router, site)
    _add_pages(router, site)
    _add_changes(router, site)
    return router


def _add_pages(router: APIRouter, site: ConsoleSite) -> None:
    @router.get("/buckets", dependencies=[allow(Role.VIEWER)])
    async def all_buckets(request: Request) -> Response:
        """List the buckets."""
        head = PageHead(title="Buckets", section="buckets")
        return page(request, "buckets.html", head, {"buckets": buckets_of(site)})

    @router.get("/buckets/{name}", dependencies=[allow(Role.VIEWER)])
    async def folder(
        name: str,
        request: Request,
        caller: AskedBy,
        prefix: _Prefix = "",
        after: Annotated[str, Query(max_length=1024)] = "",
    ) -> Response:
        """List what lies directly below a prefix, folders and objects, by pages."""
        bucket = find_bucket(site, name)
        entries, more = await _entries(bucket, prefix, after)
        crumbs = bucket_crumbs(site, name, prefix)
        title = crumbs.pop().title if len(crumbs) > 1 else name
        writes = caller.role.includes(Role.OPERATOR)
        origin = await server_origin(bucket) if writes else ""
        context = {
            "name": name,
            "prefix": prefix,
            "folders": [each.prefix for each in entries if isinstance(each, CommonPrefix)],
            "objects": [each for each in entries if isinstance(each, ObjectInfo)],
            "after": after,
            "ahead": site.url(f"buckets/{name}", {"prefix": prefix or None, "after": more})
            if more
            else "",
            "may_write": writes,
            "waiting": await site.uploads.waiting(owner_of(caller), f"bucket {name}")
            if writes
            else [],
            "origin": origin,
        }
        response = page(request, "bucket.html", PageHead(title, "buckets", crumbs), context)
        if origin:  # to which the page's script sends parts
            response.headers[POLICY_HEADER] = content_policy(site.options, (origin,))
        return response

    @router.get("/buckets/{name}/object", dependencies=[allow(Role.VIEWER)])
    async def one(name: str, key: _Key, request: Request, caller: AskedBy) -> Response:
        """Show an object: what is known of it, a preview, its tags and versions."""
        return await _object_page(site, request, caller, (name, find_bucket(site, name)), key)

    @router.get("/buckets/{name}/raw", dependencies=[allow(Role.VIEWER)])
    async def raw(name: str, key: _Key, request: Request, download: bool = False) -> Response:
        """Send an object as it is: never active, in ranges where they are asked for."""
        saved_as = key.rpartition("/")[2] if download else None
        return await object_response(request, find_bucket(site, name), key, download_as=saved_as)


def _add_changes(router: APIRouter, site: ConsoleSite) -> None:
    @router.post("/buckets/{name}/upload", dependencies=[allow(Role.OPERATOR)])
    async def upload(
        name: str, request: Request, caller: AskedBy, sent: FileSent, prefix: _Prefix = ""
    ) -> Response:
        """Store the file of the form below *prefix*, under its own name, where nothing is yet."""
        if not sent.head.filename:
            raise HTTPException(400, "no file was chosen")
        to = FolderUpload(site, name, find_bucket(site, name), caller)
        key = prefix + safe_file_name(sent.head.filename)
        replaces = "replace" in sent.body.fields
        await to.check(key, replaces=replaces)
        info = await to.put(key, sent.body.content(), sent.head.content_type, replaces)
        return moved(
            request,
            site.url(f"buckets/{name}/object", {"key": info.key}),
            Notice(f"{info.key} is stored."),
        )

    @router.post("/buckets/{name}/share", dependencies=[allow(Role.OPERATOR)])
    async def share(
        name: str, key: _Key, request: Request, caller: AskedBy, form: FormSent
    ) -> Response:
        """Make a link by which anybody may read the object for some minutes, and show it once."""
        bucket = find_bucket(site, name)
        minutes = form.text("minutes", "15")
        if minutes not in _SHARES:
            raise HTTPException(400, f"expected one of {', '.join(_SHARES)} minutes")
        if not await bucket.exists(key):
            raise ObjectNotFoundError(key)
        shared: Mapping[str, object]
        try:
            made = await bucket.presign(
                key, PresignOptions(expires=timedelta(minutes=int(minutes)))
            )
            shared = {"url": made.url, "expires": made.expires, "refused": ""}
        except UnsupportedError:
            shared = {"url": "", "expires": None, "refused": "Links are made by S3 alone."}
        return await _object_page(site, request, caller, (name, bucket), key, shared=shared)

    @router.post("/buckets/{name}/restore", dependencies=[allow(Role.OPERATOR)])
    async def restore(
        name: str, key: _Key, request: Request, caller: AskedBy, form: FormSent
    ) -> Response:
        """Make an earlier version the newest again."""
        bucket = find_bucket(site, name)
        check_may_write(site.platform, bucket, caller, key)
        await bucket.restore(key, form.text("version"))
        url = site.url(f"buckets/{name}/object", {"key": key})
        return moved(request, url, Notice("The object is as that version was."))


async def _object_page(
    site: ConsoleSite,
    request: Request,
    caller: AskedBy,
    place: tuple[str, Bucket],
    key: str,
    *,
    shared: Mapping[str, object] | None = None,
) -> Response:
    name, bucket = place
    info = await bucket.head(key)
    can = bucket.capabilities
    versions = await _versions(bucket, key) if BucketCapability.VERSIONS in can else []
    crumbs = bucket_crumbs(site, name, key)
    head = PageHead(key.rpartition("/")[2] or key, "buckets", crumbs)
    writes = caller.role.includes(Role.OPERATOR)
    if info is None:
        if not versions:
            raise ObjectNotFoundError(key)
        gone = {"name": name, "key": key, "versions": versions, "may_write": writes}
        return page(request, "object_gone.html", head, gone, status=404)
    tags = await bucket.tags(key) if BucketCapability.TAGS in can else {}
    context = {
        "name": name,
        "info": info,
        "preview": await preview_of(bucket, info),
        "raw": site.url(f"buckets/{name}/raw", {"key": key}),
        "tags": tags,
        "takes_tags": BucketCapability.TAGS in can,
        "tag_lines": lines_of(tags),
        "metadata_lines": lines_of(info.metadata or {}),
        "rewritten": info.size <= MOST_REWRITTEN,
        "lock": await lock_in_force(bucket, key),
        "versions": versions,
        "shares": _SHARES,
        "shared": shared,
        "may_write": writes,
        "may_manage": caller.role.includes(Role.ADMIN),
    }
    return page(request, "object.html", head, context)


async def _entries(
    bucket: Bucket, prefix: str, after: str
) -> tuple[list[ObjectInfo | CommonPrefix], str]:
    """Return a page of what lies below *prefix*, and where the next one starts after."""
    found: list[ObjectInfo | CommonPrefix] = []
    listed = bucket.list(prefix, delimiter="/", start_after=after or None)
    async for each in listed:
        if len(found) == _PAGE:
            last = found[-1]
            return found, last.prefix if isinstance(last, CommonPrefix) else last.key
        found.append(each)
    return found, ""


async def _versions(bucket: Bucket, key: str) -> list[ObjectVersion]:
    found: list[ObjectVersion] = []
    async for each in bucket.versions(key):
        if each.key != key or len(found) == _VERSIONS:
            break
        found.append(each)
    return found
