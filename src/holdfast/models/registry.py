"""The registry of models: versions that never change, and aliases that move between them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from holdfast.errors import (
    ConfigurationError,
    DuplicateError,
    ForeignKeyError,
    InUseError,
    InvalidValueError,
    NotFoundError,
)
from holdfast.jobs import Job, JobStatus
from holdfast.models.alias_history import AnyVersion, Expected, MoveOptions
from holdfast.models.blob_store import GRACE, BlobStore, Collected
from holdfast.models.contents.model_contents import read_contents
from holdfast.models.metric_gate import parse_gate
from holdfast.models.model_download import FileCache
from holdfast.models.model_entities import ModelAlias, ModelBlob, ModelUse, ModelVersion
from holdfast.models.registration import (
    Registered,
    Registration,
    RegistrationRequest,
    checked_request,
    read_local,
)
from holdfast.models.signatures.signed_versions import SignedVersions
from holdfast.models.version_details import VersionDetails
from holdfast.objects import PresignOptions

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from uuid import UUID

    from holdfast.domain import RoleBucket
    from holdfast.jobs import Jobs
    from holdfast.models.model_entities import AliasMove, VersionFile
    from holdfast.models.model_tree import Progress
    from holdfast.models.signatures.manifest_signing import TrustedKeys
    from holdfast.objects import PresignedURL
    from holdfast.records import Store

_NOTHING = VersionDetails()
_LONGEST_URL = timedelta(minutes=15)
_PAGE = 500


@dataclass(frozen=True, slots=True)
class FileDamage:
    """A file of a version whose bytes are not there as they were registered, and how."""

    version: ModelVersion
    path: str
    reason: str


class ModelRegistry(SignedVersions):
    """The models of a store that was opened with MODEL_ENTITIES, their bytes in a bucket.

    A version is there with all its files, or not at all, whatever is killed when. Async alone.
    """

    def __init__(
        self,
        store: Store,
        place: RoleBucket,
        cache_folder: Path,
        *,
        jobs: Jobs | None = None,
        trusted: TrustedKeys | None = None,
    ) -> None:
        """*cache_folder* keeps downloaded files; *jobs* tell whether what uses a version lives.

        With *trusted* keys, versions that none of them has signed are registered and found, but
        not downloaded, presigned or run.
        """
        super().__init__(store, trusted)
        self.bucket = place.bucket
        self._jobs = jobs
        self._blobs = store.repository(ModelBlob)
        self._uses = store.repository(ModelUse)
        self._aliases = store.repository(ModelAlias)
        self._blob_store = BlobStore(store, place)
        self._registration = Registration(store, self._blob_store)
        self._cache = FileCache(cache_folder, place.bucket)

    async def register(
        self,
        name: str,
        path: str | os.PathLike[str],
        details: VersionDetails = _NOTHING,
        *,
        idempotency_key: str | None = None,
        progress: Progress | None = None,
    ) -> Registered:
        """Register the file, or the folder with all below it, at *path* as the next version.

        The bytes are stored first, once for each content, and read back as verified; then one
        transaction makes the version visible. Any number may do so at once. With an
        *idempotency_key* that a registration of this name had, that version is the answer.
        *progress* is called with bytes stored and bytes in all.

        Not inside a transaction. Raises ModelFileError for what is not there, links and other
        special files; IntegrityError for a file that changes meanwhile; NotFoundError for a
        parent; DuplicateError for a semantic version that is taken, or a key of another request;
        InvalidValueError, and what the store and the bucket raise. Then nothing is to be seen.
        """
        parents = {}
        for reference in details.parents:
            parent = await self.resolve(reference)
            parents[await self.label(parent)] = parent
        checked_request(RegistrationRequest(name, details, parents, {}))
        local = await read_local(path)
        contents = await asyncio.to_thread(read_contents, local)
        request = RegistrationRequest(name, details, parents, contents, idempotency_key)
        return await self._registration.register(request, local, progress)

    async def promote(
        self,
        version: ModelVersion,
        alias: str,
        *,
        expected: Expected = AnyVersion.ANY,
        reason: str = "",
        gates: Sequence[str] = (),
    ) -> AliasMove:
        """Point *alias* of the version's model at it, and keep the move. Atomic.

        *expected* is the number of the version that the alias must point at, None for at none.
        *gates* are conditions on metrics, as `mAP >= 0.9` or `mAP > current`. Of several who
        expect the same one succeeds. Raises PreconditionFailedError, GateError, NotFoundError for
        a version that is gone, InvalidQueryError for a gate, InvalidValueError for a name.
        """
        checked = tuple(parse_gate(each) for each in gates)
        options = MoveOptions(reason=reason, expected=expected, gates=checked)
        model = await self.models.get_one(version.model_id)
        return await self._history.move(model, alias, version, options)

    async def withdraw(
        self, name: str, alias: str, *, expected: Expected = AnyVersion.ANY, reason: str = ""
    ) -> AliasMove:
        """Point the alias at no version; its history stays. Raises PreconditionFailedError."""
        options = MoveOptions(reason=reason, expected=expected)
        return await self._history.move(await self.model(name), alias, None, options)

    async def rollback(
        self, name: str, alias: str, *, expected: Expected = AnyVersion.ANY, reason: str = ""
    ) -> AliasMove:
        """Point the alias at what it pointed at before; once more goes one further back.

        Raises NotFoundError when there is nothing to go back to, and PreconditionFailedError.
        """
        options = MoveOptions(reason=reason, expected=expected)
        return await self._history.roll_back(await self.model(name), alias, options)

    async def deprecate(
        self, version: ModelVersion, reason: str = "", *, deprecated: bool = True
    ) -> ModelVersion:
        """Mark *version* as not to be chosen any more, or take that back, and return it.

        Ranges and the newest pass it over; by number, alias and digest it is found still.
        """
        return await self._versions.patch(
            version.id,
            ModelVersion.deprecated_at.to(self.store.now() if deprecated else None),
            ModelVersion.deprecation.to(reason if deprecated else None),
        )

    async def use(self, version: ModelVersion, job_id: UUID) -> None:
        """Note that the job works with *version*, which can't be deleted while the job lives.

        Raises NotFoundError for a version that is gone.
        """
        try:
            await self._uses.add(ModelUse(version_id=version.id, job_id=job_id))
        except DuplicateError:
            return  # it said so before
        except ForeignKeyError:
            raise NotFoundError("ModelVersion", version.id) from None

    async def delete(self, version: ModelVersion) -> bool:
        """Delete *version*; return whether it was there. Its bytes go with the next `gc`.

        Raises InUseError while an alias points at it, or a job that works with it is not at its
        end; then nothing was deleted. Its number is not given again.
        """
        label = await self.label(version)
        try:
            async with self.store.transaction():
                users = await self._users(version)
                if users:
                    raise InUseError(label, users)
                await self._uses.delete_where(ModelUse.version_id == version.id)
                return await self._versions.delete(version.id)
        except ForeignKeyError:  # an alias or a job came in between
            raise InUseError(label, await self._users(version)) from None

    async def download(
        self, version: ModelVersion, target: Path, *, progress: Progress | None = None
    ) -> Path:
        """Put the version's files at *target* in one step, and return where they are.

        A single file is put there under the name *target*, or into it where that is a folder;
        several become the new folder *target*. Every byte is verified; what is cached is not
        downloaded again. Raises IntegrityError, SignatureError where trusted keys are asked for,
        ModelFileError when something is in the way, StorageError, and NotFoundError for a version
        that is gone.
        """
        files, blobs = await self._named(version)
        return await self._cache.place(files, blobs, target, progress)

    async def local_file(
        self, version: ModelVersion, path: str | None = None, *, progress: Progress | None = None
    ) -> Path:
        """Return a verified local copy of one file, shared with others and not to be changed.

        *path* may be left out of a version with a single file. Raises as `download` does.
        """
        file, blob = await self._file(version, path)
        return await self._cache.path(file, blob, progress)

    async def presign(
        self, version: ModelVersion, path: str | None = None, *, expires: timedelta = _LONGEST_URL
    ) -> PresignedURL:
        """Return a URL from which the file can be fetched for as long as *expires*.

        Whoever has it can; the bytes are those of the version, to be checked against its SHA-256.
        Raises UnsupportedError for a bucket without a server.
        """
        file, blob = await self._file(version, path)
        name = file.path.rpartition("/")[2]
        return await self.bucket.presign(
            blob.object_key, PresignOptions(expires=expires, filename=name)
        )

    async def object_key(self, version: ModelVersion, path: str | None = None) -> str:
        """Return the key in the bucket of the version's file; see `local_file` for *path*."""
        return (await self._file(version, path))[1].object_key

    def upload_key(self, name: str) -> str:
        """Return a key in the bucket for a file that is on its way to be registered."""
        return self._blob_store.upload_key(name)

    async def verify(self, version: ModelVersion | None = None) -> Sequence[FileDamage]:
        """Read every byte of *version*, of all versions for None, and return what is damaged.

        Bytes that several versions have are read once. Memory does not grow with their size.
        """
        damages: list[FileDamage] = []
        seen: dict[UUID, str | None] = {}
        chosen = (
            self._versions.stream(order_by=ModelVersion.id.asc())
            if version is None
            else self._versions.stream(ModelVersion.id == version.id)
        )
        async for each in chosen:
            for file in await self.files(each):
                if file.blob_id not in seen:
                    seen[file.blob_id] = await self._blob_store.damage(file)
                reason = seen[file.blob_id]
                if reason is not None:
                    damages.append(FileDamage(each, file.path, reason))
        return damages

    async def gc(self, *, grace: timedelta = GRACE) -> Collected:
        """Remove bytes that no version names; return how many. Safe beside registrations.

        What came within *grace* is kept, as its registration may be on its way. With a shorter
        one registrations that are under way store their bytes again; none is ever broken.
        """
        if grace < timedelta(0):
            raise ConfigurationError(f"grace={grace}: expected none or a positive time")
        return await self._blob_store.collect(grace=grace)

    async def _users(self, version: ModelVersion) -> tuple[str, ...]:
        """Return who keeps *version* from being deleted: aliases, and jobs that live."""
        pointing = await self._aliases.find(ModelAlias.version_id == version.id)
        found = [f"alias {each.name}" for each in pointing]
        using: list[UUID] = []
        async for use in self._uses.stream(
            ModelUse.version_id == version.id, order_by=ModelUse.id.asc()
        ):
            using.append(use.job_id)
            if len(using) == _PAGE:
                found += await self._living(using)
                using = []
        found += await self._living(using)
        return tuple(sorted(found))

    async def _living(self, jobs: Sequence[UUID]) -> list[str]:
        """Return those of *jobs* that are not at their end; all where nobody can tell."""
        if self._jobs is None:
            return [f"job {each}" for each in jobs]
        living = await self._jobs.store.repository(Job).find(
            Job.id.in_(jobs), Job.status.in_([JobStatus.QUEUED, JobStatus.RUNNING])
        )
        return [f"job {each.id}" for each in living]

    async def _named(
        self, version: ModelVersion
    ) -> tuple[Sequence[VersionFile], Mapping[str, ModelBlob]]:
        files = await self.files(version)
        if not files:
            raise NotFoundError("ModelVersion", version.id, hint="it was deleted")
        await self._check_signed(version, files)
        blobs = await self._blobs.get_many([file.blob_id for file in files])
        return files, {blob.sha256: blob for blob in blobs if blob is not None}

    async def _file(self, version: ModelVersion, path: str | None) -> tuple[VersionFile, ModelBlob]:
        files, blobs = await self._named(version)
        if path is None and len(files) != 1:
            raise InvalidValueError(
                "ModelVersion", "path", f"it has {len(files)} files; say which is meant"
            )
        found = [file for file in files if path in {None, file.path}]
        if not found:
            raise NotFoundError("VersionFile", path)
        return found[0], blobs[found[0].sha256]
