"""Registers what the database of an MLflow server has: each version once, with its files."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from holdfast.errors import ConfigurationError, ModelFileError
from holdfast.integrations.mlflow.tracking_database import read_tracking_database
from holdfast.models.exchange.mlflow_import import register_mlflow
from holdfast.models.model_tree import MOST_FILES, check_path
from holdfast.objects import S3Options, open_bucket

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from holdfast.models import MlflowImport, ModelRegistry
    from holdfast.models.exchange.mlflow_store import MlflowVersion
    from holdfast.objects import Bucket

_PROXIED = "mlflow-artifacts"


@dataclass(frozen=True, slots=True, kw_only=True)
class MlflowArtifacts:
    """Where files of versions may come from: below one of the *roots*, and from nowhere else.

    A root is a folder of this machine, or `s3://bucket/prefix`. *proxied* is the root where the
    tracking server keeps what it calls `mlflow-artifacts:/...`, its `--artifacts-destination`.
    *s3* says how S3 is reached.
    """

    roots: tuple[str, ...] = ()
    proxied: str | None = None
    s3: S3Options = field(default_factory=S3Options)


@dataclass(frozen=True, slots=True)
class _Place:
    """Files on this machine, or below a key in a bucket on S3."""

    bucket: str | None
    path: str

    def is_below(self, root: _Place) -> bool:
        inner = root.path.rstrip("/")
        return self.bucket == root.bucket and (
            not inner or self.path == inner or self.path.startswith(f"{inner}/")
        )


async def import_mlflow_database(
    registry: ModelRegistry,
    url: str,
    artifacts: MlflowArtifacts,
    *,
    workspace: str = "default",
) -> list[MlflowImport]:
    """Register all versions in the database at *url* that are not registered yet.

    As `import_mlflow` does for a file store: the same versions are known by either. The whole
    database is read, and the place of every version's files checked, before anything is
    registered. Raises what `read_tracking_database` and `register` raise, ModelFileError for files
    that are below none of the roots, and what S3 raises.
    """
    models = await asyncio.to_thread(read_tracking_database, url, workspace)
    fetching = _Fetching(artifacts)
    for model in models:
        for version in model.versions:
            fetching.place(f"{model.name}:{version.number}", version)
    return await register_mlflow(registry, models, fetching.files)


class _Fetching:
    """Files of versions, from where they may come."""

    def __init__(self, artifacts: MlflowArtifacts) -> None:
        self._s3 = artifacts.s3
        roots = (*artifacts.roots, *((artifacts.proxied,) if artifacts.proxied else ()))
        self._roots = [_root(each) for each in roots]
        self._shown = ", ".join(roots) or "none"
        self._proxied = _root(artifacts.proxied) if artifacts.proxied else None

    def place(self, label: str, version: MlflowVersion) -> _Place:
        """Return where the version's files are. Raises ModelFileError outside of the roots."""
        found = self._read(version.artifacts)
        if found is None or not any(found.is_below(root) for root in self._roots):
            raise ModelFileError(
                label,
                f"its files, {version.artifacts!r:.300}, are below none of the places that are "
                f"allowed: {self._shown}",
            )
        return found

    @asynccontextmanager
    async def files(self, version: MlflowVersion) -> AsyncIterator[Path]:
        """Yield where the version's files are on this machine."""
        place = self.place(f"version {version.number}", version)
        if place.bucket is None:
            yield Path(place.path)
            return
        work = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="holdfast-mlflow-"))
        try:
            async with open_bucket(f"s3://{place.bucket}", options=self._s3) as bucket:
                yield await _downloaded(bucket, place.path, work)
        finally:
            await asyncio.to_thread(shutil.rmtree, work, ignore_errors=True)

    def _read(self, address: str) -> _Place | None:
        try:
            parts = urlsplit(address)
        except ValueError:
            return None
        if parts.scheme == _PROXIED:
            return None if self._proxied is None else _below(self._proxied, parts.path)
        return _place(address)


def _root(text: str) -> _Place:
    found = _place(text)
    if found is None:
        raise ConfigurationError(f"{text!r}: expected a folder, or s3://bucket/prefix")
    return found


def _place(address: str) -> _Place | None:
    """Return the place that *address* names, None where it is none that is read."""
    if not address.isprintable():
        return None
    parts = urlsplit(address)
    if parts.scheme == "s3":
        key = parts.path.strip("/")
        return _Place(parts.netloc, key) if parts.netloc and _is_plain(key) else None
    if parts.scheme == "file" and parts.netloc in {"", "localhost"}:
        return _Place(None, os.path.realpath(unquote(parts.path)))
    return None if parts.scheme or not address else _Place(None, os.path.realpath(address))


def _below(root: _Place, path: str) -> _Place | None:
    inner = unquote(path).strip("/")
    if not _is_plain(inner):
        return None
    if root.bucket is None:
        return _Place(None, os.path.realpath(f"{root.path}/{inner}"))
    return _Place(root.bucket, f"{root.path}/{inner}".strip("/"))


def _is_plain(key: str) -> bool:
    return not {"..", "."} & set(key.split("/"))


async def _downloaded(bucket: Bucket, key: str, work: Path) -> Path:
    """Download the object *key*, or all below it, into *work*; return the file or the folder."""
    target = work / "model"
    prefix = f"{key}/" if key else ""
    found: list[str] = []
    async for info in bucket.list(prefix):
        found.append(info.key)
        if len(found) > MOST_FILES:
            raise ModelFileError(key, f"it has more than {MOST_FILES} files")
    if not found:
        single = work / "single" / check_path(key.rpartition("/")[2])
        await asyncio.to_thread(single.parent.mkdir)
        await bucket.download(key, single)
        return single
    for each in found:
        if not each.endswith("/"):  # what some tools write for an empty folder
            place = target / check_path(each.removeprefix(prefix))
            await asyncio.to_thread(place.parent.mkdir, parents=True, exist_ok=True)
            await bucket.download(each, place)
    return target
