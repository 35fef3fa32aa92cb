"""Writes of many rows on servers: locked in one order, in few statements."""

import asyncio
import logging
import random
from uuid import UUID

import pytest

from holdfast import Entity, Field, field, generated_key, key, open_store, uuid7, version
from holdfast.errors import DuplicateError


class Tag(Entity, table="order_tags"):
    id: Field[int] = generated_key()
    name: Field[str] = field(unique=True)
    note: Field[str] = field(default="")
    version: Field[int] = version()


class Named(Entity, table="order_named", uniques=[("group", "name")]):
    id: Field[UUID] = key(default_factory=uuid7)
    group: Field[int]
    name: Field[str | None] = field(default=None, max_length=20)
    note: Field[str] = field(default="")


@pytest.fixture(params=["postgresql", "mariadb", "mysql"])
async def store(request):
    url = request.getfixturevalue(f"{request.param}_url")
    async with open_store(f"{url}?pool_size=12&echo=true", [Tag, Named]) as store:
        await store.create_schema()
        yield store
        await store.drop_schema()


def shuffled(seed, entities):
    random.Random(seed).shuffle(entities)
    return entities


async def test_callers_with_the_same_rows_in_any_order_never_wait_for_each_other(store):
    """Inside a transaction nothing is done again: a deadlock would be a SerializationError."""
    tags, nameds = store.repository(Tag), store.repository(Named)

    async def upsert(number):
        async with store.transaction():
            names = [Tag(name=f"tag {n}", note=str(number)) for n in range(60)]
            await tags.upsert_many(shuffled(number, names), on=[Tag.name])
        async with store.transaction():
            pairs = [Named(group=n % 7, name=f"name {n}", note=str(number)) for n in range(60)]
            pairs = shuffled(number, pairs)
            await nameds.upsert_many(pairs, on=[Named.name, Named.group])

    await tags.upsert_many([Tag(name=f"tag {n}") for n in range(60)], on=[Tag.name])
    await nameds.add_many([Named(group=n % 7, name=f"name {n}") for n in range(60)])
    async with asyncio.timeout(300):
        await asyncio.gather(*map(upsert, range(12)))
    assert await tags.count() == 60
    assert await nameds.count() == 60
    assert {each.version for each in await tags.find()} == {13}


async def test_rows_that_two_add_at_once_are_told_from_deadlocks(store):
    nameds = store.repository(Named)
    rows = [Named(group=n, name="x") for n in range(200)]

    async def add(seed):
        async with store.transaction():
            await nameds.add_many(shuffled(seed, list(rows)))

    outcomes = await asyncio.gather(*map(add, range(4)), return_exceptions=True)
    assert outcomes.count(None) == 1
    assert [type(each) for each in outcomes if each is not None] == [DuplicateError] * 3


@pytest.mark.parametrize("repeats", [1, 2])
async def test_the_store_numbers_thousands_of_rows_in_one_statement_a_round(store, caplog, repeats):
    tags = store.repository(Tag)
    wanted = [Tag(name=f"tag {n}", note=f"{r}") for r in range(repeats) for n in range(1_000)]
    with caplog.at_level(logging.INFO, "holdfast.records.sql"):
        made = await tags.upsert_many(shuffled(1, wanted), on=[Tag.name])
    said = [each for each in caplog.messages if "INSERT" in each]
    per_round = 1 if store.driver.name == "postgresql" else 4
    assert len(said) <= per_round * repeats
    assert [each.entity.name for each in made] == [each.name for each in wanted]
    assert [each.entity.note for each in made] == [each.note for each in wanted]
    assert sum(each.created for each in made) == 1_000
    found = {each.name: each for each in await tags.find()}
    last = {each.name: each.note for each in wanted}
    assert {name: each.note for name, each in found.items()} == last
    assert {each.version for each in found.values()} == {repeats}


async def test_nulls_and_repeats_are_answered_at_their_places(store):
    nameds = store.repository(Named)
    wanted = [
        Named(group=n % 3, name=None if n % 4 == 0 else f"n{n % 5}", note=str(n)) for n in range(90)
    ]
    made = await nameds.upsert_many(wanted, on=[Named.group, Named.name])
    assert [each.entity.note for each in made] == [str(n) for n in range(90)]
    assert [each.entity.id for each in made if each.entity.name is None] == [
        each.id for each in wanted if each.name is None
    ]
    distinct = {(each.group, each.name) for each in wanted if each.name is not None}
    nulls = sum(each.name is None for each in wanted)
    assert sum(each.created for each in made) == await nameds.count() == len(distinct) + nulls
