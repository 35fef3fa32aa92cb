"""What stored bytes mean: a plain value, or an envelope with a header before the value.

A plain value is MessagePack, a whole number its decimal digits, so that a store can add to it.
An envelope is 0xC1, which no MessagePack starts with; a kind; twelve random bytes that no other
envelope has; the size of the header in two bytes; the header; the value. The first fourteen bytes
are its *fence*: a swap over them replaces that very entry and nothing that came after it.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec

from holdfast.cache.driver import LOAD_LOCK

if TYPE_CHECKING:
    from collections.abc import Mapping

FENCE = 14
ENVELOPE = b"\xc1"
"""What every entry that is not plain starts with."""
_VALUE = ENVELOPE + b"V"
_START = FENCE + 2


class Header(msgspec.Struct, array_like=True, frozen=True):
    """What is known about an entry.

    *fresh_until*: wall-clock seconds, None for as long as it lives. *cost*: the seconds that
    loading took. *tags*: the version of each tag that the entry was made under.
    """

    fresh_until: float | None = None
    cost: float = 0.0
    tags: dict[str, bytes] = {}

    def is_invalidated(self, versions: Mapping[str, bytes | None]) -> bool:
        """Return whether a tag has another version in *versions* than it had for this entry."""
        return any(versions.get(tag) != version for tag, version in self.tags.items())


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Header).decode


def new_version() -> bytes:
    """Return twelve random bytes that were never there before."""
    return os.urandom(12)


def load_lock(tags: Mapping[str, bytes]) -> bytes:
    """Return what says that a value is being loaded, under these versions of its tags."""
    return _sealed(LOAD_LOCK, Header(tags=dict(tags)), b"")


def sealed(payload: bytes, header: Header) -> bytes:
    """Return an envelope of *payload* and what is known about it."""
    return _sealed(_VALUE, header, payload)


def is_plain(raw: bytes) -> bool:
    """Return whether *raw* is a value without an envelope."""
    return raw[:1] != ENVELOPE


def is_load_lock(raw: bytes) -> bool:
    """Return whether *raw* says that a value is being loaded."""
    return raw.startswith(LOAD_LOCK)


def fence_of(raw: bytes) -> bytes:
    """Return the bytes that tell this entry from every other; of a plain value, all of it."""
    return raw if is_plain(raw) else raw[:FENCE]


def header_of(raw: bytes) -> Header:
    """Return the header of an entry that is not plain, an empty one where no cache made it."""
    try:
        return _decode(raw[_START : _START + int.from_bytes(raw[FENCE:_START], "big")])
    except msgspec.DecodeError:
        return Header()


def payload_of(raw: bytes) -> bytes:
    """Return the value's own bytes."""
    if is_plain(raw):
        return raw
    return raw[_START + int.from_bytes(raw[FENCE:_START], "big") :]


def _sealed(kind: bytes, header: Header, payload: bytes) -> bytes:
    encoded = _encode(header)
    return b"".join((kind, os.urandom(12), len(encoded).to_bytes(2, "big"), encoded, payload))
