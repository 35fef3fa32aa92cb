"""What MLflow calls a model registry store, on Holdfast's registry: `holdfast:///data/folder`."""

# MLflow's abstract methods have no types: pyright takes their empty bodies for "returns None".
# pyright: reportIncompatibleMethodOverride=false

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, TypeVar

from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import FEATURE_DISABLED, INVALID_STATE
from mlflow.store.entities.paged_list import PagedList
from mlflow.store.model_registry.abstract_store import AbstractStore
from mlflow.utils.search_utils import SearchModelUtils, SearchModelVersionUtils, SearchUtils

from holdfast.integrations.mlflow import registry_rows as rows
from holdfast.integrations.mlflow.registry_connection import connection_to, data_folder_of
from holdfast.integrations.mlflow.version_files import files_uri
from holdfast.integrations.mlflow.version_source import VersionSource, fetched

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlflow.entities.model_registry import (
        ModelVersion,
        ModelVersionTag,
        RegisteredModel,
        RegisteredModelTag,
    )

T = TypeVar("T")

_MOST = 10_000


class HoldfastRegistryStore(AbstractStore):
    """Registered models and versions for `mlflow.register_model` and `MlflowClient`.

    A version's tags and description never change, models have no tags, and there are no stages:
    what asks for these is refused with an MlflowException. Any number of threads may use it.
    """

    def __init__(self, store_uri: str | None = None, tracking_uri: str | None = None) -> None:
        super().__init__(store_uri, tracking_uri)
        self._tracking_uri = tracking_uri
        self._data = data_folder_of(store_uri or "holdfast://")
        self._connection = connection_to(self._data)

    def create_registered_model(
        self,
        name: str,
        tags: Sequence[RegisteredModelTag] | None = None,
        description: str | None = None,
        deployment_job_id: str | None = None,
    ) -> RegisteredModel:
        """Create a model without versions. Raises MlflowException for one that is there."""
        _no_tags(tags)
        _no_deployment_job(deployment_job_id)
        return self._connection.call(
            lambda registry: rows.create_model(registry, name, description)
        )

    def update_registered_model(
        self, name: str, description: str | None, deployment_job_id: str | None = None
    ) -> RegisteredModel:
        """Change the description of a model."""
        _no_deployment_job(deployment_job_id)
        return self._connection.call(
            lambda registry: rows.describe_model(registry, name, description)
        )

    def rename_registered_model(self, name: str, new_name: str) -> NoReturn:
        """Refuse: references and the history of aliases are by name."""
        raise _refused("a model is not renamed: references and histories name it")

    def delete_registered_model(self, name: str) -> None:
        """Delete a model that never had a version. Raises MlflowException for any other."""
        if not self._connection.call(lambda registry: rows.delete_model(registry, name)):
            raise MlflowException(
                f"the model {name!r} had versions; its name and history stay, so that a number is "
                "never given twice. Delete versions by themselves",
                error_code=INVALID_STATE,
            )

    def search_registered_models(
        self,
        filter_string: str | None = None,
        max_results: int | None = None,
        order_by: Sequence[str] | None = None,
        page_token: str | None = None,
    ) -> PagedList[RegisteredModel]:
        """Return a page of models by MLflow's filters; with any, all models are read."""
        size = _checked_size(max_results)
        models = self._connection.call(rows.all_models)
        found = SearchModelUtils.sort(SearchModelUtils.filter(models, filter_string), order_by)
        page = _page(found, size, page_token)
        filled = self._connection.call(lambda registry: rows.filled_models(registry, page))
        return PagedList(filled, page.token)

    def get_registered_model(self, name: str) -> RegisteredModel:
        """Return the model, its aliases and its newest version."""
        return self._connection.call(lambda registry: rows.model(registry, name))

    def get_latest_versions(
        self, name: str, stages: Sequence[str] | None = None
    ) -> list[ModelVersion]:
        """Return the newest version. Raises MlflowException for a stage: there are none."""
        if any(stage.lower() != "none" for stage in stages or ()):
            raise _no_stages()
        found = self._connection.call(lambda registry: rows.model(registry, name))
        return list(found.latest_versions or ())

    def set_registered_model_tag(self, name: str, tag: RegisteredModelTag) -> None:
        """Refuse: models have no tags."""
        _no_tags([tag])

    def delete_registered_model_tag(self, name: str, key: str) -> None:
        """Do nothing, as models have no tags. Raises MlflowException for no such model."""
        self.get_registered_model(name)

    def create_model_version(  # noqa: PLR0913, PLR0917 - as MLflow calls it
        self,
        name: str,
        source: str,
        run_id: str | None = None,
        tags: Sequence[ModelVersionTag] | None = None,
        run_link: str | None = None,
        description: str | None = None,
        local_model_path: str | None = None,
        model_id: str | None = None,
    ) -> ModelVersion:
        """Copy the files at *source* and register them, with what MLflow knows of the run.

        Metrics are the run's and the logged model's, their parameters the configuration.
        """
        asked = VersionSource(source, run_id, run_link, model_id)
        given = {str(tag.key): str(tag.value) for tag in tags or ()}
        self._connection.call(lambda registry: registry.model(name))  # before all is downloaded
        with tempfile.TemporaryDirectory(prefix="holdfast-mlflow-") as work:
            found = fetched(
                self._connection, asked, Path(work), self._tracking_uri, local_path=local_model_path
            )
            return self._connection.call(
                lambda registry: rows.register(registry, name, found, given, description)
            )

    def update_model_version(
        self, name: str, version: str, description: str | None
    ) -> ModelVersion:
        """Return the version if that is its description. Raises MlflowException else."""
        found = self.get_model_version(name, version)
        if (found.description or None) != (description or None):
            raise _refused("the description of a version never changes; set it when registering")
        return found

    def transition_model_version_stage(
        self, name: str, version: str, stage: str, archive_existing_versions: bool
    ) -> NoReturn:
        """Refuse: there are no stages, but aliases."""
        raise _no_stages()

    def delete_model_version(self, name: str, version: str) -> None:
        """Delete a version. Raises MlflowException while an alias or a job uses it."""
        self._connection.call(lambda registry: rows.delete_version(registry, name, version))

    def get_model_version(self, name: str, version: str) -> ModelVersion:
        """Return the version with that number."""
        return self._connection.call(lambda registry: rows.version(registry, name, version))

    def get_model_version_download_uri(self, name: str, version: str) -> str:
        """Return the address from which `VersionFiles` downloads."""
        found = self.get_model_version(name, version)
        return files_uri(self._data, found.name, int(found.version))

    def search_model_versions(
        self,
        filter_string: str | None = None,
        max_results: int | None = None,
        order_by: Sequence[str] | None = None,
        page_token: str | None = None,
    ) -> PagedList[ModelVersion]:
        """Return a page of versions by MLflow's filters.

        All versions of the model that the filter names are read, or else of all models.
        """
        size = _checked_size(max_results)
        name = _named(filter_string)
        versions = self._connection.call(lambda registry: rows.all_versions(registry, name))
        found = SearchModelVersionUtils.filter(versions, filter_string)
        return _page(SearchModelVersionUtils.sort(found, order_by), size, page_token)

    def set_model_version_tag(self, name: str, version: str, tag: ModelVersionTag) -> None:
        """Do nothing if the version has the tag. Raises MlflowException else."""
        if self.get_model_version(name, version).tags.get(tag.key) != tag.value:
            raise _refused("the tags of a version never change; give them when registering")

    def delete_model_version_tag(self, name: str, version: str, key: str) -> None:
        """Do nothing if the version has no such tag. Raises MlflowException else."""
        if key in self.get_model_version(name, version).tags:
            raise _refused("the tags of a version never change")

    def set_registered_model_alias(self, name: str, alias: str, version: str) -> None:
        """Point the alias at the version; the move is kept in its history."""
        self._connection.call(lambda registry: rows.set_alias(registry, name, alias, version))

    def delete_registered_model_alias(self, name: str, alias: str) -> None:
        """Point the alias at no version; its history stays."""
        self._connection.call(lambda registry: rows.withdraw_alias(registry, name, alias))

    def get_model_version_by_alias(self, name: str, alias: str) -> ModelVersion:
        """Return the version that the alias points at."""
        return self._connection.call(lambda registry: rows.by_alias(registry, name, alias))


def _checked_size(size: int | None) -> int:
    if not isinstance(size, int) or not 1 <= size <= _MOST:
        raise MlflowException.invalid_parameter_value(
            f"max_results={size!r}: expected 1 to {_MOST}"
        )
    return size


def _page(found: Sequence[T], size: int, token: str | None) -> PagedList[T]:
    start = SearchUtils.parse_start_offset_from_page_token(token)
    more = start + size < len(found)
    return PagedList(
        list(found[start : start + size]),
        SearchUtils.create_page_token(start + size) if more else None,
    )


def _named(filter_string: str | None) -> str | None:
    """Return the model that the filter asks for by name, None where it asks for several."""
    clauses = SearchModelVersionUtils.parse_search_filter(filter_string)
    return next(
        (
            clause["value"]
            for clause in clauses
            if (clause["type"], clause["key"], clause["comparator"]) == ("attribute", "name", "=")
        ),
        None,
    )


def _no_tags(tags: Sequence[RegisteredModelTag] | None) -> None:
    if tags:
        raise _refused("models have no tags; give them to versions when registering")


def _no_deployment_job(job_id: str | None) -> None:
    if job_id:
        raise _refused("there are no deployment jobs")


def _no_stages() -> MlflowException:
    return _refused("there are no stages; use aliases, as set_registered_model_alias(name, 'prod')")


def _refused(reason: str) -> MlflowException:
    return MlflowException(f"Holdfast: {reason}", error_code=FEATURE_DISABLED)
