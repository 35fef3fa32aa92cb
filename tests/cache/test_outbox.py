"""Invalidations that are rows of the transaction, and the outbox that carries them out."""

import asyncio
import signal
import sqlite3
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from uuid import UUID

import pytest

from cache.states import counter, is_up
from holdfast import Entity, Field, Migrations, created_at, field, key, open_store, uuid7
from holdfast import sync as blocking
from holdfast.cache import (
    CachedRepository,
    CacheInvalidation,
    CacheOptions,
    Outbox,
    open_cache,
    sync,
)
from holdfast.errors import ConfigurationError, DuplicateError, InvalidValueError

pytestmark = pytest.mark.anyio


class Page(Entity, table="pages"):
    id: Field[UUID] = key(default_factory=uuid7)
    name: Field[str] = field(max_length=100, unique=True)


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path}/pages.db"


@pytest.fixture
async def store(url):
    async with open_store(url, [Page, CacheInvalidation]) as opened:
        await opened.create_schema()
        yield opened


@pytest.fixture
async def cache(redis):
    async with open_cache(redis.url, options=CacheOptions(timeout=1.0, fallback=0)) as opened:
        yield opened


async def recorded(store):
    return await store.repository(CacheInvalidation).count()


DIES = """
import asyncio, os, signal, sys
sys.path.insert(0, sys.argv[1])
from cache.test_outbox import Page
from holdfast import open_store
from holdfast.cache import CachedRepository, CacheInvalidation, open_cache

async def main():
    async with open_store(sys.argv[2], [Page, CacheInvalidation]) as store:
        async with open_cache(sys.argv[3]) as cache:
            pages = CachedRepository(store.repository(Page), cache, recorded=True)
            first = await store.repository(Page).first()
            async def die(**_):
                os.kill(os.getpid(), signal.SIGKILL)
            pages._cache.invalidate = die
            {change}

asyncio.run(main())
"""


@pytest.mark.parametrize(
    "change",
    [
        "await pages.patch(first.id, Page.name.to('new'))",
        "await pages.update_where(Page.name == 'old', changes=[Page.name.to('new')])",
        (
            "async with store.transaction():\n"
            "                await pages.patch(first.id, Page.name.to('newer'))\n"
            "                await pages.patch(first.id, Page.name.to('new'))"
        ),
    ],
    ids=["one", "all of the kind", "in a transaction"],
)
async def test_a_process_killed_after_its_commit_leaves_the_removal_to_the_outbox(
    store, cache, redis, url, change
):
    pages = CachedRepository(store.repository(Page), cache, recorded=True)
    page = await pages.add(Page(name="old"))
    assert (await pages.get_one(page.id)).name == "old"
    tests = str(Path(__file__).parents[1])
    script = DIES.replace("{change}", change)
    ended = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", script, tests, url, redis.url],
        timeout=600,
        check=False,
    )
    assert ended.returncode == -signal.SIGKILL
    assert (await pages.repository.get_one(page.id)).name == "new"
    assert (await pages.get_one(page.id)).name == "old"  # what the outbox is for
    left = await recorded(store)
    assert left >= 1
    outbox = Outbox(store, cache)
    assert await outbox.drain() == left
    assert (await pages.get_one(page.id)).name == "new"
    assert await recorded(store) == 0
    assert await outbox.drain() == 0


async def test_a_process_that_lives_leaves_no_record(store, cache):
    pages = CachedRepository(store.repository(Page), cache, recorded=True)
    page = await pages.add(Page(name="a"))
    await pages.get(page.id)
    await pages.patch(page.id, Page.name.to("b"))
    assert (await pages.get_one(page.id)).name == "b"
    async with store.transaction() as tx:
        await pages.patch(page.id, Page.name.to("c"))
        assert await recorded(store) == 1
        with pytest.raises(KeyError):
            async with tx.savepoint():
                await pages.patch(page.id, Page.name.to("d"))
                raise KeyError
        assert await recorded(store) == 1
    assert (await pages.get_one(page.id)).name == "c"
    await pages.forget()
    await pages.forget([page.id])
    await pages.update_where(Page.name == "c", changes=[Page.name.to("e")])
    assert (await pages.get_one(page.id)).name == "e"
    assert await pages.delete(page.id) is True
    assert await pages.get(page.id) is None
    assert await recorded(store) == 0


async def test_what_is_rolled_back_is_not_recorded(store, cache):
    pages = CachedRepository(store.repository(Page), cache, recorded=True)
    await pages.add_many([Page(name="a"), Page(name="b")])
    with pytest.raises(DuplicateError):
        await pages.add(Page(name="a"))
    with pytest.raises(KeyError):
        async with store.transaction():
            await pages.update_where(Page.name == "a", changes=[Page.name.to("c")])
            raise KeyError
    assert await recorded(store) == 0
    assert await pages.repository.count(Page.name == "a") == 1


async def test_what_the_store_of_the_cache_does_not_hear_of_stays_recorded(store, cache, redis):
    pages = CachedRepository(store.repository(Page), cache, recorded=True)
    page = await pages.add(Page(name="old"))
    await pages.get(page.id)
    redis.freeze()
    await pages.patch(page.id, Page.name.to("new"))
    assert await recorded(store) == 1
    outbox = Outbox(store, cache)
    assert await outbox.drain() == 0
    assert await recorded(store) == 1
    redis.thaw()
    running = asyncio.create_task(outbox.run(every=0.01))
    try:
        async with asyncio.timeout(10):
            while not is_up(cache) or await recorded(store):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
    finally:
        running.cancel()
    assert (await pages.get_one(page.id)).name == "new"


async def test_an_outbox_outlives_the_absence_of_its_records(url, cache, caplog):
    async with open_store(f"{url}?lock_timeout=0.05", [CacheInvalidation]) as store:
        await store.create_schema()
        await store.repository(CacheInvalidation).add(CacheInvalidation(keys=["k"]))
        await cache.set("k", 1)
        locked = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
        locked.execute("BEGIN IMMEDIATE")
        running = asyncio.create_task(Outbox(store, cache).run(every=0.01))
        async with asyncio.timeout(10):
            while "wait for their store" not in caplog.text:  # noqa: ASYNC110
                await asyncio.sleep(0.005)
            locked.execute("ROLLBACK")
            locked.close()
            while await recorded(store):  # noqa: ASYNC110
                await asyncio.sleep(0.005)
        assert await cache.get("k") is None
        assert not running.done()
        running.cancel()


async def test_records_are_carried_out_in_batches_oldest_first(store, cache, monkeypatch):
    records = store.repository(CacheInvalidation)
    added = [CacheInvalidation(keys=[f"k{number}"], tags=["t"]) for number in range(25)]
    await records.add_many(reversed(added))
    await cache.set_many({f"k{number}": 1 for number in range(30)})
    done = []
    honest = cache.invalidate

    async def watched(*, keys, tags):
        done.append(list(keys))
        return await honest(keys=keys, tags=tags)

    monkeypatch.setattr(cache, "invalidate", watched)
    assert await Outbox(store, cache, batch=10).drain() == 25
    assert [name for names in done for name in names] == [f"k{number}" for number in range(25)]
    assert [len(names) for names in done] == [10, 10, 5]
    assert len(await cache.keys()) == 5


async def test_two_caches_over_one_store_carry_out_their_own_removals_alone(store, redis):
    shop, blog = f"{redis.url}?prefix=shop", f"{redis.url}?prefix=blog"
    async with open_cache(shop) as ours, open_cache(blog) as theirs:
        page = await store.repository(Page).add(Page(name="a"))
        for cache in (ours, theirs):
            await cache.set("k", 1)
            pages = CachedRepository(store.repository(Page), cache, recorded=True)
            async with store.transaction():
                await pages.forget([page.id])
                row = await store.repository(CacheInvalidation).one()
                assert row.namespace == cache.namespace == ("shop" if cache is ours else "blog")
        rows = [CacheInvalidation(namespace=name, keys=["k"]) for name in ("blog", "shop")]
        await store.repository(CacheInvalidation).add_many(rows)
        assert await Outbox(store, ours, batch=1).drain() == 1
        assert (await ours.get("k"), await theirs.get("k")) == (None, 1)
        assert (await store.repository(CacheInvalidation).one()).namespace == "blog"
        assert await Outbox(store, theirs.typed(int)).drain() == 1
        assert await theirs.get("k") is None
        assert await recorded(store) == 0


async def test_a_change_reaches_the_caches_that_are_told_in_its_transaction_and_no_other(
    store, redis, shared_redis
):
    """As docs/cache.md says of several caches over one store."""
    shared_redis.say("FLUSHALL")
    here, there, apart = f"{redis.url}?prefix=a", f"{shared_redis.url}?prefix=b", "?prefix=c"
    async with open_cache(here) as one, open_cache(there) as two:
        async with open_cache(shared_redis.url + apart) as three:
            ours, theirs, others = (
                CachedRepository(store.repository(Page), cache, recorded=True)
                for cache in (one, two, three)
            )
            page = await ours.add(Page(name="old"))
            for pages in (ours, theirs, others):
                assert (await pages.get_one(page.id)).name == "old"
            async with store.transaction():
                await ours.patch(page.id, Page.name.to("new"))
                await theirs.forget([page.id])
                rows = await store.repository(CacheInvalidation).find()
                assert {row.namespace for row in rows} == {"a", "b"}
            assert (await ours.get_one(page.id)).name == "new"
            assert (await theirs.get_one(page.id)).name == "new"
            assert (await others.get_one(page.id)).name == "old"
            assert await recorded(store) == 0
        async with store.transaction():
            await ours.patch(page.id, Page.name.to("newer"))
            await theirs.forget([page.id])
            redis.kill()
        assert (await store.repository(CacheInvalidation).one()).namespace == "a"
        assert (await theirs.get_one(page.id)).name == "newer"
        assert await Outbox(store, two).drain() == 0


async def test_an_outbox_finds_its_rows_by_an_index(url, cache, monkeypatch):
    said = []
    connect = sqlite3.connect

    def watched(*arguments, **options):
        connection = connect(*arguments, **options)
        connection.set_trace_callback(said.append)
        return connection

    monkeypatch.setattr(sqlite3, "connect", watched)
    async with open_store(url, [CacheInvalidation]) as store:
        await store.create_schema()
        said.clear()
        await Outbox(store, cache).drain()
        (statement,) = (text for text in said if text.startswith("SELECT"))
    plain = connect(url.removeprefix("sqlite:///"))
    steps = [row[-1] for row in plain.execute(f"EXPLAIN QUERY PLAN {statement}")]
    plain.close()
    assert len(steps) == 1  # so nothing is sorted
    assert "USING INDEX" in steps[0]
    assert "namespace=?" in steps[0]


class OlderInvalidation(Entity, table="cache_invalidations"):
    id: Field[UUID] = key(default_factory=uuid7)
    keys: Field[list[str]] = field(default_factory=list)
    tags: Field[list[str]] = field(default_factory=list)
    created_at: Field[datetime] = created_at()


async def test_rows_of_an_older_table_belong_to_the_default_namespace(url, tmp_path, cache):
    """Also those that an older program adds while the new one runs."""
    folder = tmp_path / "migrations"
    before = Migrations(url, [OlderInvalidation], folder=folder)
    await before.create("before")
    await before.upgrade()
    async with open_store(url, [OlderInvalidation]) as older:
        await older.repository(OlderInvalidation).add(OlderInvalidation(keys=["a"]))
        after = Migrations(url, [CacheInvalidation], folder=folder)
        await after.create("after")
        await after.upgrade()
        await older.repository(OlderInvalidation).add(OlderInvalidation(keys=["b"]))
    await cache.set_many({"a": 1, "b": 1, "c": 1})
    async with open_store(url, [CacheInvalidation]) as store:
        assert await Outbox(store, cache).drain() == 2
        assert await recorded(store) == 0
    assert await cache.keys() == ["c"]


async def test_a_batch_of_none_is_refused(store, cache):
    with pytest.raises(InvalidValueError, match="1 or more, got 0"):
        Outbox(store, cache, batch=0)


async def test_a_store_without_the_entity_is_refused(url, cache):
    async with open_store(url, [Page]) as bare:
        with pytest.raises(ConfigurationError, match="CacheInvalidation does not live"):
            CachedRepository(bare.repository(Page), cache, recorded=True)
        with pytest.raises(ConfigurationError, match="CacheInvalidation does not live"):
            Outbox(bare, cache)


def test_blocking_code_has_the_same_repository_and_outbox(url):
    with (
        blocking.open_store(url, [Page, CacheInvalidation]) as store,
        sync.open_cache("memory://") as cache,
    ):
        store.create_schema()
        for how in ({}, {"recorded": True}, {"write_through": True}):
            pages = sync.CachedRepository(store.repository(Page), cache, **how)
            page = pages.add(Page(name="a"))
            assert pages.get(page.id) == pages.get_one(page.id) == page
            hits = counter(cache, "hits")
            assert pages.get(page.id) == page
            assert counter(cache, "hits") == hits + 1
            assert pages.patch(page.id, Page.name.to("b")).name == "b"
            with store.transaction():
                pages.patch(page.id, Page.name.to("c"))
                assert pages.get_one(page.id).name == "c"
            with pytest.raises(KeyError), store.transaction():
                pages.patch(page.id, Page.name.to("d"))
                raise KeyError
            found = pages.get_one(page.id)
            assert found.name == "c"
            assert pages.update(found).name == "c"
            assert pages.upsert(found).created is False
            assert pages.get_many([page.id, uuid7()]) == [found, None]
            assert pages.update_where(Page.name == "c", changes=[Page.name.to("e")]) == 1
            assert pages.get_one(page.id).name == "e"
            pages.forget()
            assert pages.warm([page.id]) == 1
            more = pages.add_many([Page(name="x"), Page(name="y")]).entities
            assert pages.delete_many([entity.id for entity in more]) == 2
            assert pages.delete(page.id) is True
            assert pages.delete_where(Page.name == "e") == 0
            assert pages.get(page.id) is None
        store.repository(CacheInvalidation).add(CacheInvalidation(keys=["k"]))
        cache.set("k", 1)
        assert sync.Outbox(store, cache).drain() == 1
        assert cache.get("k") is None
