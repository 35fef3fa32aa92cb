"""Bytes of models in a bucket: stored once, found by checksum, removed when nobody names them.

A blob's row is written before its object and removed behind it, and its key is never used again.
So an object whose key has no row is garbage whoever looks and whenever; and a collector that was
paused can't remove what somebody has stored since. A registration holds the blobs it wants by
`hold`, and confirms them in the transaction that makes its version visible: there the collector
and the registration meet in one row, and one of them finds that the other was first.
"""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from holdfast.errors import (
    DuplicateError,
    HoldfastError,
    IntegrityError,
    NotFoundError,
    ObjectNotFoundError,
    PreconditionFailedError,
    UnavailableError,
)
from holdfast.models.model_entities import BlobState, ModelBlob, VersionFile
from holdfast.objects import PutOptions
from holdfast.uuid7 import uuid7

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from holdfast.domain import RoleBucket
    from holdfast.models.model_tree import ModelFile, Progress
    from holdfast.records import Change, Predicate, Store

GRACE = timedelta(hours=24)
"""How long bytes that no version names are kept for a registration that is on its way."""
_PREFIX = "sha256/"
_UPLOADS = "uploads/"
_ATTEMPTS = 20
_PAGE = 500


@dataclass(frozen=True, slots=True)
class Collected:
    """What a garbage collection removed: *blobs*, their *size* in bytes, and *strays*.

    A stray is an object without a row: a registration that was killed, or outlived its grace.
    """

    blobs: int
    size: int
    strays: int


class BlobStore:
    """The blobs of a store and the objects that hold their bytes."""

    def __init__(self, store: Store, place: RoleBucket) -> None:
        self._store = store
        self._bucket = place.bucket
        self._prefix = place.key(_PREFIX)
        self._uploads = place.key(_UPLOADS)
        self._blobs = store.repository(ModelBlob)
        self._files = store.repository(VersionFile)

    def upload_key(self, name: str) -> str:
        """Return a key for a file on its way to be registered; a collection removes it in a day."""
        return f"{self._uploads}{name}"

    async def hold(
        self, file: ModelFile, source: Path, progress: Progress | None = None
    ) -> ModelBlob:
        """Return a live blob with the bytes of *file*, stored from *source* if need be.

        It is safe from a collection for the grace. Any number may ask at once: one blob is live.
        Raises IntegrityError when *source* has changed, and what the bucket raises.
        """
        for _ in range(_ATTEMPTS):
            known = await self._blobs.first(ModelBlob.live_sha256 == file.sha256)
            if known is None:
                stored = await self._arrive(file, source, progress)
            else:
                stored = await self._touched(known)
                if stored is not None:
                    await self._repair(stored, source)
            if stored is not None:
                if progress is not None and known is not None:
                    progress(file.size, file.size)
                return stored
        raise UnavailableError(f"the bytes {file.sha256} are collected again and again; try later")

    async def confirm(self, blobs: Sequence[ModelBlob]) -> bool:
        """Return whether all of *blobs* are live, and keep them so to the transaction's end."""
        ids = sorted({blob.id for blob in blobs})
        live = 0
        for start in range(0, len(ids), _PAGE):
            live += await self._blobs.update_where(
                ModelBlob.id.in_(ids[start : start + _PAGE]) & (ModelBlob.state == BlobState.LIVE),
                changes=ModelBlob.used_at.to(self._store.now()),
            )
        return live == len(ids)

    async def collect(self, *, grace: timedelta = GRACE) -> Collected:
        """Remove every blob that no version names and nobody asked for within *grace*.

        Safe beside registrations and other collections, whatever the *grace*; a small one makes
        registrations upload again. Broken off, it leaves what the next one finishes.
        """
        count = size = 0
        cutoff = self._store.now() - grace
        waiting = (ModelBlob.state == BlobState.DOOMED) | (ModelBlob.used_at <= cutoff)
        batch: list[ModelBlob] = []
        async for blob in self._blobs.stream(waiting, order_by=ModelBlob.id.asc(), batch=_PAGE):
            batch.append(blob)
            if len(batch) == _PAGE:
                removed = await self._collect(batch)
                count, size = count + removed[0], size + removed[1]
                batch = []
        removed = await self._collect(batch)
        strays = await self._remove_strays()
        return Collected(count + removed[0], size + removed[1], strays)

    async def damage(self, file: VersionFile) -> str | None:
        """Return what is wrong with the stored bytes of *file*, None when they are good."""
        blob = await self._blobs.get_one(file.blob_id)
        digest = hashlib.sha256()
        try:
            async with self._bucket.open(blob.object_key) as reader:
                async for chunk in reader:
                    await asyncio.to_thread(digest.update, chunk)
        except ObjectNotFoundError:
            return "the bucket has lost it"
        except IntegrityError as error:
            return str(error)
        if digest.hexdigest() != file.sha256:
            return f"its SHA-256 is {digest.hexdigest()}, registered was {file.sha256}"
        return None

    async def _collect(self, batch: Sequence[ModelBlob]) -> tuple[int, int]:
        """Remove those of *batch* that no version names. They were read before the versions are."""
        if not batch:
            return 0, 0
        rows = await self._files.select(
            VersionFile.blob_id, where=VersionFile.blob_id.in_([blob.id for blob in batch])
        )
        named = {blob_id for (blob_id,) in rows}
        count = size = 0
        for blob in batch:
            if blob.id not in named and await self._doomed(blob):
                await self._remove(blob)
                count, size = count + 1, size + blob.size
        return count, size

    async def _doomed(self, blob: ModelBlob) -> bool:
        """Give *blob* up, unless anybody has written its row since it was read."""
        if blob.state is BlobState.DOOMED:
            return True
        given_up = (ModelBlob.state.to(BlobState.DOOMED), ModelBlob.live_sha256.to(None))
        unchanged = ModelBlob.revision == blob.revision
        return await self._patched(blob.id, *given_up, when=unchanged) is not None

    async def _remove(self, blob: ModelBlob) -> None:
        """Remove the object of a doomed blob, then its row."""
        await self._bucket.delete(blob.object_key)
        await self._blobs.delete_where(
            (ModelBlob.id == blob.id) & (ModelBlob.state == BlobState.DOOMED)
        )

    async def _remove_strays(self) -> int:
        """Remove objects whose blob has no row, and files that were sent in a day ago."""
        count = 0
        keys: list[str] = []
        async for info in self._bucket.list(self._prefix):
            keys.append(info.key)
            if len(keys) == _PAGE:
                count += await self._remove_unknown(keys)
                keys = []
        left = [
            info.key
            async for info in self._bucket.list(self._uploads)
            if info.modified < self._store.now() - GRACE
        ]
        return count + await self._remove_unknown(keys) + await self._bucket.delete_many(left)

    async def _remove_unknown(self, keys: Sequence[str]) -> int:
        ids = {key: found for key in keys if (found := _blob_of(key)) is not None}
        if not ids:
            return 0
        rows = await self._blobs.get_many(list(ids.values()))
        unknown = [key for key, row in zip(ids, rows, strict=True) if row is None]
        return await self._bucket.delete_many(unknown)

    async def _arrive(
        self, file: ModelFile, source: Path, progress: Progress | None
    ) -> ModelBlob | None:
        """Store the bytes as a new blob; None when another was quicker or it was collected."""
        identity = uuid7()
        key = f"{self._prefix}{file.sha256[:2]}/{file.sha256}/{identity.hex}"
        row = ModelBlob(
            id=identity,
            sha256=file.sha256,
            size=file.size,
            object_key=key,
            used_at=self._store.now(),
        )
        blob = await self._blobs.add(row)
        try:
            await self._put(blob, source, progress)
            live = await self._patched(
                blob.id,
                ModelBlob.state.to(BlobState.LIVE),
                ModelBlob.live_sha256.to(file.sha256),
                ModelBlob.used_at.to(self._store.now()),
                when=ModelBlob.state == BlobState.ARRIVING,
            )
        except BaseException as error:
            try:
                await asyncio.shield(self._give_up(blob))
            except HoldfastError as another:
                error.add_note(f"its bytes are still there, until `gc`: {another}")
            if isinstance(error, DuplicateError):
                return None
            raise
        if live is None:
            await self._bucket.delete(key)
        return live

    async def _put(self, blob: ModelBlob, source: Path, progress: Progress | None) -> None:
        options = PutOptions(progress=progress)
        stored = await self._bucket.put(
            blob.object_key, source, content_type="application/octet-stream", options=options
        )
        if (stored.sha256, stored.size) != (blob.sha256, blob.size):
            raise IntegrityError(
                f"{str(source)!r} changed while it was stored; try again when it is done"
            )

    async def _give_up(self, blob: ModelBlob) -> None:
        doomed = await self._patched(
            blob.id,
            ModelBlob.state.to(BlobState.DOOMED),
            when=ModelBlob.state == BlobState.ARRIVING,
        )
        if doomed is not None:
            await self._remove(doomed)

    async def _touched(self, blob: ModelBlob) -> ModelBlob | None:
        return await self._patched(
            blob.id,
            ModelBlob.used_at.to(self._store.now()),
            when=ModelBlob.live_sha256 == blob.sha256,
        )

    async def _repair(self, blob: ModelBlob, source: Path) -> None:
        """Store the bytes again when the bucket has lost them, or has others."""
        there = await self._bucket.head(blob.object_key)
        if there is None or there.size != blob.size or there.sha256 not in {None, blob.sha256}:
            await self._put(blob, source, None)

    async def _patched(self, identity: UUID, *changes: Change, when: Predicate) -> ModelBlob | None:
        try:
            return await self._blobs.patch(identity, *changes, when=when)
        except (PreconditionFailedError, NotFoundError):
            return None


def _blob_of(key: str) -> UUID | None:
    """Return the id that an object's key ends with, None for a key of somebody else's."""
    try:
        return UUID(hex=key.rpartition("/")[2])
    except ValueError:
        return None
