"""Import of records: a file is sent, looked at row by row, and then stored whole or not at all."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import dataclass
from uuid import UUID

from fastapi import APIRouter, HTTPException
from starlette.requests import Request
from starlette.responses import Response

from holdfast.access import Role
from holdfast.access.gate import AskedBy, allow
from holdfast.console.console_site import ConsoleSite
from holdfast.console.page import PageHead, moved, page
from holdfast.console.records.record_forms import editable_kind
from holdfast.console.records.record_list import RecordKind
from holdfast.console.records.record_pages import kind_crumbs
from holdfast.console.visits.forgery_check import FileSent, FormSent
from holdfast.console.visits.visit import Notice
from holdfast.errors import InvalidValueError, ObjectNotFoundError
from holdfast.fastapi.exchange import lift_deadline
from holdfast.platform.import_file import MOST_BYTES, MOST_ROWS, ImportFile, keep_file
from holdfast.platform.record_import import ImportOutcome, RecordImport

_MOST_NAME = 200
_GONE = "the file is gone: it was imported already, or kept for a day; send it again"


@dataclass(frozen=True, slots=True)
class _Kept:
    """A file that was sent: where it is kept, what it was called, and what it may do."""

    file: ImportFile
    name: str
    overwrite: bool


def record_import_routes(site: ConsoleSite) -> APIRouter:
    """Return the routes that import records."""
    router = APIRouter(prefix="/records/{path}/import", dependencies=[allow(Role.OPERATOR)])
    bucket = site.platform.bucket

    @router.get("")
    async def form(path: str, request: Request, caller: AskedBy) -> Response:
        """Show the form that sends a file."""
        return _import_page(site, request, editable_kind(site, caller, path))

    @router.post("")
    async def send(path: str, request: Request, caller: AskedBy, sent: FileSent) -> Response:
        """Keep the file for a day, and show what would become of its rows."""
        kind = editable_kind(site, caller, path)
        name = sent.head.filename
        if not name:
            raise HTTPException(400, "no file was chosen")
        overwrite = "overwrite" in sent.body.fields
        as_csv = not name.lower().endswith((".jsonl", ".ndjson", ".json"))
        try:
            async with aclosing(sent.body.content()) as content:
                file = await keep_file(bucket, content, as_csv=as_csv)
        except InvalidValueError as error:
            return _import_page(site, request, kind, fault=error.reason)
        kept = _Kept(file, name[-_MOST_NAME:], overwrite)
        return await _outcome(site, request, kind, kept, keep=False)

    @router.post("/store")
    async def store(path: str, request: Request, caller: AskedBy, form: FormSent) -> Response:
        """Store the rows of a file that was looked at, all of them or none."""
        kind = editable_kind(site, caller, path)
        try:
            file = ImportFile(UUID(form.text("file")), form.text("as") != "jsonl")
        except ValueError:
            raise HTTPException(400, "file: expected one that was sent") from None
        kept = _Kept(file, form.text("name")[-_MOST_NAME:], form.has("overwrite"))
        return await _outcome(site, request, kind, kept, keep=True)

    return router


async def _outcome(
    site: ConsoleSite, request: Request, kind: RecordKind, kept: _Kept, *, keep: bool
) -> Response:
    """Import the file, or look at it, and show what became of it, or would."""
    platform = site.platform
    lift_deadline(request)
    try:
        content = await platform.bucket.get(kept.file.key)
    except ObjectNotFoundError:
        return _import_page(site, request, kind, fault=_GONE)
    work = RecordImport(platform.store, kind.model.entity, overwrite=kept.overwrite)
    try:
        if keep:
            outcome = await work.store(content, as_csv=kept.file.as_csv, source=kept.name)
        else:
            outcome = await work.look(content, as_csv=kept.file.as_csv)
    except InvalidValueError as error:
        await platform.bucket.delete(kept.file.key)
        return _import_page(site, request, kind, fault=error.reason)
    if not keep or not outcome.fits:
        return _import_page(site, request, kind, kept=kept, outcome=outcome)
    await platform.bucket.delete(kept.file.key)
    counts = outcome.counts
    said = f"Imported: {counts['new']:,} new, {counts['changed']:,} changed."
    return moved(request, site.url(f"records/{kind.path}"), Notice(said))


def _import_page(
    site: ConsoleSite,
    request: Request,
    kind: RecordKind,
    *,
    kept: _Kept | None = None,
    outcome: ImportOutcome | None = None,
    fault: str = "",
) -> Response:
    own = site.url(f"records/{kind.path}/import")
    context = {
        "kind": kind,
        "kept": kept,
        "outcome": outcome,
        "fault": fault,
        "own": own,
        "list_url": site.url(f"records/{kind.path}"),
        "most_bytes": MOST_BYTES,
        "most_rows": MOST_ROWS,
    }
    head = PageHead(title="Import", section="records", crumbs=kind_crumbs(site, kind))
    refused = bool(fault) or (outcome is not None and not outcome.fits)
    return page(request, "record_import.html", head, context, status=422 if refused else 200)
