"""The form of tokens that stand for a row: whose it is, and random bits of which a digest is kept.

They have 256 random bits, so one round of SHA-256 keeps them as safe as a slow hash would keep a
password.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass
from uuid import UUID

NOBODY = hashlib.sha256(b"").hexdigest()
"""The digest of no token, to be compared with where there is none: so it takes as long."""


@dataclass(frozen=True, slots=True)
class TokenForm:
    """Tokens that begin with *prefix*."""

    prefix: str

    def write(self, identity: UUID, drawn: str) -> str:
        """Return the token of the row *identity* for what was *drawn*."""
        return f"{self.prefix}_{identity.hex}_{drawn}"

    def read(self, token: str) -> tuple[UUID | None, str]:
        """Return whose *token* is and its digest; None and NOBODY where it is none."""
        parts = re.fullmatch(rf"{self.prefix}_([0-9a-f]{{32}})_([A-Za-z0-9_-]{{43}})", token)
        return (UUID(parts[1]), digest_of(parts[2])) if parts else (None, NOBODY)


def draw() -> str:
    """Return 256 random bits, as text."""
    return secrets.token_urlsafe(32)


def digest_of(drawn: str) -> str:
    """Return what is kept of what was *drawn*: its SHA-256 in hexadecimal."""
    return hashlib.sha256(drawn.encode()).hexdigest()
