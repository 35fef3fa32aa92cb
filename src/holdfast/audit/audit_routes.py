"""The routes of the audit: entries, what a row was, proofs, checkpoints, verification."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from holdfast.access import Role
from holdfast.access.gate import allow
from holdfast.audit.audit_entry import AuditCheckpoint, AuditEntry
from holdfast.audit.audit_log import AuditFilter
from holdfast.audit.captured_value import UNKNOWN
from holdfast.audit.inclusion import inclusion_proof
from holdfast.audit.log_keeper import LogKeeper
from holdfast.audit.row_snapshot import RowSnapshot
from holdfast.errors import NotFoundError
from holdfast.fastapi import OutModel, problem_responses
from holdfast.fastapi.crud.page_cursors import sealed_page, unsealed_cursor
from holdfast.fastapi.crud.query_time import QueryTime
from holdfast.records import Page


class EntryOut(OutModel[AuditEntry], hide=[AuditEntry.salt, AuditEntry.erased]):
    """Who did what to which row, when and why."""


class EntryPage(BaseModel):
    """A page of entries; *next* is the cursor to the one behind it."""

    items: list[EntryOut]
    next: str | None
    previous: str | None


class EntryQuery(BaseModel):
    """Which entries are asked for; all that is given must fit."""

    model_config = ConfigDict(extra="forbid")

    entity: str | None = Field(default=None, max_length=200)
    key: str | None = Field(default=None, max_length=255)
    actor: str | None = Field(default=None, max_length=200)
    request: str | None = Field(default=None, max_length=128)
    verb: str | None = Field(default=None, max_length=200)
    field: str | None = Field(default=None, max_length=200)
    since: QueryTime | None = None
    until: QueryTime | None = None
    size: int = Field(default=50, ge=1, le=500)
    cursor: str | None = Field(default=None, max_length=4096)

    def wanted(self) -> AuditFilter:
        """Return the filter that was asked for."""
        return AuditFilter(**self.model_dump(exclude={"size", "cursor"}))


class ProofOut(BaseModel):
    """That an entry is in the log of a checkpoint: by RFC 6962, hashes in hexadecimal."""

    position: int
    hashes: list[str]
    checkpoint: str


class RowOut(BaseModel):
    """What a row was; *unknown* are the fields that the audit does not hold."""

    at: datetime
    values: dict[str, object]
    unknown: list[str]


class FindingOut(BaseModel):
    """One thing that is wrong."""

    kind: str
    detail: str
    position: int | None
    entry_id: int | None


class VerificationOut(BaseModel):
    """What a verification found."""

    ok: bool
    size: int
    root: str
    entries: int
    pruned: int
    waiting: int
    checkpoints: int
    findings: list[FindingOut]


def audit_routes(keeper: LogKeeper) -> APIRouter:
    """Return the routes of the log that *keeper* keeps. All are for administrators."""
    router = APIRouter(tags=["audit"], prefix="/audit", dependencies=[allow(Role.ADMIN)])
    log, store = keeper.log, keeper.store

    @router.get("/entries")
    async def entries(asked: Annotated[EntryQuery, Query()]) -> EntryPage:
        """List entries, the latest first."""
        cursor = unsealed_cursor(asked.cursor)
        return _page(await log.search(asked.wanted(), size=asked.size, cursor=cursor))

    @router.get("/entries/{entry_id}", responses=problem_responses(404))
    async def entry(entry_id: int) -> EntryOut:
        """Show one entry."""
        return EntryOut.of(await log.get(entry_id))

    @router.get("/entries/{entry_id}/proof", responses=problem_responses(404))
    async def proof(entry_id: int) -> ProofOut:
        """Prove that an entry is in the log, against the newest checkpoint."""
        found = await inclusion_proof(store, entry_id)
        hashes = [each.hex() for each in found.hashes]
        return ProofOut(position=found.position, hashes=hashes, checkpoint=found.note)

    @router.get("/rows/{entity}/{key}", responses=problem_responses(404))
    async def row(entity: str, key: str, at: QueryTime) -> RowOut:
        """Show what a row was at a time."""
        wanted: type[object] = _entity(keeper, entity)
        found = await log.as_of(wanted, key, at)
        if found is None:
            raise NotFoundError(entity, key)
        return RowOut(at=at, values=dict(_shown(found)), unknown=list(found.unknown))

    @router.get("/checkpoint", response_class=Response, responses=problem_responses(404))
    async def checkpoint() -> Response:
        """Give the newest checkpoint, a signed note, to be kept elsewhere."""
        found = await store.repository(AuditCheckpoint).first(order_by=AuditCheckpoint.size.desc())
        if found is None:
            raise NotFoundError("AuditCheckpoint", "newest")
        return Response(found.note, media_type="text/plain; charset=utf-8")

    @router.get("/verification")
    async def verification() -> VerificationOut:
        """Verify the whole log; it reads every entry."""
        found = await keeper.verify()
        return VerificationOut(
            ok=found.ok,
            size=found.size,
            root=found.root.hex(),
            entries=found.entries,
            pruned=found.pruned,
            waiting=found.waiting,
            checkpoints=found.checkpoints,
            findings=[
                FindingOut(
                    kind=each.kind,
                    detail=each.detail,
                    position=each.position,
                    entry_id=each.entry_id,
                )
                for each in found.findings
            ],
        )

    return router


def _page(found: Page[AuditEntry]) -> EntryPage:
    items = [EntryOut.of(each) for each in found]
    page = sealed_page(found)
    return EntryPage(items=items, next=page.next, previous=page.previous)


def _entity(keeper: LogKeeper, name: str) -> type:
    hook_watches = keeper.store.hooked.watched
    for model in keeper.store.models:
        if model.name == name and hook_watches(model):
            return model.entity
    raise NotFoundError("an audited entity", name)


def _shown(row: RowSnapshot[object]) -> Mapping[str, object]:
    hidden = {
        spec.name for spec in row.model.fields if spec.declaration.audit in ("redact", "skip")
    }
    return {
        name: None if value is UNKNOWN or name in hidden else value
        for name, value in row.values.items()
    }
