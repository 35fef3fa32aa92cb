"""Composite keys and guards as they lie in tables, and what is read of them without a scan."""

import json
from uuid import UUID, uuid4

import pytest

from dynamodb_servers import store_url
from holdfast import Entity, Field, Many, field, generated_key, key, many, ref, unique, uuid7
from holdfast.errors import DuplicateError, InvalidValueError, UnsupportedError
from holdfast.sync import open_store


class Shelf(Entity, table="shelves"):
    id: Field[UUID] = key(default_factory=uuid7)
    name: Field[str] = field(default="", max_length=100)
    sealed: Field[bool] = field(default=False)
    copies: Many["Copy"] = many(via="shelf_id")

    @classmethod
    def __constraints__(cls):
        return [
            unique(cls.name, ignore_case=True, where=cls.sealed == True, name="sealed_name"),  # noqa: E712
        ]


class Copy(Entity, table="copies", indexes=[("shelf_id", "weight")]):
    shelf_id: Field[UUID] = ref(Shelf, key=True, on_delete="cascade")
    number: Field[int] = key()
    label: Field[str] = key(max_length=5000)
    weight: Field[int] = field(default=0)


@pytest.fixture(scope="module")
def store():
    url = store_url("dynoxide", "keys" + uuid4().hex, scan=False)
    with open_store(url, [Shelf, Copy]) as opened:
        opened.create_schema()
        yield opened
        opened.drop_schema()


@pytest.fixture
def shelf(store):
    return store.repository(Shelf).add(Shelf())


def requests(store):
    return store.stats().counters["requests"]


LABEL = 'a "b"\\\u00e9\n'


def test_others_find_a_composite_key_by_the_json_of_its_texts(store, shelf, botocore_client):
    layouts = store.asynchronous.driver.reader.layouts
    table = next(each.name for each in layouts if each.model.entity is Copy)
    copies = store.repository(Copy)
    made = copies.add(Copy(shelf_id=shelf.id, number=-7, label=LABEL))

    def composed(number):
        texts = [str(shelf.id), str(number), LABEL]
        return {"S": json.dumps(texts, separators=(",", ":"), ensure_ascii=False)}

    item = botocore_client.get_item(TableName=table, Key={"~key": composed(-7)})["Item"]
    assert (item["number"], item["label"]) == ({"N": "-7"}, {"S": LABEL})
    botocore_client.put_item(
        TableName=table, Item={**item, "~key": composed(8), "number": {"N": "8"}}
    )
    found = copies.find(Copy.shelf_id == shelf.id, order_by=Copy.number.desc())
    assert [each.number for each in found] == [8, -7]
    assert copies.get((shelf.id, -7, LABEL)) == made
    assert copies.patch((shelf.id, 8, LABEL), Copy.weight.to(3)).weight == 3


def test_a_whole_composite_key_is_read_by_key_and_a_part_by_its_index(store, shelf):
    copies = store.repository(Copy)
    whole = (Copy.number == 1, Copy.label == "a", Copy.shelf_id == shelf.id)
    assert copies.explain(*whole, Copy.weight > 0).access == "key"
    assert copies.explain(*whole).consistent
    part = copies.explain(whole[0], whole[2], order_by=Copy.weight.asc())
    assert (part.access, part.index) == ("index", "shelf_id-weight")
    with pytest.raises(UnsupportedError, match="scan"):
        copies.find(*whole[:2])


def test_pages_of_a_composite_key_go_on_from_the_cursor(store, shelf):
    copies = store.repository(Copy)
    wanted = [(number, label) for number in range(3) for label in ("a", "a!", "b")]
    copies.add_many([Copy(shelf_id=shelf.id, number=n, label=text) for n, text in wanted])
    found, cursor, before = [], None, requests(store)
    for _ in range(3):
        here = Copy.shelf_id == shelf.id
        page = copies.page(here, order_by=Copy.weight.asc(), size=3, cursor=cursor)
        found += [(each.number, each.label) for each in page.items]
        cursor = page.next
    assert found == wanted
    assert requests(store) - before == 3


def test_a_composite_key_too_long_for_the_service_is_refused(store, shelf):
    with pytest.raises(InvalidValueError, match="2048") as caught:
        store.repository(Copy).add(Copy(shelf_id=shelf.id, number=1, label="x" * 2100))
    assert caught.value.field == "shelf_id, number, label"
    with pytest.raises(InvalidValueError, match="1024") as caught:
        store.repository(Copy).add(Copy(shelf_id=shelf.id, number=1, label="x" * 1025))
    assert caught.value.field == "label"


def test_a_limited_load_reads_the_first_of_each_row_along_the_index(store):
    shelves, copies = store.repository(Shelf), store.repository(Copy)
    made = [shelves.add(Shelf()) for _ in range(3)]
    for each in made:
        copies.add_many([Copy(shelf_id=each.id, number=n, label="a", weight=-n) for n in range(40)])
    first = Shelf.copies.order_by(Copy.weight.asc()).limit(2)
    before = store.stats().counters
    loaded = shelves.find(Shelf.id.in_([each.id for each in made]), load=first)
    after = store.stats().counters
    assert [[copy.number for copy in each.copies] for each in loaded] == [[39, 38]] * 3
    assert after["requests"] - before["requests"] == 4, "the shelves, and once for each"
    assert after["read_units"] - before["read_units"] < 6, "120 copies were read, not 6"


def test_a_partial_unique_without_case_is_one_guard(store, botocore_client):
    shelves, name = store.repository(Shelf), "\u00c9" + uuid4().hex
    guards = store.asynchronous.driver.reader.guards
    guard = {"key": {"S": f"shelves/~sealed_name/{json.dumps([name.lower()], ensure_ascii=False)}"}}

    def owner():
        return botocore_client.get_item(TableName=guards, Key=guard).get("Item", {}).get("owner")

    one, other = (shelves.add(Shelf(name=each)) for each in (name, name.lower()))
    assert owner() is None, "neither is sealed"
    shelves.patch(one.id, Shelf.sealed.to(True))
    assert owner() == {"S": str(one.id)}
    with pytest.raises(DuplicateError) as caught:
        shelves.patch(other.id, Shelf.sealed.to(True))
    assert caught.value.constraint == "sealed_name"
    shelves.patch(one.id, Shelf.sealed.to(False))
    assert owner() is None
    assert shelves.patch(other.id, Shelf.sealed.to(True)).sealed


class Tag(Entity, table="tags"):
    id: Field[int] = generated_key()
    name: Field[str] = field(unique=True)


class Colour(Entity, table="tags_of_colour"):
    id: Field[int] = generated_key()
    name: Field[str] = field(unique=True)


@pytest.mark.parametrize("server", ["dynoxide", "moto"])
def test_what_is_dropped_leaves_the_guards_of_others(server, clients):
    url = store_url(server, prefix := "drops" + uuid4().hex)
    names = lambda: {each for each in listed(clients(server)) if each.startswith(prefix)}  # noqa: E731
    with open_store(url, [Tag]) as store, open_store(url, [Colour]) as other:
        store.create_schema()
        other.create_schema()
        store.repository(Tag).add_many([Tag(name="a"), Tag(name="b")])
        other.repository(Colour).add(Colour(name="red"))
        store.drop_schema()
        with pytest.raises(DuplicateError):
            other.repository(Colour).add(Colour(name="red"))
        assert other.repository(Colour).add(Colour(name="blue")).id == 3, "numbered on"
        before = other.stats().counters["requests"]
        other.create_schema()
        assert other.stats().counters["requests"] - before <= 6, "the record of its parts is there"
        store.drop_schema()
        store.create_schema()
        assert store.repository(Tag).add(Tag(name="a")).id == 1
        other.drop_schema()
        assert names() == {f"{prefix}.tags", f"{prefix}.holdfast_guards"}
        store.drop_schema()
        assert names() == set()
        store.drop_schema()


def listed(client):
    pages = client.get_paginator("list_tables").paginate()
    return [name for page in pages for name in page["TableNames"]]
