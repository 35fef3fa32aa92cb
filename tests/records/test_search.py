"""Search beside what else a store does: hooks, caches, declarations that can't be searched."""

import pytest

from holdfast import Entity, Field, field, generated_key, key, open_store, ref, version
from holdfast.errors import ConfigurationError
from holdfast.records import RowChange
from holdfast.records.conformance.statement_counter import CountingDriver
from servers import empty_store


class Shelf(Entity, table="shelves"):
    id: Field[int] = key()


class Book(Entity, table="shelved_books"):
    id: Field[int] = generated_key()
    shelf_id: Field[int] = ref(Shelf, on_delete="cascade")
    title: Field[str] = field(search=True)
    copies: Field[int] = field(default=1)
    version: Field[int] = version()


class Told:
    """A hook that watches books, and notes the titles that it is told of."""

    entities = ()

    def __init__(self):
        self.titles = []

    def watches(self, model):
        return model.entity is Book

    async def changed(self, store, changes: list[RowChange]):
        at = store.repository(Book).model.by_name["title"].position
        self.titles += [change.after and change.after[at] for change in changes]

    async def happened(self, store, event):
        raise AssertionError(event)


async def found(books, text):
    return [hit.entity.id for hit in await books.search(text)]


@pytest.mark.parametrize("kind", ["memory", "postgresql", "mysql"])
async def test_entities_that_a_hook_watches_are_searched(kind, tmp_path):
    told = Told()
    with empty_store(kind, tmp_path) as url:
        async with open_store(url, [Shelf, Book], hooks=[told]) as store:
            await store.create_schema()
            await store.repository(Shelf).add_many([Shelf(id=1), Shelf(id=2)])
            books = store.repository(Book)
            one = await books.add(Book(shelf_id=1, title="one"))
            two = (await books.upsert(Book(shelf_id=2, title="two"))).entity
            one.title = "first"
            await books.update(one)
            await books.patch(two.id, Book.title.to("second"))
            assert (await found(books, "first"), await found(books, "second")) == ([1], [2])
            await books.update_where(Book.id > 0, changes=Book.title.to("same"))
            assert await found(books, "same") == [1, 2]
            await store.repository(Shelf).delete(1)
            assert (await found(books, "same"), await found(books, "first")) == ([2], [])
    assert told.titles == ["one", "two", "first", "second", "same", "same", None]


async def test_a_write_that_changes_no_searched_field_is_one_call_of_the_driver():
    async with open_store("memory://", [Shelf, Book]) as store:
        await store.create_schema()
        await store.repository(Shelf).add(Shelf(id=1))
        books = store.repository(Book)
        book = await books.add(Book(shelf_id=1, title="one"))
        with CountingDriver.around(store) as calls:
            books = store.repository(Book)
            await books.patch(book.id, Book.copies.increment())
            await books.update_where(Book.id > 0, changes=Book.copies.to(3))
        assert (calls.reads, calls.writes) == (0, 2)


def test_what_can_not_be_searched_is_refused():
    with pytest.raises(ConfigurationError, match="fields of text"):

        class Numbered(Entity, table="numbered"):
            id: Field[int] = key()
            number: Field[int] = field(search=True)

    with pytest.raises(ConfigurationError, match="name is taken"):

        class Taken(Entity, table="taken"):
            id: Field[int] = key()
            search_of: Field[str] = field(search=True)

    with pytest.raises(ConfigurationError, match="a weight from 1 on"):
        field(search=-1)
