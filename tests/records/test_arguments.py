"""Arguments of verbs: one where several may be, and clear words for what is neither."""

from __future__ import annotations

from datetime import timedelta

import pytest

import holdfast
from holdfast import Entity, Field, Many, One, field, generated_key, key, many, one, ref
from holdfast.errors import ConfigurationError, InvalidQueryError, TransactionError
from holdfast.jobs import WorkerOptions
from holdfast.sync import open_store
from records.relation_annotations import KINDS


class Shelf(Entity, table="argument_shelves"):
    id: Field[int] = generated_key()
    name: Field[str] = field(unique=True)
    place: Field[int] = field(default=0)
    books: Many[Book] = many(via="shelf_id")


class Book(Entity, table="argument_books"):
    id: Field[str] = key()
    shelf_id: Field[int] = ref(Shelf)
    shelf: One[Shelf] = one(via="shelf_id")


@pytest.fixture(params=["memory://", "sqlite:///{}/a.db"])
def store(request, tmp_path):
    with open_store(request.param.format(tmp_path), [Shelf, Book]) as store:
        store.create_schema()
        yield store


def test_one_is_taken_where_several_may_be(store):
    shelves, books = store.repository(Shelf), store.repository(Book)
    b, a = shelves.add_many([Shelf(name="b"), Shelf(name="a")]).entities
    books.add(Book(id="x", shelf_id=a.id))
    assert shelves.update_where(Shelf.id > 0, changes=Shelf.place.to(4)) == 2
    assert shelves.update_where(Shelf.id > 0, changes=Shelf.place.increment(1)) == 2
    assert [each.place for each in shelves.find(order_by=Shelf.name)] == [5, 5]
    assert [each.id for each in shelves.find(order_by=Shelf.name)] == [a.id, b.id]
    assert [each.id for each in shelves.page(order_by=(Shelf.place, Shelf.name))] == [a.id, b.id]
    assert [len(each.books) for each in shelves.find(load=Shelf.books)] == [0, 1]
    assert books.get_one("x", load=Book.shelf.then(Shelf.books)).shelf.books[0].id == "x"
    assert not shelves.upsert(Shelf(name="a"), on=Shelf.name).created
    assert not shelves.upsert_many([Shelf(name="a")], on=Shelf.name)[0].created


def test_an_entity_of_another_class_is_refused_by_every_write_alone_and_among_others(store):
    class Twin(Entity, table="argument_twins"):
        id: Field[int] = generated_key()
        name: Field[str]
        place: Field[int] = field(default=0)

    shelves = store.repository(Shelf)
    shelf = shelves.add(Shelf(name="a"))
    twin = Twin(name="b")
    twin.id = shelf.id
    for call in (
        lambda: shelves.add(twin),
        lambda: shelves.add_many([twin]),
        lambda: shelves.add_many([Shelf(name="c"), twin]),
        lambda: shelves.add_many([Shelf(name="c"), twin], atomic=False),
        lambda: shelves.update(twin),
        lambda: shelves.upsert(twin, on=Shelf.name),
        lambda: shelves.upsert_many([Shelf(name="c"), twin], on=Shelf.name),
    ):
        with pytest.raises(InvalidQueryError, match="expected a Shelf, got Twin"):
            call()
    assert shelves.find() == [shelf]


def test_one_is_refused_where_it_would_be_taken_apart(store):
    shelves, books = store.repository(Shelf), store.repository(Book)
    for call in (
        lambda: books.get_many("abc"),
        lambda: books.get_many(5),
        lambda: books.delete_many("abc"),
        lambda: shelves.delete_many(1),
        lambda: shelves.add_many(Shelf(name="a")),
        lambda: shelves.upsert_many(Shelf(name="a")),
        lambda: books.find(Book.id.in_("abc")),
        lambda: books.find(Book.id.not_in(5)),
        lambda: shelves.update_where(Shelf.id > 0, changes="abc"),
        lambda: shelves.update_where(Shelf.id > 0, changes=5),
        lambda: shelves.update_where(Shelf.id > 0, changes=Shelf.id == 1),
        lambda: shelves.find(load="books"),
        lambda: shelves.find(load=Shelf.name),
        lambda: shelves.find(order_by=Shelf.books),
        lambda: shelves.find(order_by=5),
        lambda: shelves.upsert(Shelf(name="a"), on="name"),
        lambda: shelves.upsert(Shelf(name="a"), on=5),
        lambda: shelves.aggregate(Shelf.id.count(), by="name"),
        lambda: list(shelves.stream(batch=1.5)),
        lambda: shelves.page(size="x"),
    ):
        shelves.upsert(Shelf(name="there"), on=[Shelf.name])
        with pytest.raises(InvalidQueryError):
            call()


async def test_a_store_that_was_not_entered_says_so():
    opening = holdfast.open_store("memory://", [Shelf, Book])
    async with opening as store:
        await store.create_schema()
    for call in (
        store.repository(Shelf).find,
        store.create_schema,
        store.drop_schema,
        lambda: store.repository(Shelf).add(Shelf(name="a")),
    ):
        with pytest.raises(TransactionError, match="not open"):
            await call()
    with pytest.raises(TransactionError, match="not open"):
        async with store.transaction():
            pass


def test_a_time_that_is_a_number_is_refused_with_what_to_write():
    for options in ({"poll": 0.2}, {"lease": 30}, {"poll": "1s"}, {"poll": timedelta(0)}):
        with pytest.raises(ConfigurationError):
            WorkerOptions(**options)


# --- annotations of relations -----------------------------------------------------------------


def test_a_relation_is_annotated_in_any_way_that_type_checkers_take():
    for entity in KINDS:
        with open_store("memory://", [entity]) as store:
            store.create_schema()
            rows = store.repository(entity)
            first = rows.add(entity())
            second = rows.add(entity(up_id=first.id))
            (loaded,) = rows.find(entity.id == second.id, load=entity.up)
            assert loaded.up.id == first.id
            assert [each.id for each in rows.get_one(first.id, load=entity.below).below] == [
                second.id
            ]
