"""What the database of an MLflow server says of its registered models, read by SQL, without MLflow.

One connection that can only read, and one transaction. The schema is MLflow's own, by the revision
that its migrations write into `alembic_version`: one that is not known here is refused, rather than
read by guesses.
"""

from __future__ import annotations

import math
from collections import defaultdict
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar
from urllib.parse import quote

import msgspec
import sqlalchemy as sa
from sqlalchemy import event, exc

from holdfast.errors import ConfigurationError, ModelFileError, UnavailableError
from holdfast.extras import needs_extra
from holdfast.models.exchange.mlflow_store import (
    DELETED,
    YEAR_9999,
    MlflowModel,
    MlflowVersion,
    finite_metrics,
    logged_model_in,
    param_value,
    stage_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

T = TypeVar("T", bound=msgspec.Struct)

_SCHEMAS = (
    "acf3f17fdcc7", "867495a8f9d4", "5b0e9adcef9c", "4465047574b1", "f5a4f2784254", "0584bdc529eb",
    "400f98739977", "6953534de441", "bda7b8c39065", "cbc13b556ace", "770bee3ae1dd", "a1b2c3d4e5f6",
    "de4033877273", "1a0cddfcaa16", "534353b11cbc", "71994744cf8e", "3da73c924c2f", "bf29a5ff90ea",
    "1bd49d398cd23", "b7c8d9e0f1a2", "5d2d30f0abce", "c9d4e5f6a7b8", "2c33131f4dae", "d3e4f5a6b7c8",
    "d0e1f2a3b4c5", "c8d9e0f1a2b3", "1b5f0d9ad7c1", "e1f2a3b4c5d6", "76601a5f987d", "c3d6457b6d8a",
    "a5b4c3d2e1f0", "ae8bbe7743c9", "7d34483879f0", "da6fb0208061", "89d3d66ed43f", "b7e4c1a90f23",
    "a8b9c0d1e2f3", "c1d2e3f4a5b6", "c3d9e7f1a2b4", "6f8d9c3b2a1e", "1971f2d9a75b", "17e22815139b",
    "b7e2c1a4d9f3", "75868b020152", "dc11669786a5",
)  # fmt: skip
"""Revisions of MLflow's schema, in their order: from MLflow 2.8 to 3.17."""
_LOGGED_MODELS_SINCE = "400f98739977"
_WORKSPACES_SINCE = "1b5f0d9ad7c1"
_INFINITE = 1.797693134862315e308  # MLflow writes the greatest number for infinity
_CHUNK = 500
_DRIVERS = {
    "postgresql": ("postgresql+psycopg", "postgresql"),
    "mysql": ("mysql+pymysql", "mysql"),
    "mariadb": ("mysql+pymysql", "mariadb"),
}


class _Model(msgspec.Struct):
    name: str
    description: str | None


class _Version(msgspec.Struct):
    name: str
    version: Annotated[int, msgspec.Meta(ge=1, le=999_999_999)]
    creation_time: Annotated[int, msgspec.Meta(ge=0, le=YEAR_9999)] | None
    description: str | None
    current_stage: str | None
    source: str | None
    storage_location: str | None
    run_id: str | None


class _ModelTag(msgspec.Struct):
    name: str
    key: str
    value: str | None


class _VersionTag(msgspec.Struct):
    name: str
    version: int
    key: str
    value: str | None


class _Alias(msgspec.Struct):
    name: str
    alias: str
    version: int


class _Metric(msgspec.Struct):
    run_uuid: str
    key: str
    value: float
    is_nan: bool


class _Param(msgspec.Struct):
    run_uuid: str
    key: str
    value: str


class _LoggedModel(msgspec.Struct):
    model_id: str
    artifact_location: str
    source_run_id: str | None


class _LoggedMetric(msgspec.Struct):
    model_id: str
    metric_name: str
    metric_timestamp_ms: int
    metric_step: int
    metric_value: float | None


class _LoggedParam(msgspec.Struct):
    model_id: str
    param_key: str
    param_value: str


@dataclass(frozen=True, slots=True)
class _Known:
    """What a run or a logged model has: metrics by name, parameters by name."""

    metrics: Mapping[str, float]
    params: Mapping[str, object]


_NOTHING = _Known({}, {})


def read_tracking_database(url: str, workspace: str = "default") -> tuple[MlflowModel, ...]:
    """Return the registered models in the database at *url*, by name. Blocks.

    *url* is as MLflow has it, `sqlite:///mlflow.db`, `postgresql://...` or `mysql://...`; a driver
    in it is passed over. Of a database with workspaces *workspace* is read. Raises ModelFileError
    for what is no such database, or has a schema that is not known here; ConfigurationError for a
    URL, and without the driver's extra; UnavailableError for a server that does not answer.
    """
    shown, engine = _engine(url)
    with _failures(shown):
        with engine.connect() as connection:
            reader = _Reader(connection, shown, workspace)
            return reader.models()


class _Reader:
    """Reads MLflow's tables in one transaction of *connection*."""

    def __init__(self, connection: sa.Connection, shown: str, workspace: str) -> None:
        self._connection = connection
        self._shown = shown
        schema = self._schema()
        self._has_logged_models = schema >= _SCHEMAS.index(_LOGGED_MODELS_SINCE)
        self._workspace = workspace if schema >= _SCHEMAS.index(_WORKSPACES_SINCE) else None

    def models(self) -> tuple[MlflowModel, ...]:
        versions: dict[str, list[MlflowVersion]] = defaultdict(list)
        for name, version in self._versions():
            versions[name].append(version)
        tags: dict[str, dict[str, str]] = defaultdict(dict)
        for tag in self._rows("registered_model_tags", _ModelTag):
            tags[tag.name][tag.key] = tag.value or ""
        aliases: dict[str, dict[str, int]] = defaultdict(dict)
        for alias in self._rows("registered_model_aliases", _Alias):
            aliases[alias.name][alias.alias] = alias.version
        return tuple(
            MlflowModel(
                model.name,
                model.description or None,
                tags[model.name],
                aliases[model.name],
                tuple(sorted(versions[model.name], key=lambda version: version.number)),
            )
            for model in sorted(
                self._rows("registered_models", _Model), key=lambda model: model.name
            )
        )

    def _versions(self) -> Iterator[tuple[str, MlflowVersion]]:
        rows = [
            row for row in self._rows("model_versions", _Version) if row.current_stage != DELETED
        ]
        tags: dict[tuple[str, int], dict[str, str]] = defaultdict(dict)
        for tag in self._rows("model_version_tags", _VersionTag):
            tags[tag.name, tag.version][tag.key] = tag.value or ""
        logged = self._logged_models(
            {model_id for row in rows if (model_id := logged_model_in(row.source or ""))}
        )
        known = self._of_runs(
            {row.run_id for row in rows if row.run_id}
            | {model.source_run_id for model, _ in logged.values() if model.source_run_id}
        )
        for row in rows:
            model, of_model = logged.get(logged_model_in(row.source or "") or "", (None, _NOTHING))
            run_id = row.run_id or (model.source_run_id if model else None)
            of_run = known.get(run_id or "", _NOTHING)
            metrics, left_out = finite_metrics({**of_run.metrics, **of_model.metrics})
            source = row.source or ""
            place = row.storage_location or source
            if model is not None and logged_model_in(place):
                place = model.artifact_location
            yield (
                row.name,
                MlflowVersion(
                    row.version,
                    place,
                    source,
                    row.creation_time or 0,
                    row.description or None,
                    stage_of(row.current_stage),
                    run_id,
                    tags[row.name, row.version],
                    metrics,
                    {**of_run.params, **of_model.params},
                    left_out,
                ),
            )

    def _of_runs(self, runs: set[str]) -> dict[str, _Known]:
        metrics: dict[str, dict[str, float]] = defaultdict(dict)
        params: dict[str, dict[str, object]] = defaultdict(dict)
        for some in _chunks(runs):
            for metric in self._rows("latest_metrics", _Metric, ("run_uuid", some)):
                value = math.nan if metric.is_nan else _number(metric.value)
                metrics[metric.run_uuid][metric.key] = value
            for param in self._rows("params", _Param, ("run_uuid", some)):
                params[param.run_uuid][param.key] = param_value(param.value)
        return {run: _Known(metrics[run], params[run]) for run in runs}

    def _logged_models(self, ids: set[str]) -> dict[str, tuple[_LoggedModel, _Known]]:
        """Return logged models by id, with what they have; none of a schema before them."""
        found: dict[str, tuple[_LoggedModel, _Known]] = {}
        if not self._has_logged_models:
            return found
        for some in _chunks(ids):
            last: dict[tuple[str, str], _LoggedMetric] = {}
            for metric in self._rows("logged_model_metrics", _LoggedMetric, ("model_id", some)):
                key = metric.model_id, metric.metric_name
                if key not in last or _when(metric) >= _when(last[key]):
                    last[key] = metric
            metrics: dict[str, dict[str, float]] = defaultdict(dict)
            for (model_id, name), metric in last.items():
                metrics[model_id][name] = _number(metric.metric_value)
            params: dict[str, dict[str, object]] = defaultdict(dict)
            for param in self._rows("logged_model_params", _LoggedParam, ("model_id", some)):
                params[param.model_id][param.param_key] = param_value(param.param_value)
            for model in self._rows("logged_models", _LoggedModel, ("model_id", some)):
                known = _Known(metrics[model.model_id], params[model.model_id])
                found[model.model_id] = model, known
        return found

    def _rows(
        self, table: str, kind: type[T], among: tuple[str, Sequence[str]] | None = None
    ) -> list[T]:
        """Return rows of *table*, those whose column is *among* some values, as *kind* has them."""
        columns: list[sa.ColumnClause[object]] = [
            sa.column(each.name) for each in msgspec.structs.fields(kind)
        ]
        asked = sa.select(*columns).select_from(sa.table(table))
        if among is not None:
            asked = asked.where(sa.column(among[0]).in_(among[1]))
        elif self._workspace is not None:
            asked = asked.where(sa.column("workspace") == self._workspace)
        rows = [dict(row) for row in self._connection.execute(asked).mappings()]
        try:
            return msgspec.convert(rows, list[kind], strict=False)  # type: ignore[valid-type]
        except msgspec.ValidationError as error:
            raise ModelFileError(
                self._shown, f"{table} is not as MLflow writes it: {error}"
            ) from None

    def _schema(self) -> int:
        """Return where the schema's revision stands in the list of known ones."""
        asked: sa.Select[tuple[object]] = sa.select(sa.column("version_num")).select_from(
            sa.table("alembic_version")
        )
        found = [str(each) for each in self._connection.execute(asked).scalars()]
        if len(found) == 1 and found[0] in _SCHEMAS:
            return _SCHEMAS.index(found[0])
        raise ModelFileError(
            self._shown,
            f"its schema is {', '.join(found) or 'unknown'}, none that is known: those of MLflow "
            "2.8 to 3.17. `mlflow db upgrade` brings an older one up",
        )


def _engine(url: str) -> tuple[str, sa.Engine]:
    """Return how errors call the database at *url*, and an engine whose connections only read."""
    try:
        parsed = sa.make_url(url)
    except exc.ArgumentError as error:
        raise ConfigurationError(f"that is no URL of a database: {error}") from None
    shown = parsed.render_as_string(hide_password=True)
    name = parsed.get_backend_name()
    if name == "sqlite":
        return shown, _sqlite(shown, parsed)
    if name not in _DRIVERS:
        raise ConfigurationError(
            f"{shown!r}: expected sqlite://, postgresql://, mysql:// or mariadb://"
        )
    driver, extra = _DRIVERS[name]
    with needs_extra(extra, f"reading {shown}"):
        engine = sa.create_engine(
            parsed.set(drivername=driver),
            poolclass=sa.NullPool,
            isolation_level="REPEATABLE READ",
        )
    read_only = "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY"
    if name != "postgresql":
        read_only = "SET SESSION TRANSACTION READ ONLY"

    @event.listens_for(engine, "connect")
    def _only_read(connection: sa.engine.interfaces.DBAPIConnection, _record: object) -> None:
        cursor = connection.cursor()
        cursor.execute(read_only)
        cursor.close()
        connection.commit()

    return shown, engine


def _sqlite(shown: str, parsed: sa.URL) -> sa.Engine:
    path = Path(parsed.database or "").resolve()
    if not path.is_file():
        raise ModelFileError(shown, "there is no such file")
    engine = sa.create_engine(
        f"sqlite:///file:{quote(str(path))}?mode=ro&uri=true", poolclass=sa.NullPool
    )

    @event.listens_for(engine, "connect")
    def _distrust(connection: sa.engine.interfaces.DBAPIConnection, _record: object) -> None:
        cursor = connection.cursor()
        cursor.execute("PRAGMA trusted_schema = OFF")  # a view may call what it likes else
        cursor.execute("BEGIN")
        cursor.close()

    return engine


@contextmanager
def _failures(shown: str) -> Iterator[None]:
    try:
        yield
    except exc.DBAPIError as error:
        reason = f"{error.orig}".strip()
        if isinstance(error, exc.OperationalError) and not shown.startswith("sqlite"):
            raise UnavailableError(f"{shown}: {reason}") from error
        raise ModelFileError(shown, f"it is no database of MLflow: {reason}") from error


def _chunks(values: Iterable[str]) -> Iterator[list[str]]:
    listed = sorted(values)
    for start in range(0, len(listed), _CHUNK):
        yield listed[start : start + _CHUNK]


def _when(metric: _LoggedMetric) -> tuple[int, int]:
    return metric.metric_step, metric.metric_timestamp_ms


def _number(value: float | None) -> float:
    """Return the number that MLflow meant by *value*."""
    if value is None:
        return math.nan
    return math.copysign(math.inf, value) if abs(value) >= _INFINITE else value
