"""SQLite among processes, and in places where it can't be."""

import asyncio
import multiprocessing

import pytest

from holdfast.errors import HoldfastError, StorageError
from holdfast.records import sync
from holdfast.records.conformance.sample_entities import Setting, Tally, entities_for
from holdfast.records.connect import open_store
from holdfast.records.driver import StoreCapability

ENTITIES = entities_for(frozenset(StoreCapability) - {StoreCapability.SEQUENCES})


PROCESSES, TIMES = 8, 25


def work(url, number):
    with sync.open_store(url, ENTITIES) as store:
        store.create_schema()
        tallies, settings = store.repository(Tally), store.repository(Setting)
        for each in range(TIMES):
            tallies.patch("t", Tally.total.increment(1))
            with store.transaction():
                settings.add(Setting(name=f"{number}-{each}"))
                settings.upsert(Setting(name="shared", value=str(number)))


def test_eight_processes_on_one_file_lose_nothing(tmp_path):
    url = f"sqlite:///{tmp_path}/store.db?synchronous=normal"
    with sync.open_store(url, ENTITIES) as store:
        store.create_schema()
        store.repository(Tally).add(Tally(id="t"))
        spawn = multiprocessing.get_context("spawn")
        with spawn.Pool(PROCESSES) as pool:
            pool.starmap(work, [(url, number) for number in range(PROCESSES)])
        assert store.repository(Tally).get_one("t").total == PROCESSES * TIMES
        assert store.repository(Setting).count() == PROCESSES * TIMES + 1


async def opened(url):
    async with open_store(url, ENTITIES) as store:
        await store.create_schema()


def test_a_file_that_is_no_database_is_refused_and_kept(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("not a database\n" * 200)
    with pytest.raises(StorageError):
        asyncio.run(opened(f"sqlite:///{path}"))
    assert path.read_text() == "not a database\n" * 200


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(HoldfastError) as caught:
        asyncio.run(opened(f"sqlite:///{tmp_path}/missing/store.db"))
    assert isinstance(caught.value, StorageError)
    assert not (tmp_path / "missing").exists()
