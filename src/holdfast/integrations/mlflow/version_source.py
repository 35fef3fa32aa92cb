"""Where MLflow says that a model's files are: fetched, with what it knows of the run."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_DOES_NOT_EXIST, ErrorCode
from mlflow.utils.file_utils import local_file_uri_to_path
from mlflow.utils.uri import is_local_uri

from holdfast.models.exchange.mlflow_store import param_value

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlflow.entities import Run

    from holdfast.integrations.mlflow.registry_connection import RegistryConnection
    from holdfast.models import ModelRegistry

_REGISTERED = re.compile(r"models:/([^/@:]+)(?:/([0-9]+)|@([^/]+))")


@dataclass(frozen=True, slots=True)
class VersionSource:
    """What MLflow says of a version's origin: where its files are, its run, its logged model."""

    source: str
    run_id: str | None = None
    link: str | None = None
    model_id: str | None = None


@dataclass(frozen=True, slots=True)
class FetchedModel:
    """A model's files at *path*, and what is known of it."""

    came_from: VersionSource
    path: Path
    metrics: Mapping[str, float] = field(default_factory=dict)
    params: Mapping[str, object] = field(default_factory=dict)
    parents: tuple[str, ...] = ()


def fetched(
    connection: RegistryConnection,
    asked: VersionSource,
    work: Path,
    tracking_uri: str | None,
    *,
    local_path: str | None = None,
) -> FetchedModel:
    """Return the files at the source, downloaded into *work* unless they are on this machine.

    A version of this registry becomes the parent. Metrics that are not finite are left out.
    Raises MlflowException for what is not there. Blocks.
    """
    client = MlflowClient(tracking_uri=tracking_uri)
    metrics: dict[str, float] = {}
    params: dict[str, str] = {}
    source = asked.source
    parents: tuple[str, ...] = ()
    registered = _REGISTERED.fullmatch(source)
    logged = client.get_logged_model(asked.model_id) if asked.model_id else None
    if logged is not None:
        asked = replace(asked, run_id=asked.run_id or logged.source_run_id)
        source = logged.artifact_location
    if asked.run_id and (run := _run(client, asked.run_id)) is not None:
        metrics |= run.data.metrics
        params |= run.data.params
    if logged is not None:
        metrics |= {each.key: each.value for each in logged.metrics or ()}
        params |= logged.params or {}
    if local_path is not None:
        path = Path(local_path)
    elif registered is not None and not asked.model_id:
        path, parents = _of_registry(connection, registered, work)
    elif is_local_uri(source):
        path = Path(local_file_uri_to_path(source))
    else:
        path = Path(
            download_artifacts(artifact_uri=source, dst_path=str(work), tracking_uri=tracking_uri)
        )
    finite = {key: value for key, value in metrics.items() if math.isfinite(value)}
    values = {key: param_value(text) for key, text in params.items()}
    return FetchedModel(asked, path, finite, values, parents)


def _run(client: MlflowClient, run_id: str) -> Run | None:
    """Return the run; None where the tracking server has none, as MLflow's own stores take it."""
    try:
        return client.get_run(run_id)
    except MlflowException as error:
        if error.error_code != ErrorCode.Name(RESOURCE_DOES_NOT_EXIST):
            raise
        return None


def _of_registry(
    connection: RegistryConnection, found: re.Match[str], work: Path
) -> tuple[Path, tuple[str, ...]]:
    name, number, alias = found.groups()

    async def download(registry: ModelRegistry) -> tuple[Path, tuple[str, ...]]:
        version = await registry.resolve(f"{name}:{number}" if number else f"{name}@{alias}")
        path = await registry.download(version, work / "model")
        if version.files == 1:  # under the path that it has in the version
            (file,) = await registry.files(version)
            root = work / "single"
            place = root / file.path
            place.parent.mkdir(parents=True)
            path.rename(place)
            path = root if "/" in file.path else place
        return path, (await registry.label(version),)

    return connection.call(download)
