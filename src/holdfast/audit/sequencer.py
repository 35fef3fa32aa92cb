"""The sequencer: gives committed entries their places in the Merkle log, a batch at a time.

Entries are written unchained, so writers never wait for one another. What has no place yet is
found by that, and not by a number that was seen last: a transaction that commits late, with low
numbers, is found when it is there. A batch is one transaction, which holds the row of the log's
head: places, tiles, head and signed checkpoint are all there or none is, however it ends, and of
two sequencers the second one goes on from what the first one left.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from holdfast.audit.audit_entry import AuditCheckpoint, AuditEntry, AuditHead, AuditTile
from holdfast.audit.checkpoint_note import Checkpoint
from holdfast.audit.entry_leaf import leaf_of
from holdfast.audit.key_chain import ROTATE
from holdfast.audit.merkle_tree import EMPTY_ROOT, appended, last_tiles, range_hash, tiles_of
from holdfast.errors import ConfigurationError, IntegrityError
from holdfast.records import StoreCapability

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from holdfast.audit.checkpoint_note import SignerKey
    from holdfast.audit.merkle_tree import Tile
    from holdfast.records import Store
    from holdfast.records.driver_requests import RowLock

HEAD = 1
"""The key of the head's only row."""
BATCH = 1000
_AT_ONCE = 100  # entries that are hashed and written before others on the event loop get a turn


@dataclass(frozen=True, slots=True)
class Sequenced:
    """What a batch did: *count* entries got their places, and the log ends at *checkpoint*."""

    count: int
    checkpoint: Checkpoint


class Sequencer:
    """Appends the entries of *store* to its log, and signs by *signer*; *origin* names the log."""

    def __init__(self, store: Store, signer: SignerKey, *, origin: str) -> None:
        self._store = store
        self._signer = signer
        self._origin = origin
        locks = StoreCapability.ROW_LOCKS in store.capabilities
        self._lock: RowLock | None = "update" if locks else None

    async def run(self, *, batch: int = BATCH) -> int:
        """Sequence all that is committed, and return how many entries that were."""
        count = 0
        while (done := await self.append(batch=batch)) is not None:
            count += done.count
        return count

    async def append(self, *, batch: int = BATCH) -> Sequenced | None:
        """Sequence up to *batch* entries, the lowest numbers first; None when there is none.

        Atomic. Raises IntegrityError when the end of the log is not what its head says, and
        ConfigurationError when another key signed the last checkpoint.
        """
        await ensured_head(self._store)
        return await self._store.retrying(
            lambda: self._append(batch), attempts=10, isolation="read committed"
        )

    async def rotate(self, new: SignerKey) -> Sequenced:
        """Let *new* sign from now on, and return the checkpoint that both keys have signed.

        Atomic: an entry that names both keys, `audit.rotate`, and a checkpoint over it. What is
        sequenced by the old key afterwards is refused. Raises what `append` raises, and
        ConfigurationError for the same key again, and for a store whose hooks record no events.
        """
        if new.verifier == self._signer.verifier:
            raise ConfigurationError("the audit's key is to be another, and this is the same")
        await self.run()
        done = await self._store.retrying(
            lambda: self._rotate(new), attempts=10, isolation="read committed"
        )
        self._signer = new
        return done

    async def _rotate(self, new: SignerKey) -> Sequenced:
        details = {"from": str(self._signer.verifier), "to": str(new.verifier)}
        name = details["to"].rpartition("+")[0]
        await self._store.record_event(ROTATE, entity="AuditHead", key=name, details=details)
        done = await self._append(None, new)
        entries = self._store.repository(AuditEntry)
        last = await entries.first(AuditEntry.verb == ROTATE, order_by=AuditEntry.id.desc())
        if done is None or last is None or last.position is None or last.changes != details:
            raise ConfigurationError(
                "the audit's key can't be rotated: the store has no AuditHook that records it"
            )
        return done

    async def _append(self, batch: int | None, new: SignerKey | None = None) -> Sequenced | None:
        entries, heads = self._store.repository(AuditEntry), self._store.repository(AuditHead)
        head = await heads.get_one(HEAD, lock=self._lock)
        waiting = await entries.find(
            AuditEntry.position.is_null(),
            order_by=AuditEntry.id.asc(),
            limit=batch,
            lock=self._lock,
            skip_locked=self._lock is not None,  # what a writer has not committed yet, on MariaDB
        )
        if not waiting:
            return None
        await self._check_key(head.size)
        tiles = dict(await stored_tiles(self._store, last_tiles(head.size)))
        known = range_hash((0, head.size), await self._rest(tiles, head.size))
        if known != head.root:
            raise IntegrityError(
                f"the audit's log is damaged: its last tiles do not lead to the root of {head.size}"
                " leaves; `holdfast audit verify` says more"
            )
        leaves: list[bytes] = []
        for start in range(0, len(waiting), _AT_ONCE):
            part = waiting[start : start + _AT_ONCE]
            for place, entry in enumerate(part, head.size + start):
                leaves.append(leaf_of(entry))
                entry.position = place
            await entries.upsert_many(part)
        changed = appended(head.size, tiles, leaves)
        size = head.size + len(leaves)
        tiles.update(changed)
        root = range_hash((0, size), await self._rest(tiles, size))
        checkpoint = Checkpoint(self._origin, size, root)
        await self._store.repository(AuditTile).upsert_many(
            [AuditTile(id=tile_id(tile), hashes=hashes) for tile, hashes in changed.items()]
        )
        signer = self._signer
        note = signer.sign(checkpoint) if new is None else signer.cosign(new.sign(checkpoint))
        head.size, head.root = size, root
        await heads.update(head)
        await self._store.repository(AuditCheckpoint).add(
            AuditCheckpoint(size=size, note=note, at=self._store.now())
        )
        return Sequenced(len(waiting), checkpoint)

    async def _check_key(self, size: int) -> None:
        last = await self._store.repository(AuditCheckpoint).get(size)
        if last is None:  # there is none before the first entry, and none of a log that was cut
            return
        key = self._signer.verifier
        try:
            key.checkpoint(last.note)
            why = "" if key.is_in_force(last.note) else "another one follows it"
        except IntegrityError as error:
            why = str(error)
        if why:
            raise ConfigurationError(
                f"the audit's log is signed by another key than this one: {why}. All who sequence"
                " it need one key, the file that the setting audit.key names"
            )

    async def _rest(self, tiles: Mapping[Tile, bytes], size: int) -> dict[Tile, bytes]:
        """Return *tiles* and the others that the root over *size* leaves is made of."""
        missing = tiles_of([(0, size)]) - tiles.keys()
        return {**tiles, **await stored_tiles(self._store, missing)}


async def ensured_head(store: Store) -> None:
    """Make the row of the log's head where there is none yet."""
    heads = store.repository(AuditHead)
    if await heads.get(HEAD) is None:
        async with store.transaction():
            if await heads.get(HEAD) is None:
                await heads.add_many([AuditHead(id=HEAD, root=EMPTY_ROOT)], atomic=False)


async def stored_tiles(store: Store, wanted: Iterable[Tile]) -> dict[Tile, bytes]:
    """Return those of the *wanted* tiles that are in the store."""
    by_id = {tile_id(tile): tile for tile in wanted}
    found = await store.repository(AuditTile).get_many(list(by_id))
    return {by_id[each.id]: each.hashes for each in found if each is not None}


def tile_id(tile: Tile) -> str:
    """Return the key under which a tile is stored."""
    return f"{tile[0]}/{tile[1]}"
