"""What is changed of an object by forms: its tags, its content type and metadata, its lock."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Literal

from fastapi import APIRouter, HTTPException, Query
from starlette.requests import Request
from starlette.responses import Response

from holdfast.access import Caller, Role
from holdfast.access.gate import AskedBy, allow
from holdfast.console.buckets.bucket_places import find_bucket
from holdfast.console.console_site import ConsoleSite
from holdfast.console.page import moved
from holdfast.console.visits.forgery_check import FormSent, SentForm
from holdfast.console.visits.visit import Notice
from holdfast.errors import InvalidValueError, ObjectNotFoundError
from holdfast.objects import Bucket, BucketCapability, ObjectLock, PutOptions, Retention
from holdfast.platform.own_keys import check_may_write

MOST_REWRITTEN = 1 << 30
"""Bytes of an object whose metadata a form changes: the content passes through this server."""


_COMPRESSIONS: Mapping[str, Literal["zstd", "lz4", "gzip"]] = {
    "zstd": "zstd", "lz4": "lz4", "gzip": "gzip",
}  # fmt: skip
_Key = Annotated[str, Query(min_length=1, max_length=1024)]


def add_object_forms(router: APIRouter, site: ConsoleSite) -> None:
    """Add the routes that the forms of an object's page are sent to."""

    def place(name: str, caller: Caller, key: str) -> Bucket:
        bucket = find_bucket(site, name)
        check_may_write(site.platform, bucket, caller, key)
        return bucket

    def back(name: str, key: str) -> str:
        return site.url(f"buckets/{name}/object", {"key": key})

    @router.post("/buckets/{name}/tags", dependencies=[allow(Role.OPERATOR)])
    async def tags(
        name: str, key: _Key, request: Request, caller: AskedBy, form: FormSent
    ) -> Response:
        """Replace the tags of an object; its bytes, version and time stay."""
        await place(name, caller, key).set_tags(key, pairs_in(form.text("tags"), "tags"))
        return moved(request, back(name, key), Notice("The tags are saved."))

    @router.post("/buckets/{name}/metadata", dependencies=[allow(Role.OPERATOR)])
    async def metadata(
        name: str, key: _Key, request: Request, caller: AskedBy, form: FormSent
    ) -> Response:
        """Store an object again with another type and metadata, its bytes as they are."""
        said = pairs_in(form.text("metadata"), "metadata")
        await rewrite(place(name, caller, key), key, form.text("type").strip(), said)
        return moved(request, back(name, key), Notice("The metadata is saved."))

    @router.post("/buckets/{name}/lock", dependencies=[allow(Role.ADMIN)])
    async def lock(
        name: str, key: _Key, request: Request, caller: AskedBy, form: FormSent
    ) -> Response:
        """Hold an object, lift its hold, or keep it until a day."""
        said = await change_lock(place(name, caller, key), key, form)
        return moved(request, back(name, key), Notice(said))


def pairs_in(text: str, what: str) -> dict[str, str]:
    """Return the pairs of *text*, a line `name = value` each. Raises InvalidValueError."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        if not line.strip():
            continue
        name, sign, value = (part.strip() for part in line.partition("="))
        if not sign or not name or name in found:
            raise InvalidValueError("form", what, f"expected `name = value` once, got {line!r:.80}")
        found[name] = value
    return found


def lines_of(pairs: Mapping[str, str]) -> str:
    """Return *pairs* as `pairs_in` reads them."""
    return "\n".join(f"{name} = {value}" for name, value in pairs.items())


async def rewrite(bucket: Bucket, key: str, kind: str, metadata: Mapping[str, str]) -> None:
    """Store *key* again with another content type and metadata: the same bytes, tags and headers.

    Where the backend can, only over the very object that was read. Raises ObjectNotFoundError,
    HTTPException 413 for one beyond MOST_REWRITTEN, PreconditionFailedError where somebody
    replaced it meanwhile, IntegrityError where the bytes are not those that were stored.
    """
    info = await bucket.head(key)
    if info is None:
        raise ObjectNotFoundError(key)
    if info.size > MOST_REWRITTEN:
        raise HTTPException(413, f"the object has {info.size} bytes; at most {MOST_REWRITTEN} here")
    can, headers = bucket.capabilities, info.http
    options = PutOptions(
        if_match=info.etag if BucketCapability.CONDITIONAL_REPLACE in can else None,
        tags=await bucket.tags(key) if BucketCapability.TAGS in can else {},
        compression=_COMPRESSIONS.get(info.encoding or ""),
        cache_control=headers.get("cache-control"),
        content_disposition=headers.get("content-disposition"),
        content_language=headers.get("content-language"),
    )
    async with bucket.open(key, if_match=info.etag) as reader:
        await bucket.put(
            key, aiter(reader), content_type=kind or None, metadata=metadata, options=options
        )


async def lock_in_force(bucket: Bucket, key: str) -> ObjectLock | None:
    """Return the lock of the newest version of *key*, None where the bucket has no locks."""
    if BucketCapability.OBJECT_LOCK not in bucket.capabilities:
        return None
    return await bucket.admin.lock_of(key)


async def change_lock(bucket: Bucket, key: str, form: SentForm) -> str:
    """Do what *form* says of the lock of *key*, and return that as a sentence.

    Raises InvalidValueError for no time, ObjectLockedError for what would weaken a lock.
    """
    match form.text("do"):
        case "hold":
            await bucket.admin.hold(key)
            return "The object is held until the hold is lifted."
        case "release":
            await bucket.admin.release(key)
            return "The hold is lifted."
        case "retain":
            until = _day_in(form.text("until"))
            is_final = form.text("mode") == "COMPLIANCE"
            retention = Retention("COMPLIANCE" if is_final else "GOVERNANCE", until)
            await bucket.admin.retain(key, retention)
            return f"The object can't be removed until {until:%Y-%m-%d}, 00:00 UTC."
        case other:
            raise HTTPException(400, f"expected hold, release or retain, got {other!r:.40}")


def _day_in(text: str) -> datetime:
    try:
        day = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        raise InvalidValueError("form", "until", "expected a day such as 2027-01-31") from None
    if day <= datetime.now(UTC):
        raise InvalidValueError("form", "until", "expected a day to come")
    return day
