"""Entries of the audit as pages show them: who did what, and each changed field before and now."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, cast

import orjson

from holdfast.jobs import Jobs

if TYPE_CHECKING:
    from collections.abc import Iterable

    from holdfast.audit import AuditEntry
    from holdfast.console.console_site import ConsoleSite

_MOST_TEXT = 300
_JOB = re.compile("job ([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})")  # as a worker acts


@dataclass(frozen=True, slots=True)
class ShownChange:
    """One field of an entry; None where there was, or is, no value."""

    field: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class ShownEntry:
    """An entry for a page.

    *row_url* leads to the record, *actor_url* to the job that wrote it; '' where there is none.
    """

    id: int
    at: datetime
    verb: str
    tone: str
    entity: str
    key: str
    actor: str
    actor_url: str
    reason: str
    request: str
    changes: tuple[ShownChange, ...]
    row_url: str
    is_event: bool


_TONES = {"add": "good", "delete": "bad", "purge": "bad"}
_ENDS = frozenset({"delete", "purge"})


def shown_entries(site: ConsoleSite, entries: Iterable[AuditEntry]) -> list[ShownEntry]:
    """Return *entries* for a page."""
    tables = {model.name: model for model in site.platform.store.models}
    found: list[ShownEntry] = []
    for entry in entries:
        model = tables.get(entry.entity)
        url = ""
        ends = entry.verb.partition("_")[0] in _ENDS and (model is None or model.deleted_at is None)
        if model is not None and entry.key is not None and not ends:
            keys = (
                [entry.key]
                if len(model.keys) == 1
                else cast("list[object]", orjson.loads(entry.key))
            )
            url = site.url(f"records/{model.table}/row", {"_key": [str(each) for each in keys]})
        found.append(
            ShownEntry(
                id=entry.id,
                at=entry.at,
                verb=entry.verb,
                tone=_TONES.get(entry.verb.partition("_")[0], "plain"),
                entity=entry.entity,
                key=entry.key or "",
                actor=entry.actor or "",
                actor_url=_job_url(site, entry.actor or ""),
                reason=entry.reason or "",
                request=entry.request or "",
                changes=tuple(_changes(entry)),
                row_url=url,
                is_event=entry.is_event,
            )
        )
    return found


def _job_url(site: ConsoleSite, actor: str) -> str:
    found = _JOB.fullmatch(actor)
    return site.url(f"jobs/{found[1]}") if found and site.has_service(Jobs) else ""


def _changes(entry: AuditEntry) -> Iterable[ShownChange]:
    for field, value in entry.changes.items():
        if entry.is_event or not isinstance(value, list) or len(value) != 2:
            yield ShownChange(field, None, _text(value))
        else:
            before, after = value
            yield ShownChange(field, _text(before), _text(after))


def _text(kept: object) -> str | None:
    """Return what the audit *kept* of a value, as people read it; None for a null."""
    match kept:
        case None:
            return None
        case {"redacted": True}:
            return "hidden"
        case {"sha256": str(digest), "bytes": int(size)}:
            return f"{size} bytes, SHA-256 {digest[:16]}\N{HORIZONTAL ELLIPSIS}"
        case {"json": document}:
            text = orjson.dumps(document).decode()
        case bool():
            return "yes" if kept else "no"
        case str():
            text = kept
        case _:
            text = orjson.dumps(kept).decode()
    return text if len(text) <= _MOST_TEXT else f"{text[:_MOST_TEXT]}\N{HORIZONTAL ELLIPSIS}"
