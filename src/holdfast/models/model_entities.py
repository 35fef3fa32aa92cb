"""What the registry keeps records of: models, their versions, aliases and blobs."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from holdfast.models.version_details import ModelSignature
from holdfast.records import Entity, Field, created_at, field, key, ref, updated_at, version
from holdfast.uuid7 import uuid7

NAME_LENGTH = 200


class RegisteredModel(Entity, table="models"):
    """A model by its name; its versions are numbered from 1. *last_number* is the newest's."""

    id: Field[UUID] = key(default_factory=uuid7)
    name: Field[str] = field(max_length=NAME_LENGTH, unique=True)
    description: Field[str | None] = field(default=None, max_length=4_000)
    last_number: Field[int] = field(default=0)
    created_at: Field[datetime] = created_at()
    updated_at: Field[datetime] = updated_at()
    version: Field[int] = version()


class ModelVersion(
    Entity,
    table="model_versions",
    indexes=[("digest",), ("model_id", "stable", "precedence"), ("model_id", "created_at")],
    uniques=[("model_id", "number"), ("model_id", "precedence")],
):
    """One version of a model. Files, figures and details never change; deprecation may.

    *digest* is the SHA-256 of its manifest, which names each file by path, size and SHA-256;
    *size* is that of all files, in bytes. *precedence* orders semantic versions as text.
    *contents* is what was read from the files' headers, without running anything.
    """

    id: Field[UUID] = key(default_factory=uuid7)
    model_id: Field[UUID] = ref(RegisteredModel)
    number: Field[int]
    semantic: Field[str | None] = field(default=None, max_length=100)
    precedence: Field[str | None] = field(default=None, max_length=255)
    stable: Field[bool] = field(default=False)
    digest: Field[str] = field(max_length=64)
    size: Field[int]
    files: Field[int]
    description: Field[str | None] = field(default=None, max_length=4_000)
    metrics: Field[dict[str, object]] = field(default_factory=dict)
    config: Field[dict[str, object]] = field(default_factory=dict)
    tags: Field[dict[str, object]] = field(default_factory=dict)
    signature: Field[ModelSignature | None] = field(default=None)
    contents: Field[dict[str, object]] = field(default_factory=dict)
    created_by: Field[str | None] = field(default=None, max_length=200)
    request_key: Field[str | None] = field(default=None, max_length=64, unique=True)
    request_digest: Field[str] = field(max_length=64)
    deprecated_at: Field[datetime | None] = field(default=None)
    deprecation: Field[str | None] = field(default=None, max_length=1_000)
    created_at: Field[datetime] = created_at()
    revision: Field[int] = version()


class BlobState(StrEnum):
    """Where a blob stands: on its way in, there, or given up and about to be removed."""

    ARRIVING = "arriving"
    LIVE = "live"
    DOOMED = "doomed"


class ModelBlob(Entity, table="model_blobs", indexes=[("state", "used_at")]):
    """Bytes of models, stored once however many versions have them.

    *object_key* is the blob's own and never used again: who removes a blob can't remove one that
    came later. *live_sha256* is the checksum while the blob is live, null else, so the store
    keeps two live blobs from having the same bytes. *used_at* is when a registration last
    asked for it.
    """

    id: Field[UUID] = key(default_factory=uuid7)
    sha256: Field[str] = field(max_length=64)
    size: Field[int]
    object_key: Field[str] = field(max_length=255)
    state: Field[BlobState] = field(default=BlobState.ARRIVING)
    live_sha256: Field[str | None] = field(default=None, max_length=64, unique=True)
    used_at: Field[datetime]
    revision: Field[int] = version()


class VersionFile(Entity, table="model_version_files", indexes=[("sha256",)]):
    """A file of a version: its *path* in the version's folder, and the blob with its bytes."""

    id: Field[UUID] = key(default_factory=uuid7)
    version_id: Field[UUID] = ref(ModelVersion, on_delete="cascade")
    blob_id: Field[UUID] = ref(ModelBlob)
    path: Field[str] = field(max_length=1024)
    sha256: Field[str] = field(max_length=64)
    size: Field[int]


class VersionFigure(
    Entity,
    table="model_version_figures",
    indexes=[
        ("name", "value", "id", "version_id"),
        ("model_id", "name", "value", "id", "version_id"),
        ("version_id", "name", "value"),
    ],
):
    """A number of a version that is searched by: `metrics.mAP`, `config.optimizer.lr`.

    Each search is answered by an index alone, in its order, where ties break by *id*: no row is
    read and none is sorted.
    """

    id: Field[UUID] = key(default_factory=uuid7)
    version_id: Field[UUID] = ref(ModelVersion, on_delete="cascade")
    model_id: Field[UUID]
    name: Field[str] = field(max_length=200)
    value: Field[float]


class VersionTerm(
    Entity,
    table="model_version_terms",
    indexes=[
        ("term", "id", "version_id"),
        ("model_id", "term", "id", "version_id"),
        ("version_id", "term"),
    ],
):
    """A text by which a version is found: `tag:team=vision`, `word:night`."""

    id: Field[UUID] = key(default_factory=uuid7)
    version_id: Field[UUID] = ref(ModelVersion, on_delete="cascade")
    model_id: Field[UUID]
    term: Field[str] = field(max_length=200)


class ManifestSignature(Entity, table="model_signatures", uniques=[("version_id", "key_id")]):
    """A detached signature over a version's manifest: 64 bytes, by the key with 32 *public* ones.

    *key_id* is the first 16 digits of the public key's SHA-256.
    """

    id: Field[UUID] = key(default_factory=uuid7)
    version_id: Field[UUID] = ref(ModelVersion, on_delete="cascade")
    key_id: Field[str] = field(max_length=16)
    public: Field[bytes] = field(max_length=32)
    signature: Field[bytes] = field(max_length=64)
    created_at: Field[datetime] = created_at()


class SignatureBundle(Entity, table="model_signature_bundles", uniques=[("version_id", "sha256")]):
    """A signature in the format of Sigstore's model-signing: *content* is its file, *sha256* its.

    It is kept once for each version.
    """

    id: Field[UUID] = key(default_factory=uuid7)
    version_id: Field[UUID] = ref(ModelVersion, on_delete="cascade")
    sha256: Field[str] = field(max_length=64)
    content: Field[bytes]
    created_at: Field[datetime] = created_at()


class LinkKind(StrEnum):
    """What a version comes from."""

    PARENT = "parent"
    DATASET = "dataset"
    JOB = "job"


class VersionLink(Entity, table="model_version_links", indexes=[("kind", "target")]):
    """One thing that a version comes from.

    *target* is a dataset's name, a job's id, or a parent version's id; *label* is how people call
    it, and stays when the parent is gone.
    """

    id: Field[UUID] = key(default_factory=uuid7)
    version_id: Field[UUID] = ref(ModelVersion, on_delete="cascade")
    kind: Field[LinkKind] = field(max_length=20)
    target: Field[str] = field(max_length=200)
    label: Field[str] = field(max_length=300)


class ModelAlias(Entity, table="model_aliases", uniques=[("model_id", "name")]):
    """A name that points at one version of a model, such as `prod`; at none once withdrawn.

    *moves* counts its moves: the number of the one that is in force.
    """

    id: Field[UUID] = key(default_factory=uuid7)
    model_id: Field[UUID] = ref(RegisteredModel)
    name: Field[str] = field(max_length=100)
    version_id: Field[UUID | None] = ref(ModelVersion, default=None)
    moves: Field[int] = field(default=0)
    moved_at: Field[datetime]
    revision: Field[int] = version()


class AliasMove(
    Entity,
    table="model_alias_moves",
    indexes=[("alias_id", "moved_at")],
    uniques=[("alias_id", "number")],
):
    """One move of an alias, kept forever: what it points at from *moved_at* on, and why.

    Versions are named by number, so that the history outlives them. *falls_back_to* is the move
    whose version a rollback of this one brings back; 0 when there is none.
    """

    id: Field[UUID] = key(default_factory=uuid7)
    alias_id: Field[UUID] = ref(ModelAlias)
    number: Field[int]
    from_number: Field[int | None] = field(default=None)
    to_number: Field[int | None] = field(default=None)
    digest: Field[str | None] = field(default=None, max_length=64)
    falls_back_to: Field[int] = field(default=0)
    rollback: Field[bool] = field(default=False)
    reason: Field[str] = field(default="", max_length=1_000)
    actor: Field[str | None] = field(default=None, max_length=200)
    moved_at: Field[datetime]


class ModelUse(Entity, table="model_uses", uniques=[("version_id", "job_id")]):
    """A job that works with a version; while it lives the version can't be deleted."""

    id: Field[UUID] = key(default_factory=uuid7)
    version_id: Field[UUID] = ref(ModelVersion)
    job_id: Field[UUID]
    created_at: Field[datetime] = created_at()


MODEL_ENTITIES: tuple[type[Entity], ...] = (
    RegisteredModel,
    ModelVersion,
    ModelBlob,
    VersionFile,
    VersionFigure,
    VersionTerm,
    VersionLink,
    ManifestSignature,
    SignatureBundle,
    ModelAlias,
    AliasMove,
    ModelUse,
)
"""The entities that a store of a registry of models is opened with."""
