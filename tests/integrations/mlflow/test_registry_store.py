"""MLflow's own client on Holdfast's registry: models, versions, aliases, files, and refusals."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import mlflow
import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from cli.program import here
from forking import forked
from holdfast.integrations.mlflow.registry_connection import connection_to

# The folder is what MLflow keeps runs in without a server, and stages are asked for on purpose.
pytestmark = [
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore:codecs.open:DeprecationWarning"),  # Python 3.14 minds it
]


@pytest.fixture
def places(tmp_path, monkeypatch):
    """Tracking in a folder, the registry in the data folder that is returned."""
    data = tmp_path / "data"
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "mlruns").as_uri())
    monkeypatch.setenv("MLFLOW_REGISTRY_URI", f"holdfast://{data}")
    yield data
    connection_to(data).close()


@pytest.fixture
def client(places):
    return MlflowClient()


@pytest.fixture
def run(client, tmp_path):
    """A run with a metric, a parameter, and a model of two files."""
    model = tmp_path / "model"
    (model / "data").mkdir(parents=True)
    (model / "MLmodel").write_text("flavors: {}\n")
    (model / "data" / "w.bin").write_bytes(b"weights")
    run = client.create_run(client.create_experiment("traffic"))
    client.log_metric(run.info.run_id, "mAP", 0.9)
    client.log_metric(run.info.run_id, "loss", float("nan"))
    client.log_param(run.info.run_id, "lr", "0.01")
    client.log_artifacts(run.info.run_id, str(model), "model")
    return run.info.run_id


def test_a_registered_model_is_there_for_mlflow_and_for_holdfast(client, run, places, tmp_path):
    made = mlflow.register_model(f"runs:/{run}/model", "vehicles", tags={"team": "vision"})
    assert (made.version, made.run_id, made.status) == ("1", run, "READY")
    again = mlflow.register_model(f"runs:/{run}/model", "vehicles")
    assert again.version == "2"
    client.set_registered_model_alias("vehicles", "prod", "1")
    client.set_registered_model_alias("vehicles", "prod", "2")
    client.set_registered_model_alias("vehicles", "prod", "1")
    found = client.get_model_version_by_alias("vehicles", "prod")
    assert (found.version, found.aliases, found.tags) == ("1", ["prod"], {"team": "vision"})
    assert client.get_registered_model("vehicles").aliases == {"prod": "1"}
    assert [each.version for each in client.get_latest_versions("vehicles")] == ["2"]

    def models(*arguments):
        return here("models", *arguments, "--json", "--data", places).json

    assert models("show", "vehicles@prod")["metrics"] == {"mAP": 0.9}
    assert models("show", "vehicles@prod")["config"] == {"lr": 0.01}
    assert [each["to_number"] for each in models("history", "vehicles", "prod")] == [1, 2, 1]
    client.delete_registered_model_alias("vehicles", "prod")
    assert client.get_registered_model("vehicles").aliases == {}


def test_threads_register_at_once(client, run):
    def register(_):
        return mlflow.register_model(f"runs:/{run}/model", "vehicles").version

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(register, range(4))) == ["1", "2", "3", "4"]


def test_files_come_back_as_they_were(client, run, tmp_path):
    mlflow.register_model(f"runs:/{run}/model", "vehicles")
    client.set_registered_model_alias("vehicles", "prod", "1")
    for number, uri in enumerate(
        ("models:/vehicles/1", "models:/vehicles@prod", "models:/vehicles/latest",
         client.get_model_version_download_uri("vehicles", "1")),
    ):  # fmt: skip
        target = tmp_path / f"out{number}"
        place = Path(mlflow.artifacts.download_artifacts(uri, dst_path=str(target)))
        assert (place / "MLmodel").read_text() == "flavors: {}\n"
        assert (place / "data" / "w.bin").read_bytes() == b"weights"
    one = mlflow.artifacts.download_artifacts("models:/vehicles/1/data/w.bin")
    assert Path(one).read_bytes() == b"weights"
    listed = mlflow.artifacts.list_artifacts("models:/vehicles/1")
    assert [(each.path, each.is_dir) for each in listed] == [("MLmodel", False), ("data", True)]


def test_versions_come_from_folders_logged_models_and_other_versions(client, run, places, tmp_path):
    folder = mlflow.register_model((tmp_path / "model").as_uri(), "vehicles")
    assert folder.run_id is None
    logged = client.create_logged_model(
        client.get_run(run).info.experiment_id, name="logged", source_run_id=run
    )
    client.log_model_artifacts(logged.model_id, str(tmp_path / "model"))
    client.log_metric(run, "f1", 0.7, model_id=logged.model_id)
    named = mlflow.register_model(f"models:/{logged.model_id}", "vehicles")
    assert (named.model_id, named.run_id) == (logged.model_id, run)
    copied = client.copy_model_version("models:/vehicles/2", "vans")
    assert (copied.name, copied.version) == ("vans", "1")
    shown = here("models", "show", "vans:1", "--json", "--data", places).json
    other = here("models", "show", "vehicles:2", "--json", "--data", places).json
    assert (shown["digest"], other["metrics"]) == (other["digest"], {"mAP": 0.9, "f1": 0.7})


def test_a_forked_child_opens_the_registry_for_itself(tmp_path):
    program = """
from holdfast.integrations.mlflow.registry_store import HoldfastRegistryStore

data, = arguments
store = HoldfastRegistryStore(f"holdfast://{data}")
store.create_registered_model("before")
wait = in_child(lambda: store.create_registered_model("inside").name)
assert wait() == "inside"
assert [each.name for each in store.search_registered_models(None, 9)] == ["before", "inside"]
"""
    forked(program, str(tmp_path / "data"))


def test_models_and_versions_are_searched_and_paged(client, run):
    for name in ("a", "b", "c"):
        client.create_registered_model(name, description=f"the {name}")
    for kind in ("day", "night"):
        mlflow.register_model(f"runs:/{run}/model", "b", tags={"kind": kind})
    page = client.search_registered_models(max_results=2)
    assert [each.name for each in page] == ["a", "b"]
    assert page[1].latest_versions[0].version == "2"
    rest = client.search_registered_models(max_results=2, page_token=page.token)
    assert ([each.name for each in rest], rest.token) == (["c"], None)
    assert [each.name for each in client.search_registered_models("name LIKE 'c%'")] == ["c"]
    night = client.search_model_versions("name = 'b' AND tags.kind = 'night'")
    assert [each.version for each in night] == ["2"]
    assert len(client.search_model_versions(f"run_id = '{run}'")) == 2
    assert client.search_model_versions("name = 'nobody'") == []
    with pytest.raises(MlflowException, match="Invalid"):
        client.search_model_versions("nonsense = 1")


def test_what_the_registry_refuses_is_an_error_of_mlflow(client, run):
    mlflow.register_model(f"runs:/{run}/model", "vehicles", tags={"kind": "day"})
    client.set_registered_model_alias("vehicles", "prod", "1")
    client.create_registered_model("empty")
    for refused, code in (
        (lambda: client.create_registered_model("vehicles"), "RESOURCE_ALREADY_EXISTS"),
        (lambda: client.create_registered_model("../up"), "INVALID_PARAMETER_VALUE"),
        (lambda: client.create_registered_model("x", tags={"a": "b"}), "FEATURE_DISABLED"),
        (lambda: client.rename_registered_model("empty", "full"), "FEATURE_DISABLED"),
        (lambda: client.delete_registered_model("vehicles"), "INVALID_STATE"),
        (lambda: client.get_registered_model("nobody"), "RESOURCE_DOES_NOT_EXIST"),
        (lambda: client.get_model_version("vehicles", "7"), "RESOURCE_DOES_NOT_EXIST"),
        (lambda: client.get_model_version("vehicles", "^1"), "RESOURCE_DOES_NOT_EXIST"),
        (lambda: client.get_model_version_by_alias("vehicles", "no"), "RESOURCE_DOES_NOT_EXIST"),
        (lambda: client.delete_model_version("vehicles", "1"), "INVALID_STATE"),
        (lambda: client.update_model_version("vehicles", "1", "new"), "FEATURE_DISABLED"),
        (lambda: client.set_model_version_tag("vehicles", "1", "kind", "x"), "FEATURE_DISABLED"),
        (lambda: client.delete_model_version_tag("vehicles", "1", "kind"), "FEATURE_DISABLED"),
        (lambda: client.set_registered_model_tag("empty", "a", "b"), "FEATURE_DISABLED"),
        (
            lambda: client.transition_model_version_stage("vehicles", "1", "Production"),
            "FEATURE_DISABLED",
        ),
        (lambda: client.create_model_version("nobody", "/etc/hostname"), "RESOURCE_DOES_NOT_EXIST"),
        (lambda: client.create_model_version("empty", "/nowhere"), "INVALID_PARAMETER_VALUE"),
        (
            MlflowClient(registry_uri="holdfast://host/x").search_registered_models,
            "INVALID_PARAMETER_VALUE",
        ),
    ):
        with pytest.raises(MlflowException) as raised:
            refused()
        assert raised.value.error_code == code, raised.value
    client.set_model_version_tag("vehicles", "1", "kind", "day")  # it says so already
    client.update_registered_model("vehicles", "finds vans")
    assert client.get_registered_model("vehicles").description == "finds vans"
    client.delete_registered_model_alias("vehicles", "prod")
    client.delete_model_version("vehicles", "1")
    client.delete_registered_model("empty")
    assert [each.name for each in client.search_registered_models()] == ["vehicles"]
