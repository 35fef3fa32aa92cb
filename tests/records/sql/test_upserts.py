"""Upserts of rows whose keys the store gives: what meets another row than the one it names."""

import pytest

from holdfast import Entity, Field, field, generated_key, open_store, server_default, version
from holdfast.errors import DuplicateError


class Seat(Entity, table="upserted_seats"):
    id: Field[int] = generated_key()
    code: Field[str] = field(max_length=20, unique=True)
    place: Field[str | None] = field(default=None, max_length=20, unique=True)
    price: Field[int] = field(default=0)
    version: Field[int] = version()


class Blank(Entity, table="blank_rows"):
    id: Field[int] = generated_key()
    text: Field[str | None] = field(default=None)


@pytest.fixture(params=["memory", "sqlite", "postgresql", "mariadb", "mysql"])
async def seats(request, tmp_path):
    if request.param in ("postgresql", "mariadb", "mysql"):
        url = request.getfixturevalue(f"{request.param}_url")
    else:
        url = "memory://" if request.param == "memory" else f"sqlite:///{tmp_path}/seats.db"
    async with open_store(url, [Seat, Blank]) as store:
        await store.create_schema()
        yield store.repository(Seat)
        await store.drop_schema()


@pytest.mark.parametrize("on", [[], [Seat.code]])
@pytest.mark.parametrize("many", [False, True])
async def test_a_clash_in_another_field_overwrites_nobody(seats, on, many):
    first = await seats.add(Seat(code="a", place="front", price=1))
    clashing = Seat(code="b" if on else "a", place="front", price=9)
    with pytest.raises(DuplicateError):
        if many:
            await seats.upsert_many([Seat(code="c"), clashing], on=on)
        else:
            await seats.upsert(clashing, on=on)
    assert await seats.find() == [first]


async def test_without_a_key_it_is_an_addition(seats):
    added = await seats.upsert(Seat(code="a"))
    assert added.created
    assert added.entity.id > 0
    again = await seats.upsert(Seat(code="a", price=3), on=[Seat.code])
    assert (again.created, again.entity.id, again.entity.price) == (False, added.entity.id, 3)
    changed = added.entity
    changed.price = 5
    by_key = await seats.upsert(changed)
    assert (by_key.created, by_key.entity.price) == (False, 5)


async def test_rows_of_nothing_but_nulls_are_added(seats):
    blanks = seats.store.repository(Blank)
    await blanks.add_many([Blank(), Blank()])
    assert [each.text for each in await blanks.find()] == [None, None]


async def test_many_without_keys_are_additions(seats):
    made = await seats.upsert_many([Seat(code="b"), Seat(code="a"), Seat(code="c")])
    assert [each.created for each in made] == [True] * 3
    assert [each.entity.code for each in made] == ["b", "a", "c"]
    assert len({each.entity.id for each in made}) == 3


async def test_rows_of_one_batch_take_turns_in_a_unique_field(seats):
    await seats.add_many([Seat(code="a", place="front"), Seat(code="b", place="rear")])
    turns = [
        Seat(code="a", place="side"),
        Seat(code="a", place="rear"),
        Seat(code="b", place="front"),
    ]
    with pytest.raises(DuplicateError) as caught:  # b lets go of the rear after a has asked for it
        await seats.upsert_many(turns, on=[Seat.code])
    assert (caught.value.fields, caught.value.index) == (("place",), 1)


async def test_a_refused_row_is_told_by_its_place_though_another_stood_in_its_way(seats):
    """The second row is of the first seat, is in the way of another one, and has a taken place."""
    await seats.add_many(
        [Seat(code="a", place="front"), Seat(code="b", place="rear"), Seat(code="c", place="side")]
    )
    first = await seats.one(Seat.code == "a")
    second = await seats.one(Seat.code == "b")
    clashing = Seat(code="b", place="side")
    vars(clashing)["id"] = first.id
    with pytest.raises(DuplicateError) as caught:
        await seats.upsert_many([Seat(code="a", place="front"), clashing], on=[Seat.code])
    assert (caught.value.fields, caught.value.index) == (("place",), 1)
    assert await seats.get_one(second.id) == second


class Unsaid(Entity, table="unsaid"):
    id: Field[int] = generated_key()
    state: Field[str] = field(default=server_default("new"))


async def test_rows_of_which_nothing_is_given_are_added_together(postgresql_url):
    async with open_store(postgresql_url, [Unsaid]) as store:
        await store.create_schema()
        rows = store.repository(Unsaid)
        added = (await rows.add_many([Unsaid(), Unsaid()])).entities
        met = await rows.upsert_many([Unsaid(), Unsaid()])
        assert [each.state for each in added] == ["new", "new"]
        assert [each.created for each in met] == [True, True]
        assert await rows.find() == [*added, *(each.entity for each in met)]
        await store.drop_schema()
