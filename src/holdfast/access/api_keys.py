"""Issues API keys, tells whose a secret is, rotates and revokes them.

A secret is shown once, when it is made, and can't be had again; of it a digest is kept.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from holdfast.access.api_key import ApiKey, Caller, Role
from holdfast.access.token_form import NOBODY, TokenForm, digest_of, draw
from holdfast.errors import InvalidValueError, NotFoundError, UnauthenticatedError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from holdfast.records import Store

KEY_FORM = TokenForm("hf")
_GRACE = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class IssuedKey:
    """A key with its *secret*, which nobody can show again."""

    key: ApiKey
    secret: str

    def __repr__(self) -> str:
        return f"IssuedKey(key={self.key!r})"


class ApiKeys:
    """The keys of a store that was opened with `ApiKey` among its entities.

    Each call is one of the store, and takes part in the transaction around it.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self._keys = store.repository(ApiKey)

    async def issue(
        self,
        name: str,
        role: Role,
        *,
        projects: Iterable[UUID] | None = None,
        lifetime: timedelta | None = None,
    ) -> IssuedKey:
        """Make a key for *name*, which runs out after *lifetime*, if ever.

        With *projects* it reaches those alone. Raises InvalidValueError.
        """
        if not name.strip():
            raise InvalidValueError("ApiKey", "name", "is empty; say whom the key is for")
        if lifetime is not None and lifetime <= timedelta(0):
            raise InvalidValueError("ApiKey", "lifetime", f"is {lifetime}; expected above 0")
        limited = None if projects is None else sorted({str(each) for each in projects})
        if limited is not None and role is Role.ADMIN:
            raise InvalidValueError(
                "ApiKey", "projects", "limit a key that issues keys for all; give another role"
            )
        drawn = draw()
        key = await self._keys.add(
            ApiKey(
                name=name,
                role=role,
                projects=limited,
                sha256=digest_of(drawn),
                expires_at=None if lifetime is None else self.store.now() + lifetime,
            )
        )
        return IssuedKey(key, KEY_FORM.write(key.id, drawn))

    async def caller(self, secret: str) -> Caller:
        """Return whose *secret* it is.

        Raises UnauthenticatedError for one that is unknown, revoked or over; it does not say
        which. Nothing is kept between calls: a revoked key is refused from the next one on.
        """
        return await self.caller_by_digest(*KEY_FORM.read(secret))

    async def caller_by_digest(self, key_id: UUID | None, digest: str) -> Caller:
        """Return whose the key *key_id* is, if *digest* is the one of its secret.

        Raises UnauthenticatedError as `caller` does.
        """
        key = None if key_id is None else await self._keys.get(key_id)
        now = self.store.now()
        fits = hmac.compare_digest(digest, key.sha256 if key else NOBODY)
        if key and key.former_sha256 and key.former_until and now < key.former_until:
            fits |= hmac.compare_digest(digest, key.former_sha256)
        if not key or not fits or not _is_good(key, self.store):
            raise UnauthenticatedError("the API key is unknown, revoked or over")
        projects = None if key.projects is None else frozenset(map(UUID, key.projects))
        return Caller(key.id, key.name, key.role, projects)

    async def rotate(self, key_id: UUID, *, grace: timedelta = _GRACE) -> IssuedKey:
        """Give a key another secret; the one before it is good for *grace* yet.

        Raises NotFoundError for a key that is not there, revoked or over, InvalidValueError for a
        *grace* below 0, and PreconditionFailedError when it was rotated at the same moment.
        """
        if grace < timedelta(0):
            raise InvalidValueError("ApiKey", "grace", f"is {grace}; expected 0 or more")
        key = await self._keys.get_one(key_id)
        if not _is_good(key, self.store):
            raise NotFoundError("ApiKey", key_id)
        drawn = draw()
        changed = await self._keys.patch(
            key_id,
            ApiKey.former_sha256.to(key.sha256),
            ApiKey.former_until.to(self.store.now() + grace),
            ApiKey.sha256.to(digest_of(drawn)),
            when=ApiKey.sha256 == key.sha256,
        )
        return IssuedKey(changed, KEY_FORM.write(key_id, drawn))

    async def revoke(self, key_id: UUID) -> ApiKey:
        """End a key at once; one that was revoked stays as it is. Raises NotFoundError."""
        key = await self._keys.get_one(key_id)
        if key.revoked_at is not None:
            return key
        return await self._keys.patch(key_id, ApiKey.revoked_at.to(self.store.now()))

    async def has_any(self) -> bool:
        """Return whether anybody could come in by a key."""
        now = self.store.now()
        lasts = ApiKey.expires_at.is_null() | (ApiKey.expires_at > now)
        return await self._keys.exists(ApiKey.revoked_at.is_null(), lasts)

    async def list(self) -> list[ApiKey]:
        """Return all keys, newest first, revoked ones included."""
        return await self._keys.find(order_by=ApiKey.created_at.desc())


def _is_good(key: ApiKey, store: Store) -> bool:
    over = key.expires_at is not None and key.expires_at <= store.now()
    return key.revoked_at is None and not over
