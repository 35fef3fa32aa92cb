"""An MLflow file store comes in: each version once, and nothing from outside the store."""

import sys

import pytest

from cli.program import here
from holdfast.errors import ConfigurationError, InvalidValueError, ModelFileError
from holdfast.models import VersionSearch, import_mlflow
from models.mlflow_writer import EXPERIMENT, LOGGED, RUN, version, write, write_store

pytestmark = pytest.mark.anyio


async def test_versions_come_with_what_their_runs_say(registry, tmp_path):
    first, second = await import_mlflow(registry, write_store(tmp_path / "mlruns"))
    assert (first.label, second.label) == ("vehicles:1", "vehicles:10")
    assert (first.version.number, second.version.number) == (1, 2)
    assert first.version.metrics == {"val/mAP": 0.9}
    assert first.left_out == ("the metric loss is nan",)
    assert first.version.config == {"lr": 0.01, "opt/name": "adam", "build": "007"}
    assert first.version.description == "first"
    tags = first.version.tags
    assert (tags["team"], tags["kind"], tags["mlflow.run_id"]) == ("vision", "night", RUN)
    assert tags["mlflow.created"].startswith("2026-11-29T")
    assert [file.path for file in await registry.files(first.version)] == ["MLmodel", "data/w.bin"]
    assert second.version.metrics == {"val/mAP": 0.9, "f1": 0.7}
    assert second.version.tags["mlflow.run_id"] == RUN
    assert second.version.tags["mlflow.stage"] == "Production"
    assert (await registry.resolve("vehicles@prod")).number == 1
    assert (await registry.model("vehicles")).description == "finds vans"
    (found,) = await registry.search(VersionSearch(where=("config.lr < 0.1", "tags.kind = night")))
    assert found.number == 1


async def test_a_second_import_brings_what_is_new_and_moves_no_alias_back(registry, tmp_path):
    root = write_store(tmp_path / "mlruns")
    first, second = await import_mlflow(registry, root)
    assert (first.created, first.aliases) == (True, ("prod",))
    await registry.promote(second.version, "prod", reason="better at night")
    version(root, 11, source=str(root / EXPERIMENT / RUN / "artifacts" / "model" / "data"))
    write(root / "models" / "vehicles" / "version-1" / "tags" / "kind", "day")
    again = await import_mlflow(registry, root)
    assert [(each.created, each.aliases) for each in again] == [
        (False, ()),
        (False, ()),
        (True, ()),
    ]
    assert again[0].version.id == first.version.id
    assert (await registry.resolve("vehicles@prod")).number == 2
    await registry.withdraw("vehicles", "prod")
    assert [each.aliases for each in await import_mlflow(registry, root)] == [(), (), ()]
    assert [file.path for file in await registry.files(again[2].version)] == ["w.bin"]


async def test_without_the_extra_it_is_said_which(registry, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(ConfigurationError, match=r"holdfast\[mlflow\]"):
        await import_mlflow(registry, write_store(tmp_path / "mlruns"))


async def test_a_store_that_was_moved_finds_its_files(registry, tmp_path):
    root = write_store(tmp_path / "copy", at=tmp_path / "where it was")
    assert len(await import_mlflow(registry, root)) == 2


def meta(content):
    return lambda root: write(root / "models" / "vehicles" / "version-10" / "meta.yaml", content)


def source(text):
    return lambda root: version(root, 10, source=text.replace("ROOT", str(root)), run_id=RUN)


def linked(root):
    (root.parent / "secret").mkdir()
    (root / "sly").symlink_to(root.parent / "secret")
    version(root, 10, source=str(root / "sly"))


def circle(root):
    (root / "round").symlink_to(root / "round")
    version(root, 10, source=str(root / "round"))


def linked_artifacts(root):
    artifacts = root / EXPERIMENT / "models" / LOGGED / "artifacts"
    artifacts.rename(root.parent / "secret")
    artifacts.symlink_to(root.parent / "secret")


def linked_tag(root):
    write(root.parent / "secret", "word")
    (root / "models" / "vehicles" / "tags" / "sly").symlink_to(root.parent / "secret")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (source("/etc"), "not in the store"),
        (source("ROOT/../secret"), "not in the store"),
        (source(f"file:///x/{RUN}/artifacts/%2e%2e/../../../../"), "not in the store"),
        (source("s3://bucket/model"), "not in the store"),
        (source("file://elsewhere/model"), "not in the store"),
        (source("models:/m-unknown"), "not in the store"),
        (lambda root: version(root, 10, source="x", run_id="../../secret"), "the id"),
        (source("file://[x/model"), "no address"),
        (linked, "not in the store"),
        (circle, "not in the store"),
        (linked_artifacts, "not in the store"),
        (linked_tag, "no plain file"),
        (meta("a: &a [x]\nb: [*a, *a]\n"), "anchors"),
        (meta("source: !!python/object/apply:os.system ['true']\n"), "not as MLflow"),
        (meta("[" * 20_000), "nested"),
        (meta("x" * 70_000), "more than"),
        (meta("creation_timestamp: soon\n"), "not as MLflow"),
        (meta(f"creation_timestamp: {'9' * 5_000}\n"), "not as MLflow"),
        (meta(b"\xff"), "UTF-8"),
        (lambda root: write(root / EXPERIMENT / RUN / "metrics" / "odd", "1 x 2\n"), "no line"),
        (lambda root: write(root / "models" / "vehicles" / "aliases" / "a", "one"), "no version"),
        (lambda root: (root / "models").rename(root / "else"), "no file store"),
    ],
)  # fmt: skip
async def test_a_hostile_store_is_refused_before_anything_is_registered(
    registry, tmp_path, change, said
):
    root = write_store(tmp_path / "mlruns")
    change(root)
    with pytest.raises(ModelFileError, match=said):
        await import_mlflow(registry, root)
    assert (await registry.list()).items == []


async def test_names_that_do_not_fit_are_refused_before_anything_is_registered(registry, tmp_path):
    root = write_store(tmp_path / "mlruns")
    write(root / "models" / "with space" / "meta.yaml", "name: with space\n")
    with pytest.raises(InvalidValueError, match="with space"):
        await import_mlflow(registry, root)
    (root / "models" / "with space").rename(root / "models" / "zebras")
    version(root, 1, source="x", creation_timestamp=10**18)
    write(root / "models" / "vehicles" / "tags" / "long", "x" * 1_001)
    with pytest.raises((InvalidValueError, ModelFileError)):
        await import_mlflow(registry, root)
    assert (await registry.list()).items == []


def test_the_command_says_what_came(tmp_path):
    root, data = write_store(tmp_path / "mlruns"), tmp_path / "data"
    said = here("models", "import-mlflow", root, "--data", data).err
    assert "vehicles:10: vehicles:2 registered" in said
    assert "now prod" in said
    assert "left out: the metric loss is nan" in said
    again = here("models", "import-mlflow", root, "--data", data, "--json").json
    assert [each["created"] for each in again] == [False, False]
