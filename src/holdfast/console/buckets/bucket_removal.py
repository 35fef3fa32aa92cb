"""Removal from a bucket: what it would remove is shown first. Deleted is not erased."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Query
from starlette.requests import Request
from starlette.responses import Response

from holdfast.access import Role
from holdfast.access.gate import AskedBy, allow
from holdfast.console.buckets.bucket_places import bucket_crumbs, find_bucket
from holdfast.console.console_site import ConsoleSite
from holdfast.console.page import PageHead, moved, page
from holdfast.console.visits.forgery_check import FormSent
from holdfast.console.visits.visit import Notice, Undo
from holdfast.errors import ObjectNotFoundError
from holdfast.objects import Bucket, BucketCapability, ObjectInfo
from holdfast.platform.own_keys import check_may_empty, check_may_write

MOST_DELETED = 1000
"""Objects of a prefix that one form removes, and versions that a page of erasure counts."""
_SHOWN = 50
_Prefix = Annotated[str, Query(max_length=1024)]


@dataclass(slots=True)
class Doomed:
    """What a removal would remove: how many *versions* of which *keys*, of *size* stored bytes.

    There is *more* than is counted, or the keys are the first ones alone.
    """

    keys: list[str] = field(default_factory=list)
    versions: int = 0
    size: int = 0
    more: bool = False


@dataclass(frozen=True, slots=True)
class Removal:
    """What is asked to go from the bucket called *name*: a *key*, or all below a *prefix*."""

    name: str
    bucket: Bucket
    key: str
    prefix: str

    @property
    def target(self) -> str:
        """The key, or the prefix."""
        return self.key or self.prefix

    @property
    def above(self) -> dict[str, object]:
        """What the address of the folder around it asks for."""
        folder = self.target.rstrip("/") if self.prefix else self.key
        return {"prefix": folder[: folder.rfind("/") + 1] or None}


def add_removal(router: APIRouter, site: ConsoleSite) -> None:
    """Add the pages that delete objects, and those that erase them."""
    routes = APIRouter(prefix="/buckets/{name}")

    async def asked(name: str, caller: AskedBy, key: _Prefix = "", prefix: _Prefix = "") -> Removal:
        bucket = find_bucket(site, name)
        if bool(key) == bool(prefix):
            raise HTTPException(400, "expected a key or a prefix")
        if key:
            check_may_write(site.platform, bucket, caller, key)
        else:
            check_may_empty(site.platform, bucket, caller, prefix)
        return Removal(name, bucket, key, prefix)

    def shown(
        request: Request, what: str, removal: Removal, context: Mapping[str, object]
    ) -> Response:
        crumbs = bucket_crumbs(site, removal.name, removal.target)
        head = PageHead(what.capitalize(), "buckets", crumbs)
        given = {
            "name": removal.name,
            "key": removal.key,
            "prefix": removal.prefix,
            "most": MOST_DELETED,
            **context,
        }
        return page(request, f"bucket_{what}.html", head, given)

    def done(request: Request, removal: Removal, notice: Notice) -> Response:
        return moved(request, site.url(f"buckets/{removal.name}", removal.above), notice)

    @routes.get("/delete", dependencies=[allow(Role.OPERATOR)])
    async def doomed(
        request: Request, caller: AskedBy, removal: Annotated[Removal, Depends(asked)]
    ) -> Response:
        """Show what a deletion would remove, before it is done."""
        found = await _objects(removal.bucket, removal.key, removal.prefix)
        context = {
            "objects": found,
            "size": sum(each.stored_size for each in found),
            "more": len(found) > MOST_DELETED,
            "keeps_versions": BucketCapability.VERSIONS in removal.bucket.capabilities,
            "may_erase": caller.role.includes(Role.ADMIN),
        }
        return shown(request, "delete", removal, context)

    @routes.post("/delete", dependencies=[allow(Role.OPERATOR)])
    async def delete(
        request: Request, form: FormSent, removal: Annotated[Removal, Depends(asked)]
    ) -> Response:
        """Remove an object, or what lies below a prefix whose name was typed."""
        if removal.prefix and form.text("typed") != removal.prefix:
            raise HTTPException(400, f"type {removal.prefix} to have what lies below it removed")
        found = await _objects(removal.bucket, removal.key, removal.prefix)
        count = await removal.bucket.delete_many([each.key for each in found[:MOST_DELETED]])
        said = "1 object was removed." if count == 1 else f"{count:,} objects were removed."
        undo = _undo_of_deletion(site, removal, found) if removal.key else None
        return done(request, removal, Notice(said, undo=undo))

    @routes.get("/erase", dependencies=[allow(Role.ADMIN)])
    async def to_erase(request: Request, removal: Annotated[Removal, Depends(asked)]) -> Response:
        """Show what an erasure would remove, with all earlier versions, before it is done."""
        found = await _versions(removal.bucket, removal.key, removal.prefix)
        context = {
            "found": found,
            "shown": found.keys[:_SHOWN],
            "has_locks": BucketCapability.OBJECT_LOCK in removal.bucket.capabilities,
        }
        return shown(request, "erase", removal, context)

    @routes.post("/erase", dependencies=[allow(Role.ADMIN)])
    async def erase(
        request: Request, form: FormSent, removal: Annotated[Removal, Depends(asked)]
    ) -> Response:
        """Erase a key, or all below a prefix, whose name was typed: every version of it."""
        bucket, key = removal.bucket, removal.key
        if form.text("typed") != removal.target:
            raise HTTPException(400, f"type {removal.target} to have it erased")
        gone = await (bucket.erase(key) if key else bucket.erase_prefix(removal.prefix))
        objects = "1 version" if gone.objects == 1 else f"{gone.objects:,} versions"
        said = f"{objects}, {gone.markers:,} marks of deletion and {gone.uploads:,} uploads erased."
        if gone.held:
            held = f"{said} A lock holds {len(gone.held):,} more: it is not done."
            return done(request, removal, Notice(held, "bad"))
        return done(request, removal, Notice(said))

    router.include_router(routes)


def _undo_of_deletion(site: ConsoleSite, removal: Removal, found: list[ObjectInfo]) -> Undo | None:
    """Return the form that restores the object, None where its bucket keeps no versions."""
    keeps = BucketCapability.VERSIONS in removal.bucket.capabilities
    version = found[0].version if keeps else None
    if version is None:
        return None
    url = site.url(f"buckets/{removal.name}/restore", {"key": removal.key})
    return Undo(url, {"version": version})


async def _objects(bucket: Bucket, key: str, prefix: str) -> list[ObjectInfo]:
    """Return what a deletion would remove, and one more where there are too many."""
    if key:
        info = await bucket.head(key)
        if info is None:
            raise ObjectNotFoundError(key)
        return [info]
    found: list[ObjectInfo] = []
    async for each in bucket.list(prefix):
        found.append(each)
        if len(found) > MOST_DELETED:
            break
    return found


async def _versions(bucket: Bucket, key: str, prefix: str) -> Doomed:
    found = Doomed()
    async for each, size in _sizes(bucket, key or prefix):
        if key and each != key:
            continue
        if found.versions == MOST_DELETED:
            found.more = True
            break
        if not found.keys or found.keys[-1] != each:
            found.keys.append(each)
        found.versions += 1
        found.size += size
    return found


async def _sizes(bucket: Bucket, prefix: str) -> AsyncIterator[tuple[str, int]]:
    """Yield key and stored size of each version, of each object where none are kept."""
    if BucketCapability.VERSIONS in bucket.capabilities:
        async for version in bucket.versions(prefix):
            yield version.key, version.size
    else:
        async for info in bucket.list(prefix):
            yield info.key, info.stored_size
