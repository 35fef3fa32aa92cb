"""Who may read what Holdfast makes, whatever the umask."""

import os
import stat
from uuid import UUID

import pytest

from holdfast import Entity, Field, key, sync, uuid7
from holdfast.objects import Versioning
from holdfast.platform import open_platform
from holdfast.settings import Settings


class Row(Entity, table="rows"):
    """A row."""

    id: Field[UUID] = key(default_factory=uuid7)


@pytest.fixture(autouse=True)
def _open_to_all():
    before = os.umask(0)
    yield
    os.umask(before)


def modes(folder):
    """The modes of everything below *folder*, and of itself."""
    found = [folder, *folder.rglob("*")]
    return {path.relative_to(folder.parent): stat.S_IMODE(path.stat().st_mode) for path in found}


def readable_by_others(folder):
    return [str(path) for path, mode in modes(folder).items() if mode & 0o077]


def fill_bucket(url):
    with sync.open_bucket(url) as bucket:
        bucket.admin.set(Versioning(enabled=True))
        for content in (b"1", b"2"):
            bucket.put("deep/folder/k", content)
        bucket.set_tags("deep/folder/k", {"a": "b"})
        bucket.copy("deep/folder/k", "deep/other")


def test_a_bucket_is_for_its_user_alone(tmp_path):
    fill_bucket(f"file://{tmp_path}/new/objects")
    assert readable_by_others(tmp_path / "new/objects") == []
    (tmp_path / "there").mkdir(mode=0o755)
    fill_bucket(f"file://{tmp_path}/there")
    assert readable_by_others(tmp_path / "there") == ["there"]


def test_a_shared_bucket_is_as_the_umask_says(tmp_path):
    fill_bucket(f"file://{tmp_path}/objects?private=false")
    found = set(modes(tmp_path / "objects").values())
    assert found == {0o777, 0o666, 0o444}


def fill_store(url):
    with sync.open_store(url, [Row]) as store:
        store.create_schema()
        store.repository(Row).add(Row())


def test_a_database_is_for_its_user_alone(tmp_path):
    with sync.open_store(f"sqlite:///{tmp_path}/a.db", [Row]) as store:
        store.create_schema()
        store.repository(Row).add(Row())
        beside = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert beside["a.db"] == 0o600
    assert set(beside.values()) == {0o600}


def test_a_shared_database_is_as_sqlite_makes_it(tmp_path):
    fill_store(f"sqlite:///{tmp_path}/a.db?private=false")
    assert stat.S_IMODE((tmp_path / "a.db").stat().st_mode) == 0o644
    (tmp_path / "a.db").chmod(0o640)
    fill_store(f"sqlite:///{tmp_path}/a.db")  # one that is there keeps its mode
    assert stat.S_IMODE((tmp_path / "a.db").stat().st_mode) == 0o640


async def test_the_data_folder_is_for_its_user_alone(tmp_path):
    async with open_platform(Settings(data=tmp_path / "data")):
        pass
    assert readable_by_others(tmp_path / "data") == []
