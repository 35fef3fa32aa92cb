"""What the log keeps of an entry: a hash over salted commitments to each of its parts.

A commitment is SHA-256 over a salt and a value's canonical JSON. Each part, that is actor, key,
reason, request and each change, has a salt of its own, derived from the entry's by HMAC. So a part
can be erased: its value and its salt go, its commitment stays, the leaf is what it was, and nobody
can find the value by trying.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING, cast

import orjson

from holdfast.audit.captured_value import instant
from holdfast.audit.merkle_tree import leaf_hash
from holdfast.errors import IntegrityError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import datetime

    from holdfast.audit.audit_entry import AuditEntry

PERSONAL = ("actor", "key", "reason", "request")
"""The parts of an entry beside its changes, which are called `changes.<name>`."""
_CHANGE = "changes."


def parts_of(entry: AuditEntry) -> dict[str, object]:
    """Return the values of the entry's parts, those that were erased left out."""
    erased = commitments_of(entry)
    found: dict[str, object] = {name: getattr(entry, name) for name in PERSONAL}
    found.update({f"{_CHANGE}{name}": value for name, value in entry.changes.items()})
    return {name: value for name, value in found.items() if name not in erased}


def commitments_of(entry: AuditEntry) -> dict[str, str]:
    """Return the commitments to the parts that were erased."""
    if entry.erased is None:
        return {}
    return cast("dict[str, str]", entry.erased["commitments"])


def leaf_of(entry: AuditEntry) -> bytes:
    """Return the hash by which the log knows *entry*.

    Raises IntegrityError for an entry that lacks what the hash is made of.
    """
    return leaf_hash(leaf_data(entry.id, entry.at, entry.verb, entry.entity, _committed(entry)))


def leaf_data(
    entry_id: int, at: datetime, verb: str, entity: str, parts: Mapping[str, str]
) -> bytes:
    """Return the canonical bytes of an entry: sorted JSON, the parts by their commitments."""
    return orjson.dumps(
        {"at": instant(at), "entity": entity, "id": entry_id, "parts": parts, "verb": verb},
        option=orjson.OPT_SORT_KEYS,
    )


def erasing(entry: AuditEntry, parts: Collection[str]) -> dict[str, object]:
    """Return what *entry* is without *parts*: its new values by field."""
    salts = _salts(entry)
    gone = {
        name: _commitment(salts[name], value)
        for name, value in parts_of(entry).items()
        if name in parts
    }
    left = {name: salt.hex() for name, salt in salts.items() if name not in gone}
    values: dict[str, object] = {
        "salt": None,
        "erased": {"commitments": {**commitments_of(entry), **gone}, "salts": left},
        "changes": {
            name: value for name, value in entry.changes.items() if f"{_CHANGE}{name}" not in gone
        },
    }
    values.update({name: None for name in PERSONAL if name in gone})
    return values


def _committed(entry: AuditEntry) -> dict[str, str]:
    salts = _salts(entry)
    made = {name: _commitment(salts[name], value) for name, value in parts_of(entry).items()}
    return {**commitments_of(entry), **made}


def _salts(entry: AuditEntry) -> dict[str, bytes]:
    """Return the salts of the parts that were not erased."""
    names = parts_of(entry)
    if entry.erased is not None:
        kept = cast("dict[str, str]", entry.erased["salts"])
        missing = [name for name in names if name not in kept]
        if missing:
            raise IntegrityError(f"audit entry {entry.id} has no salt for {missing[0]}")
        return {name: bytes.fromhex(kept[name]) for name in names}
    if entry.salt is None:
        raise IntegrityError(f"audit entry {entry.id} has no salt")
    return {name: hmac.digest(entry.salt, name.encode(), "sha256") for name in names}


def _commitment(salt: bytes, value: object) -> str:
    document = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(salt + document).hexdigest()
