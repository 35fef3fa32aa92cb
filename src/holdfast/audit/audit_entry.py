"""The entities of the audit: entries, and the Merkle log that is made of them."""

from __future__ import annotations

from datetime import datetime

from holdfast.records import Entity, Field, field, generated_key, key, version

NAME_LENGTH = 200
KEY_LENGTH = 255
REQUEST_LENGTH = 128
REASON_LENGTH = 1000


class AuditEntry(
    Entity, table="audit_entries", indexes=[("entity", "key"), ("actor",), ("request",), ("at",)]
):
    """Who did what to which row, when and why: written with the change, never changed after.

    *verb* is a `WriteVerb`, or the name of an event, which has a dot in it. *changes* is JSON: for
    a write the changed fields, each with its value before and after as `captured_value` writes it,
    for an event its details. *salt* and *erased* are what the leaf's commitments are made of (see
    `entry_leaf`). *position* is the entry's place in the log, None until it was sequenced.
    """

    id: Field[int] = generated_key()
    at: Field[datetime]
    verb: Field[str] = field(max_length=NAME_LENGTH)
    entity: Field[str] = field(max_length=NAME_LENGTH)
    key: Field[str | None] = field(max_length=KEY_LENGTH, default=None)
    actor: Field[str | None] = field(max_length=NAME_LENGTH, default=None)
    reason: Field[str | None] = field(max_length=REASON_LENGTH, default=None)
    request: Field[str | None] = field(max_length=REQUEST_LENGTH, default=None)
    changes: Field[dict[str, object]] = field(default_factory=dict)
    salt: Field[bytes | None] = field(max_length=16, default=None)
    erased: Field[dict[str, object] | None] = field(default=None)
    position: Field[int | None] = field(unique=True, default=None)

    @property
    def is_event(self) -> bool:
        """Whether it tells of an event, and not of a changed row."""
        return "." in self.verb


class AuditTile(Entity, table="audit_tiles"):
    """Up to 256 hashes of the log, side by side: number *index* of a level (see `merkle_tree`)."""

    id: Field[str] = key(max_length=40)
    hashes: Field[bytes]


class AuditHead(Entity, table="audit_heads"):
    """The end of the log: how many leaves it has, and the root over them. There is one row."""

    id: Field[int] = key()
    size: Field[int] = field(default=0)
    root: Field[bytes] = field(max_length=32)
    version: Field[int] = version()


class AuditCheckpoint(Entity, table="audit_checkpoints"):
    """A signed statement that the log had *size* leaves under one root: a signed note (C2SP)."""

    size: Field[int] = key()
    note: Field[str]
    at: Field[datetime]
    exported: Field[bool] = field(default=False)


AUDIT_ENTITIES: tuple[type, ...] = (AuditEntry, AuditTile, AuditHead, AuditCheckpoint)
"""What the audit keeps in a store."""
