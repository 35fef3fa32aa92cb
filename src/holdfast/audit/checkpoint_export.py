"""Checkpoints and leaves kept in a bucket, where who writes the database can't reach them.

`checkpoints/<size>` is a signed note; `leaves/<tile>/<count>` are the hashes of a tile, as many as
it had. Both hold hashes alone, nothing of what was recorded, and are put once and never written
over. With a *retention* they are locked in the bucket for so long.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from holdfast.audit.audit_entry import AuditCheckpoint, AuditHead
from holdfast.audit.merkle_tree import WIDTH, leaves_in
from holdfast.audit.sequencer import HEAD, stored_tiles
from holdfast.clock import utc_now
from holdfast.errors import PreconditionFailedError
from holdfast.objects import PutOptions, Retention

if TYPE_CHECKING:
    from datetime import timedelta

    from holdfast.domain import RoleBucket
    from holdfast.records import Store

_log = logging.getLogger("holdfast.audit")
_DIGITS = 20
_PREFIX = "audit/"


class CheckpointExport:
    """Keeps a store's checkpoints in a bucket, and reads them again.

    *retention* locks what is kept, where the bucket has object locks; it raises UnsupportedError
    where it has not. A lock keeps a version and not the key, so then the first version of each key
    is what is read: others may write over it, or hide it.
    """

    def __init__(self, place: RoleBucket, *, retention: timedelta | None = None) -> None:
        self._bucket = place.bucket
        self._place = place
        self._retention = retention

    async def run(self, store: Store) -> int:
        """Keep what the bucket lacks yet, and return how many checkpoints those were.

        It may be stopped anywhere and done again: what is there already is left as it is.
        """
        checkpoints = store.repository(AuditCheckpoint)
        due = await checkpoints.find(
            AuditCheckpoint.exported == False,  # noqa: E712 - a condition
            order_by=AuditCheckpoint.size.asc(),
        )
        if not due:
            return 0
        head = await store.repository(AuditHead).get_one(HEAD)
        known = await checkpoints.first(
            AuditCheckpoint.exported == True,  # noqa: E712
            order_by=AuditCheckpoint.size.desc(),
        )
        first = 0 if known is None else known.size // WIDTH
        for number in range(first, (head.size + WIDTH - 1) // WIDTH):
            tile = (await stored_tiles(store, [(0, number)]))[0, number]
            await self._keep(f"leaves/{number:0{_DIGITS}}/{len(leaves_in(tile)):03}", tile)
        for each in due:  # behind the leaves that it tells of
            await self._keep(f"checkpoints/{each.size:0{_DIGITS}}", each.note.encode())
            await checkpoints.patch(each.size, AuditCheckpoint.exported.to(True))
        return len(due)

    async def notes(self) -> list[str]:
        """Return the checkpoints that are kept, the smallest first."""
        kept = await self._kept(self._key("checkpoints/"))
        return [
            (await self._bucket.get(key, version=version)).decode()
            for key, version in sorted(kept.items())
        ]

    async def leaves(self) -> dict[int, bytes]:
        """Return the leaf hashes that are kept, by their places."""
        prefix = self._key("leaves/")
        fullest: dict[str, tuple[str, str | None]] = {}
        for key, version in sorted((await self._kept(prefix)).items()):
            fullest[key[len(prefix) :].partition("/")[0]] = key, version
        found: dict[int, bytes] = {}
        for number, (key, version) in fullest.items():
            hashes = leaves_in(await self._bucket.get(key, version=version))
            found.update(enumerate(hashes, int(number) * WIDTH))
        return found

    def _key(self, name: str) -> str:
        return self._place.key(_PREFIX + name)

    async def _kept(self, prefix: str) -> dict[str, str | None]:
        """Return the keys below *prefix*, each with its first version where there are locks."""
        if self._retention is None:
            return {each.key: None async for each in self._bucket.list(prefix)}
        return {  # the versions of a key come from the newest to the oldest: the last one stays
            each.key: each.version
            async for each in self._bucket.versions(prefix)
            if not each.marker
        }

    async def _keep(self, name: str, content: bytes) -> None:
        key = self._key(name)
        try:
            await self._bucket.put(key, content, options=PutOptions(if_absent=True))
        except PreconditionFailedError:
            _log.debug("%s is kept already", key)  # by whom was stopped behind it
        if self._retention is not None:
            until = utc_now() + self._retention
            await self._bucket.admin.retain(key, Retention("COMPLIANCE", until))
