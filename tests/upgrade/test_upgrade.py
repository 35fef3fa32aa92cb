"""What an earlier version stored is opened by this one after its migration, with nothing lost."""

import json
import zipfile
from pathlib import Path

import pytest

from holdfast import Migrations
from holdfast.audit.log_keeper import LogKeeper
from holdfast.errors import SchemaMismatchError
from holdfast.jobs import Worker
from holdfast.models import ModelRegistry
from holdfast.platform import open_platform, platform_entities
from holdfast.settings import Settings
from upgrade.record import objects_of, rows_of

VERSIONS = ["0.1"]
pytestmark = pytest.mark.anyio


@pytest.fixture(params=VERSIONS)
def recorded(request):
    return Path(__file__).parent / request.param


@pytest.fixture
def expected(recorded):
    return json.loads((recorded / "expected.json").read_text("utf-8"))


@pytest.fixture
def settings(recorded, tmp_path):
    with zipfile.ZipFile(recorded / "data.zip") as packed:
        packed.extractall(tmp_path / "data")
    return Settings(data=tmp_path / "data")


async def migrate(settings):
    url = f"sqlite:///{settings.data}/holdfast.db"
    migrations = Migrations(url, platform_entities(settings), folder=settings.data / "migrations")
    await migrations.create("tables of a later version")
    await migrations.upgrade()
    assert await migrations.check() == ()


async def test_tables_that_are_not_migrated_are_refused_and_left_alone(settings):
    before = (settings.data / "holdfast.db").read_bytes()
    with pytest.raises(SchemaMismatchError, match="holdfast migrate upgrade"):
        async with open_platform(settings):
            pass
    assert (settings.data / "holdfast.db").read_bytes() == before


async def test_all_that_was_stored_is_there(settings, expected):
    await migrate(settings)
    async with open_platform(settings) as platform:
        rows = await rows_of(platform)
        for table, stored in expected["rows"].items():
            if stored:
                found = [
                    {name: row[name] for name in before}
                    for before, row in zip(stored, rows[table], strict=True)
                ]
                assert found == stored, table
        assert await objects_of(platform.bucket) == expected["objects"]


async def test_it_is_worked_on(settings, tmp_path):
    await migrate(settings)
    async with open_platform(settings) as platform:
        assert await platform.bucket.get("notes/a.txt") == b"hello"
        registry = platform.service(ModelRegistry)
        version = await registry.resolve("vehicles@prod")
        placed = await registry.download(version, tmp_path / "weights.bin")
        assert placed.read_bytes() == b"weights" * 1000
        done = []

        async def handler(context):
            done.append(context.payload)

        worker = Worker(platform.jobs, {"unknown to workers": handler})
        assert await worker.run(until="idle") == 1
        assert done == [{"tags": ["a", "b"]}]
        assert (await platform.service(LogKeeper).verify()).ok
