"""Cursors as clients hold them: sealed, so that one that was changed is noticed.

With secrets the seal is a MAC, which nobody else can make: by the first of them, while cursors that
any of them sealed are taken. Without one it is a checksum.
"""

from __future__ import annotations

import base64
from hashlib import blake2b
from hmac import compare_digest
from typing import TYPE_CHECKING, overload

from holdfast.errors import InvalidCursorError

if TYPE_CHECKING:
    from collections.abc import Sequence

_SEAL = 16  # characters


@overload
def seal(cursor: None, secrets: Sequence[str]) -> None: ...
@overload
def seal(cursor: str, secrets: Sequence[str]) -> str: ...
@overload
def seal(cursor: str | None, secrets: Sequence[str]) -> str | None: ...
def seal(cursor: str | None, secrets: Sequence[str]) -> str | None:
    """Return *cursor* with its seal before it; None stays None."""
    return None if cursor is None else f"{_seal_of(cursor, secrets[0] if secrets else '')}{cursor}"


def unseal(sealed: str, secrets: Sequence[str]) -> str:
    """Return the cursor in *sealed*. Raises InvalidCursorError when no seal fits."""
    given, cursor = sealed[:_SEAL], sealed[_SEAL:]
    seals = [_seal_of(cursor, each) for each in secrets or ("",)] if sealed.isascii() else []
    if not any(compare_digest(given, each) for each in seals):
        raise InvalidCursorError("the cursor was changed, or is not one that this list gave")
    return cursor


def _seal_of(cursor: str, secret: str) -> str:
    key = blake2b(secret.encode("utf-8"), person=b"hf-cursor-key").digest()
    made = blake2b(cursor.encode("utf-8"), key=key, digest_size=_SEAL * 6 // 8).digest()
    return base64.urlsafe_b64encode(made).decode("ascii")
