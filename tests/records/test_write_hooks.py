"""What write hooks are told, on every backend and by every verb that writes."""

import asyncio
import contextvars
import inspect
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from itertools import pairwise
from uuid import UUID

import pytest

from holdfast import (
    Entity,
    Field,
    Repository,
    deleted_at,
    everything,
    field,
    generated_key,
    key,
    open_store,
    ref,
    uuid7,
    version,
)
from holdfast import sync as blocking
from holdfast.errors import (
    ConfigurationError,
    DuplicateError,
    TransactionError,
    UnsupportedError,
)
from holdfast.offload import TaskLock
from holdfast.records import RowChange, StoreCapability, WriteVerb
from holdfast.records.driver import Writer
from holdfast.records.drivers.memory import MemoryDriver
from holdfast.records.hooked_writes import HookedWrites
from holdfast.records.options import MemoryOptions
from holdfast.records.store import Store
from servers import empty_store

pytestmark = pytest.mark.anyio
BACKENDS = ["memory", "sqlite", "postgresql", "mariadb"]


class Shelf(Entity, table="shelves"):
    id: Field[UUID] = key(default_factory=uuid7)
    name: Field[str] = field(max_length=50, unique=True)


class Book(Entity, table="books", uniques=[("title", "shelf_id")]):
    id: Field[int] = generated_key()
    title: Field[str] = field(max_length=50)
    pages: Field[int] = field(default=0)
    shelf_id: Field[UUID | None] = ref(Shelf, default=None, on_delete="cascade")
    next_id: Field[int | None] = ref("Book", default=None, on_delete="set null")
    tags: Field[list[str]] = field(default_factory=list)
    version: Field[int] = version()


class Box(Entity, table="boxes"):
    id: Field[int] = generated_key()
    name: Field[str] = field(max_length=50, unique=True)
    version: Field[int] = version()
    deleted_at: Field[datetime | None] = deleted_at()


class Sheet(Entity, table="sheets"):
    id: Field[int] = generated_key()
    box_id: Field[int] = ref(Box, on_delete="cascade")
    deleted_at: Field[datetime | None] = deleted_at()


class Seat(Entity, table="seats"):
    row: Field[int] = key()
    number: Field[int] = key()
    guest: Field[str] = field(default="", max_length=50)


class Hook:
    """Keeps what it is told; raises *fault* if there is one."""

    def __init__(self, *watched):
        self.watched = watched
        self.entities = ()
        self.changes = []
        self.events = []
        self.fault = None

    def watches(self, model):
        return model.entity in self.watched

    async def changed(self, store, changes):
        if self.fault:
            raise self.fault
        self.changes += changes

    async def happened(self, store, event):
        self.events.append(event)

    def take(self):
        taken, self.changes = self.changes, []
        return taken


@pytest.fixture(scope="module", params=BACKENDS)
def url(request, tmp_path_factory):
    with empty_store(request.param, tmp_path_factory.mktemp("hooks")) as found:
        yield found


@asynccontextmanager
async def opened(url, hook, entities=(Shelf, Book)):
    async with open_store(url, entities, hooks=[hook]) as store:
        await store.create_schema()
        await store.clear()
        hook.take()
        yield store


def told(changes):
    """What a hook was told, as verb and values of the title (or name) before and after."""
    return [
        (
            each.verb.value,
            *(None if row is None else row[1] for row in (each.before, each.after)),
        )
        for each in changes
    ]


async def add(books):
    await books.add(Book(title="a"))
    return [("add", None, "a")]


async def add_many(books):
    await books.add_many([Book(title="a"), Book(title="b")])
    await books.add_many([Book(title="c"), Book(title="c", shelf_id=uuid7())], atomic=False)
    return [("add", None, title) for title in "abc"]


async def update(books):
    book = await books.add(Book(title="a"))
    book.title = "b"
    await books.update(book)
    return [("add", None, "a"), ("update", "a", "b")]


async def patch(books):
    book = await books.add(Book(title="a"))
    await books.patch(book.id, Book.title.to("b"), Book.pages.increment(1))
    return [("add", None, "a"), ("patch", "a", "b")]


async def upsert(books):
    book = await books.add(Book(title="a"))
    again = Book(title="b")
    again.id = book.id
    assert not (await books.upsert(again)).created
    assert (await books.upsert(Book(title="c"))).created
    return [("add", None, "a"), ("upsert", "a", "b"), ("upsert", None, "c")]


async def upsert_many(books):
    shelf = await books.store.repository(Shelf).add(Shelf(name="s"))
    await books.add(Book(title="a", shelf_id=shelf.id))
    new = [Book(title=title, pages=9, shelf_id=shelf.id) for title in ("a", "b")]
    await books.upsert_many(new, on=[Book.title, Book.shelf_id])
    return [("add", None, "a"), ("upsert", "a", "a"), ("upsert", None, "b")]


async def update_where(books):
    await books.add_many([Book(title=title) for title in "abc"])
    assert await books.update_where(Book.title > "a", changes=Book.title.to("x")) == 2
    return [
        *(("add", None, title) for title in "abc"),
        ("update_where", "b", "x"),
        ("update_where", "c", "x"),
    ]


async def take(books):
    await books.add_many([Book(title=title) for title in "abc"])
    change, order = Book.title.to("x"), Book.title.desc()
    (taken,) = await books.take(Book.title < "c", changes=change, order_by=order, limit=1)
    assert taken.title == "x"
    return [*(("add", None, title) for title in "abc"), ("update_where", "b", "x")]


async def delete(books):
    book = await books.add(Book(title="a"))
    assert await books.delete(book.id, version=1)
    assert not await books.delete(book.id)
    return [("add", None, "a"), ("delete", "a", None)]


async def delete_many(books):
    made = (await books.add_many([Book(title="a"), Book(title="b")])).entities
    assert await books.delete_many([book.id for book in made]) == 2
    return [(*("add", None), t) for t in "ab"] + [("delete", t, None) for t in "ab"]


async def delete_where(books):
    await books.add_many([Book(title="a"), Book(title="b")])
    assert await books.delete_where(Book.title == "b") == 1
    return [("add", None, "a"), ("add", None, "b"), ("delete", "b", None)]


VERBS = {
    each.__name__: each
    for each in (
        add, add_many, update, patch, upsert, upsert_many, update_where, take, delete, delete_many,
        delete_where,
    )
}  # fmt: skip


def test_no_verb_that_writes_is_left_out():
    """Derived from the contract and from the repository: a new verb has to be told too."""
    verbs = {name for name in vars(Repository) if not name.startswith("_")}
    assert verbs == VERBS.keys() | {"restore", "purge"}
    contract = {name for name, each in vars(Writer).items() if inspect.iscoroutinefunction(each)}
    told_by = {
        name for name, each in vars(HookedWrites).items() if inspect.iscoroutinefunction(each)
    }
    assert {name for name in told_by if not name.startswith("_")} == contract
    for name in contract:
        ours, theirs = (inspect.signature(getattr(each, name)) for each in (HookedWrites, Writer))
        assert ours == theirs
    covered = {each.value for each in WriteVerb} - {"cascade", "soft_delete", "restore"}
    assert covered == {verb for verb in VERBS if not verb.endswith("_many")} - {
        "delete_where",
        "take",
    }


@pytest.mark.parametrize("verb", VERBS.values(), ids=VERBS.keys())
async def test_each_verb_tells_its_rows_as_the_store_returns_them(url, verb):
    hook = Hook(Book)
    async with opened(url, hook) as store:
        books = store.repository(Book)
        expected = await verb(books)
        changes = hook.take()
        assert told(changes) == expected
        stored = {book.id: Book.__holdfast__.stored_row(book) for book in await books.find()}
        last = {change.key: change.after for change in changes}
        assert {k: row for k, row in last.items() if row is not None} == stored


async def test_rows_of_composite_keys_are_taken_by_parts_and_told(url):
    hook = Hook(Seat)
    async with opened(url, hook, [Seat]) as store:
        seats = store.repository(Seat)
        await seats.add_many(
            [Seat(row=row, number=number) for row in (1, 2, 3) for number in (1, 2)]
        )
        hook.take()
        taken = await seats.take(
            Seat.guest == "",
            changes=Seat.guest.to("x"),
            order_by=Seat.number.desc(),
            limit=[(Seat.row == 1, 1), (Seat.row == 3, 2), (Seat.row == 2, 0)],
        )
        wanted = [(1, 2), (3, 1), (3, 2)]
        assert sorted((each.row, each.number) for each in taken) == wanted
        assert {each.guest for each in taken} == {"x"}
        assert sorted(each.key for each in hook.take()) == wanted
        assert await seats.count(Seat.guest == "x") == len(wanted)


async def test_a_take_that_is_told_passes_over_what_others_hold(url):
    hook = Hook(Book)
    async with opened(url, hook) as store:
        if StoreCapability.ROW_LOCKS not in store.capabilities:
            pytest.skip("no row locks: who writes is alone")
        books = store.repository(Book)
        first, second = (await books.add_many([Book(title="a"), Book(title="b")])).entities

        async def take():
            change, order = Book.pages.increment(1), Book.title.asc()
            found = await books.take(Book.pages == 0, changes=change, order_by=order, limit=1)
            return [book.id for book in found]

        outside = contextvars.copy_context()
        async with store.transaction():
            assert await books.get(first.id, lock="update") is not None
            async with asyncio.timeout(30):
                assert await asyncio.create_task(take(), context=outside.copy()) == [second.id]
                assert await asyncio.create_task(take(), context=outside.copy()) == []
        assert await take() == [first.id]


async def test_cascades_are_told_through_entities_that_nobody_watches(url):
    hook = Hook(Book)
    async with opened(url, hook) as store:
        shelves, books = store.repository(Shelf), store.repository(Book)
        shelf = await shelves.add(Shelf(name="s"))
        inside = await books.add(Book(title="inside", shelf_id=shelf.id))
        outside = await books.add(Book(title="outside", next_id=inside.id))
        hook.take()
        assert await shelves.delete(shelf.id)
        gone, nulled = hook.take()
        assert (gone.verb, gone.key, gone.after) == (WriteVerb.CASCADE, inside.id, None)
        assert (nulled.verb, nulled.key) == (WriteVerb.CASCADE, outside.id)
        assert nulled.changed == ("next_id",)


async def test_a_deletion_by_a_mark_and_its_undoing_are_told_as_what_they_are(url):
    hook = Hook(Box, Sheet)
    async with opened(url, hook, [Box, Sheet]) as store:
        boxes, sheets = store.repository(Box), store.repository(Sheet)
        box = await boxes.add(Box(name="b"))
        sheet = await sheets.add(Sheet(box_id=box.id))
        hook.take()
        await boxes.delete(box.id)
        marked, with_it = hook.take()
        assert (marked.verb, marked.key, marked.changed) == (
            WriteVerb.SOFT_DELETE, box.id, ("version", "deleted_at")
        )  # fmt: skip
        assert (with_it.verb, with_it.key, with_it.changed) == (
            WriteVerb.CASCADE, sheet.id, ("deleted_at",)
        )  # fmt: skip
        await boxes.restore(box.id)
        back, with_it = hook.take()
        assert (back.verb, back.before, back.changed) == (
            WriteVerb.RESTORE, marked.after, ("version", "deleted_at")
        )  # fmt: skip
        assert (with_it.verb, with_it.entity) == (WriteVerb.CASCADE, Sheet)
        await boxes.delete(box.id)
        hook.take()
        assert await boxes.purge(older_than=timedelta(0)) == 1
        gone, with_it = hook.take()
        assert (gone.verb, gone.after) == (WriteVerb.DELETE, None)
        assert (with_it.verb, with_it.after) == (WriteVerb.CASCADE, None)


async def test_what_is_undone_was_told_in_the_same_transaction_and_a_failed_hook_undoes(url):
    hook = Hook(Book)
    async with opened(url, hook) as store:
        books = store.repository(Book)
        hook.fault = ValueError("the hook is broken")
        with pytest.raises(ValueError, match="broken"):
            await books.add(Book(title="a"))
        with pytest.raises(TransactionError, match="not told"):
            async with store.transaction():
                with pytest.raises(ValueError, match="broken"):
                    await books.add(Book(title="b"))
        assert await books.count() == 0
        hook.fault = None
        async with store.transaction() as tx:
            with pytest.raises(KeyError):
                async with tx.savepoint():
                    await books.add(Book(title="c"))
                    raise KeyError
            with pytest.raises(DuplicateError):
                book = await books.add(Book(title="d", shelf_id=None))
                twice = Book(title="e")
                twice.id = book.id
                await books.add(twice)
            assert [book.title for book in await books.find()] == ["d"]


async def test_the_chain_of_each_row_has_no_gap_however_many_write_it(url):
    """What one change left is what the row's next change found, in the order of the versions."""
    hook = Hook(Book)
    async with opened(url, hook) as store:
        books = store.repository(Book)
        made = (await books.add_many([Book(title="x"), Book(title="y")])).entities
        keys = [book.id for book in made]

        async def writer(number):
            for turn in range(3):
                match (number + turn) % 4:
                    case 0:
                        await books.patch(keys[number % 2], Book.pages.increment(1))
                    case 1:
                        await books.update_where(everything(), changes=Book.pages.increment(1))
                    case 2:
                        again = Book(title=f"w{number}.{turn}", pages=number)
                        again.id = keys[turn % 2]
                        await books.upsert(again)
                    case _:
                        await store.retrying(
                            lambda: books.patch(keys[0], Book.tags.to([str(number)]))
                        )

        await asyncio.gather(*(writer(number) for number in range(8)))
        for wanted in keys:
            chain = sorted(
                (each for each in hook.changes if each.key == wanted),
                key=lambda change: change.after[-1],
            )
            assert chain[0].before is None
            for earlier, later in pairwise(chain):
                assert later.before == earlier.after
            stored = await books.get_one(wanted)
            assert chain[-1].after == Book.__holdfast__.stored_row(stored)
            assert len(chain) == stored.version


async def test_upserts_of_one_new_row_at_once_are_one_addition_and_changes_of_it(url):
    hook = Hook(Shelf)
    async with opened(url, hook) as store:
        shelves = store.repository(Shelf)
        await asyncio.gather(*(shelves.upsert(Shelf(name="one"), on=Shelf.name) for _ in range(6)))
        assert await shelves.count() == 1
        assert sorted(each.before is None for each in hook.take()) == [False] * 5 + [True]


async def test_an_event_is_told_in_the_transaction_around_it():
    hook = Hook(Book)
    async with opened("memory://", hook) as store:
        await store.record_event("model.promoted", entity="Model", key="cars", details={"to": 7})
        (event,) = hook.events
        assert (event.name, event.entity, event.key) == ("model.promoted", "Model", "cars")
        assert event.details == {"to": 7}
    async with open_store("memory://", [Shelf]) as store:
        await store.record_event("nobody.listens", entity="x", key="y")


async def test_entities_that_nobody_watches_are_written_as_before():
    hook = Hook(Shelf)
    async with opened("memory://", hook) as store:
        assert store.repository(Book)._beside is None
        assert store.repository(Shelf)._beside is not None
        await store.repository(Book).add(Book(title="a"))
        assert hook.take() == []


def test_the_blocking_store_tells_the_same(tmp_path):
    hook = Hook(Book)
    with blocking.open_store(f"sqlite:///{tmp_path}/a.db", [Shelf, Book], hooks=[hook]) as store:
        store.create_schema()
        books = store.repository(Book)
        book = books.add(Book(title="a"))
        books.patch(book.id, Book.title.to("b"))
        store.record_event("x.y", entity="Book", key="1")
        assert told(hook.changes) == [("add", None, "a"), ("patch", "a", "b")]
        assert [event.name for event in hook.events] == ["x.y"]


class Watched(Entity, table="watched", audited=True):
    id: Field[UUID] = key(default_factory=uuid7)


def test_an_audited_entity_needs_a_hook_that_records_it():
    with pytest.raises(ConfigurationError, match="Watched is audited"):
        open_store("memory://", [Watched])
    open_store("memory://", [Watched], hooks=[Hook(Watched)])


def test_a_backend_without_transactions_refuses_hooks_by_name():
    driver = MemoryDriver(TaskLock, MemoryOptions())
    driver.capabilities = driver.capabilities - {StoreCapability.TRANSACTIONS}
    with pytest.raises(UnsupportedError, match="transactions"):
        Store(driver, [Book, Shelf], hooks=[Hook(Book)])


def test_a_change_names_the_fields_that_differ():
    model = Shelf.__holdfast__
    one, two = uuid7(), uuid7()
    change = RowChange(model, WriteVerb.UPDATE, (one, "a"), (one, "b"))
    assert (change.entity, change.key, change.changed) == (Shelf, one, ("name",))
    added = RowChange(model, WriteVerb.ADD, None, (two, "a"))
    assert (added.key, added.changed) == (two, ("id", "name"))
