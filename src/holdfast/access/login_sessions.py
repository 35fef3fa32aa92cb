"""Logins of people in a browser, by an API key or an OpenID provider: a session stands for either.

A session by a key is as good as its key: it ends with the key's revocation, its expiry, and the
rotation of the secret that it was opened by. One by a provider ends by its time alone. Of a
session's own token only the SHA-256 is kept.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, TypeVar
from uuid import UUID

from holdfast.access.api_key import Caller, Role
from holdfast.access.api_keys import KEY_FORM, ApiKeys
from holdfast.access.token_form import NOBODY, TokenForm, digest_of, draw
from holdfast.acting import become
from holdfast.errors import UnauthenticatedError
from holdfast.records import Entity, Field, created_at, field, key
from holdfast.uuid7 import uuid7

if TYPE_CHECKING:
    from holdfast.access.person import Person
    from holdfast.records import Repository, Store

S = TypeVar("S", "LoginSession", "PersonSession")
LIFE = timedelta(hours=12)
_BY_KEY = TokenForm("hs")
_BY_PROVIDER = TokenForm("hp")
_MOST_HINT = 8000  # characters of an ID token; a longer one fits into no address


class LoginSession(Entity, table="login_sessions", indexes=[("key_id",), ("expires_at",)]):
    """A login without its token. Only `LoginSessions` writes it.

    *key_sha256* is the digest of the secret that was shown, by which a rotation ends it.
    """

    id: Field[UUID] = key(default_factory=uuid7)
    key_id: Field[UUID]
    key_sha256: Field[str] = field(max_length=64, audit="redact")
    sha256: Field[str] = field(max_length=64, audit="redact")
    expires_at: Field[datetime]
    created_at: Field[datetime] = created_at()


class PersonSession(Entity, table="person_sessions", indexes=[("expires_at",)]):
    """A login by an OpenID provider without its token. Only `LoginSessions` writes it.

    *subject* is who it is to the *issuer*, *role* what the person might do at the login.
    *id_token* is what the provider is shown when the person logs out.
    """

    id: Field[UUID] = key(default_factory=uuid7)
    issuer: Field[str]
    subject: Field[str] = field(max_length=255)
    name: Field[str] = field(max_length=200)
    role: Field[Role]
    id_token: Field[str] = field(audit="redact")
    sha256: Field[str] = field(max_length=64, audit="redact")
    expires_at: Field[datetime]
    created_at: Field[datetime] = created_at()


@dataclass(frozen=True, slots=True)
class OpenedSession:
    """A session with its *token*, which nobody can show again."""

    session: LoginSession | PersonSession
    caller: Caller
    token: str

    def __repr__(self) -> str:
        return f"OpenedSession(session={self.session!r}, caller={self.caller!r})"


class LoginSessions:
    """The sessions of a store that was opened with `LoginSession`, `PersonSession` and `ApiKey`.

    *life* bounds those by a key, *person_life* those by an OpenID provider. Of these the ones of
    *issuer* alone are good.
    """

    def __init__(
        self,
        store: Store,
        *,
        life: timedelta = LIFE,
        issuer: str = "",
        person_life: timedelta = LIFE,
    ) -> None:
        self.store = store
        self._keys = ApiKeys(store)
        self._life = life
        self._issuer = issuer
        self._person_life = person_life
        self._sessions = store.repository(LoginSession)
        self._people = store.repository(PersonSession)

    async def open(self, secret: str) -> OpenedSession:
        """Open a session for whose API key *secret* is, in whose name it is recorded.

        Raises UnauthenticatedError as `ApiKeys.caller` does.
        """
        caller = await self._keys.caller(secret)
        assert caller.key_id is not None
        become(caller.name)
        drawn = draw()
        session = await self._sessions.add(
            LoginSession(
                key_id=caller.key_id,
                key_sha256=KEY_FORM.read(secret)[1],
                sha256=digest_of(drawn),
                expires_at=self.store.now() + self._life,
            )
        )
        return OpenedSession(session, caller, _BY_KEY.write(session.id, drawn))

    async def open_for(self, person: Person) -> OpenedSession:
        """Open a session for *person*, in whose name it is recorded.

        Raises UnauthenticatedError for one without a role, which is recorded too, as the event
        `login.refused`.
        """
        become(person.name)
        if person.role is None:
            await self.refuse(person.subject, "no role follows from the claim", person.issuer)
            raise UnauthenticatedError(f"{person.name} may not come in: no role follows")
        drawn = draw()
        session = await self._people.add(
            PersonSession(
                issuer=person.issuer,
                subject=person.subject,
                name=person.name,
                role=person.role,
                id_token=person.id_token if len(person.id_token) <= _MOST_HINT else "",
                sha256=digest_of(drawn),
                expires_at=self.store.now() + self._person_life,
            )
        )
        return OpenedSession(session, _caller(session), _BY_PROVIDER.write(session.id, drawn))

    async def refuse(self, subject: str, reason: str, issuer: str) -> None:
        """Record the event `login.refused`; *subject* is who it was to *issuer*, '' if unknown."""
        await self.store.record_event(
            "login.refused",
            entity="PersonSession",
            key=subject or "unknown",
            details={"issuer": issuer, "reason": reason},
        )

    async def caller(self, token: str) -> Caller:
        """Return whose session *token* stands for.

        Raises UnauthenticatedError for one that is unknown or over, or whose key is; it does not
        say which.
        """
        session = await self._of(token)
        if session is None:
            raise UnauthenticatedError("the session is unknown or over")
        if isinstance(session, PersonSession):
            return _caller(session)
        return await self._keys.caller_by_digest(session.key_id, session.key_sha256)

    async def close(self, token: str) -> LoginSession | PersonSession | None:
        """End the session of *token*, and return what it was; None for one that is over."""
        session = await self._of(token)
        if isinstance(session, PersonSession):
            await self._people.delete(session.id)
        elif session is not None:
            await self._sessions.delete(session.id)
        return session

    async def people(self, *, limit: int = 200) -> list[PersonSession]:
        """Return the sessions of people that are good still, newest first, *limit* at most."""
        return await self._people.find(
            PersonSession.expires_at > self.store.now(),
            PersonSession.issuer == self._issuer,
            order_by=PersonSession.created_at.desc(),
            limit=limit,
        )

    async def end(self, session_id: UUID) -> PersonSession:
        """End a person's session at once, and return what it was. Raises NotFoundError."""
        session = await self._people.get_one(session_id)
        await self._people.delete(session_id)
        return session

    async def purge(self) -> int:
        """Remove sessions that are over, and return how many they were."""
        now = self.store.now()
        return await self._sessions.delete_where(
            LoginSession.expires_at <= now
        ) + await self._people.delete_where(PersonSession.expires_at <= now)

    async def _of(self, token: str) -> LoginSession | PersonSession | None:
        """Return the session of *token*, None for one that is unknown, over or not ours."""
        if is_person_token(token):
            person = await self._shown(token, _BY_PROVIDER, self._people)
            return person if person is not None and person.issuer == self._issuer else None
        return await self._shown(token, _BY_KEY, self._sessions)

    async def _shown(self, token: str, form: TokenForm, sessions: Repository[S]) -> S | None:
        identity, digest = form.read(token)
        session = None if identity is None else await sessions.get(identity)
        fits = hmac.compare_digest(digest, session.sha256 if session else NOBODY)
        if session is None or not fits or session.expires_at <= self.store.now():
            return None
        return session


def is_session_token(token: str) -> bool:
    """Return whether *token* looks like that of a session."""
    return token.startswith(("hs_", "hp_"))


def is_person_token(token: str) -> bool:
    """Return whether *token* looks like that of a session by an OpenID provider."""
    return token.startswith("hp_")


def _caller(session: PersonSession) -> Caller:
    return Caller(None, session.name, session.role, session_id=session.id)
