"""Cursors as clients hold them: sealed, so that one that was changed is noticed.

With a secret the seal is a MAC, which nobody else can make; without one it is a checksum.
"""

from __future__ import annotations

import base64
from hashlib import blake2b
from hmac import compare_digest
from typing import overload

from holdfast.errors import InvalidCursorError

_SEAL = 16  # characters


@overload
def seal(cursor: None, secret: str) -> None: ...
@overload
def seal(cursor: str, secret: str) -> str: ...
@overload
def seal(cursor: str | None, secret: str) -> str | None: ...
def seal(cursor: str | None, secret: str) -> str | None:
    """Return *cursor* with its seal before it; None stays None."""
    return None if cursor is None else f"{_seal_of(cursor, secret)}{cursor}"


def unseal(sealed: str, secret: str) -> str:
    """Return the cursor in *sealed*. Raises InvalidCursorError when the seal does not fit."""
    given, cursor = sealed[:_SEAL], sealed[_SEAL:]
    if not sealed.isascii() or not compare_digest(given, _seal_of(cursor, secret)):
        raise InvalidCursorError("the cursor was changed, or is not one that this list gave")
    return cursor


def _seal_of(cursor: str, secret: str) -> str:
    key = blake2b(secret.encode("utf-8"), person=b"hf-cursor-key").digest()
    made = blake2b(cursor.encode("utf-8"), key=key, digest_size=_SEAL * 6 // 8).digest()
    return base64.urlsafe_b64encode(made).decode("ascii")
