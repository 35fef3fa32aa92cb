"""The routes of models: versions come in, are found, promoted, downloaded, compared and deleted."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated
from uuid import UUID, uuid4

import anyio
from fastapi import APIRouter, Header, HTTPException, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from holdfast.access import Role
from holdfast.access.gate import allow
from holdfast.errors import NotFoundError
from holdfast.fastapi import OutModel, problem_responses
from holdfast.fastapi.crud.page_cursors import sealed_page, unsealed_cursor
from holdfast.fastapi.crud.query_time import QueryTime
from holdfast.fastapi.transfers.file_names import safe_file_name
from holdfast.fastapi.transfers.object_response import add_download, object_response
from holdfast.fastapi.transfers.request_body import UploadLimits
from holdfast.fastapi.transfers.upload_request import receive_upload
from holdfast.models.alias_history import AnyVersion, Expected
from holdfast.models.model_entities import (
    AliasMove,
    ModelAlias,
    ModelVersion,
    RegisteredModel,
    VersionFile,
)
from holdfast.models.registry import ModelRegistry
from holdfast.models.registry_reads import LineageVersion
from holdfast.models.version_details import VersionDetails
from holdfast.models.version_search import VersionSearch
from holdfast.records import Page
from holdfast.workspace import open_workspace

_LIMITS = UploadLimits(most=64 << 30, least=1)
_READS = [allow(Role.VIEWER)]
_WRITES = [allow(Role.OPERATOR)]
_ADMINISTERS = [allow(Role.ADMIN)]
Conditions = Annotated[list[str], Query(max_length=20)]


class RegisteredModelOut(OutModel[RegisteredModel]):
    """A model as clients see it."""


class ModelVersionOut(
    OutModel[ModelVersion],
    hide=[ModelVersion.request_key, ModelVersion.request_digest, ModelVersion.precedence],
):
    """A version as clients see it."""


class VersionFileOut(OutModel[VersionFile], hide=[VersionFile.blob_id]):
    """A file of a version as clients see it."""


class ModelAliasOut(OutModel[ModelAlias]):
    """An alias as clients see it."""


class AliasMoveOut(OutModel[AliasMove]):
    """A move of an alias as clients see it."""


class VersionRegistered(BaseModel):
    """A version that is there now, and whether this request made it."""

    version: ModelVersionOut
    created: bool


class RegistrationDetails(BaseModel):
    """What is said of a version beside its file; see `VersionDetails`."""

    model_config = ConfigDict(extra="forbid")

    semantic_version: str | None = None
    description: str | None = Field(default=None, max_length=4_000)
    metrics: dict[str, float] = Field(default_factory=dict)
    config: dict[str, object] = Field(default_factory=dict)
    tags: dict[str, str] = Field(default_factory=dict)
    parents: list[str] = Field(default_factory=list, max_length=100)
    datasets: list[str] = Field(default_factory=list, max_length=100)
    job_id: UUID | None = None

    def details(self) -> VersionDetails:
        """Return the same as the registry takes it."""
        content = self.model_dump()
        for name in ("parents", "datasets"):
            content[name] = tuple(content[name])
        return VersionDetails(**content)


class Promotion(BaseModel):
    """Which version an alias is to point at, and what must hold.

    *expected* is the number of the version that it points at now, null for none; left out,
    anything will do.
    """

    model_config = ConfigDict(extra="forbid")

    number: int = Field(ge=1)
    reason: str = Field(default="", max_length=1_000)
    gates: list[str] = Field(default_factory=list, max_length=20)
    expected: int | None = None

    def expectation(self) -> Expected:
        """Return what the alias must point at."""
        return self.expected if "expected" in self.model_fields_set else AnyVersion.ANY


class RollbackAsked(BaseModel):
    """Why an alias goes back."""

    model_config = ConfigDict(extra="forbid")

    reason: str = Field(default="", max_length=1_000)


class Deprecation(BaseModel):
    """Whether a version is not to be chosen any more, and why."""

    model_config = ConfigDict(extra="forbid")

    deprecated: bool = True
    reason: str = Field(default="", max_length=1_000)


class LineageVersionOut(BaseModel):
    """A version in a lineage; without an id when it was deleted."""

    steps: int
    label: str
    id: UUID | None


class LineageOut(BaseModel):
    """Where a version comes from and what came of it."""

    ancestors: list[LineageVersionOut]
    descendants: list[LineageVersionOut]
    datasets: list[str]
    jobs: list[str]


class VersionDiffOut(BaseModel):
    """What differs between two versions: by name, what the first and the second have."""

    metrics: dict[str, tuple[object, object]]
    config: dict[str, tuple[object, object]]
    tags: dict[str, tuple[object, object]]
    files: dict[str, tuple[object, object]]


class DamageOut(BaseModel):
    """A file whose bytes are not there as they were registered."""

    version_id: UUID
    path: str
    reason: str


class CollectedOut(BaseModel):
    """What a collection removed."""

    blobs: int
    size: int
    strays: int


def model_routes(registry: ModelRegistry, work_folder: Path) -> APIRouter:
    """Return the routes of *registry*; files on their way to it are put below *work_folder*."""
    router = APIRouter(tags=["models"], prefix="/models", responses=problem_responses(404))
    _add_versions(router, registry)
    _add_registration(router, registry, work_folder)
    _add_aliases(router, registry)
    _add_care(router, registry)
    return router


def _add_versions(router: APIRouter, registry: ModelRegistry) -> None:
    @router.get("", dependencies=_READS)
    async def list_models(
        size: Annotated[int, Query(ge=1, le=200)] = 50, cursor: str | None = None
    ) -> Page[RegisteredModelOut]:
        """List models by name."""
        page = await registry.list(size=size, cursor=unsealed_cursor(cursor))
        return _page(page, [RegisteredModelOut.of(each) for each in page.items])

    @router.get("/search", dependencies=_READS)
    async def search(
        where: Conditions = [],  # noqa: B006 - pydantic copies it
        text: Annotated[str, Query(max_length=400)] = "",
        order_by: Annotated[str | None, Query(max_length=200)] = None,
        model: str | None = None,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
    ) -> list[ModelVersionOut]:
        """Search versions: `where=metrics.mAP >= 0.9`, `text=night`, `order_by=-metrics.mAP`."""
        asked = VersionSearch(where=tuple(where), text=text, order_by=order_by, limit=limit)
        return [ModelVersionOut.of(each) for each in await registry.search(asked, name=model)]

    @router.get("/resolve", dependencies=_READS)
    async def resolve(
        reference: Annotated[str, Query(max_length=400)], at: QueryTime | None = None
    ) -> ModelVersionOut:
        """Show the version that a reference such as `vehicles@prod` means, or meant at a time."""
        if at is not None and at.tzinfo is None:
            raise HTTPException(422, "at has no zone; expected such as 2026-01-01T10:00:00Z")
        return ModelVersionOut.of(await registry.resolve(reference, at=at))

    @router.get("/compare", dependencies=_READS)
    async def compare(
        first: Annotated[str, Query(max_length=400)], second: Annotated[str, Query(max_length=400)]
    ) -> VersionDiffOut:
        """Tell what differs between the versions that two references mean."""
        found = await registry.compare(
            await registry.resolve(first), await registry.resolve(second)
        )
        return VersionDiffOut.model_validate(found, from_attributes=True)

    @router.get("/{name}/versions", dependencies=_READS)
    async def versions(
        name: str, size: Annotated[int, Query(ge=1, le=200)] = 50, cursor: str | None = None
    ) -> Page[ModelVersionOut]:
        """List the versions of a model, the newest first."""
        page = await registry.versions(name, size=size, cursor=unsealed_cursor(cursor))
        return _page(page, [ModelVersionOut.of(each) for each in page.items])

    @router.get("/{name}/versions/{number}", dependencies=_READS)
    async def get(name: str, number: int) -> ModelVersionOut:
        """Show a version."""
        return ModelVersionOut.of(await _version(registry, name, number))

    @router.get("/{name}/versions/{number}/files", dependencies=_READS)
    async def files(name: str, number: int) -> list[VersionFileOut]:
        """List the files of a version."""
        version = await _version(registry, name, number)
        return [VersionFileOut.of(each) for each in await registry.files(version)]

    @router.get("/{name}/versions/{number}/lineage", dependencies=_READS)
    async def lineage(name: str, number: int) -> LineageOut:
        """Tell where a version comes from and what came of it."""
        found = await registry.lineage(await _version(registry, name, number))
        return LineageOut(
            ancestors=[_lineage_version(each) for each in found.ancestors],
            descendants=[_lineage_version(each) for each in found.descendants],
            datasets=list(found.datasets),
            jobs=list(found.jobs),
        )

    async def content(name: str, number: int, path: str, request: Request) -> Response:
        """Send a file of a version; its SHA-256 is in the list of files."""
        version = await _version(registry, name, number)
        key = await registry.object_key(version, path)
        return await object_response(
            request, registry.bucket, key, download_as=safe_file_name(path.rpartition("/")[2])
        )

    sends = APIRouter(dependencies=_READS)
    add_download(sends, "/{name}/versions/{number}/content/{path:path}", content)
    router.include_router(sends)


def _add_registration(router: APIRouter, registry: ModelRegistry, work_folder: Path) -> None:
    @router.post("/{name}/versions", status_code=201, dependencies=_WRITES)
    async def register(
        name: str,
        request: Request,
        response: Response,
        details: Annotated[str, Query(max_length=16_384)] = "{}",
        idempotency_key: Annotated[str | None, Header(max_length=255)] = None,
    ) -> VersionRegistered:
        """Register the file of a multipart form, or the whole body, as the next version.

        `details` is JSON: metrics, config, tags, parents, datasets. With an `Idempotency-Key`
        that made a version before, that is the answer, and 200.
        """
        said = _details_of(details)
        key = registry.upload_key(uuid4().hex)
        async with receive_upload(request, registry.bucket, key, limits=_LIMITS) as received:
            try:
                async with open_workspace(work_folder) as folder:
                    path = folder / safe_file_name(received.filename or "model.bin")
                    await registry.bucket.download(received.key, path)
                    done = await registry.register(
                        name, path, said, idempotency_key=idempotency_key
                    )
            finally:
                with anyio.CancelScope(shield=True):
                    await registry.bucket.delete(received.key)
        if not done.created:
            response.status_code = 200
        response.headers["Location"] = f"/api/v1/models/{name}/versions/{done.version.number}"
        return VersionRegistered(version=ModelVersionOut.of(done.version), created=done.created)

    @router.put("/{name}/versions/{number}/deprecation", dependencies=_WRITES)
    async def deprecate(name: str, number: int, asked: Deprecation) -> ModelVersionOut:
        """Mark a version as not to be chosen any more, or take that back."""
        version = await _version(registry, name, number)
        changed = await registry.deprecate(version, asked.reason, deprecated=asked.deprecated)
        return ModelVersionOut.of(changed)

    @router.delete("/{name}/versions/{number}", status_code=204, dependencies=_WRITES)
    async def delete(name: str, number: int) -> None:
        """Delete a version that no alias points at and no living job works with."""
        await registry.delete(await _version(registry, name, number))


def _add_aliases(router: APIRouter, registry: ModelRegistry) -> None:
    @router.get("/{name}/aliases", dependencies=_READS)
    async def aliases(name: str) -> list[ModelAliasOut]:
        """List the aliases of a model that point at a version."""
        return [ModelAliasOut.of(each) for each in await registry.aliases(name)]

    @router.get("/{name}/aliases/{alias}/history", dependencies=_READS)
    async def history(name: str, alias: str) -> list[AliasMoveOut]:
        """List all moves of an alias, the last one first."""
        return [AliasMoveOut.of(each) for each in await registry.history(name, alias)]

    @router.put("/{name}/aliases/{alias}", dependencies=_WRITES)
    async def promote(name: str, alias: str, asked: Promotion) -> AliasMoveOut:
        """Point an alias at a version, if it points at what is expected and all gates let it."""
        move = await registry.promote(
            await _version(registry, name, asked.number),
            alias,
            expected=asked.expectation(),
            reason=asked.reason,
            gates=asked.gates,
        )
        return AliasMoveOut.of(move)

    @router.post("/{name}/aliases/{alias}/rollback", dependencies=_WRITES)
    async def rollback(name: str, alias: str, asked: RollbackAsked | None = None) -> AliasMoveOut:
        """Point an alias at what it pointed at before."""
        reason = "" if asked is None else asked.reason
        return AliasMoveOut.of(await registry.rollback(name, alias, reason=reason))

    @router.delete("/{name}/aliases/{alias}", dependencies=_WRITES)
    async def withdraw(name: str, alias: str) -> AliasMoveOut:
        """Point an alias at no version; its history stays."""
        return AliasMoveOut.of(await registry.withdraw(name, alias))


def _add_care(router: APIRouter, registry: ModelRegistry) -> None:
    @router.post("/verification", dependencies=_ADMINISTERS)
    async def verify(reference: Annotated[str, Query(max_length=400)]) -> list[DamageOut]:
        """Read every byte of a version, and list the files that are damaged."""
        found = await registry.verify(await registry.resolve(reference))
        return [
            DamageOut(version_id=each.version.id, path=each.path, reason=each.reason)
            for each in found
        ]

    @router.post("/collection", dependencies=_ADMINISTERS)
    async def collect() -> CollectedOut:
        """Remove bytes that no version names, and that came more than a day ago."""
        return CollectedOut.model_validate(await registry.gc(), from_attributes=True)


def _details_of(text: str) -> VersionDetails:
    try:
        return RegistrationDetails.model_validate_json(text).details()
    except ValidationError as error:
        raise RequestValidationError(
            [{**each, "loc": ("query", "details", *each["loc"])} for each in error.errors()]
        ) from None


async def _version(registry: ModelRegistry, name: str, number: int) -> ModelVersion:
    if not 1 <= number < 1_000_000_000:
        raise NotFoundError("ModelVersion", f"{name}:{number}")
    return await registry.resolve(f"{name}:{number}")


def _page(page: Page[ModelVersion] | Page[RegisteredModel], items: Sequence[object]) -> Page:  # type: ignore[type-arg]
    return sealed_page(Page(list(items), page.next, page.previous, page.total))


def _lineage_version(found: LineageVersion) -> LineageVersionOut:
    return LineageVersionOut(
        steps=found.steps,
        label=found.label,
        id=None if found.version is None else found.version.id,
    )
