"""What stored bytes mean.

A plain value is MessagePack, a whole number its decimal digits, so that a store can add to it.
What is known about a value beyond itself stands before it: 0xC1, which no MessagePack starts with,
a kind, twelve random bytes that no other entry has, the size of the facts, the facts, the value.
The first fourteen bytes are the entry's fence: whoever swaps over them replaces that very entry.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec

from holdfast.cache.driver import LEASE

if TYPE_CHECKING:
    from collections.abc import Mapping

FENCE = 14
ENVELOPE = b"\xc1"
"""What every entry that is not plain starts with."""
_VALUE = ENVELOPE + b"V"
_START = FENCE + 2


class Facts(msgspec.Struct, array_like=True, frozen=True):
    """What is known about an entry.

    *fresh_until*: wall-clock seconds, None for as long as it lives. *cost*: the seconds that
    loading took. *tags*: the version of each tag that the entry was made under.
    """

    fresh_until: float | None = None
    cost: float = 0.0
    tags: dict[str, bytes] = {}


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Facts).decode


def version() -> bytes:
    """Return twelve bytes that were never there before."""
    return os.urandom(12)


def lease(tags: Mapping[str, bytes]) -> bytes:
    """Return what says that a value is being loaded, under these versions of its tags."""
    return _enveloped(LEASE, Facts(tags=dict(tags)), b"")


def wrapped(payload: bytes, facts: Facts) -> bytes:
    """Return an entry of *payload* and what is known about it."""
    return _enveloped(_VALUE, facts, payload)


def is_plain(raw: bytes) -> bool:
    return raw[:1] != ENVELOPE


def is_lease(raw: bytes) -> bool:
    return raw.startswith(LEASE)


def fence(raw: bytes) -> bytes:
    """Return the bytes that tell this entry from every other; of a plain value, all of it."""
    return raw if is_plain(raw) else raw[:FENCE]


def facts(raw: bytes) -> Facts:
    """Return what is known about an entry that is not plain; nothing of one we did not make."""
    try:
        return _decode(raw[_START : _START + int.from_bytes(raw[FENCE:_START], "big")])
    except msgspec.DecodeError:
        return Facts()


def payload(raw: bytes) -> bytes:
    """Return the value's own bytes."""
    if is_plain(raw):
        return raw
    return raw[_START + int.from_bytes(raw[FENCE:_START], "big") :]


def _enveloped(kind: bytes, known: Facts, content: bytes) -> bytes:
    about = _encode(known)
    return b"".join((kind, os.urandom(12), len(about).to_bytes(2, "big"), about, content))
