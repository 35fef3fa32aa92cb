"""The database of an MLflow server comes in: one that MLflow made, and copies of it on servers."""

import re
import shutil
import sqlite3
import warnings
from pathlib import Path

import pytest
import sqlalchemy as sa

from cli.program import here
from holdfast import open_bucket
from holdfast.errors import ConfigurationError, ModelFileError, UnavailableError
from holdfast.integrations.mlflow import tracking_database
from holdfast.integrations.mlflow.database_import import MlflowArtifacts, import_mlflow_database
from holdfast.models import import_mlflow
from models.conftest import opened, registry_on
from models.mlflow_writer import write_store
from objects.s3_servers import new_name, options_of, remove
from servers import database_on

pytestmark = pytest.mark.anyio


@pytest.fixture
async def registry(tmp_path):
    async with opened("memory", tmp_path) as (store, bucket):
        yield registry_on(store, bucket, tmp_path)


@pytest.fixture(scope="module")
def mlflow():
    """What makes a database is MLflow, whose use of SQLAlchemy warns."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import mlflow  # noqa: PLC0415 - seconds
        from mlflow.store.model_registry import sqlalchemy_store  # noqa: F401, PLC0415 - maps

        yield mlflow


@pytest.fixture(scope="module")
def made(mlflow, tmp_path_factory):
    """A database that MLflow made, with versions of a run and of a logged model, one deleted."""
    from mlflow.entities import Metric, Param  # noqa: PLC0415

    folder = tmp_path_factory.mktemp("mlflow")
    url = f"sqlite:///{folder}/mlflow.db"
    client = mlflow.MlflowClient(url, url)
    places = (folder / "mlruns").as_uri()
    experiment = client.create_experiment("vehicles", artifact_location=places)
    run = client.create_run(experiment)
    logged = client.create_logged_model(experiment, "m", run.info.run_id, params={"depth": "7"})
    metrics = [("mAP", 0.5, 1, 0), ("mAP", 0.9, 2, 1), ("loss", float("nan"), 1, 0)]
    metrics += [("worst", float("inf"), 1, 0), ("f1", 0.6, 2, 0), ("f1", 0.7, 1, 1)]
    params = [Param("lr", "0.01"), Param("optimizer", "adam"), Param("build", "007")]
    client.log_batch(
        run.info.run_id,
        [Metric(*each, model_id=logged.model_id if each[0] == "f1" else None) for each in metrics],
        params,
    )
    source = f"{run.info.artifact_uri}/model"
    for uri, content in (
        (source, {"MLmodel": b"flavors: {}", "data/w.bin": b"first"}),
        (logged.artifact_location, {"MLmodel": b"flavors: {onnx: {}}"}),
    ):
        for name, body in content.items():
            path = Path(uri.removeprefix("file://")) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(body)
    client.create_registered_model("vehicles", tags={"team": "vision"}, description="finds vans")
    client.create_model_version("vehicles", source, run.info.run_id, tags={"kind": "night"})
    client.create_model_version("vehicles", source, run.info.run_id)
    client.delete_model_version("vehicles", "2")
    uri = f"models:/{logged.model_id}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", url)  # where the registry looks the logged model up
        client.create_model_version("vehicles", uri, model_id=logged.model_id)
    client.set_registered_model_alias("vehicles", "prod", "1")
    return folder


def database(made, folder):
    """A copy of the database for one test, and its URL."""
    shutil.copy(made / "mlflow.db", folder / "mlflow.db")
    return f"sqlite:///{folder}/mlflow.db"


def change(folder, statement, *values):
    with sqlite3.connect(folder / "mlflow.db") as connection:
        connection.execute(statement, values)
    connection.close()


def from_(*places, **said):
    return MlflowArtifacts(roots=tuple(map(str, places)), **said)


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def url(request, mlflow, made, tmp_path):
    """The same database; on servers the tables that are read, with MLflow's types of columns."""
    if request.param == "sqlite":
        yield database(made, tmp_path)
        return
    with database_on(request.param) as found:
        url = found.replace("mariadb://", "mysql+pymysql://").replace(
            "postgresql://", "postgresql+psycopg://"
        )
        source, target = (
            sa.create_engine(each, poolclass=sa.NullPool)
            for each in (f"sqlite:///{made}/mlflow.db", url)
        )
        from mlflow.store.db.base_sql_model import Base  # noqa: PLC0415

        names = ("params", "latest_metrics", "registered_models", "registered_model_tags",
                 "registered_model_aliases", "model_versions", "model_version_tags",
                 "logged_models", "logged_model_params", "logged_model_metrics")  # fmt: skip
        tables = [
            sa.Table(name, sa.MetaData(), *(sa.Column(each.name, each.type) for each in columns))
            for name in names
            for columns in (Base.metadata.tables[name].columns,)
        ]
        tables.append(
            sa.Table("alembic_version", sa.MetaData(), sa.Column("version_num", sa.String(32)))
        )
        with source.connect() as reading, target.begin() as writing:
            for table in tables:
                table.create(writing)
                rows = [dict(row) for row in reading.execute(sa.select(table)).mappings()]
                if rows:
                    writing.execute(sa.insert(table), rows)
        yield found


async def test_versions_come_with_their_runs_and_files_as_from_a_file_store(
    registry,
    made,
    url,
    tmp_path,
):
    first, second = await import_mlflow_database(registry, url, from_(made / "mlruns"))
    assert (first.label, second.label) == ("vehicles:1", "vehicles:3")
    assert (first.version.number, second.version.number) == (1, 2)
    assert first.version.metrics == {"mAP": 0.9, "f1": 0.7}
    assert first.left_out == ("the metric loss is nan", "the metric worst is inf")
    assert first.version.config == {"lr": 0.01, "optimizer": "adam", "build": "007"}
    assert second.version.config == {"lr": 0.01, "optimizer": "adam", "build": "007", "depth": 7}
    assert second.version.metrics == {"mAP": 0.9, "f1": 0.7}
    tags = first.version.tags
    assert (tags["team"], tags["kind"], tags["mlflow.version"]) == ("vision", "night", "1")
    assert second.version.tags["mlflow.run_id"] == tags["mlflow.run_id"]
    assert [file.path for file in await registry.files(first.version)] == ["MLmodel", "data/w.bin"]
    assert (await registry.resolve("vehicles@prod")).number == 1
    assert (await registry.model("vehicles")).description == "finds vans"
    _, engine = tracking_database._engine(url)
    with engine.connect() as connection, pytest.raises(sa.exc.DBAPIError, match=r"(?i)read.?only"):
        connection.execute(sa.text("DELETE FROM params"))
    again = await import_mlflow_database(registry, url, from_(made))
    assert [(each.created, each.aliases) for each in again] == [(False, ()), (False, ())]


async def test_files_come_from_s3_and_through_the_servers_own_place(
    registry,
    made,
    tmp_path,
):
    url, name, options = database(made, tmp_path), new_name(), options_of("minio")
    try:
        async with open_bucket(name, options=options) as bucket:
            await bucket.put("mlflow/1/r/artifacts/model/MLmodel", b"flavors: {}")
            await bucket.put("mlflow/1/r/artifacts/model/data/w.bin", b"first")
            await bucket.put("mlflow/alone.onnx", b"onnx")
            for number, place in ((1, "1/r/artifacts/model"), (3, "alone.onnx")):
                change(tmp_path, "UPDATE model_versions SET storage_location = ? WHERE version = ?",
                       f"{name}/mlflow/{place}", number)  # fmt: skip
            came = await import_mlflow_database(registry, url, from_(f"{name}/mlflow", s3=options))
            assert [
                [file.path for file in await registry.files(each.version)] for each in came
            ] == [
                ["MLmodel", "data/w.bin"],
                ["alone.onnx"],
            ]
            change(tmp_path, "UPDATE model_versions SET creation_time = 7, storage_location = ? "
                   "WHERE version = 1", "mlflow-artifacts:/1/r/artifacts/model")  # fmt: skip
            places = from_(proxied=f"{name}/mlflow", s3=options)
            (proxied, _) = await import_mlflow_database(registry, url, places)
            assert proxied.created
            assert proxied.version.digest == came[0].version.digest
            with pytest.raises(ModelFileError, match="none of the places"):
                await import_mlflow_database(registry, url, from_(f"{name}/mlfl", s3=options))
    finally:
        remove(name, options)


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE alembic_version SET version_num = '2d6e25af4d3e'", "schema is 2d6e25af4d3e"),
        ("UPDATE alembic_version SET version_num = 'fromtomorrow'", "schema is fromtomorrow"),
        ("DROP TABLE alembic_version", "no database of MLflow"),
        ("DROP TABLE latest_metrics", "no database of MLflow"),
        ("UPDATE model_versions SET version = 'x' WHERE version = 1", "not as MLflow writes it"),
        ("UPDATE model_versions SET name = x'ff00'", "not as MLflow writes it"),
        ("UPDATE model_versions SET storage_location = '/etc'", "none of the places"),
        ("UPDATE model_versions SET storage_location = 'file:///etc/passwd'", "none of the places"),
        ("UPDATE model_versions SET storage_location = 'file://[x'", "none of the places"),
        ("UPDATE model_versions SET storage_location = 'https://x/y'", "none of the places"),
        ("UPDATE model_versions SET storage_location = 'mlflow-artifacts:/1'", "are allowed"),
        ("UPDATE model_versions SET storage_location = '', source = ''", "none of the places"),
        ("UPDATE model_versions SET storage_location = storage_location || '/../../../../../x'",
         "none of the places"),
    ],
)  # fmt: skip
async def test_what_is_no_such_database_is_refused_before_anything_is_registered(
    registry,
    made,
    tmp_path,
    statement,
    said,
):
    url = database(made, tmp_path)
    change(tmp_path, "PRAGMA foreign_keys = OFF")
    change(tmp_path, statement)
    with pytest.raises(ModelFileError, match=said):
        await import_mlflow_database(registry, url, from_(made / "mlruns"))
    assert (await registry.list()).items == []


async def test_urls_that_lead_to_no_database_say_so(registry, tmp_path):
    (tmp_path / "text.db").write_text("no database" * 100)
    for url, kind in (
        (f"sqlite:///{tmp_path}/missing.db", ModelFileError),
        (f"sqlite:///{tmp_path}/text.db", ModelFileError),
        ("postgresql://u:secret@127.0.0.1:9/x", UnavailableError),
        ("mysql://u:secret@127.0.0.1:9/x", UnavailableError),
        ("oracle://u:secret@x/y", ConfigurationError),
        ("://", ConfigurationError),
    ):
        with pytest.raises(kind) as caught:
            await import_mlflow_database(registry, url, from_(tmp_path))
        assert "secret" not in str(caught.value)
    assert not (tmp_path / "missing.db").exists()


async def test_other_workspaces_are_read_when_they_are_named(registry, made, tmp_path):
    url = database(made, tmp_path)
    change(tmp_path, "UPDATE registered_models SET workspace = 'other'")
    assert await import_mlflow_database(registry, url, from_(made)) == []
    for table in ("model_versions", "registered_model_aliases"):
        change(tmp_path, f"UPDATE {table} SET workspace = 'other'")
    came = await import_mlflow_database(registry, url, from_(made), workspace="other")
    assert [each.aliases for each in came] == [("prod",), ()]


async def test_schemas_before_logged_models_and_workspaces_are_read(registry, made, tmp_path):
    url = database(made, tmp_path)
    old = tracking_database._SCHEMAS[0]
    change(tmp_path, "UPDATE alembic_version SET version_num = ?", old)
    for table in ("logged_models", "logged_model_metrics", "logged_model_params"):
        change(tmp_path, f"ALTER TABLE {table} RENAME TO later_{table}")
    assert len(await import_mlflow_database(registry, url, from_(made))) == 2


async def test_a_version_is_known_whether_it_came_from_a_file_store_or_a_database(
    registry,
    made,
    tmp_path,
):
    await import_mlflow(registry, write_store(tmp_path / "mlruns"))
    url = database(made, tmp_path)
    change(tmp_path, "UPDATE model_versions SET creation_time = 1795941498001 WHERE version = 1")
    known, new = await import_mlflow_database(registry, url, from_(made))
    assert (known.created, new.created) == (False, True)


def test_the_known_schemas_are_mlflows_own_in_their_order(mlflow):
    folder = Path(mlflow.__file__).parent / "store" / "db_migrations" / "versions"
    before = {}
    for file in folder.glob("*_*.py"):
        text = file.read_text()
        names = re.findall(r"""^(?:down_)?revision = (?:["'](\w+)["']|None)""", text, re.MULTILINE)
        if names:
            before[names[1]] = names[0]
    chain = [tracking_database._SCHEMAS[0]]
    while chain[-1] in before:
        chain.append(before[chain[-1]])
    assert tuple(chain) == tracking_database._SCHEMAS, (
        "MLflow is newer: see what its schema changed"
    )


def test_the_command_reads_a_database(made, tmp_path):
    data, url = tmp_path / "data", database(made, tmp_path)
    said = here("models", "import-mlflow", url, "--artifacts", made, "--data", data).err
    assert "vehicles:3: vehicles:2 registered" in said
    refused = here("models", "import-mlflow", url, "--data", tmp_path / "other").err
    assert "that are allowed: none" in refused
