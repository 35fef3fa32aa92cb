"""Records written by hand: added, changed, deleted and restored, with the entity's own checks.

A form brings what stood in it when it was shown. So only what was changed is written, and when
somebody else wrote in between, both sides are known: what they changed, and what the visitor did.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, cast

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from holdfast.access import Role
from holdfast.access.gate import AskedBy, allow
from holdfast.audit import AuditLog
from holdfast.console.bounded_look import Wanted, counted
from holdfast.console.console_site import ConsoleSite
from holdfast.console.page import PageHead, moved, page
from holdfast.console.records.form_fields import BASE, FIELD, form_fields
from holdfast.console.records.indexed_rows import newest_first
from holdfast.console.records.record_list import (
    RecordKind,
    is_hidden,
    key_query,
    record_kind,
    relations_to_many,
)
from holdfast.console.records.record_pages import kind_crumbs, row_crumbs, title_of
from holdfast.console.records.record_undo import undo_of_deletion
from holdfast.console.visits.forgery_check import FormSent, SentForm
from holdfast.console.visits.visit import Notice, Undo
from holdfast.errors import (
    DuplicateError,
    ForbiddenError,
    ForeignKeyError,
    InvalidValueError,
    StaleVersionError,
)
from holdfast.platform.record_import import faults_of
from holdfast.records.entities.model import model_of
from holdfast.records.record_filters import parse_filters
from holdfast.records.record_values import parsed_entity, parsed_key, parsed_value, text_value
from holdfast.time_text import read_datetime

if TYPE_CHECKING:
    from holdfast.records import Repository
    from holdfast.records.entities.model import Model
    from holdfast.records.values.field_spec import FieldSpec

_Keys = Annotated[list[str], Query(alias="_key", max_length=8)]
_VERSION = "version"


@dataclass(frozen=True, slots=True)
class MergedField:
    """A field that differs: as it *was*, as it is stored now (*theirs*), and as sent (*mine*)."""

    name: str
    label: str
    was: str
    theirs: str
    mine: str

    @property
    def is_contested(self) -> bool:
        """Whether both sides changed it, each to something else."""
        return self.was not in (self.theirs, self.mine) and self.theirs != self.mine

    @property
    def merged(self) -> str:
        """What stands where one side alone changed it."""
        return self.theirs if self.mine == self.was else self.mine


def record_form_routes(site: ConsoleSite) -> APIRouter:
    """Return the routes of records that write."""
    router = APIRouter(dependencies=[allow(Role.OPERATOR)])
    _add_new(router, site)
    _add_edit(router, site)
    _add_deletion(router, site)
    return router


def _add_new(router: APIRouter, site: ConsoleSite) -> None:
    @router.get("/records/{path}/new")
    async def new(path: str, request: Request, caller: AskedBy) -> Response:
        """Show the form of a new record."""
        kind = editable_kind(site, caller, path)
        return _new_form(site, request, kind, {}, {})

    @router.post("/records/{path}/new")
    async def add(path: str, request: Request, caller: AskedBy, form: FormSent) -> Response:
        """Add the record in the form; an empty field gets its default."""
        kind = editable_kind(site, caller, path)
        model = kind.model
        texts = {spec.name: form.text(f"{FIELD}{spec.name}") for spec in _written(kind, new=True)}
        cells = {name: text for name, text in texts.items() if text}
        try:
            entity = parsed_entity(cast("Any", model.entity), cells, text=True)
            stored = await site.platform.store.repository(model.entity).add(entity)
        except (InvalidValueError, DuplicateError, ForeignKeyError) as error:
            return _new_form(site, request, kind, texts, faults_of(error))
        url = site.url(f"records/{path}/row", key_query(model, stored))
        return moved(request, url, Notice(f"{title_of(kind, stored)} was added."))


def _add_edit(router: APIRouter, site: ConsoleSite) -> None:
    @router.get("/records/{path}/edit")
    async def edit(path: str, request: Request, caller: AskedBy, keys: _Keys) -> Response:
        """Show the form of a record."""
        kind = editable_kind(site, caller, path)
        entity = await _repository(site, kind).get_one(parsed_key(kind.model, keys))
        texts = _texts(kind, entity)
        version = _version_of(kind, entity)
        return _edit_form(site, request, kind, entity, _Sent(texts, texts, version))

    @router.post("/records/{path}/edit")
    async def change(
        path: str, request: Request, caller: AskedBy, keys: _Keys, form: FormSent
    ) -> Response:
        """Write what was changed in the form; what somebody else changed too is shown to merge."""
        kind = editable_kind(site, caller, path)
        model, repository = kind.model, _repository(site, kind)
        key = parsed_key(model, keys)
        sent = _sent(kind, form)
        changed = {name: text for name, text in sent.texts.items() if text != sent.base[name]}
        url = site.url(f"records/{path}/row", {"_key": keys})
        if not changed:
            return moved(request, url, Notice("Nothing was changed.", "plain"))
        try:
            changes = [
                getattr(model.entity, name).to(_value(model.entity, model.by_name[name], text))
                for name, text in changed.items()
            ]
            stored = await repository.patch(key, *changes, version=sent.version)
        except StaleVersionError:
            theirs = await repository.get_one(key)
            return _merge_form(site, request, kind, theirs, sent)
        except (InvalidValueError, DuplicateError, ForeignKeyError) as error:
            entity = await repository.get_one(key)
            return _edit_form(site, request, kind, entity, sent, faults_of(error))
        undo = _undo_of_change(site, kind, {name: sent.base[name] for name in changed}, stored)
        return moved(request, url, Notice(f"{title_of(kind, stored)} was saved.", undo=undo))


def _add_deletion(router: APIRouter, site: ConsoleSite) -> None:
    @router.get("/records/{path}/delete")
    async def doomed(path: str, request: Request, caller: AskedBy, keys: _Keys) -> Response:
        """Show what a deletion would remove, before it is done."""
        kind = editable_kind(site, caller, path)
        entity = await _repository(site, kind).get_one(parsed_key(kind.model, keys))
        pointing = []
        for relation in relations_to_many(kind.model):
            where = parse_filters(relation.target, [f"{relation.via}={keys[0]}"])
            target: Model[object] = model_of(relation.target)
            pointed = Wanted(newest=newest_first(target)[0], within=where, bounded=False)
            found = await counted(site.platform.store.repository(target.entity), pointed)
            reference = target.by_name[relation.via].reference
            assert reference is not None
            pointing.append((relation.name, found, reference.on_delete))
        context = {
            "kind": kind,
            "keys": {"_key": keys},
            "version": _version_of(kind, entity),
            "pointing": [each for each in pointing if each[1].count],
            "held": any(found.count and rule == "restrict" for _, found, rule in pointing),
            "marked": kind.model.deleted_at is not None,
        }
        crumbs = row_crumbs(site, kind, entity)
        head = PageHead(title="Delete", section="records", crumbs=crumbs)
        return page(request, "record_delete.html", head, context)

    @router.post("/records/{path}/delete")
    async def delete(
        path: str, request: Request, caller: AskedBy, keys: _Keys, form: FormSent
    ) -> Response:
        """Delete the record, if it is still as it was shown."""
        kind = editable_kind(site, caller, path)
        version = form.text(_VERSION)
        key = parsed_key(kind.model, keys)
        at = int(version) if version.isascii() and version.isdigit() else None
        before = site.platform.store.now()
        if await _repository(site, kind).delete(key, version=at):
            undo = await undo_of_deletion(site, kind, keys, before)
            notice = Notice("It was deleted.", undo=undo)
        else:
            notice = Notice("It was gone already.")
        return moved(request, site.url(f"records/{path}"), notice)

    @router.post("/records/{path}/restore")
    async def restore(
        path: str, request: Request, caller: AskedBy, keys: _Keys, form: FormSent
    ) -> Response:
        """Write the record as it was at a time that the audit knows."""
        kind = editable_kind(site, caller, path)
        at = _moment(form.text("at"))
        key = parsed_key(kind.model, keys)
        await AuditLog(site.platform.store).restore(kind.model.entity, key, at)
        url = site.url(f"records/{path}/row", {"_key": keys})
        return moved(request, url, Notice("The record is as it was then."))


@dataclass(frozen=True, slots=True)
class _Sent:
    """What a form brought: the texts of its fields, what stood there at first, the version then."""

    texts: Mapping[str, str]
    base: Mapping[str, str]
    version: int | None


def editable_kind(site: ConsoleSite, caller: AskedBy, path: str) -> RecordKind:
    """Return the entity whose table is *path*. Raises ForbiddenError where a service writes it."""
    kind = record_kind(site, caller, path)
    if not kind.editable:
        raise ForbiddenError(caller.name, caller.role, f"the service of {kind.domain}")
    return kind


def _undo_of_change(
    site: ConsoleSite, kind: RecordKind, was: Mapping[str, str], stored: object
) -> Undo | None:
    """Return the form that writes back what *was*, unless somebody else writes before it is sent.

    None where the entity has no version, which would tell.
    """
    version = _version_of(kind, stored)
    if version is None:
        return None
    now = _texts(kind, stored)
    fields = {_VERSION: str(version)}
    for name, text in now.items():
        fields[f"{BASE}{name}"] = text
        fields[f"{FIELD}{name}"] = was.get(name, text)
    return Undo(site.url(f"records/{kind.path}/edit", key_query(kind.model, stored)), fields)


def _repository(site: ConsoleSite, kind: RecordKind) -> Repository[object]:
    return site.platform.store.repository(kind.model.entity)


def _written(kind: RecordKind, *, new: bool) -> list[FieldSpec]:
    """Return the fields that a caller gives."""
    return [
        spec
        for spec in kind.model.fields
        if spec.in_constructor and not is_hidden(spec) and (new or spec.role == "plain")
    ]


def _texts(kind: RecordKind, entity: object) -> dict[str, str]:
    values = vars(entity)
    return {spec.name: text_value(spec, values[spec.name]) for spec in _written(kind, new=False)}


def _version_of(kind: RecordKind, entity: object) -> int | None:
    version = kind.model.version
    return None if version is None else cast("int", vars(entity)[version.name])


def _sent(kind: RecordKind, form: SentForm) -> _Sent:
    texts: dict[str, str] = {}
    base: dict[str, str] = {}
    for spec in _written(kind, new=False):
        base[spec.name] = _lines(form.text(f"{BASE}{spec.name}"))
        texts[spec.name] = _lines(form.text(f"{FIELD}{spec.name}", base[spec.name]))
    version = form.text(_VERSION)
    return _Sent(texts, base, int(version) if version.isascii() and version.isdigit() else None)


def _lines(text: str) -> str:
    """Return *text* without what browsers make of line ends."""
    return text.replace("\r\n", "\n")


def _value(entity: type, spec: FieldSpec, text: str) -> object:
    return None if text == "" and spec.type.nullable else parsed_value(entity, spec, text)


def _moment(text: str) -> datetime:
    try:
        found = read_datetime(text)
    except ValueError:
        raise InvalidValueError("AuditEntry", "at", f"expected a time, got {text!r:.60}") from None
    if found.tzinfo is None:
        raise InvalidValueError("AuditEntry", "at", "expected a time with its zone")
    return found


def _new_form(
    site: ConsoleSite,
    request: Request,
    kind: RecordKind,
    texts: Mapping[str, str],
    faults: Mapping[str, str],
) -> Response:
    specs = _written(kind, new=True)
    context = {
        "fields": form_fields(specs, texts, {}, faults),
        "fault": _general(kind, faults),
        "action": site.url(f"records/{kind.path}/new"),
        "back": site.url(f"records/{kind.path}"),
        "version": None,
        "verb": "Add",
    }
    head = PageHead(
        title=f"New {kind.model.name}", section="records", crumbs=kind_crumbs(site, kind)
    )
    return page(request, "record_form.html", head, context, status=422 if faults else 200)


def _edit_form(
    site: ConsoleSite,
    request: Request,
    kind: RecordKind,
    entity: object,
    sent: _Sent,
    faults: Mapping[str, str] | None = None,
) -> Response:
    query = key_query(kind.model, entity)
    context = {
        "fields": form_fields(_written(kind, new=False), sent.texts, sent.base, faults or {}),
        "fault": _general(kind, faults or {}),
        "action": site.url(f"records/{kind.path}/edit", query),
        "back": site.url(f"records/{kind.path}/row", query),
        "version": sent.version,
        "verb": "Save",
    }
    head = PageHead(title="Edit", section="records", crumbs=row_crumbs(site, kind, entity))
    return page(request, "record_form.html", head, context, status=422 if faults else 200)


def _general(kind: RecordKind, faults: Mapping[str, str]) -> str:
    """Return the faults that belong to no field of the form."""
    shown = {spec.name for spec in _written(kind, new=True)}
    return "; ".join(f"{name} {said}".strip() for name, said in faults.items() if name not in shown)


def _merge_form(
    site: ConsoleSite, request: Request, kind: RecordKind, entity: object, sent: _Sent
) -> Response:
    """Return the page on which what somebody else wrote and what was sent are made one."""
    theirs = _texts(kind, entity)
    merged = [
        MergedField(name, name.replace("_", " "), sent.base[name], theirs[name], sent.texts[name])
        for name in theirs
    ]
    query = key_query(kind.model, entity)
    context = {
        "contested": [each for each in merged if each.is_contested],
        "settled": [
            each
            for each in merged
            if not each.is_contested and {each.theirs, each.mine} != {each.was}
        ],
        "theirs": theirs,
        "field": FIELD,
        "base": BASE,
        "version": _version_of(kind, entity),
        "action": site.url(f"records/{kind.path}/edit", query),
        "back": site.url(f"records/{kind.path}/row", query),
    }
    head = PageHead(
        title="Somebody else wrote first", section="records", crumbs=row_crumbs(site, kind, entity)
    )
    return page(request, "record_merge.html", head, context, status=409)
