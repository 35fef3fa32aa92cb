"""The registry's models and versions as MLflow's entities, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlflow.entities.model_registry import (
    ModelVersion,
    ModelVersionTag,
    RegisteredModel,
    RegisteredModelAlias,
)

from holdfast.errors import NotFoundError
from holdfast.models import RegisteredModel as Model
from holdfast.models import VersionDetails
from holdfast.models.model_reference import check_model_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from holdfast.integrations.mlflow.version_source import FetchedModel
    from holdfast.models import ModelRegistry
    from holdfast.models import ModelVersion as Version

_PAGE = 500
_SOURCE, _RUN, _LINK, _LOGGED = (
    "mlflow.source",
    "mlflow.run_id",
    "mlflow.run_link",
    "mlflow.model_id",
)


async def create_model(
    registry: ModelRegistry, name: str, description: str | None
) -> RegisteredModel:
    """Add a model without versions. Raises DuplicateError, InvalidValueError."""
    new = Model(name=check_model_name(name), description=description or None)
    return _model(await registry.models.add(new))


async def describe_model(
    registry: ModelRegistry, name: str, description: str | None
) -> RegisteredModel:
    """Change the description of the model. Raises NotFoundError."""
    found = await registry.model(name)
    await registry.models.patch(found.id, Model.description.to(description or None))
    return await model(registry, name)


async def delete_model(registry: ModelRegistry, name: str) -> bool:
    """Delete the model if it never had a version; return whether. Raises NotFoundError."""
    found = await registry.model(name)
    return await registry.models.delete_where(Model.id == found.id, Model.last_number == 0) == 1


async def model(registry: ModelRegistry, name: str) -> RegisteredModel:
    """Return the model with its aliases and its newest version. Raises NotFoundError."""
    found = await registry.model(name)
    aliases = await _aliases(registry, name)
    try:
        newest = [_version(name, await registry.resolve(name), aliases)]
    except NotFoundError:
        newest = []
    return _model(found, newest, aliases)


async def all_models(registry: ModelRegistry) -> list[RegisteredModel]:
    """Return all models by name, without versions and aliases."""
    page = await registry.list(size=_PAGE)
    found = list(page.items)
    while page.next is not None:
        page = await registry.list(size=_PAGE, cursor=page.next)
        found += page.items
    return [_model(each) for each in found]


async def filled_models(
    registry: ModelRegistry, models: Sequence[RegisteredModel]
) -> list[RegisteredModel]:
    """Return *models* with their aliases and newest versions."""
    return [await model(registry, each.name) for each in models]


async def version(registry: ModelRegistry, name: str, number: str) -> ModelVersion:
    """Return the version with that number. Raises NotFoundError."""
    found = await registry.resolve(_reference(name, number))
    return _version(name, found, await _aliases(registry, name))


async def by_alias(registry: ModelRegistry, name: str, alias: str) -> ModelVersion:
    """Return the version that the alias points at. Raises NotFoundError."""
    found = await registry.resolve(f"{name}@{alias}")
    return _version(name, found, await _aliases(registry, name))


async def all_versions(registry: ModelRegistry, name: str | None) -> list[ModelVersion]:
    """Return all versions of the model *name*, or of all models; none of one that is not there."""
    if name is None:
        names = [each.name for each in await all_models(registry)]
    else:
        names = [name] if await registry.models.exists(Model.name == name) else []
    found: list[ModelVersion] = []
    for each in names:
        aliases = await _aliases(registry, each)
        page = await registry.versions(each, size=_PAGE)
        found += [_version(each, row, aliases) for row in page.items]
        while page.next is not None:
            page = await registry.versions(each, size=_PAGE, cursor=page.next)
            found += [_version(each, row, aliases) for row in page.items]
    return found


async def register(
    registry: ModelRegistry,
    name: str,
    fetched: FetchedModel,
    tags: Mapping[str, str],
    description: str | None,
) -> ModelVersion:
    """Register what was fetched as the next version of the model."""
    came = fetched.came_from
    origin = {_SOURCE: came.source, _RUN: came.run_id, _LINK: came.link, _LOGGED: came.model_id}
    details = VersionDetails(
        description=description or None,
        metrics=fetched.metrics,
        config=fetched.params,
        tags={**tags, **{tag: text for tag, text in origin.items() if text}},
        parents=fetched.parents,
    )
    made = await registry.register(name, fetched.path, details)
    return _version(name, made.version, await _aliases(registry, name))


async def delete_version(registry: ModelRegistry, name: str, number: str) -> None:
    """Delete the version. Raises NotFoundError, InUseError."""
    await registry.delete(await registry.resolve(_reference(name, number)))


async def set_alias(registry: ModelRegistry, name: str, alias: str, number: str) -> None:
    """Point the alias at the version. Raises NotFoundError."""
    found = await registry.resolve(_reference(name, number))
    await registry.promote(found, alias, reason="MlflowClient.set_registered_model_alias")


async def withdraw_alias(registry: ModelRegistry, name: str, alias: str) -> None:
    """Point the alias at no version; one that points at none stays so."""
    if alias in await _aliases(registry, name):
        await registry.withdraw(name, alias, reason="MlflowClient.delete_registered_model_alias")


async def _aliases(registry: ModelRegistry, name: str) -> dict[str, int]:
    """Return the numbers of the versions that the model's aliases point at."""
    found: dict[str, int] = {}
    for alias in await registry.aliases(name):
        row = None if alias.version_id is None else await registry.get(alias.version_id)
        if row is not None:
            found[alias.name] = row.number
    return found


def _reference(name: str, number: str) -> str:
    """Return the reference; a text that is no number, as MLflow's stages, finds nothing."""
    if not str(number).isdigit():
        raise NotFoundError("ModelVersion", f"{name}:{number}", hint="versions have numbers")
    return f"{check_model_name(name)}:{int(number)}"


def _model(
    row: Model, newest: Sequence[ModelVersion] = (), aliases: Mapping[str, int] | None = None
) -> RegisteredModel:
    return RegisteredModel(
        row.name,
        creation_timestamp=_milliseconds(row.created_at),
        last_updated_timestamp=_milliseconds(row.updated_at),
        description=row.description,
        latest_versions=list(newest),
        aliases=[RegisteredModelAlias(alias, str(n)) for alias, n in (aliases or {}).items()],
    )


def _version(name: str, row: Version, aliases: Mapping[str, int]) -> ModelVersion:
    tags = {tag: str(text) for tag, text in row.tags.items()}
    source, run_id, link, logged = (tags.pop(tag, None) for tag in (_SOURCE, _RUN, _LINK, _LOGGED))
    return ModelVersion(
        name,
        str(row.number),
        _milliseconds(row.created_at),
        last_updated_timestamp=_milliseconds(row.created_at),
        description=row.description,
        user_id=row.created_by,
        current_stage="None",
        source=source,
        run_id=run_id,
        run_link=link,
        model_id=logged,
        tags=[ModelVersionTag(tag, text) for tag, text in tags.items()],
        aliases=[alias for alias, number in aliases.items() if number == row.number],
    )


def _milliseconds(time: datetime) -> int:
    return round(time.timestamp() * 1000)
