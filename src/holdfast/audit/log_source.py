"""Where a log is read from: the store, or a file of JSON lines that was exported from one."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, cast

import orjson

from holdfast.audit.audit_entry import AuditCheckpoint, AuditEntry, AuditHead
from holdfast.audit.captured_value import instant
from holdfast.audit.merkle_tree import EMPTY_ROOT, WIDTH, leaves_in
from holdfast.audit.sequencer import HEAD, stored_tiles
from holdfast.audit.verification import PRUNE, REDACT, LeafPage
from holdfast.errors import IntegrityError
from holdfast.records import everything
from holdfast.time_text import read_datetime

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping

    from holdfast.records import Store

FORMAT = "holdfast-audit-1"


class StoreLog:
    """The log of an open store. See `LogSource`.

    *leaves* are hashes that were kept elsewhere, by place: what the store's own are held against.
    """

    def __init__(self, store: Store, leaves: Mapping[int, bytes] | None = None) -> None:
        self._store = store
        self._entries = store.repository(AuditEntry)
        self._leaves = leaves or {}

    async def head(self) -> tuple[int, bytes]:
        """See `LogSource`."""
        head = await self._store.repository(AuditHead).get(HEAD)
        return (0, EMPTY_ROOT) if head is None else (head.size, head.root)

    async def notes(self) -> list[str]:
        """See `LogSource`."""
        checkpoints = self._store.repository(AuditCheckpoint)
        return [
            each.note
            async for each in checkpoints.stream(everything(), order_by=AuditCheckpoint.size.asc())
        ]

    async def pages(self) -> AsyncIterator[LeafPage]:
        """See `LogSource`; a page is a tile."""
        number = 0
        while tile := (await stored_tiles(self._store, [(0, number)])).get((0, number)):
            first = number * WIDTH
            found = await self._entries.find(
                AuditEntry.position >= first, AuditEntry.position < first + WIDTH
            )
            leaves = [
                self._leaves.get(place, leaf) for place, leaf in enumerate(leaves_in(tile), first)
            ]
            yield LeafPage(first, leaves, {cast("int", each.position): each for each in found})
            if len(leaves) < WIDTH:
                return
            number += 1

    async def strays(self, size: int) -> list[AuditEntry]:
        """See `LogSource`."""
        beyond = (AuditEntry.position >= size) | (AuditEntry.position < 0)
        return await self._entries.find(beyond, order_by=AuditEntry.position.asc())

    async def waiting(self) -> tuple[int, list[AuditEntry]]:
        """See `LogSource`."""
        waits = AuditEntry.position.is_null()
        own = await self._entries.find(waits, AuditEntry.verb.in_([REDACT, PRUNE]))
        return await self._entries.count(waits), own


class ExportedLog:
    """A log that was exported, as the lines of its file. See `LogSource`, and `exported_lines`.

    Raises IntegrityError for lines that are none of an export.
    """

    def __init__(self, lines: Iterable[str | bytes]) -> None:
        read = iter(lines)
        first = _json(next(read, b""))
        if first.get("format") != FORMAT:
            raise IntegrityError(f"that is no exported audit: its first line has no {FORMAT!r}")
        self._notes = cast("list[str]", first["checkpoints"])
        self._head = cast("int", first["size"]), _bytes(first["root"])
        self._lines = read
        self._strays: list[AuditEntry] = []
        self._waiting: list[AuditEntry] = []

    async def head(self) -> tuple[int, bytes]:
        """See `LogSource`."""
        return self._head

    async def notes(self) -> list[str]:
        """See `LogSource`."""
        return self._notes

    async def pages(self) -> AsyncIterator[LeafPage]:
        """See `LogSource`. The lines are read once."""
        place = 0
        for line in self._lines:
            known = _json(line)
            entry = entry_from(known["entry"]) if known.get("entry") else None
            if "leaf" in known:
                found = {} if entry is None else {place: entry}
                yield LeafPage(place, [_bytes(known["leaf"])], found)
                place += 1
            elif entry is not None:
                (self._waiting if entry.position is None else self._strays).append(entry)

    async def strays(self, size: int) -> list[AuditEntry]:  # noqa: ARG002 - they have no leaf
        """See `LogSource`."""
        return self._strays

    async def waiting(self) -> tuple[int, list[AuditEntry]]:
        """See `LogSource`."""
        own = [each for each in self._waiting if each.verb in (REDACT, PRUNE)]
        return len(self._waiting), own


async def exported_lines(store: Store) -> AsyncIterator[str]:
    """Yield the lines of an export of the store's log: its checkpoints, then each leaf and entry.

    It can be verified without the store, and has all that the entries have. What was written
    meanwhile is left out or waits; the file verifies either way.
    """
    async with store.transaction(read_only=True, replica=False):
        log = StoreLog(store)
        size, root = await log.head()
        yield _line(
            {
                "format": FORMAT,
                "size": size,
                "root": base64.b64encode(root).decode(),
                "checkpoints": await log.notes(),
            }
        )
        seen = 0
        async for page in log.pages():
            for place, leaf in enumerate(page.leaves, page.first):
                entry = page.entries.get(place)
                written = None if entry is None else entry_json(entry)
                yield _line({"leaf": base64.b64encode(leaf).decode(), "entry": written})
                seen += 1
        for entry in [*await log.strays(seen), *(await log.waiting())[1]]:
            yield _line({"entry": entry_json(entry)})


def entry_json(entry: AuditEntry) -> dict[str, object]:
    """Return *entry* as JSON, with all that its leaf is made of."""
    found: dict[str, object] = {
        name: getattr(entry, name)
        for name in (
            "id", "verb", "entity", "key", "actor", "reason", "request", "changes", "erased",
            "position",
        )
    }  # fmt: skip
    salt = None if entry.salt is None else base64.b64encode(entry.salt).decode()
    return {**found, "at": instant(entry.at), "salt": salt}


def entry_from(known: object) -> AuditEntry:
    """Return the entry that `entry_json` wrote. Raises IntegrityError for what is none."""
    values = dict(cast("dict[str, object]", known))
    try:
        at = read_datetime(cast("str", values.pop("at")))
        salt, entry_id = values.pop("salt"), values.pop("id")
        entry = AuditEntry(at=at, **values)  # type: ignore[arg-type]
    except (KeyError, TypeError, ValueError) as error:
        raise IntegrityError(f"a line of the exported audit is damaged: {error}") from None
    entry.salt = None if salt is None else _bytes(salt)
    entry.id = cast("int", entry_id)
    return entry


def _json(line: str | bytes) -> dict[str, object]:
    try:
        found = orjson.loads(line)
    except orjson.JSONDecodeError:
        found = None
    if not isinstance(found, dict):
        raise IntegrityError("a line of the exported audit is not JSON")
    return cast("dict[str, object]", found)


def _bytes(text: object) -> bytes:
    try:
        return base64.b64decode(cast("str", text), validate=True)
    except (binascii.Error, TypeError):
        raise IntegrityError("a line of the exported audit is damaged") from None


def _line(value: object) -> str:
    return orjson.dumps(value).decode()
