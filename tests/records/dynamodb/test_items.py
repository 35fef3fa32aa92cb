"""Items: exact values, read and written by others too, and no larger than the service keeps."""

import math
import struct
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from uuid import UUID, uuid4

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from dynamodb_servers import store_url
from holdfast import Entity, Field, field, key
from holdfast.errors import InvalidValueError, StoredValueError
from holdfast.records.drivers.dynamodb.attribute_codec import decoder, encoder, sortable_text
from holdfast.records.drivers.dynamodb.item_size import LARGEST_ITEM, item_size
from holdfast.records.entities.model import model_of
from holdfast.sync import open_store


class Thing(Entity, table="things"):
    id: Field[str] = key(max_length=100)
    flag: Field[bool] = field(default=True)
    count: Field[int] = field(default=2**63 - 1)
    ratio: Field[float] = field(default=0.1)
    price: Field[Decimal] = field(default=Decimal("1.50"), digits=(12, 2))
    data: Field[bytes] = field(default=b"\0\xff")
    moment: Field[datetime] = field(default=datetime(26, 1, 2, 3, 4, 5, 6, tzinfo=UTC))
    day: Field[date] = field(default=date(2026, 1, 2))
    at: Field[time] = field(default=time(1, 2))
    span: Field[timedelta] = field(default=timedelta(seconds=-1))
    token: Field[UUID] = field(default=UUID(int=1))
    document: Field[dict[str, object]] = field(default_factory=dict)
    note: Field[str | None] = field(default=None)


FLOATS = (0.0, 5e-324, -5e-324, 1e-131, 1e-7, 0.5, -0.5, 9.9e125, 1e126, -1e126, 1.7e308)


@pytest.fixture(scope="module")
def store():
    with open_store(store_url("dynoxide", "items" + uuid4().hex), [Thing]) as opened:
        opened.create_schema()
        yield opened
        opened.drop_schema()


@pytest.fixture
def table(store):
    (layout,) = store.asynchronous.driver.reader.layouts
    return layout.name


def test_the_vendors_client_reads_what_holdfast_wrote(store, botocore_client, table):
    document = {"one": 1, "float": 1.0, "deep": [None, {"a": True}]}
    store.repository(Thing).add(Thing(id="ours", document=document))
    item = botocore_client.get_item(TableName=table, Key={"id": {"S": "ours"}})["Item"]
    revision = item.pop("~revision")
    assert len(revision["S"]) == 16
    assert item == {
        "id": {"S": "ours"},
        "flag": {"BOOL": True},
        "count": {"N": "9223372036854775807"},
        "ratio": {"N": "0.1"},
        "price": {"N": "1.5"},
        "data": {"B": b"\0\xff"},
        "moment": {"S": "0026-01-02T03:04:05.000006Z"},
        "day": {"S": "2026-01-02"},
        "at": {"S": "01:02:00.000000"},
        "span": {"N": "-1000000"},
        "token": {"S": "00000000-0000-0000-0000-000000000001"},
        "document": {"S": '{"one":1,"float":1.0,"deep":[null,{"a":true}]}'},
    }


def test_holdfast_reads_and_changes_what_others_wrote(store, botocore_client, table):
    things = store.repository(Thing)
    plain = {"M": {"n": {"N": "7"}, "f": {"N": "1.5"}, "none": {"NULL": True},
                   "list": {"L": [{"BOOL": False}, {"SS": ["x"]}]},
                   "empty": {"M": {}}}}  # fmt: skip
    botocore_client.put_item(
        TableName=table,
        Item={
            "id": {"S": "theirs"}, "flag": {"BOOL": False}, "count": {"N": "1E+2"},
            "ratio": {"N": "3"}, "price": {"N": "2"}, "data": {"B": b""},
            "moment": {"S": "2026-01-02T03:04:05+01:00"}, "day": {"S": "2026-01-02"},
            "at": {"S": "10:00:00"}, "span": {"N": "5"}, "token": {"S": str(UUID(int=3))},
            "document": plain, "note": {"NULL": True}, "foreign": {"SS": ["kept"]},
        },
    )  # fmt: skip
    found = things.get_one("theirs")
    assert (found.count, found.ratio, found.price) == (100, 3.0, Decimal("2.00"))
    assert found.document == {
        "n": 7, "f": 1.5, "none": None, "list": [False, ["x"]], "empty": {}
    }  # fmt: skip
    assert found.note is None
    assert things.count(Thing.id == "theirs", Thing.note.is_null()) == 1
    assert things.find(Thing.note.is_null(), Thing.count == 100) == [found]
    found.note = "changed"
    assert things.update(found).note == "changed"
    item = botocore_client.get_item(TableName=table, Key={"id": {"S": "theirs"}})["Item"]
    assert item["foreign"] == {"SS": ["kept"]}, "an update leaves what is not the entity's"
    botocore_client.put_item(TableName=table, Item={"id": {"S": "bad"}, "flag": {"S": "yes"}})
    with pytest.raises(StoredValueError) as caught:
        things.get("bad")
    assert (caught.value.entity, caught.value.field) == ("Thing", "flag")
    assert things.delete("bad")


@pytest.mark.parametrize("pivot", FLOATS)
def test_floats_of_both_forms_compare_on_the_service_as_they_do_here(store, pivot):
    things = store.repository(Thing)
    for value in FLOATS:
        things.upsert(Thing(id=f"f{FLOATS.index(value)}", ratio=value, note="float"))
    ours = Thing.note == "float"
    for where, holds in (
        (Thing.ratio < pivot, lambda value: value < pivot),
        (Thing.ratio >= pivot, lambda value: value >= pivot),
        (Thing.ratio == pivot, lambda value: value == pivot),
        (~(Thing.ratio > pivot), lambda value: not value > pivot),
    ):
        assert not things.explain(ours, where).client_filter
        found = sorted(each.ratio for each in things.find(ours, where))
        assert found == sorted(filter(holds, FLOATS))


KINDS = {
    "count": st.integers(-(2**63), 2**63 - 1),
    "ratio": st.floats(allow_nan=False, allow_infinity=False).map(lambda value: value + 0.0),
    "price": st.integers(-(10**12) + 1, 10**12 - 1).map(lambda n: Decimal(n).scaleb(-2)),
    "data": st.binary(max_size=8),
    "moment": st.datetimes(timezones=st.just(UTC)),
    "at": st.times(),
    "span": st.timedeltas(timedelta(days=-(10**5)), timedelta(days=10**5)),
    "token": st.uuids(),
    "flag": st.booleans(),
}


@pytest.mark.parametrize("name", KINDS)
@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_values_come_back_and_their_texts_sort_as_they_do(name, data):
    spec = model_of(Thing).by_name[name]
    one, other = data.draw(KINDS[name]), data.draw(KINDS[name])
    assert decoder(spec)(encoder(spec)(one)) == one
    texts = [sortable_text(spec, value) for value in (one, other)]
    assert (texts[0] < texts[1]) is (one < other)
    assert (texts[0] == texts[1]) is (one == other)


def test_an_item_too_large_is_refused_before_it_is_sent(store, botocore_client, table):
    things = store.repository(Thing)
    things.add(Thing(id="large", note="x"))
    item = botocore_client.get_item(TableName=table, Key={"id": {"S": "large"}})["Item"]
    item["data"]["B"] = "AP8="
    room = LARGEST_ITEM - item_size(item) + 1
    things.delete("large")
    things.add(Thing(id="large", note="\u00e9" * (room // 2)))
    before = store.stats().counters["requests"]
    with pytest.raises(InvalidValueError, match="409600") as caught:
        things.add(Thing(id="larger", note="\u00e9" * (room // 2 + 20)))
    assert (caught.value.field, store.stats().counters["requests"]) == ("note", before)
    with pytest.raises(InvalidValueError, match="409600"):
        things.patch("large", Thing.data.to(b"x" * 1000))


@pytest.mark.parametrize(
    ("value", "size"),
    [
        ({"S": "\u00e9a"}, 3),
        ({"N": "-123.4500"}, 5),
        ({"N": "0"}, 1),
        ({"N": "1.5"}, 3),
        ({"N": "1E+2"}, 2),
        ({"B": "AP8="}, 2),
        ({"NULL": True}, 1),
        ({"L": [{"BOOL": True}, {"S": "ab"}]}, 3 + 2 + 3),
        ({"M": {"ab": {"S": "c"}}}, 3 + 1 + 3),
        ({"SS": ["a", "bc"]}, 3),
    ],
)
def test_sizes_are_counted_as_the_service_documents(value, size):
    assert item_size({"abc": value}) == 3 + size


def test_sortable_floats_are_those_of_their_bits():
    spec = model_of(Thing).by_name["ratio"]
    for value in (math.pi, -math.pi, 0.0):
        bits = int(sortable_text(spec, value), 16)
        flipped = bits ^ (1 << 63) if bits >> 63 else bits ^ (2**64 - 1)
        assert struct.unpack(">d", flipped.to_bytes(8))[0] == value


def test_rows_from_before_a_field_are_named_until_they_have_a_value():
    class Before(Entity, table="grown"):
        id: Field[int] = key()

    class After(Entity, table="grown"):
        id: Field[int] = key()
        size: Field[int] = field(default=0)
        note: Field[str | None] = field(default=None)

    url = store_url("dynoxide", uuid4().hex)
    with open_store(url, [Before]) as store:
        store.create_schema()
        store.repository(Before).add_many([Before(id=number) for number in range(3)])
    with open_store(url, [After]) as store:
        store.create_schema()
        grown = store.repository(After)
        for read in (lambda: grown.get(1), grown.find, lambda: list(grown.stream())):
            with pytest.raises(StoredValueError, match=r"After\.size: .*there is no value"):
                read()
        grown.patch(1, After.size.to(5))
        assert grown.get_one(1).size == 5
        assert grown.update_where(After.size.is_null(), changes=[After.size.to(7)]) == 2
        assert sorted(each.size for each in grown.find()) == [5, 7, 7]
        store.drop_schema()
