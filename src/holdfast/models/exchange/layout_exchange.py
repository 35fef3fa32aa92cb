"""Takes versions out of a registry as OCI image layouts, and brings them in."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from holdfast.errors import ModelFileError
from holdfast.models.exchange.oci_layout import (
    LayoutDetails,
    read_layout,
    unpack_layout,
    write_layout,
)
from holdfast.models.exchange.packed_layer import UnpackLimits
from holdfast.models.model_tree import is_single
from holdfast.models.version_details import VersionDetails
from holdfast.option_checks import check_kind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from holdfast.models.model_entities import ModelVersion
    from holdfast.models.model_tree import ModelFile
    from holdfast.models.registration import Registered
    from holdfast.models.registry import ModelRegistry

_LIMITS = UnpackLimits()
DETAILS = "dev.holdfast.model.details"
"""The annotation of a manifest with metrics, configuration and tags, as JSON."""


class _Details(msgspec.Struct, omit_defaults=True):
    semantic_version: str | None = None
    description: str | None = None
    metrics: dict[str, float] = {}
    config: dict[str, object] = {}
    tags: dict[str, str] = {}


async def export_layout(registry: ModelRegistry, version: ModelVersion, target: Path) -> str:
    """Write *version* as the OCI image layout *target*; return its manifest's digest.

    Each file is a layer under its own SHA-256. The folder appears in one step. Raises what
    `download` raises.
    """
    label = await registry.label(version)
    folder = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="holdfast-export-"))
    try:
        files = await registry.manifest(version)
        place = await registry.download(version, folder / "model")
        root = place if await asyncio.to_thread(place.is_dir) else None
        if root is None:
            root = folder / "single"
            await asyncio.to_thread(_moved_into, place, root / files[0].path)
        said = LayoutDetails(
            label.replace(":", "-"), _config(version, label, files), _annotations(version)
        )
        return await asyncio.to_thread(write_layout, target, root, files, said)
    finally:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


async def import_layout(
    registry: ModelRegistry, name: str, folder: Path, limits: UnpackLimits = _LIMITS
) -> Registered:
    """Register the model in the OCI image layout *folder* as the next version of *name*.

    Every blob is verified, and archives are unpacked within *limits*. Metrics, configuration and
    tags come along where the layout was exported by Holdfast. Raises what `read_layout`,
    `unpack_layout` and `register` raise, and then nothing is registered.
    """
    check_kind(limits, UnpackLimits, "limits")
    content = await asyncio.to_thread(read_layout, folder)
    work = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="holdfast-import-"))
    try:
        model = work / "model"
        await asyncio.to_thread(model.mkdir)
        files = await asyncio.to_thread(unpack_layout, content, model, limits)
        path = model / files[0].path if is_single(files) else model
        return await registry.register(name, path, _details(folder, content.manifest.annotations))
    finally:
        await asyncio.to_thread(shutil.rmtree, work, ignore_errors=True)


def _config(version: ModelVersion, label: str, files: Sequence[ModelFile]) -> Mapping[str, object]:
    """Return the model's configuration as the CNCF's model specification has it."""
    name, _, number = label.partition(":")
    return {
        "descriptor": {
            "name": name,
            "version": version.semantic or number,
            "createdAt": version.created_at.isoformat(),
            **({"description": version.description} if version.description else {}),
        },
        "config": {},
        "modelfs": {"type": "layers", "diffIds": [f"sha256:{file.sha256}" for file in files]},
    }


def _annotations(version: ModelVersion) -> Mapping[str, str]:
    said = {
        "semantic_version": version.semantic,
        "description": version.description,
        "metrics": version.metrics,
        "config": version.config,
        "tags": version.tags,
    }
    return {DETAILS: msgspec.json.encode(said).decode()}


def _details(folder: Path, annotations: Mapping[str, str]) -> VersionDetails:
    try:
        said = msgspec.json.decode(annotations.get(DETAILS, "{}"), type=_Details)
    except msgspec.MsgspecError as error:
        raise ModelFileError(str(folder), f"its annotation {DETAILS} is damaged: {error}") from None
    return VersionDetails(
        semantic_version=said.semantic_version,
        description=said.description,
        metrics=said.metrics,
        config=said.config,
        tags=said.tags,
    )


def _moved_into(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True)
    source.rename(target)
