"""Pages of a bucket as a whole: what is kept for how long, and where its bytes lie."""

from typing import Annotated

from fastapi import APIRouter, HTTPException, Query
from starlette.requests import Request
from starlette.responses import Response

from holdfast.access import Role
from holdfast.access.gate import AskedBy, allow
from holdfast.console.buckets.bucket_places import bucket_crumbs, find_bucket
from holdfast.console.buckets.object_forms import pairs_in
from holdfast.console.console_site import ConsoleSite
from holdfast.console.page import PageHead, moved, page
from holdfast.console.visits.forgery_check import FormSent, SentForm
from holdfast.console.visits.visit import Notice
from holdfast.errors import InvalidValueError
from holdfast.objects import (
    Bucket,
    BucketCapability,
    DefaultEncryption,
    DefaultRetention,
    Lifecycle,
    LifecycleRule,
    Versioning,
)

_Prefix = Annotated[str, Query(max_length=1024)]
_SHOWN = 200  # prefixes of a page of usage


def add_bucket_settings(router: APIRouter, site: ConsoleSite) -> None:
    """Add the pages of a bucket's settings and of its usage."""

    @router.get("/buckets/{name}/settings", dependencies=[allow(Role.VIEWER)])
    async def settings(name: str, request: Request, caller: AskedBy) -> Response:
        """Show what the bucket keeps, encrypts and removes by itself."""
        bucket = find_bucket(site, name)
        can = bucket.capabilities
        context = {
            "name": name,
            "backend": bucket.backend,
            "rules": await _rules(bucket) if BucketCapability.LIFECYCLE in can else None,
            "versioning": await bucket.admin.get(Versioning)
            if BucketCapability.VERSIONS in can
            else None,
            "keeps_versions": BucketCapability.VERSIONS in can,
            "encryption": await bucket.admin.get(DefaultEncryption)
            if BucketCapability.DEFAULT_ENCRYPTION in can
            else None,
            "has_locks": BucketCapability.OBJECT_LOCK in can,
            "retention": await bucket.admin.get(DefaultRetention)
            if BucketCapability.OBJECT_LOCK in can
            else None,
            "may_manage": caller.role.includes(Role.ADMIN),
        }
        head = PageHead("What it keeps", "buckets", bucket_crumbs(site, name, ""))
        return page(request, "bucket_settings.html", head, context)

    @router.post("/buckets/{name}/lifecycle", dependencies=[allow(Role.ADMIN)])
    async def add_rule(name: str, request: Request, form: FormSent) -> Response:
        """Add a lifecycle rule beside those that are there."""
        bucket = find_bucket(site, name)
        rule = _rule_in(form)
        rules = await _rules(bucket)
        if rule.name in {each.name for each in rules}:
            raise HTTPException(409, f"there is a rule {rule.name!r} already")
        await bucket.admin.set(Lifecycle((*rules, rule)))
        return moved(request, site.url(f"buckets/{name}/settings"), Notice("The rule is added."))

    @router.post("/buckets/{name}/lifecycle/remove", dependencies=[allow(Role.ADMIN)])
    async def remove_rule(name: str, request: Request, form: FormSent) -> Response:
        """Remove a lifecycle rule; nothing happens when it is gone already."""
        bucket = find_bucket(site, name)
        left = [each for each in await _rules(bucket) if each.name != form.text("rule")]
        if left:
            await bucket.admin.set(Lifecycle(tuple(left)))
        else:
            await bucket.admin.unset(Lifecycle)
        return moved(request, site.url(f"buckets/{name}/settings"), Notice("The rule is removed."))

    @router.get("/buckets/{name}/usage", dependencies=[allow(Role.VIEWER)])
    async def usage(name: str, request: Request, prefix: _Prefix = "") -> Response:
        """Show how many bytes lie below each folder, the largest first."""
        count = await site.usage.below(name, find_bucket(site, name), prefix)
        found = count.by_size()
        context = {
            "name": name,
            "prefix": prefix,
            "found": found[:_SHOWN],
            "more": max(0, len(found) - _SHOWN) + count.others,
            "count": count,
        }
        crumbs = bucket_crumbs(site, name, prefix)
        return page(request, "bucket_usage.html", PageHead("Usage", "buckets", crumbs), context)


async def _rules(bucket: Bucket) -> tuple[LifecycleRule, ...]:
    found = await bucket.admin.get(Lifecycle)
    return () if found is None else found.rules


def _rule_in(form: SentForm) -> LifecycleRule:
    return LifecycleRule(
        name=form.text("rule").strip(),
        prefix=form.text("prefix"),
        tags=pairs_in(form.text("tags"), "tags"),
        expire=_days_in(form, "expire"),
        expire_old=_days_in(form, "expire_old"),
        abort_uploads=_days_in(form, "abort_uploads"),
    )


def _days_in(form: SentForm, field: str) -> int | None:
    text = form.text(field).strip()
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 6):
        raise InvalidValueError("lifecycle", field, "expected a number of days")
    return int(text)
