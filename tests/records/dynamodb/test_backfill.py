"""Rows that were there before their entity declared an index, a unique value or a reference."""

import threading
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from dynamodb_proxy import half_written, proxy_before
from dynamodb_servers import endpoint_of, store_url
from holdfast import Entity, Field, field, key, ref, unique
from holdfast.errors import DuplicateError, ForeignKeyError, UnavailableError
from holdfast.records.options import DynamoDBOptions
from holdfast.sync import open_store

START = datetime(2026, 1, 1, tzinfo=UTC)


class House(Entity, table="houses"):
    id: Field[str] = key(max_length=50)


class Flat(Entity, table="flats"):
    id: Field[str] = key(max_length=50)
    house: Field[str | None] = field(default=None, max_length=50)
    bell: Field[str | None] = field(default=None, max_length=50)
    floor: Field[int | None] = field(default=None)
    ends: Field[datetime | None] = field(default=None)


class Listed(Entity, table="flats", indexes=[("bell", "floor"), ("floor",)]):
    id: Field[str] = key(max_length=50)
    bell: Field[str | None] = field(default=None, max_length=50)
    floor: Field[int | None] = field(default=None)


class Rung(Entity, table="flats"):
    id: Field[str] = key(max_length=50)
    bell: Field[str | None] = field(default=None, max_length=50)

    @classmethod
    def __constraints__(cls):
        return [unique(cls.bell, ignore_case=True)]


class Housed(Entity, table="flats"):
    id: Field[str] = key(max_length=50)
    house: Field[str | None] = ref(House, default=None, on_delete="cascade")


@pytest.fixture
def prefix():
    made = f"fill{uuid4().hex}"
    yield made
    with open_store(store_url("dynoxide", made), [House, Flat]) as store:
        store.drop_schema()


@pytest.fixture
def opened(prefix):
    """Open a store of entities, strict about scans, after `create_schema`."""

    with ExitStack() as stack:

        def opening(*entities):
            url = store_url("dynoxide", prefix, scan=False)
            return stack.enter_context(open_store(url, entities))

        yield opening


@pytest.fixture
def flats(opened):
    """Thirty flats, some without a bell or a floor, in a table without an index."""
    store = opened(House, Flat)
    store.create_schema()
    made = [
        Flat(
            id=f"f{number:02}",
            house=f"h{number % 3}" if number % 4 else None,
            bell=f"Bell {number}" if number % 5 else None,
            floor=number % 6 or None,
            ends=START + timedelta(hours=number),
        )
        for number in range(30)
    ]
    store.repository(House).add_many([House(id=f"h{number}") for number in range(3)])
    return store.repository(Flat).add_many(made).entities


def units(store):
    return store.stats().counters["read_units"]


def test_an_index_has_the_rows_that_were_there_before_it(flats, opened):
    store = opened(Listed)
    store.create_schema()
    listed = store.repository(Listed)
    for floor in (None, 1, 5):
        where = Listed.floor.is_null() if floor is None else Listed.floor == floor
        assert [each.id for each in listed.find(where)] == [
            each.id for each in flats if each.floor == floor
        ]
    assert [each.id for each in listed.find(Listed.bell == "Bell 7")] == ["f07"]
    assert len(listed.find(Listed.bell.is_null())) == 6


def test_rows_are_completed_once(flats, opened):
    store = opened(Listed)
    before = units(store)
    store.create_schema()
    first = units(store)
    assert first > before
    store.create_schema()
    assert units(store) - first <= 1  # the record of it alone


def test_what_another_program_wrote_without_is_completed_when_the_entity_declares_it_again(
    flats, opened
):
    opened(Listed).create_schema()
    old = opened(Flat)
    old.create_schema()  # from here on nobody keeps the index's attributes
    old.repository(Flat).patch("f07", Flat.bell.to("moved"), Flat.floor.to(77))
    store = opened(Listed)
    store.create_schema()
    listed = store.repository(Listed)
    assert [each.id for each in listed.find(Listed.floor == 77)] == ["f07"]
    assert [each.id for each in listed.find(Listed.bell == "moved")] == ["f07"]
    assert listed.find(Listed.bell == "Bell 7") == []


def test_a_unique_value_of_a_row_that_was_there_is_taken(flats, opened):
    store = opened(Rung)
    store.create_schema()
    rung = store.repository(Rung)
    with pytest.raises(DuplicateError):
        rung.add(Rung(id="new", bell="BELL 7"))
    rung.patch("f07", Rung.bell.to("other"))
    assert rung.add(Rung(id="new", bell="BELL 7")).bell == "BELL 7"


def test_rows_that_hold_one_value_are_named_and_none_is_let_go(flats, opened, prefix):
    opened(Flat).repository(Flat).add(Flat(id="twin", bell="bell 7"))
    store = opened(Rung)
    with pytest.raises(DuplicateError, match="bell"):
        store.create_schema()
    opened(Flat).repository(Flat).delete("twin")
    store.create_schema()  # goes on where it was refused
    with pytest.raises(DuplicateError):
        store.repository(Rung).add(Rung(id="new", bell="bell 7"))


def test_a_guard_that_its_row_has_no_right_to_any_more_is_taken_over(flats, opened):
    opened(Rung).create_schema()
    old = opened(Flat)
    old.create_schema()
    flats_ = old.repository(Flat)
    flats_.patch("f07", Flat.bell.to("x"))
    flats_.patch("f08", Flat.bell.to("Bell 7"))  # whose guard f07 still holds
    flats_.delete("f09")  # whose guard stays
    flats_.patch("f11", Flat.bell.to("Bell 9"))
    store = opened(Rung)
    store.create_schema()
    for bell in ("x", "bell 7", "bell 9"):
        with pytest.raises(DuplicateError):
            store.repository(Rung).add(Rung(id="new", bell=bell))
    assert store.repository(Rung).patch("f08", Rung.bell.to("y")).bell == "y"
    assert store.repository(Rung).add(Rung(id="new", bell="bell 7")).id == "new"


def test_rows_that_point_are_counted_at_their_targets(flats, opened):
    store = opened(House, Housed)
    store.create_schema()
    houses, housed = store.repository(House), store.repository(Housed)
    expected = {each.id for each in flats if each.house == "h1"}
    assert {each.id for each in housed.find(Housed.house == "h1")} == expected
    assert houses.delete("h1")  # and all that point at it
    assert housed.find(Housed.house == "h1") == []
    assert [housed.get(each) for each in sorted(expected)] == [None] * len(expected)


def test_a_row_that_points_nowhere_is_refused(flats, opened):
    opened(Flat).repository(Flat).patch("f07", Flat.house.to("none"))
    with pytest.raises(ForeignKeyError, match="house"):
        opened(House, Housed).create_schema()


def test_rows_that_were_there_expire_too(flats, opened, prefix, botocore_client):
    options = DynamoDBOptions(expires=(Flat.ends,))
    with open_store(store_url("dynoxide", prefix), [Flat], options=options) as store:
        store.create_schema()
    items = botocore_client.scan(TableName=f"{prefix}.flats")["Items"]
    assert {item["id"]["S"]: item["~expires"]["N"] for item in items} == {
        each.id: str(int(each.ends.timestamp())) for each in flats
    }


def test_writers_that_keep_the_parts_may_work_meanwhile(flats, opened):
    """They change bells and houses all the time; at the end each row is found by what it has."""
    stop, counted = threading.Event(), []

    def write():
        store = opened(House, Listed)
        listed, number = store.repository(Listed), 0
        while not stop.is_set() or not counted:
            number += 1
            which = f"f{number % 30:02}"
            listed.patch(which, Listed.bell.to(f"b{number}"), Listed.floor.to(number))
            counted.append(number)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        store = opened(Listed)
        store.create_schema()
    finally:
        stop.set()
        writer.join()
    listed = store.repository(Listed)
    for each in flats:
        row = listed.get_one(each.id)
        bell = Listed.bell.is_null() if row.bell is None else Listed.bell == row.bell
        floor = Listed.floor.is_null() if row.floor is None else Listed.floor == row.floor
        assert row in listed.find(bell)
        assert row in listed.find(floor)


def test_what_the_service_leaves_of_a_batch_of_writes_is_sent_again(prefix):
    with proxy_before(endpoint_of("dynoxide")) as proxy:
        proxy.inject("BatchWriteItem", half_written, times=3)
        url = store_url("dynoxide", prefix).replace(
            endpoint_of("dynoxide").replace(":", "%3A").replace("/", "%2F"),
            proxy.url.replace(":", "%3A").replace("/", "%2F"),
        )
        with open_store(url, [House, Listed]) as store:
            store.create_schema()
            before = units(store)
            store.create_schema()
            assert units(store) - before <= 2  # the records of two tables
        assert proxy.seen["BatchWriteItem"] == 4  # the last one whole
        proxy.inject("BatchWriteItem", half_written, times=1000)
        with (
            open_store(f"{url}&attempts=2", [House, Flat]) as store,
            pytest.raises(UnavailableError, match="unwritten"),
        ):
            store.create_schema()
