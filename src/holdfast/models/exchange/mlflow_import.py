"""Registers what an MLflow store has, each version once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from holdfast.errors import InvalidValueError, NotFoundError, PreconditionFailedError
from holdfast.models.exchange.mlflow_store import MlflowVersion, read_mlflow_store
from holdfast.models.model_entities import RegisteredModel
from holdfast.models.model_reference import check_alias, check_model_name
from holdfast.models.version_details import VersionDetails
from holdfast.models.version_search import VersionSearch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.models.exchange.mlflow_store import MlflowModel
    from holdfast.models.model_entities import ModelVersion
    from holdfast.models.registry import ModelRegistry

_ORIGIN = "mlflow.origin"


ArtifactFiles = Callable[[MlflowVersion], AbstractAsyncContextManager[Path]]
"""Where the files of a version are on this machine, for as long as they are needed."""


@dataclass(frozen=True, slots=True)
class MlflowImport:
    """What came of one version of an MLflow store: *label* is what it is called there.

    *created* tells whether this call registered it. *aliases* are those that now point at it and
    did not before; *left_out* says what was not taken, and why.
    """

    label: str
    version: ModelVersion
    created: bool
    aliases: tuple[str, ...]
    left_out: tuple[str, ...]


async def import_mlflow(registry: ModelRegistry, folder: Path) -> list[MlflowImport]:
    """Register all versions of the MLflow file store *folder* that are not registered yet.

    In the order of their numbers, each as `register` does, so that an import that was broken off
    goes on when it is run again. Metrics are the run's, its parameters the configuration; tags of
    the model and the version come along, and `mlflow.*` tags say where it came from. An alias is
    set unless it was ever set before. The whole store is read and checked first. Raises what
    `read_mlflow_store` and `register` raise, and InvalidValueError for names that don't fit.
    """
    models = await asyncio.to_thread(read_mlflow_store, folder)
    return await register_mlflow(registry, models, _in_place)


async def register_mlflow(
    registry: ModelRegistry, models: Sequence[MlflowModel], files: ArtifactFiles
) -> list[MlflowImport]:
    """Register the versions of *models*, as `import_mlflow` says, with *files* of each.

    *files* is asked for versions that are not registered yet alone.
    """
    planned = [(model, _plan(model)) for model in models]
    done: list[MlflowImport] = []
    for model, details in planned:
        for version, said in zip(model.versions, details, strict=True):
            made, created = await _registered(registry, model.name, version, said, files)
            names = [name for name, number in model.aliases.items() if number == version.number]
            aliases = [name for name in names if await _set_alias(registry, model, name, made)]
            label = f"{model.name}:{version.number}"
            done.append(MlflowImport(label, made, created, tuple(aliases), version.left_out))
        if model.description and model.versions:
            await _describe(registry, model)
    return done


def _in_place(version: MlflowVersion) -> AbstractAsyncContextManager[Path]:
    return nullcontext(Path(version.artifacts))


def _plan(model: MlflowModel) -> list[VersionDetails]:
    """Return what is to be registered of each version. Raises InvalidValueError."""
    check_model_name(model.name)
    for name in model.aliases:
        check_alias(name)
    try:
        return [_details(model, version) for version in model.versions]
    except InvalidValueError as error:
        raise InvalidValueError(
            error.entity, error.field, f"{model.name}: {error.reason}"
        ) from None


def _details(model: MlflowModel, version: MlflowVersion) -> VersionDetails:
    created = datetime.fromtimestamp(version.created / 1000, UTC)
    origin = {
        _ORIGIN: _origin(version),
        "mlflow.version": str(version.number),
        "mlflow.source": version.source,
        "mlflow.created": created.isoformat(),
        "mlflow.run_id": version.run_id,
        "mlflow.stage": version.stage,
    }
    said = {name: text for name, text in origin.items() if text}
    return VersionDetails(
        description=version.description,
        metrics=version.metrics,
        config=version.params,
        tags={**model.tags, **version.tags, **said},
    )


def _origin(version: MlflowVersion) -> str:
    """Return what tells the version from all others of its name, wherever the store lies."""
    return f"{version.created}/{version.number}"


async def _registered(
    registry: ModelRegistry,
    name: str,
    version: MlflowVersion,
    details: VersionDetails,
    files: ArtifactFiles,
) -> tuple[ModelVersion, bool]:
    # What MLflow lets people change, as tags, may differ from what was imported: found is found.
    asked = VersionSearch(where=(f'tags.{_ORIGIN} = "{_origin(version)}"',), limit=1)
    try:
        known = await registry.search(asked, name=name)
    except NotFoundError:
        known = []
    if known:
        return known[0], False
    key = f"mlflow:{_origin(version)}"
    async with files(version) as path:
        made = await registry.register(name, path, details, idempotency_key=key)
    return made.version, made.created


async def _set_alias(
    registry: ModelRegistry, model: MlflowModel, alias: str, version: ModelVersion
) -> bool:
    """Point *alias* at *version* unless it was ever set; return whether it was set now."""
    if await registry.history(model.name, alias):
        return False
    try:
        await registry.promote(version, alias, expected=None, reason="imported from MLflow")
    except PreconditionFailedError:
        return False  # somebody set it in between, and knows better
    return True


async def _describe(registry: ModelRegistry, model: MlflowModel) -> None:
    there = await registry.model(model.name)
    if there.description is None:
        await registry.models.patch(there.id, RegisteredModel.description.to(model.description))
