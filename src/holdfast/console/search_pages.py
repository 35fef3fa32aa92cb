"""The search over everything: pages, records by key or name, jobs, models, objects."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from holdfast.access import Role
from holdfast.access.gate import AskedBy, allow
from holdfast.console.bounded_look import AskedPiece, look
from holdfast.console.buckets.bucket_places import buckets_of
from holdfast.console.console_site import ConsoleSite
from holdfast.console.page import PageHead, page, part
from holdfast.console.records.indexed_rows import indexed_rows
from holdfast.console.records.record_list import RecordKind, key_query, record_kinds
from holdfast.console.records.record_pages import title_of
from holdfast.errors import ObjectKeyError
from holdfast.objects import CommonPrefix
from holdfast.records.record_filters import parse_filters
from holdfast.records.search.search_build import finds_words_by_index
from holdfast.records.values.value import Kind

_EACH = 5  # of each kind
_NAMES = ("name", "title", "filename")


@dataclass(frozen=True, slots=True)
class Found:
    """A place that a search found: what it is called, of which kind, and its address."""

    title: str
    kind: str
    icon: str
    url: str


def search_routes(site: ConsoleSite) -> APIRouter:
    """Return the route of the search."""
    router = APIRouter()

    @router.get("/search", dependencies=[allow(Role.VIEWER)])
    async def search(
        request: Request,
        caller: AskedBy,
        q: Annotated[str, Query(max_length=1024)] = "",
        as_part: Annotated[bool, Query(alias="part")] = False,
    ) -> Response:
        """Show what begins with, or is, the text; *part*: the list alone, for the palette."""
        text = q.strip()
        found = [each async for each in _found(site, caller, text)] if text else []
        if as_part:
            return HTMLResponse(part("found.html", {"found": found, "text": text}))
        context = {"found": found, "text": text}
        return page(request, "search.html", PageHead("Search"), context)

    return router


async def _found(site: ConsoleSite, caller: AskedBy, text: str) -> AsyncIterator[Found]:
    for section in site.sections_of(caller):
        if section.title.lower().startswith(text.lower()):
            yield Found(section.title, "page", section.icon, site.url(section.name))
    kinds = record_kinds(site, caller)
    for kind in kinds:
        if kind.model.name.lower().startswith(text.lower()):
            url = site.url(f"records/{kind.path}")
            yield Found(kind.model.name, "records", "records", url)
    key = _uuid(text)
    for kind in kinds:
        rows = await (_by_key(site, kind, key) if key else _by_name(site, kind, text))
        for row in rows:
            url = site.url(f"records/{kind.path}/row", key_query(kind.model, row))
            if kind.model.name == "Job" and key:
                url = site.url(f"jobs/{key}")
            yield Found(title_of(kind, row), kind.model.name, "records", url)
    if key is None:
        async for each in _objects(site, text):
            yield each


async def _by_key(site: ConsoleSite, kind: RecordKind, key: UUID) -> list[object]:
    """Return the row of *kind* under *key*, if there is one."""
    if len(kind.model.keys) > 1 or kind.model.key.type.kind is not Kind.UUID:
        return []
    found = await site.platform.store.repository(kind.model.entity).get(key)
    return [] if found is None else [found]


async def _by_name(site: ConsoleSite, kind: RecordKind, text: str) -> list[object]:
    """Return rows of *kind* that are called like *text*, by an index, or among the newest rows."""
    repository = site.platform.store.repository(kind.model.entity)
    if kind.model.search is not None:
        words = indexed_rows(
            kind.model, {}, [], text, words_led=finds_words_by_index(site.platform.store)
        )
        looked = await look(repository, words.wanted(kind.model), AskedPiece(), size=_EACH)
        return looked.page.items
    led_by = {names[0] for names in (*kind.model.indexes, *kind.model.uniques)}
    for name in _NAMES:
        spec = kind.model.by_name.get(name)
        if spec is not None and (spec.unique or name in led_by):
            found: list[object] = []
            for each in _first_letters(text):
                where = parse_filters(kind.model.entity, [f"{name}__startswith={each}"])
                found += await repository.find(*where, limit=_EACH - len(found))
                if len(found) == _EACH:
                    break
            return found
    return []


def _first_letters(text: str) -> list[str]:
    """Return *text*, and as it would begin with a capital or small letter: an index knows both."""
    return list(dict.fromkeys((text, text[:1].upper() + text[1:], text[:1].lower() + text[1:])))


async def _objects(site: ConsoleSite, text: str) -> AsyncIterator[Found]:
    """Yield the first folders and objects whose key begins with *text*."""
    for name, bucket in buckets_of(site).items():
        count = 0
        try:
            async for each in bucket.list(text, delimiter="/"):
                if isinstance(each, CommonPrefix):
                    url = site.url(f"buckets/{name}", {"prefix": each.prefix})
                    yield Found(each.prefix, "folder", "folder", url)
                else:
                    url = site.url(f"buckets/{name}/object", {"key": each.key})
                    yield Found(each.key, "object", "file", url)
                count += 1
                if count == _EACH:
                    break
        except ObjectKeyError:
            return  # no key begins so


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
