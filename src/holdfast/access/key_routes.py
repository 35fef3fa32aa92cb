"""The routes of API keys: an administrator lists, issues, rotates and revokes them."""

from datetime import timedelta
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Body
from pydantic import BaseModel, ConfigDict, Field

from holdfast.access.api_key import ApiKey, Caller, Role
from holdfast.access.api_keys import ApiKeys, IssuedKey
from holdfast.access.gate import AskedBy, allow
from holdfast.fastapi import OutModel, Writing

_SECONDS = Annotated[float, Field(gt=0, le=10 * 366 * 86_400, description="in seconds")]


class KeyOut(OutModel[ApiKey], hide=[ApiKey.sha256, ApiKey.former_sha256, ApiKey.former_until]):
    """A key, without anything of its secret."""


class KeyAsked(BaseModel):
    """What a new key is to be; *projects* are the only ones that it reaches, absent for all."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=200)
    role: Role
    projects: list[UUID] | None = Field(default=None, max_length=1000)
    lifetime: _SECONDS | None = None


class KeyIssued(BaseModel):
    """A key and its *secret*, which nobody can show again."""

    key: KeyOut
    secret: str


class CallerOut(BaseModel):
    """Who asks, as the server sees it."""

    key_id: UUID | None
    name: str
    role: Role
    projects: list[UUID] | None


def key_routes(keys: ApiKeys) -> APIRouter:
    """Return the routes of *keys*."""
    router = APIRouter(tags=["access"])

    @router.get("/me", dependencies=[allow(Role.VIEWER, by_project=True)])
    async def me(caller: AskedBy) -> CallerOut:
        """Tell who asks."""
        return _caller(caller)

    @router.get("/keys", dependencies=[allow(Role.ADMIN)])
    async def list_keys() -> list[KeyOut]:
        """List all keys, newest first, revoked ones too."""
        return [KeyOut.of(key) for key in await keys.list()]

    @router.post("/keys", status_code=201, dependencies=[allow(Role.ADMIN)])
    async def issue(asked: KeyAsked, _tx: Writing) -> KeyIssued:
        """Issue a key. Its secret is in this answer and nowhere else."""
        lifetime = None if asked.lifetime is None else timedelta(seconds=asked.lifetime)
        return _issued(
            await keys.issue(asked.name, asked.role, projects=asked.projects, lifetime=lifetime)
        )

    @router.post("/keys/{key_id}/rotation", dependencies=[allow(Role.ADMIN)])
    async def rotate(
        key_id: UUID,
        _tx: Writing,
        grace: Annotated[float, Body(embed=True, ge=0, le=30 * 86_400)] = 86_400,
    ) -> KeyIssued:
        """Give a key another secret; the old one is good for *grace* seconds yet."""
        return _issued(await keys.rotate(key_id, grace=timedelta(seconds=grace)))

    @router.delete("/keys/{key_id}", dependencies=[allow(Role.ADMIN)])
    async def revoke(key_id: UUID, _tx: Writing) -> KeyOut:
        """End a key, at once and for good."""
        return KeyOut.of(await keys.revoke(key_id))

    return router


def _caller(caller: Caller) -> CallerOut:
    projects = None if caller.projects is None else sorted(caller.projects)
    return CallerOut(key_id=caller.key_id, name=caller.name, role=caller.role, projects=projects)


def _issued(issued: IssuedKey) -> KeyIssued:
    return KeyIssued(key=KeyOut.of(issued.key), secret=issued.secret)
