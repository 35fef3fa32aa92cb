"""Versions as OCI image layouts (ModelPack), and back: the same bytes under the same digests.

A layout is a folder: `oci-layout`, `index.json`, and blobs by their SHA-256. Each file of a version
is one layer, as it is and not packed, so a layer's digest is the file's SHA-256 in the registry.
Media types and annotations are those of the CNCF's model specification. What is read is more: the
archives of modctl and ORAS, and the layers of images of containers.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import stat
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import msgspec

from holdfast.errors import IntegrityError, ModelFileError, StorageError
from holdfast.models.exchange.packed_layer import PackedLayer, Packing, Unpacking, UnpackLimits
from holdfast.models.model_tree import MOST_FILES, ModelFile, check_path

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

T = TypeVar("T")

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
ARTIFACT = "application/vnd.cncf.model.manifest.v1+json"
CONFIG = "application/vnd.cncf.model.config.v1+json"
LAYER = "application/vnd.cncf.model.weight.v1.raw"
FILE_PATH = "org.cncf.model.filepath"
NAME = "org.opencontainers.image.ref.name"
_PATHS = (FILE_PATH, "org.cnai.model.filepath", "org.opencontainers.image.title")
_ORAS_FOLDER = "io.deis.oras.content.unpack"
_ORAS_DIGEST = "io.deis.oras.content.digest"
_MODEL_LAYER = re.compile(r"application/vnd\.(?:cncf|cnai)\.model\.[a-z.]+\.v1\.([a-z+]+)")
_IMAGE_LAYERS = {
    "application/vnd.oci.image.layer.v1.tar": Packing.TAR,
    "application/vnd.oci.image.layer.v1.tar+gzip": Packing.GZIP,
    "application/vnd.docker.image.rootfs.diff.tar.gzip": Packing.GZIP,
}
_JSON_BYTES = 16 << 20
_LIMITS = UnpackLimits()
_WINDOW = 1 << 20
_Digest = Annotated[str, msgspec.Meta(pattern=r"^sha256:[0-9a-f]{64}$")]
_Size = Annotated[int, msgspec.Meta(ge=0)]


class Descriptor(msgspec.Struct, omit_defaults=True, rename="camel"):
    """What names a blob: its media type, digest, size in bytes, and annotations."""

    media_type: str
    digest: _Digest
    size: _Size
    annotations: dict[str, str] = {}


class ImageManifest(msgspec.Struct, rename="camel"):
    """The manifest of a version: its configuration, and a layer for each file."""

    config: Descriptor
    layers: list[Descriptor]
    schema_version: int = 2
    media_type: str = ""
    artifact_type: str = ""
    annotations: dict[str, str] = {}


class _Index(msgspec.Struct, rename="camel"):
    manifests: list[Descriptor]
    schema_version: int = 2
    media_type: str = ""


@dataclass(frozen=True, slots=True)
class LayoutDetails:
    """What is said of a model beside its files: its *tag*, configuration and annotations."""

    tag: str
    config: Mapping[str, object]
    annotations: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class LayoutContent:
    """What a layout holds: the manifest, files as they are, archives, and the folder of blobs."""

    manifest: ImageManifest
    config: Mapping[str, object]
    files: Sequence[ModelFile]
    archives: Sequence[PackedLayer]
    blobs: Path


def write_layout(
    target: Path,
    source: Path,
    files: Sequence[ModelFile],
    said: LayoutDetails,
) -> str:
    """Write the *files* below *source* as the layout *target*; return the manifest's digest.

    The folder appears in one step, with
    every blob hashed on its way. Blocks. Raises ModelFileError when something is at *target*,
    IntegrityError when a file is not what its SHA-256 says, StorageError for the disk.
    """
    with _disk(target):
        if target.exists():
            raise ModelFileError(str(target), "something is there already")
        target.parent.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=".layout-", dir=target.parent))
        try:
            blobs = staging / "blobs" / "sha256"
            blobs.mkdir(parents=True)
            for file in files:
                _add(blobs, source, file)
            layers = [
                Descriptor(LAYER, f"sha256:{file.sha256}", file.size, {FILE_PATH: file.path})
                for file in files
            ]
            manifest = ImageManifest(
                config=_put(blobs, CONFIG, msgspec.json.encode(said.config)),
                layers=layers,
                media_type=MANIFEST,
                artifact_type=ARTIFACT,
                annotations=dict(said.annotations),
            )
            named = _put(blobs, MANIFEST, msgspec.json.encode(manifest))
            named.annotations = {NAME: said.tag}
            (staging / "index.json").write_bytes(
                msgspec.json.encode(_Index([named], media_type=INDEX))
            )
            (staging / "oci-layout").write_bytes(b'{"imageLayoutVersion":"1.0.0"}')
            staging.chmod(0o755)
            staging.rename(target)
        except BaseException:
            shutil.rmtree(staging, ignore_errors=True)
            raise
        return named.digest


def read_layout(folder: Path) -> LayoutContent:
    """Return what the layout *folder* holds, its JSON verified and no layer read yet. Blocks.

    Raises ModelFileError for what is no layout of one model: several manifests, a layer of another
    kind, a path that leaves the folder; IntegrityError for JSON that is not what its digest says.
    """
    with _disk(folder):
        index = _decoded(folder, _small(folder, folder / "index.json"), _Index)
        models = [each for each in index.manifests if each.media_type == MANIFEST]
        if len(models) != 1:
            raise ModelFileError(str(folder), f"it has {len(models)} manifests; expected one")
        blobs = folder / "blobs" / "sha256"
        manifest = _decoded(folder, _verified(folder, models[0]), ImageManifest)
        config = _decoded(folder, _verified(folder, manifest.config), dict[str, object])
        if not 0 < len(manifest.layers) <= MOST_FILES:
            raise ModelFileError(str(folder), f"it has {len(manifest.layers)} layers")
        layers = [_layer(folder, each) for each in manifest.layers]
        files = tuple(each for each in layers if isinstance(each, ModelFile))
        archives = tuple(each for each in layers if isinstance(each, PackedLayer))
        return LayoutContent(manifest, config, files, archives, blobs)


def unpack_layout(
    content: LayoutContent, target: Path, limits: UnpackLimits = _LIMITS
) -> Sequence[ModelFile]:
    """Put the files of *content* below the empty folder *target*, and return them. Blocks.

    Every blob is verified as it is read. Raises IntegrityError for one that is not what its digest
    says, ModelFileError for one that is missing or no plain file, and for what an archive must not
    have, or has more of than *limits* allow; StorageError for the disk. Then some files may be in
    *target*.
    """
    with _disk(target):
        unpacking = Unpacking(target, limits)
        for file in content.files:
            blob = content.blobs / file.sha256
            _check_plain(blob)
            if _copied(blob, unpacking.place(file.path)) != file.sha256:
                raise IntegrityError(f"the blob of {file.path!r} is not what its digest says")
            unpacking.files[file.path] = file
        for archive in content.archives:
            blob = content.blobs / archive.sha256
            _check_plain(blob)
            unpacking.unpack(archive, blob)
        if not unpacking.files:
            raise ModelFileError(str(content.blobs), "its archives have no file")
        return tuple(unpacking.files.values())


def _layer(folder: Path, layer: Descriptor) -> ModelFile | PackedLayer:
    """Return the file, or the archive, that *layer* is.

    ORAS calls a file by default what OCI calls an archive, and says its name in an annotation; a
    folder is an archive that it marks. In archives their own names count.
    """
    said = layer.annotations
    path = next((said[name] for name in _PATHS if name in said), None)
    model = _MODEL_LAYER.fullmatch(layer.media_type)
    if said.get(_ORAS_FOLDER) == "true":
        kind: str | None = Packing.GZIP
    elif model is not None:
        kind = model[1]
    elif path is None:
        kind = _IMAGE_LAYERS.get(layer.media_type)
    else:
        kind = Packing.RAW
    sha256 = layer.digest.removeprefix("sha256:")
    if kind == Packing.RAW:
        return ModelFile(check_path(path or ""), sha256, layer.size)
    if kind not in set(Packing):
        raise ModelFileError(
            str(folder), f"a layer is {layer.media_type!r}; only raw, tar and tar+gzip are read"
        )
    unpacked = said.get(_ORAS_DIGEST, "").removeprefix("sha256:") or None
    return PackedLayer(path or layer.digest, sha256, layer.size, Packing(kind), unpacked)


def _add(blobs: Path, source: Path, file: ModelFile) -> None:
    place = blobs / file.sha256
    if not place.exists() and _copied(source / file.path, place) != file.sha256:
        raise IntegrityError(f"{file.path!r} is not the file that was registered")


def _put(blobs: Path, media_type: str, content: bytes) -> Descriptor:
    digest = hashlib.sha256(content).hexdigest()
    (blobs / digest).write_bytes(content)
    return Descriptor(media_type, f"sha256:{digest}", len(content))


def _verified(folder: Path, described: Descriptor) -> bytes:
    digest = described.digest.removeprefix("sha256:")
    content = _small(folder, folder / "blobs" / "sha256" / digest)
    if hashlib.sha256(content).hexdigest() != digest:
        raise IntegrityError(f"{str(folder)!r}: the blob {digest} is not what its digest says")
    return content


def _small(folder: Path, path: Path) -> bytes:
    _check_plain(path)
    if path.stat().st_size > _JSON_BYTES:
        raise ModelFileError(str(folder), f"{path.name} has more than {_JSON_BYTES} bytes")
    return path.read_bytes()


def _check_plain(path: Path) -> None:
    try:
        plain = stat.S_ISREG(path.lstat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        raise ModelFileError(str(path), "a file of the layout is missing") from None
    if not plain:
        raise ModelFileError(str(path), "it is no plain file")


def _decoded(folder: Path, content: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(content, type=kind)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise ModelFileError(str(folder), f"it is no layout of OCI: {error}") from None


def _copied(source: Path, target: Path) -> str:
    digest = hashlib.sha256()
    handle = os.open(source, os.O_RDONLY | os.O_CLOEXEC | getattr(os, "O_NOFOLLOW", 0))
    with os.fdopen(handle, "rb") as reading, target.open("xb") as writing:
        while chunk := reading.read(_WINDOW):
            digest.update(chunk)
            writing.write(chunk)
    return digest.hexdigest()


@contextmanager
def _disk(place: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageError(f"{str(place)!r}: {error.strerror}") from error
