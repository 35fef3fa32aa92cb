"""Records of every entity: lists with filters, one record with its relations and its history."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, cast
from urllib.parse import urlencode

import orjson
from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse

from holdfast.access import Role
from holdfast.access.gate import AskedBy, allow
from holdfast.audit import AuditLog
from holdfast.audit.audit_hook import is_recorded
from holdfast.audit.captured_value import key_text
from holdfast.console.audit_entries import shown_entries
from holdfast.console.bounded_look import PIECE, AskedPiece, Look, look
from holdfast.console.console_site import ConsoleSite
from holdfast.console.page import Crumb, PageHead, page
from holdfast.console.records.indexed_rows import IndexedRows, indexed_rows
from holdfast.console.records.record_list import (
    RecordKind,
    cell,
    filter_controls,
    full_cell,
    is_hidden,
    is_number,
    key_query,
    listed_fields,
    record_kind,
    record_kinds,
    relations_to_many,
)
from holdfast.errors import InvalidQueryError, InvalidValueError
from holdfast.fastapi.exchange import exchange_in
from holdfast.jobs import Jobs
from holdfast.records import Order, Page, Predicate
from holdfast.records.record_filters import parse_filters, parse_sort
from holdfast.records.record_values import json_value, parsed_key, text_value
from holdfast.records.search.search_build import finds_words_by_index

if TYPE_CHECKING:
    from holdfast.records import Repository
    from holdfast.records.values.field_spec import FieldSpec

PAGE = 50
MOST_EXPORTED = 100_000
_BATCH = 500
_HISTORY = 20
_RELATED = 5
_Keys = Annotated[list[str], Query(alias="_key", max_length=8)]


def record_routes(site: ConsoleSite) -> APIRouter:
    """Return the routes of records that only look."""
    router = APIRouter(dependencies=[allow(Role.VIEWER)])
    _add_lists(router, site)
    _add_row(router, site)
    return router


def _add_lists(router: APIRouter, site: ConsoleSite) -> None:
    @router.get("/records")
    async def entities(request: Request, caller: AskedBy) -> Response:
        """List the entities that the caller may see."""
        head = PageHead(title="Records", section="records")
        return page(request, "records.html", head, {"kinds": record_kinds(site, caller)})

    @router.get("/records/{path}")
    async def rows(path: str, request: Request, caller: AskedBy) -> Response:
        """List rows that fit the filters in the address, by pages."""
        kind = record_kind(site, caller, path)
        given = dict(request.query_params.multi_items())
        kept = {name: value for name, value in given.items() if value}
        if kept != given:  # an empty field of the form asks for nothing
            return RedirectResponse(site.url(f"records/{path}", kept), 303)
        asked = AskedRows(site, kind, kept)
        fault = asked.fault
        found: Look[object] = Look(Page([], None, None))
        if asked.found is not None:
            stored = site.platform.store.repository(kind.model.entity)
            found = await look(stored, asked.found.wanted(kind.model), asked.piece, size=PAGE)
        fields = listed_fields(kind.model)
        context = {
            "kind": kind,
            "asked": asked,
            "fault": fault,
            "fields": fields,
            "numbers": {each.name for each in fields if is_number(each)},
            "rows": [
                (
                    key_query(kind.model, each),
                    [cell(site, spec, vars(each)[spec.name]) for spec in fields],
                )
                for each in found.page
            ],
            "controls": filter_controls(kind.model, kept),
            **found.urls(site, f"records/{path}", asked.kept),
            "may_edit": kind.editable and caller.role.includes(Role.OPERATOR),
            "has_jobs": site.has_service(Jobs),
        }
        head = PageHead(title=kind.model.name, section="records", crumbs=kind_crumbs(site))
        return page(request, "record_list.html", head, context, status=400 if fault else 200)

    @router.get("/records/{path}/export")
    async def export(path: str, request: Request, caller: AskedBy) -> Response:
        """Send the rows that fit as a file, MOST_EXPORTED at most."""
        kind = record_kind(site, caller, path)
        given = {name: value for name, value in request.query_params.items() if value}
        asked = AskedRows(site, kind, given)
        if asked.fault:
            raise InvalidQueryError(asked.fault)
        as_csv = given.get("_format") != "jsonl"
        exchange = exchange_in(request.scope)
        if exchange is not None:
            exchange.lift_deadline()
        repository: Repository[object] = site.platform.store.repository(kind.model.entity)
        name = f"{kind.path}.{'csv' if as_csv else 'jsonl'}"
        return StreamingResponse(
            _exported(repository, asked, as_csv=as_csv),
            media_type="text/csv; charset=utf-8" if as_csv else "application/jsonl",
            headers={"Content-Disposition": f'attachment; filename="{name}"'},
        )


def _add_row(router: APIRouter, site: ConsoleSite) -> None:
    @router.get("/records/{path}/row")
    async def row(path: str, request: Request, caller: AskedBy, keys: _Keys) -> Response:
        """Show one record: its fields, what points at it, and what happened to it."""
        kind = record_kind(site, caller, path)
        model, store = kind.model, site.platform.store
        entity = await store.repository(model.entity).get_one(parsed_key(model, keys))
        related = []
        for relation in relations_to_many(model):
            target = record_kind_of(site, caller, relation.target)
            if target is None:
                continue
            where = {relation.via: keys[0]}
            rows: list[object] = await store.repository(relation.target).find(
                *parse_filters(relation.target, [f"{relation.via}={keys[0]}"]),
                limit=_RELATED + 1,
            )
            related.append((relation.name, target, where, _shown_rows(site, target, rows)))
        context = {
            "kind": kind,
            "keys": {"_key": keys},
            "key_texts": keys,
            "cells": [
                (spec, full_cell(site, spec, vars(entity)[spec.name])) for spec in model.fields
            ],
            "related": related,
            "most_related": _RELATED,
            "entries": await _history(site, kind, entity),
            "may_edit": kind.editable and caller.role.includes(Role.OPERATOR),
        }
        head = PageHead(
            title=title_of(kind, entity), section="records", crumbs=kind_crumbs(site, kind)
        )
        return page(request, "record.html", head, context)


class AskedRows:
    """What an address asks of the rows of *kind*; *fault* says what is wrong with it, else ''."""

    def __init__(self, site: ConsoleSite, kind: RecordKind, given: Mapping[str, str]) -> None:
        self.kind = kind
        self.filters = {name: value for name, value in given.items() if not name.startswith("_")}
        self.text = given.get("_q", "")
        self.sort = given.get("_sort", "")
        self.found: IndexedRows | None = None
        self.fault = ""
        self.kept = {
            name: value for name, value in given.items() if name not in ("_cursor", *PIECE)
        }
        self.piece = AskedPiece.of(site, given)
        try:
            _refuse_hidden(kind, (*self.filters, self.sort.removeprefix("-")))
            sort = parse_sort(kind.model.entity, self.sort)
            text = self.text if kind.model.search is not None else ""
            words_led = bool(text) and finds_words_by_index(site.platform.store)
            self.found = indexed_rows(kind.model, self.filters, sort, text, words_led=words_led)
        except (InvalidQueryError, InvalidValueError) as error:
            self.fault = str(error)

    @property
    def where(self) -> list[Predicate]:
        """The conditions of all that is asked."""
        return [] if self.found is None else [*self.found.within, *self.found.sought]

    @property
    def order(self) -> Sequence[Order]:
        """The order that is asked for, or the newest first."""
        return [] if self.found is None else self.found.order

    def url(self, site: ConsoleSite, **changed: str | None) -> str:
        """Return the address that asks the same but for what is *changed*."""
        return site.url(f"records/{self.kind.path}", {**self.kept, **changed})

    def sorted_url(self, site: ConsoleSite, name: str) -> str:
        """Return the address of the same rows ordered by *name*, the other way if they are now."""
        return self.url(site, _sort=f"-{name}" if self.sort == name else name)

    def direction(self, name: str) -> str:
        """Return how the rows are ordered by *name*: as ARIA has it, '' where they are not."""
        return {name: "ascending", f"-{name}": "descending"}.get(self.sort, "")

    def without(self, site: ConsoleSite, name: str) -> str:
        """Return the address without the filter *name*."""
        return self.url(site, **{name: None})

    @property
    def query(self) -> str:
        """What is asked, for the address of an export."""
        return urlencode(self.kept)


def record_kind_of(site: ConsoleSite, caller: AskedBy, entity: type) -> RecordKind | None:
    """Return *entity* as the console shows it, None where *caller* may not see it."""
    found = (each for each in record_kinds(site, caller) if each.model.entity is entity)
    return next(found, None)


def title_of(kind: RecordKind, entity: object) -> str:
    """Return what a record is called: its name where it has one, else its key."""
    values = vars(entity)
    for name in ("name", "title", "filename"):
        spec = kind.model.by_name.get(name)
        if spec is not None and isinstance(values[name], str) and values[name]:
            return str(values[name])
    keys = ", ".join(text_value(spec, values[spec.name]) for spec in kind.model.keys)
    return f"{kind.model.name} {keys}"


def row_crumbs(site: ConsoleSite, kind: RecordKind, entity: object) -> list[Crumb]:
    """Return the way to a page below that of the record *entity*."""
    url = site.url(f"records/{kind.path}/row", key_query(kind.model, entity))
    return [*kind_crumbs(site, kind), Crumb(title_of(kind, entity), url)]


def _refuse_hidden(kind: RecordKind, names: Iterable[str]) -> None:
    """Raise InvalidQueryError where a hidden field could be guessed by what is found."""
    for spec in filter(is_hidden, kind.model.fields):
        for name in names:
            if name == spec.name or name.startswith(f"{spec.name}__"):
                raise InvalidQueryError(f"{spec.name} is hidden: nothing is found or sorted by it")


def kind_crumbs(site: ConsoleSite, kind: RecordKind | None = None) -> list[Crumb]:
    """Return the way to a page below that of the list of *kind*, or below that of all entities."""
    found = [Crumb("Records", site.url("records"))]
    if kind is not None:
        found.append(Crumb(kind.model.name, site.url(f"records/{kind.path}")))
    return found


def _shown_rows(site: ConsoleSite, kind: RecordKind, rows: list[object]) -> list[object]:
    return [
        (site.url(f"records/{kind.path}/row", key_query(kind.model, each)), title_of(kind, each))
        for each in rows
    ]


async def _history(site: ConsoleSite, kind: RecordKind, entity: object) -> list[object] | None:
    """Return what happened to *entity*, None where nobody writes it down."""
    store, model = site.platform.store, kind.model
    if not is_recorded(store) or not store.hooked.watched(model):
        return None
    text = key_text(model, model.key_of_entity(entity))
    found = await AuditLog(store).history(model.name, text, size=_HISTORY)
    return cast("list[object]", shown_entries(site, found.items))


async def _exported(
    repository: Repository[object], asked: AskedRows, *, as_csv: bool
) -> AsyncIterator[bytes]:
    fields = [spec for spec in repository.model.fields if not is_hidden(spec)]
    if as_csv:
        yield _csv_lines([[spec.name for spec in fields]])
    count = 0
    batch: list[object] = []
    async for each in repository.stream(*asked.where, order_by=asked.order, batch=_BATCH):
        batch.append(each)
        count += 1
        if len(batch) == _BATCH or count == MOST_EXPORTED:
            yield _lines(fields, batch, as_csv=as_csv)
            batch.clear()
        if count == MOST_EXPORTED:
            return
    yield _lines(fields, batch, as_csv=as_csv)


def _lines(fields: list[FieldSpec], entities: list[object], *, as_csv: bool) -> bytes:
    if as_csv:
        return _csv_lines(
            [[text_value(spec, vars(each)[spec.name]) for spec in fields] for each in entities]
        )
    return b"".join(
        orjson.dumps(
            {spec.name: json_value(spec, vars(each)[spec.name]) for spec in fields},
            option=orjson.OPT_APPEND_NEWLINE,
        )
        for each in entities
    )


def _csv_lines(rows: list[list[str]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()
