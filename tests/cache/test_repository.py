"""Entities through a cache: forgotten after the commit and never before."""

import asyncio
import enum
import inspect
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from uuid import UUID

import pytest

from cache.states import counter
from holdfast import (
    Entity,
    Field,
    Repository,
    created_at,
    deleted_at,
    field,
    generated_key,
    key,
    open_store,
    updated_at,
    uuid7,
    version,
)
from holdfast.cache import CachedRepository, open_cache
from holdfast.errors import ConflictError, InvalidValueError, NotFoundError, UnavailableError

pytestmark = pytest.mark.anyio


class Mood(enum.Enum):
    CALM = "calm"


class Thing(Entity, table="things"):
    id: Field[UUID] = key(default_factory=uuid7)
    name: Field[str] = field(unique=True)
    mood: Field[Mood] = field(default=Mood.CALM)
    price: Field[Decimal] = field(default=Decimal("1.50"), digits=(10, 2))
    day: Field[date] = field(default=date(2026, 1, 2))
    hour: Field[time] = field(default=time(1, 2, 3, 4))
    span: Field[timedelta] = field(default=timedelta(days=-3, microseconds=7))
    seen: Field[datetime | None] = field(default=None)
    blob: Field[bytes] = field(default=b"\0\xff")
    ratio: Field[float] = field(default=0.1)
    attributes: Field[dict[str, object]] = field(default_factory=dict)
    created_at: Field[datetime] = created_at()
    updated_at: Field[datetime] = updated_at()
    version: Field[int] = version()


class Pair(Entity, table="pairs"):
    left: Field[str] = key()
    right: Field[str] = key()
    value: Field[int] = field(default=0)


class Marked(Entity, table="marked"):
    id: Field[int] = generated_key()
    deleted_at: Field[datetime | None] = deleted_at()


@pytest.fixture(params=["memory://", "sqlite"])
async def store(request, tmp_path):
    url = f"sqlite:///{tmp_path}/t.db" if request.param == "sqlite" else request.param
    async with open_store(url, [Thing, Pair]) as opened:
        await opened.create_schema()
        yield opened


@pytest.fixture
async def cache():
    async with open_cache("memory://") as opened:
        yield opened


@pytest.fixture(params=[False, True], ids=["aside", "through"])
def things(request, store, cache):
    return CachedRepository(store.repository(Thing), cache, write_through=request.param)


async def test_what_comes_from_the_cache_equals_what_is_stored(things, cache):
    thing = Thing(
        name="ä",
        seen=datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC),
        attributes={"a": [1, 1.5, None, {"b": True}]},
    )
    stored = await things.add(thing)
    first = await things.get(thing.id)
    hits = counter(cache, "hits")
    again = await things.get(thing.id)
    assert counter(cache, "hits") == hits + 1
    assert first == again == stored == await things.repository.get(thing.id)
    assert vars(again) == vars(stored)
    again.attributes["a"].append(2)
    assert await things.get(thing.id) == stored


class Shouting(Repository[Thing]):
    async def find(self, *where, **words):
        return [thing.name.upper() for thing in await super().find(*where, **words)]


async def test_it_stands_for_the_repository_that_it_was_given(store, cache):
    things = CachedRepository(Shouting(Thing, store), cache)
    assert isinstance(things, Repository)
    thing = await things.add(Thing(name="one"))
    assert await things.get(thing.id) == thing
    assert (await things.upsert(Thing(id=thing.id, name="two"))).created is False
    (again,) = await things.upsert_many([Thing(id=thing.id, name="three")], on=[Thing.id])
    assert await things.get(thing.id) == again.entity
    assert await things.find(Thing.name == "three") == ["THREE"]
    assert [each async for each in things.stream()] == [again.entity]
    assert await things.select(Thing.name) == [("three",)]
    assert await things.get_many([thing.id], load=[]) == [again.entity]


def test_no_verb_of_a_repository_goes_past_the_cache():
    verbs = {
        name
        for kind in Repository.__mro__
        for name, value in vars(kind).items()
        if inspect.isfunction(value) and not name.startswith("_")
    }
    assert verbs - vars(CachedRepository).keys() == set()


async def test_a_write_is_seen_by_the_next_read(things):
    thing = await things.add(Thing(name="one"))
    assert (await things.get_one(thing.id)).name == "one"
    await things.patch(thing.id, Thing.name.to("two"))
    changed = await things.get_one(thing.id)
    assert changed.name == "two"
    changed.name = "three"
    await things.update(changed)
    assert (await things.get_one(thing.id)).name == "three"
    changed.name = "four"
    await things.upsert(changed)
    assert (await things.get_one(thing.id)).name == "four"
    await things.update_where(Thing.name == "four", changes=[Thing.name.to("five")])
    assert (await things.get_one(thing.id)).name == "five"
    await things.take(Thing.name == "five", changes=[Thing.name.to("six")], limit=1)
    assert (await things.get_one(thing.id)).name == "six"
    assert await things.delete(thing.id) is True
    assert await things.get(thing.id) is None
    with pytest.raises(NotFoundError):
        await things.get_one(thing.id)


async def test_that_there_is_none_is_cached_until_there_is_one(things, cache):
    thing = Thing(name="late")
    assert await things.get(thing.id) is None
    loads = counter(cache, "loads")
    assert await things.get(thing.id) is None
    assert counter(cache, "loads") == loads
    await things.add_many([thing])
    assert (await things.get(thing.id)).name == "late"
    await things.delete_where(Thing.name == "late")
    assert await things.get(thing.id) is None


async def test_what_is_deleted_by_a_mark_and_restored_is_seen_so(cache):
    async with open_store("memory://", [Marked]) as store:
        await store.create_schema()
        marked = CachedRepository(store.repository(Marked), cache)
        one = await marked.add(Marked())
        assert await marked.get(one.id) == one
        assert await marked.delete(one.id)
        assert await marked.get(one.id) is None
        assert await marked.restore(one.id) == await marked.get(one.id) == one


async def test_many_come_by_position_and_stay_cached(things, cache):
    ids = [(await things.add(Thing(name=str(number)))).id for number in range(4)]
    await things.get(ids[1])
    missing = uuid7()
    found = await things.get_many([ids[3], missing, ids[1], ids[3]])
    assert [entity and entity.name for entity in found] == ["3", None, "1", "3"]
    again = counter(cache, "loads")
    assert [entity and entity.name for entity in await things.get_many([ids[3], missing])] == [
        "3",
        None,
    ]
    assert counter(cache, "loads") == again
    assert await things.delete_many(ids[:2]) == 2
    assert [entity is None for entity in await things.get_many(ids)] == [True, True, False, False]


async def test_inside_a_transaction_reads_see_its_writes_and_nobody_else_does(things, store, cache):
    thing = await things.add(Thing(name="old"))
    await things.get(thing.id)
    async with store.transaction():
        await things.patch(thing.id, Thing.name.to("new"))
        assert (await things.get_one(thing.id)).name == "new"
        assert (await things.get_many([thing.id]))[0].name == "new"
        name = (await cache.keys())[0]
        assert await cache.get(name, "nothing") != "nothing"  # what was committed is still there
    assert (await things.get_one(thing.id)).name == "new"


async def test_what_is_rolled_back_removes_nothing(things, store, cache):
    thing = await things.add(Thing(name="old"))
    await things.get(thing.id)
    loads = counter(cache, "loads")
    with pytest.raises(KeyError):
        async with store.transaction():
            await things.patch(thing.id, Thing.name.to("new"))
            raise KeyError
    async with store.transaction() as tx:
        with pytest.raises(KeyError):
            async with tx.savepoint():
                await things.patch(thing.id, Thing.name.to("new"))
                raise KeyError
    assert (await things.get_one(thing.id)).name == "old"
    assert counter(cache, "loads") == loads


async def test_a_read_that_began_before_the_commit_is_not_cached_after_it(store, cache):
    things = CachedRepository(store.repository(Thing), cache)
    thing = await things.add(Thing(name="old"))
    read, committed = asyncio.Event(), asyncio.Event()
    honest = things.repository.get

    async def slow(key):
        found = await honest(key)
        read.set()
        await committed.wait()
        return found

    things.repository.get = slow
    early = asyncio.create_task(things.get(thing.id))
    await read.wait()
    await things.patch(thing.id, Thing.name.to("new"))
    committed.set()
    assert (await early).name == "old"
    assert (await things.get_one(thing.id)).name == "new"


async def test_a_write_that_failed_removes_nothing_that_is_true(things):
    first = await things.add(Thing(name="taken"))
    second = await things.add(Thing(name="free"))
    with pytest.raises(ConflictError):
        await things.patch(second.id, Thing.name.to("taken"))
    assert (await things.get_one(second.id)).name == "free"
    assert await things.get(first.id) == first


async def test_what_another_version_of_the_entity_left_is_a_miss(things, cache, store):
    class Thing2(Entity, table="things"):
        id: Field[UUID] = key(default_factory=uuid7)
        name: Field[str] = field(unique=True)

    thing = await things.add(Thing(name="x"))
    await things.get(thing.id)
    async with open_store("memory://", [Thing2]) as other:
        await other.create_schema()
        await other.repository(Thing2).add(Thing2(id=thing.id, name="y"))
        others = CachedRepository(other.repository(Thing2), cache)
        assert (await others.get_one(thing.id)).name == "y"


async def test_what_is_no_key_or_time_is_refused(things, store, cache):
    with pytest.raises(InvalidValueError):
        await things.get("no uuid")
    with pytest.raises(InvalidValueError, match="ttl"):
        CachedRepository(store.repository(Thing), cache, ttl=0)


async def test_many_that_were_read_before_a_commit_are_not_cached_after_it(store, cache):
    things = CachedRepository(store.repository(Thing), cache)
    ids = [(await things.add(Thing(name=name))).id for name in ("one", "two")]
    honest = things.repository.get_many

    async def slow(keys):
        found = await honest(keys)
        await things.patch(ids[0], Thing.name.to("new"))
        return found

    things.repository.get_many = slow
    assert [entity.name for entity in await things.get_many(ids)] == ["one", "two"]
    things.repository.get_many = honest
    assert [entity.name for entity in await things.get_many(ids)] == ["new", "two"]


@pytest.mark.parametrize("at_once", [1, 3])
async def test_warming_reads_in_batches_and_answers_from_the_cache(store, cache, at_once):
    things = CachedRepository(store.repository(Thing), cache)
    ids = [(await things.add(Thing(name=str(number)))).id for number in range(25)]
    sizes, running, most = [], 0, 0
    honest = things.repository.get_many

    async def watched(keys):
        nonlocal running, most
        keys = list(keys)
        sizes.append(len(keys))
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        found = await honest(keys)
        running -= 1
        return found

    things.repository.get_many = watched
    assert await things.warm(iter(ids), batch=10, at_once=at_once) == 25
    assert sorted(sizes) == [5, 10, 10]
    assert most == at_once
    loads = counter(cache, "loads")
    assert [entity.name for entity in await things.get_many(ids)] == [str(n) for n in range(25)]
    assert (await things.get_one(ids[7])).name == "7"
    assert counter(cache, "loads") == loads
    with pytest.raises(InvalidValueError, match="warm"):
        await things.warm(ids, batch=0)


class Counted(Entity, table="counted"):
    id: Field[int] = generated_key()
    name: Field[str] = field()


async def test_a_key_that_the_store_gives_is_no_longer_cached_as_absent(tmp_path, cache):
    async with open_store(f"sqlite:///{tmp_path}/c.db", [Counted]) as opened:
        await opened.create_schema()
        counted = CachedRepository(opened.repository(Counted), cache)
        assert await counted.get_many([1, 2, 3]) == [None, None, None]
        first = await counted.add(Counted(name="one"))
        assert (await counted.get_one(first.id)).name == "one"
        await counted.add_many([Counted(name="two"), Counted(name="three")])
        assert [entity.name for entity in await counted.get_many([2, 3])] == ["two", "three"]


class LosesItsAnswers(Repository[Thing]):
    """What it changes is committed, and the connection is lost before anybody hears of it."""

    async def patch(self, key, *changes, when=None, version=None):
        await super().patch(key, *changes, when=when, version=version)
        raise UnavailableError("the connection was lost")


async def test_a_write_whose_answer_was_lost_is_taken_for_done(store, cache):
    things = CachedRepository(LosesItsAnswers(Thing, store), cache)
    thing = await things.add(Thing(name="old"))
    assert (await things.get_one(thing.id)).name == "old"
    with pytest.raises(UnavailableError):
        await things.patch(thing.id, Thing.name.to("new"))
    assert (await things.get_one(thing.id)).name == "new"


async def test_composite_keys_are_told_apart_and_forgotten_by_a_write(store, cache):
    pairs = CachedRepository(store.repository(Pair), cache)
    keys = [("a", "b"), ("a,b", ""), ('a","b', "c"), ("a", '","b')]
    keys = [key for key in keys if all(key)]
    await pairs.add_many([Pair(left=a, right=b, value=n) for n, (a, b) in enumerate(keys)])
    assert [each.value for each in await pairs.get_many(keys)] == [0, 1, 2]
    hits = counter(cache, "hits")
    assert (await pairs.get_one(("a", "b"))).value == 0
    assert counter(cache, "hits") == hits + 1
    assert await pairs.get(("b", "a")) is None
    await pairs.patch(("a", "b"), Pair.value.to(7))
    assert (await pairs.get_one(("a", "b"))).value == 7
    assert await pairs.delete_many([("a", "b")]) == 1
    assert await pairs.get(("a", "b")) is None
    with pytest.raises(InvalidValueError, match="a key is a tuple"):
        await pairs.get("a")
