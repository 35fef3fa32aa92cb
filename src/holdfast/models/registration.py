"""Registers a version: bytes first, then one transaction that makes all of it visible."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import orjson

from holdfast.acting import acting
from holdfast.errors import DuplicateError, UnavailableError
from holdfast.models.model_entities import (
    LinkKind,
    ModelVersion,
    RegisteredModel,
    VersionFigure,
    VersionFile,
    VersionLink,
    VersionTerm,
)
from holdfast.models.model_reference import check_model_name
from holdfast.models.model_tree import digest_of, read_model
from holdfast.models.semantic_version import semantic_version
from holdfast.models.version_details import VersionDetails, figures_of, terms_of
from holdfast.uuid7 import uuid7

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    from holdfast.models.blob_store import BlobStore
    from holdfast.models.model_entities import ModelBlob
    from holdfast.models.model_tree import LocalModel, Progress
    from holdfast.records import Store

_ATTEMPTS = 20  # a collection between the bytes and the record makes another one necessary
_CLASHES = 20  # several who register one name wait for one another, and some databases give up


@dataclass(frozen=True, slots=True)
class Registered:
    """A version, and whether this call made it; else its idempotency key had made it before."""

    version: ModelVersion
    created: bool


@dataclass(frozen=True, slots=True)
class RegistrationRequest:
    """What is to be registered under *name*: *details*, and *parents* by their labels.

    *contents* is what was read from the files' headers.
    """

    name: str
    details: VersionDetails
    parents: Mapping[str, ModelVersion]
    contents: Mapping[str, object]
    idempotency_key: str | None = None

    def request_key(self) -> str | None:
        """Return what the idempotency key is kept as, within the model's name."""
        if self.idempotency_key is None:
            return None
        return hashlib.sha256(orjson.dumps([self.name, self.idempotency_key])).hexdigest()

    def digest(self, files_digest: str) -> str:
        """Return a checksum of all that is asked for: two requests with one are the same."""
        details = self.details
        content = {
            "files": files_digest,
            "details": {name: getattr(details, name) for name in details.__slots__},
        }
        return hashlib.sha256(
            orjson.dumps(content, option=orjson.OPT_SORT_KEYS, default=str)
        ).hexdigest()


class _CollectedMeanwhileError(Exception):
    """A blob was collected between its arrival and the record that would have named it."""


class Registration:
    """Registers versions in a store whose bytes are kept as blobs."""

    def __init__(self, store: Store, blobs: BlobStore) -> None:
        self._store = store
        self._blobs = blobs
        self._models = store.repository(RegisteredModel)
        self._versions = store.repository(ModelVersion)
        self._files = store.repository(VersionFile)
        self._figures = store.repository(VersionFigure)
        self._terms = store.repository(VersionTerm)
        self._links = store.repository(VersionLink)

    async def register(
        self,
        request: RegistrationRequest,
        local: LocalModel,
        progress: Progress | None = None,
    ) -> Registered:
        """Store the files of *local*, then add the version of *request*, with the next number.

        Nothing of the version is seen before all of it is. Raises DuplicateError for a semantic
        version that the model has, and for an idempotency key that was used for something else.
        """
        known = await self._known(request, local)
        if known is not None:
            return known
        model = await self._model(request.name)
        for _ in range(_ATTEMPTS):
            held = await self._hold(local, progress)
            adding = partial(self._add, model, request, local, held)
            try:
                version = await self._store.retrying(adding, attempts=_CLASHES)
            except _CollectedMeanwhileError:
                continue
            except DuplicateError:
                known = await self._known(request, local)
                if known is not None:
                    return known
                raise
            return Registered(version, created=True)
        raise UnavailableError("what is registered is collected again and again; try later")

    async def _known(self, request: RegistrationRequest, local: LocalModel) -> Registered | None:
        key = request.request_key()
        if key is None:
            return None
        found = await self._versions.first(ModelVersion.request_key == key)
        if found is None:
            return None
        if found.request_digest != request.digest(digest_of(local.files)):
            raise DuplicateError("ModelVersion", ("idempotency_key",))
        return Registered(found, created=False)

    async def _model(self, name: str) -> RegisteredModel:
        found = await self._models.first(RegisteredModel.name == name)
        if found is not None:
            return found
        try:
            return await self._models.add(RegisteredModel(name=name))
        except DuplicateError:
            return await self._models.one(RegisteredModel.name == name)

    async def _hold(self, local: LocalModel, progress: Progress | None) -> Mapping[str, ModelBlob]:
        """Return a live blob for each checksum."""
        held: dict[str, ModelBlob] = {}
        done = 0
        for file in local.files:
            if file.sha256 not in held:
                told = _part_of(progress, done, local.size)
                held[file.sha256] = await self._blobs.hold(file, local.root / file.path, told)
            done += file.size
        if progress is not None:
            progress(local.size, local.size)
        return held

    async def _add(
        self,
        model: RegisteredModel,
        request: RegistrationRequest,
        local: LocalModel,
        held: Mapping[str, ModelBlob],
    ) -> ModelVersion:
        """Add the version and all that belongs to it, inside a transaction.

        The model's row comes first, so that registrations of one name wait for one another there
        and nowhere else.
        """
        numbered = await self._models.patch(model.id, RegisteredModel.last_number.increment(1))
        if not await self._blobs.confirm(list(held.values())):
            raise _CollectedMeanwhileError
        version = await self._versions.add(_version(numbered, request, local))
        await self._files.add_many(
            [
                VersionFile(
                    version_id=version.id,
                    blob_id=held[file.sha256].id,
                    path=file.path,
                    sha256=file.sha256,
                    size=file.size,
                )
                for file in local.files
            ]
        )
        await self._figures.add_many(
            [
                VersionFigure(version_id=version.id, model_id=model.id, name=name, value=value)
                for name, value in figures_of(request.details).items()
            ]
        )
        await self._terms.add_many(
            [
                VersionTerm(version_id=version.id, model_id=model.id, term=term)
                for term in terms_of(request.name, request.details)
            ]
        )
        await self._links.add_many(_links(version, request))
        return version


async def read_local(path: str | os.PathLike[str], progress: Progress | None = None) -> LocalModel:
    """Return the files at *path*, hashed on a thread; see `read_model`."""
    return await asyncio.to_thread(read_model, path, progress)


def checked_request(request: RegistrationRequest) -> RegistrationRequest:
    """Return *request*. Raises InvalidValueError for its name or its semantic version."""
    check_model_name(request.name)
    if request.details.semantic_version is not None:
        semantic_version(request.details.semantic_version)
    return request


def _version(
    model: RegisteredModel, request: RegistrationRequest, local: LocalModel
) -> ModelVersion:
    details = request.details
    named = None if details.semantic_version is None else semantic_version(details.semantic_version)
    digest = digest_of(local.files)
    return ModelVersion(
        id=uuid7(),
        model_id=model.id,
        number=model.last_number,
        semantic=None if named is None else named.text,
        precedence=None if named is None else named.precedence,
        stable=named is not None and named.stable,
        digest=digest,
        size=local.size,
        files=len(local.files),
        description=details.description,
        metrics={name: float(value) for name, value in details.metrics.items()},
        config=dict(details.config),
        tags=dict(details.tags),
        signature=details.signature,
        contents=dict(request.contents),
        created_by=acting().actor,
        request_key=request.request_key(),
        request_digest=request.digest(digest),
    )


def _links(version: ModelVersion, request: RegistrationRequest) -> Sequence[VersionLink]:
    details = request.details
    found = [(LinkKind.PARENT, str(parent.id), label) for label, parent in request.parents.items()]
    found += [(LinkKind.DATASET, name, name) for name in dict.fromkeys(details.datasets)]
    if details.job_id is not None:
        found.append((LinkKind.JOB, str(details.job_id), str(details.job_id)))
    return [
        VersionLink(version_id=version.id, kind=kind, target=target, label=label)
        for kind, target, label in found
    ]


def _part_of(progress: Progress | None, done: int, total: int) -> Progress | None:
    if progress is None:
        return None
    return lambda moved, _size: progress(done + moved, total)
