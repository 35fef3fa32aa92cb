"""The archive of a case: its clips, detections and notes, with checksums and the audit's proof.

`SHA256SUMS` has the checksum of every file before it. Its own is in an event of the audit, whose
proof follows in `audit/`: so who changes a file has to change the log, which its signer keeps.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
from dataclasses import asdict, dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING

import orjson

from holdfast.audit import AuditFilter, AuditLog, inclusion_proof
from holdfast.audit.log_keeper import LogKeeper
from holdfast.audit.log_source import entry_json
from holdfast.errors import ConflictError
from holdfast.media.review.cases import Cases
from holdfast.media.review.review_entities import CaseItemKind, SavedClip
from holdfast.media.review.stored_detections import detections_between, open_detections
from holdfast.media.review.zip_stream import ZipStream

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence
    from datetime import datetime

    from holdfast.audit import AuditEntry
    from holdfast.domain import DomainParts
    from holdfast.media.entities import Video
    from holdfast.media.library import MediaLibrary
    from holdfast.media.review.review_entities import CaseItem, ReviewCase

FORMAT = "holdfast-case-1"
SUMS = "SHA256SUMS"
ARCHIVED = "case.archived"
PROOFS = "audit/entries.jsonl"
VERIFIER = "audit/verifier-key.txt"
_WINDOW = 256 << 10
_MOST_ENTRIES = 1000  # of the audit for one row
_COLUMNS = ("frame", "time", "track", "label", "score", "x", "y", "width", "height")


@dataclass(frozen=True, slots=True)
class _Part:
    """An item of the case, with what it speaks of and the name of its file."""

    item: CaseItem
    name: str | None
    video: Video | None
    clip: SavedClip | None


class CaseArchive:
    """Writes cases of *library*; *keeper* keeps the audit, None where that is off."""

    def __init__(self, library: MediaLibrary, keeper: LogKeeper | None) -> None:
        self._library = library
        self._keeper = keeper
        self._cases = Cases(library)

    async def write(self, case: ReviewCase, *, by: str) -> AsyncGenerator[bytes, None]:
        """Return the archive, to be streamed: everything that can be refused is refused first.

        Memory is a piece of a file. Made for *by*, and recorded in the audit. Raises
        ConflictError for a clip that was not exported yet, NotFoundError for missing results.
        """
        parts = await self._parts(case)
        for part in parts:
            if part.item.kind is CaseItemKind.DETECTIONS and part.video is not None:
                await open_detections(self._library.tables, part.video.id)
        return self._written(case, parts, by)

    async def _parts(self, case: ReviewCase) -> list[_Part]:
        found: list[_Part] = []
        clips = self._library.store.repository(SavedClip)
        for number, item in enumerate(await self._cases.contents(case.id), 1):
            video = item.video_id and await self._library.videos.get_one(item.video_id)
            clip = item.saved_clip_id and await clips.get_one(item.saved_clip_id)
            name = None
            if clip:
                if clip.key is None:
                    raise ConflictError(f"the clip {clip.name!r} has no file yet: export it first")
                name = f"clips/{number:03}-{_plain(clip.name)}.mp4"
            elif video:
                name = f"detections/{number:03}-{_plain(PurePath(video.filename).stem)}.csv"
            found.append(_Part(item, name, video or None, clip or None))
        return found

    async def _written(
        self, case: ReviewCase, parts: Sequence[_Part], by: str
    ) -> AsyncGenerator[bytes, None]:
        now = self._library.store.now()
        archive = ZipStream(now)
        for part in parts:
            if part.name is not None and part.clip is not None:
                content = self._clip(part.clip)
                async for piece in archive.file(part.name, content, pack=False):
                    yield piece
            elif part.name is not None and part.video is not None:
                async for piece in archive.file(part.name, self._detections(part)):
                    yield piece
        for piece in archive.text("case.json", _description(case, parts, by, now)):
            yield piece
        sums = "".join(f"{digest}  {name}\n" for name, digest in archive.sums.items())
        for piece in archive.text(SUMS, sums):
            yield piece
        async for piece in self._proof(archive, case, parts, sums):
            yield piece
        yield archive.end()

    async def _clip(self, clip: SavedClip) -> AsyncGenerator[bytes, None]:
        async with self._library.bucket.open(str(clip.key)) as reader:
            while piece := await reader.read(_WINDOW):
                yield piece

    async def _detections(self, part: _Part) -> AsyncGenerator[bytes, None]:
        video, since, until = part.video, part.item.start_time, part.item.end_time
        assert video is not None
        assert since is not None
        assert until is not None
        yield (",".join(_COLUMNS) + "\n").encode()
        table = await open_detections(self._library.tables, video.id)
        while since < until:
            found = await detections_between(table, since, until)
            columns = asdict(found) | {"label": [found.labels[each] for each in found.label]}
            text = io.StringIO()
            rows = csv.writer(text, lineterminator="\n")
            rows.writerows(zip(*(columns[name] for name in _COLUMNS), strict=True))
            yield text.getvalue().encode()
            since = found.until

    async def _proof(
        self, archive: ZipStream, case: ReviewCase, parts: Sequence[_Part], sums: str
    ) -> AsyncGenerator[bytes, None]:
        """Record what the archive holds, and add the entries of all its rows with their proofs."""
        if self._keeper is None:
            return
        store = self._library.store
        details = {"sums": hashlib.sha256(sums.encode()).hexdigest(), "items": len(parts)}
        await store.record_event(ARCHIVED, entity="ReviewCase", key=str(case.id), details=details)
        await self._keeper.sequence()
        rows = {("ReviewCase", str(case.id)): None}
        for part in parts:
            rows["CaseItem", str(part.item.id)] = None
            for found in (part.clip, part.video):
                if found is not None:
                    rows[type(found).__name__, str(found.id)] = None
        async for piece in archive.file(PROOFS, self._entries(list(rows))):
            yield piece
        for piece in archive.text(VERIFIER, f"{self._keeper.signer().verifier}\n"):
            yield piece

    async def _entries(self, rows: Sequence[tuple[str, str]]) -> AsyncGenerator[bytes, None]:
        store = self._library.store
        log = AuditLog(store)
        for entity, key in rows:
            wanted, cursor, count = AuditFilter(entity=entity, key=key), None, 0
            while True:
                page = await log.search(wanted, size=100, cursor=cursor)
                for entry in page.items:
                    if entry.position is not None:
                        yield await self._proved(entry)
                cursor, count = page.next, count + len(page.items)
                if cursor is None or count >= _MOST_ENTRIES:
                    break

    async def _proved(self, entry: AuditEntry) -> bytes:
        proof = await inclusion_proof(self._library.store, entry.id)
        line = {
            "entry": entry_json(entry),
            "position": proof.position,
            "hashes": [each.hex() for each in proof.hashes],
            "checkpoint": proof.note,
        }
        return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)


def keeper_in(parts: DomainParts) -> LogKeeper | None:
    """Return what keeps the audit of the platform made of *parts*, None where that is off."""
    kept = [each for each in parts.services.values() if isinstance(each, LogKeeper)]
    return kept[0] if kept else None


def _description(case: ReviewCase, parts: Sequence[_Part], by: str, now: datetime) -> str:
    videos = {part.video.id: part.video for part in parts if part.video is not None}
    content = {
        "format": FORMAT,
        "made_at": now,
        "made_by": by,
        "case": {
            "id": case.id,
            "title": case.title,
            "description": case.description,
            "opened_by": case.opened_by,
            "opened_at": case.created_at,
        },
        "items": [
            {
                "kind": part.item.kind.value,
                "file": part.name,
                "video": part.item.video_id,
                "from": part.item.start_time,
                "to": part.item.end_time,
                "name": None if part.clip is None else part.clip.name,
                "text": part.item.text,
                "added_by": part.item.added_by,
                "added_at": part.item.created_at,
            }
            for part in parts
        ],
        "videos": [
            {
                "id": video.id,
                "filename": video.filename,
                "sha256": video.sha256,
                "bytes": video.size,
                "seconds": video.duration,
                "rate": str(video.frame_rate),
            }
            for video in videos.values()
        ],
    }
    return orjson.dumps(content, option=orjson.OPT_INDENT_2).decode() + "\n"


def _plain(name: str) -> str:
    """Return *name* as every file system takes it."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.")[:60] or "untitled"
