"""The API key: who may reach the platform, as what, and until when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING
from uuid import UUID

from holdfast.errors import ForbiddenError
from holdfast.records import Entity, Field, created_at, field, key, version
from holdfast.uuid7 import uuid7

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet


class Role(StrEnum):
    """What a caller may do; each role may do what those before it may."""

    VIEWER = "viewer"
    """Looks at everything but keys."""
    OPERATOR = "operator"
    """Brings things in, changes and removes them, starts and cancels work."""
    ADMIN = "admin"
    """Issues and revokes keys, and empties the cache."""

    def includes(self, other: Role) -> bool:
        """Return whether this role may do what *other* may."""
        order = list(Role)
        return order.index(self) >= order.index(other)


class ApiKey(Entity, table="api_keys", indexes=[("name",)]):
    """A key without its secret, of which only the SHA-256 is kept. Only `ApiKeys` writes it.

    *projects* are the ids of those that it may reach, None for all. After a rotation the secret
    before it, *former_sha256*, is good until *former_until*.
    """

    id: Field[UUID] = key(default_factory=uuid7)
    name: Field[str] = field(max_length=200)
    role: Field[Role]
    projects: Field[list[str] | None] = field(default=None)
    sha256: Field[str] = field(max_length=64, audit="redact")
    former_sha256: Field[str | None] = field(default=None, max_length=64, audit="redact")
    former_until: Field[datetime | None] = field(default=None)
    expires_at: Field[datetime | None] = field(default=None)
    revoked_at: Field[datetime | None] = field(default=None)
    created_at: Field[datetime] = created_at()
    version: Field[int] = version()


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: the *key_id* and *name* of a key, and what it may do. *projects* None means all.

    The key_id is None for somebody who needed no key: at the machine itself, or a person whom an
    OpenID provider knows, with the session *session_id*.
    """

    key_id: UUID | None
    name: str
    role: Role
    projects: AbstractSet[UUID] | None = None
    session_id: UUID | None = None

    @property
    def login(self) -> str:
        """What tells the caller from others, as in `key 0199...`: the key, else the session.

        It is empty for who came without either.
        """
        if self.key_id is not None:
            return f"key {self.key_id}"
        return "" if self.session_id is None else f"session {self.session_id}"

    def require(self, role: Role) -> None:
        """Raise ForbiddenError for a caller who may not do what *role* may."""
        if not self.role.includes(role):
            raise ForbiddenError(self.name, self.role, role)

    def may_reach(self, project: UUID) -> bool:
        """Return whether the caller may know of *project* and what is in it."""
        return self.projects is None or project in self.projects
