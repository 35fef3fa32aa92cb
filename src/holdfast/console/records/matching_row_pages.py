"""All rows that fit the filters of a list: deleted or changed by a job, after a look."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from fastapi import APIRouter, HTTPException
from starlette.requests import Request
from starlette.responses import Response

from holdfast.access import Role
from holdfast.access.gate import AskedBy, allow
from holdfast.console.bounded_look import Counted, counted
from holdfast.console.console_site import ConsoleSite
from holdfast.console.page import Crumb, PageHead, moved, page
from holdfast.console.records.form_fields import hint_of
from holdfast.console.records.record_forms import editable_kind
from holdfast.console.records.record_list import RecordKind, choices_of
from holdfast.console.records.record_pages import AskedRows, kind_crumbs
from holdfast.console.visits.forgery_check import FormSent, SentForm
from holdfast.console.visits.visit import Notice
from holdfast.errors import InvalidQueryError, InvalidValueError
from holdfast.jobs import Jobs
from holdfast.platform.matching_rows import RowsAsked, changeable_fields

if TYPE_CHECKING:
    from holdfast.records import Repository
    from holdfast.records.values.field_spec import FieldSpec

_ALL = "all"  # of a form: there were more rows than the page counts


def matching_row_routes(site: ConsoleSite) -> APIRouter:
    """Return the routes that change all rows that fit; none where there are no jobs."""
    router = APIRouter(prefix="/records/{path}/matching", dependencies=[allow(Role.OPERATOR)])
    if not site.has_service(Jobs):
        return router
    rows = site.platform.matching_rows

    @router.get("")
    async def looked_at(path: str, request: Request, caller: AskedBy) -> Response:
        """Show how many rows fit, and what can be done with all of them."""
        kind = editable_kind(site, caller, path)
        return await _matching_page(site, request, kind, _asked(site, kind, request), {})

    @router.post("/delete")
    async def delete(path: str, request: Request, caller: AskedBy, form: FormSent) -> Response:
        """Put in the job that deletes them, if the name was typed."""
        kind = editable_kind(site, caller, path)
        asked = _rows_asked(kind, caller, form, _asked(site, kind, request))
        return await put_in(request, asked)

    @router.post("/change")
    async def change(path: str, request: Request, caller: AskedBy, form: FormSent) -> Response:
        """Put in the job that sets a field of them, if the name was typed and the value fits."""
        kind = editable_kind(site, caller, path)
        listed = _asked(site, kind, request)
        spec = next(
            (
                each
                for each in changeable_fields(kind.model.entity)
                if each.name == form.text("field")
            ),
            None,
        )
        if spec is None:
            raise HTTPException(400, "field: expected one of the form")
        given = form.text("value")
        value = None if given == "" and spec.type.nullable else given
        asked = replace(_rows_asked(kind, caller, form, listed), field=spec.name, value=value)
        try:
            rows.where(asked)
        except InvalidValueError as error:
            texts = {"field": spec.name, "value": given, "fault": error.reason}
            return await _matching_page(site, request, kind, listed, texts)
        return await put_in(request, asked)

    async def put_in(request: Request, asked: RowsAsked) -> Response:
        job = await rows.enqueue(site.platform.service(Jobs), asked)
        said = "The job is queued. What it did is told here when it is done."
        return moved(request, site.url(f"jobs/{job.id}"), Notice(said))

    return router


async def _matching_page(
    site: ConsoleSite,
    request: Request,
    kind: RecordKind,
    listed: AskedRows,
    texts: Mapping[str, str],
) -> Response:
    fields = changeable_fields(kind.model.entity)
    chosen = next((each for each in fields if each.name == texts.get("field")), None)
    context = {
        "kind": kind,
        "asked": listed,
        "found": await _counted(site, kind, listed),
        "fields": [(each.name, _label(each)) for each in fields],
        "texts": texts,
        "chosen": chosen,
        "list_url": site.url(f"records/{kind.path}", listed.kept),
        "delete_url": site.url(f"records/{kind.path}/matching/delete", listed.kept),
        "change_url": site.url(f"records/{kind.path}/matching/change", listed.kept),
        "marked": kind.model.deleted_at is not None,
    }
    crumbs = [*kind_crumbs(site), Crumb(kind.model.name, str(context["list_url"]))]
    head = PageHead(title="All that fit", section="records", crumbs=crumbs)
    status = 422 if texts.get("fault") else 200
    return page(request, "matching_rows.html", head, context, status=status)


async def _counted(site: ConsoleSite, kind: RecordKind, listed: AskedRows) -> Counted:
    assert listed.found is not None, "what has a fault was refused"
    rows: Repository[object] = site.platform.store.repository(kind.model.entity)
    return await counted(rows, listed.found.wanted(kind.model))


def _label(spec: FieldSpec) -> str:
    """Return what a field is called, and what it takes."""
    choices = ", ".join(value for value, _ in choices_of(spec))
    said = ", ".join(filter(None, (choices, hint_of(spec))))
    name = spec.name.replace("_", " ")
    return f"{name} ({said})" if said else name


def _asked(site: ConsoleSite, kind: RecordKind, request: Request) -> AskedRows:
    """Return what the address asks for. Raises InvalidQueryError for what means nothing."""
    given = {name: value for name, value in request.query_params.items() if value}
    asked = AskedRows(site, kind, given)
    if asked.fault:
        raise InvalidQueryError(asked.fault)
    return asked


def _rows_asked(kind: RecordKind, caller: AskedBy, form: SentForm, listed: AskedRows) -> RowsAsked:
    """Return what the form asks for. Raises HTTPException where the name was not typed."""
    if form.text("typed") != kind.model.name:
        raise HTTPException(400, f"type {kind.model.name} to change all rows that fit")
    rows = form.text("rows")
    if rows != _ALL and not (rows.isascii() and rows.isdigit()):
        raise HTTPException(400, f"rows: expected how many there were, or {_ALL}")
    return RowsAsked(
        table=kind.path,
        filters=tuple(f"{name}={value}" for name, value in listed.filters.items()),
        words=listed.text,
        rows=None if rows == _ALL else int(rows),
        actor=caller.name,
    )
