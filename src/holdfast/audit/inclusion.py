"""Proofs of single entries: that one is in the log, and that a log grew and was not rewritten."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from holdfast.audit.audit_entry import AuditCheckpoint, AuditEntry
from holdfast.audit.checkpoint_note import read_checkpoint
from holdfast.audit.entry_leaf import leaf_of
from holdfast.audit.merkle_tree import (
    consistency_ranges,
    inclusion_ranges,
    is_consistent,
    range_hash,
    root_of_inclusion,
    tiles_of,
)
from holdfast.audit.sequencer import stored_tiles
from holdfast.errors import IntegrityError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.audit.checkpoint_note import Checkpoint, VerifierKey
    from holdfast.records import Store


@dataclass(frozen=True, slots=True)
class InclusionProof:
    """That the leaf at *position* is in the log of the checkpoint *note*: *hashes* lead there."""

    position: int
    hashes: tuple[bytes, ...]
    note: str


async def inclusion_proof(store: Store, entry_id: int) -> InclusionProof:
    """Return the proof of an entry against the newest checkpoint.

    It reads a few tiles, however long the log is. Raises NotFoundError for an entry that is not
    there, or was not sequenced yet.
    """
    entry = await store.repository(AuditEntry).get_one(entry_id)
    checkpoint = await store.repository(AuditCheckpoint).first(order_by=AuditCheckpoint.size.desc())
    if entry.position is None or checkpoint is None or checkpoint.size <= entry.position:
        raise NotFoundError("AuditEntry in the log", entry_id)
    ranges = inclusion_ranges(entry.position, checkpoint.size)
    tiles = await stored_tiles(store, tiles_of(ranges))
    hashes = tuple(range_hash(span, tiles) for span in ranges)
    return InclusionProof(entry.position, hashes, checkpoint.note)


def verify_inclusion(
    entry: AuditEntry, proof: InclusionProof, key: VerifierKey | None = None
) -> Checkpoint:
    """Return the checkpoint that *proof* proves *entry* against; with a *key*, signed by it.

    It needs nothing but its arguments. Raises IntegrityError where the proof fails.
    """
    found = read_checkpoint(proof.note) if key is None else key.checkpoint(proof.note)
    root = root_of_inclusion(leaf_of(entry), proof.position, found.size, proof.hashes)
    if root != found.root:
        raise IntegrityError(
            f"the audit entry {entry.id} is not what lies at {proof.position} of the log"
        )
    return found


async def consistency_proof(store: Store, old: int, new: int) -> tuple[bytes, ...]:
    """Return the hashes that prove that the log of *new* leaves begins with that of *old* ones.

    Raises NotFoundError for a size that the log never had.
    """
    ranges = consistency_ranges(old, new)
    tiles = await stored_tiles(store, tiles_of(ranges))
    try:
        return tuple(range_hash(span, tiles) for span in ranges)
    except KeyError:
        raise NotFoundError("AuditCheckpoint", new) from None


def verify_consistency(old: Checkpoint, new: Checkpoint, hashes: Sequence[bytes]) -> None:
    """Raise IntegrityError unless *hashes* prove that *old* is the beginning of *new*."""
    if old.origin != new.origin or not is_consistent(
        old.size, new.size, (old.root, new.root), hashes
    ):
        raise IntegrityError(
            f"the log of {new.size} leaves does not begin with that of {old.size} leaves"
        )
