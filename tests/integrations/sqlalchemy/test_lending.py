"""SQLAlchemy's statements and sessions inside a transaction: its connection, its fate."""

import asyncio
import contextlib

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from holdfast import Entity, Field, generated_key, open_store, sync
from holdfast.errors import TransactionError, UnsupportedError
from holdfast.integrations.sqlalchemy import execute, orm_session, run_sync
from holdfast.integrations.sqlalchemy import sync as stepped
from holdfast.records import field


class Note(Entity, table="lent_notes", indexes=[("place",)]):
    id: Field[int] = generated_key()
    text: Field[str] = field(max_length=50, unique=True)
    place: Field[int] = field(default=0)


class Base(DeclarativeBase):
    pass


class Row(Base):
    """The same table in the user's own words; never created by them."""

    __tablename__ = "lent_notes"
    id: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str] = mapped_column(sa.String(50))
    place: Mapped[int] = mapped_column(default=0)


TEXTS = sa.select(Row.text).order_by(Row.text)


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def url(request, tmp_path):
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/store.db?synchronous=normal"
    return request.getfixturevalue(f"{request.param}_url")


@pytest.fixture
async def store(url):
    async with open_store(url, [Note]) as store:
        await store.drop_schema()
        await store.create_schema()
        yield store


@pytest.fixture
def blocking(url):
    with sync.open_store(url, [Note]) as store:
        store.drop_schema()
        store.create_schema()
        yield store


async def texts(store):
    return sorted(each.text for each in await store.repository(Note).find())


async def test_a_statement_sees_what_the_transaction_wrote_and_goes_with_it(store):
    with pytest.raises(KeyError):
        async with store.transaction() as tx:
            await store.repository(Note).add(Note(text="a"))
            assert (await execute(tx, TEXTS)).scalars().all() == ["a"]
            await execute(tx, sa.insert(Row), [{"text": "b"}, {"text": "c"}])
            assert await texts(store) == ["a", "b", "c"]
            raise KeyError
    assert await texts(store) == []
    async with store.transaction() as tx:
        changed = await execute(tx, sa.insert(Row).values(text="kept"))
        assert changed.rowcount == 1
    assert await texts(store) == ["kept"]


async def test_a_statement_that_fails_is_undone_alone(store):
    async with store.transaction() as tx:
        await execute(tx, sa.insert(Row).values(text="a"))
        with pytest.raises(sa.exc.IntegrityError):
            await execute(tx, sa.insert(Row), [{"text": "b"}, {"text": "a"}])
        await store.repository(Note).add(Note(text="c"))
    assert await texts(store) == ["a", "c"]


async def test_a_session_works_on_the_transactions_own_connection(store):
    notes = store.repository(Note)
    async with store.transaction() as tx:
        first = await notes.add(Note(text="a"))
        async with orm_session(tx) as session:
            row = await session.get(Row, first.id)
            row.text = "changed"
            session.add(Row(text="b"))
            await session.flush()
            await notes.add(Note(text="beside"))  # and its savepoints don't get in the way
            await notes.add(Note(text="beside too"))
            session.add(Row(text="c"))
        assert await texts(store) == ["b", "beside", "beside too", "c", "changed"]
    assert await texts(store) == ["b", "beside", "beside too", "c", "changed"]


async def test_a_session_never_commits_by_itself(store):
    with pytest.raises(KeyError):
        async with store.transaction() as tx:
            async with orm_session(tx) as session:
                session.add(Row(text="a"))
                await session.commit()
                session.add(Row(text="b"))
                await session.rollback()
            assert await texts(store) == ["a"]
            raise KeyError
    assert await texts(store) == []


async def test_a_session_that_raises_undoes_its_own_part(store):
    async with store.transaction() as tx:
        await store.repository(Note).add(Note(text="before"))
        with pytest.raises(sa.exc.IntegrityError):
            async with orm_session(tx) as session:
                session.add_all([Row(text="x"), Row(text="before")])
        await store.repository(Note).add(Note(text="after"))
    assert await texts(store) == ["after", "before"]


async def test_sessions_nest_and_take_turns(store):
    async with store.transaction() as tx:
        async with orm_session(tx) as session:
            async with session.begin_nested():
                session.add(Row(text="a"))
            with pytest.raises(KeyError):
                async with tx.savepoint():
                    await store.repository(Note).add(Note(text="undone"))
                    raise KeyError
        async with orm_session(tx) as session:
            assert (await session.scalars(TEXTS)).all() == ["a"]
    assert await texts(store) == ["a"]


async def test_statements_of_several_tasks_take_turns(store):
    """SQLAlchemy has one stack of savepoints for the connection, as Holdfast has."""

    async def insert(text):
        with contextlib.suppress(sa.exc.IntegrityError):
            await execute(
                tx, sa.insert(Row), [{"text": text}, {"text": text if "x" in text else f"{text}2"}]
            )

    async def session(text):
        with contextlib.suppress(KeyError):
            async with orm_session(tx) as session:
                await session.execute(sa.insert(Row).values(text=text))
                await asyncio.sleep(0)
                if "x" in text:
                    raise KeyError

    async def plain(text):
        await store.repository(Note).add(Note(text=text))

    async with store.transaction() as tx:
        works = [
            work(f"{name}{work.__name__}") for work in (insert, session, plain) for name in "axb"
        ]
        await asyncio.gather(*works)
    kept = [
        "ainsert",
        "ainsert2",
        "aplain",
        "asession",
        "binsert",
        "binsert2",
        "bplain",
        "bsession",
    ]
    assert await texts(store) == [*kept, "xplain"]


async def test_the_connection_serves_others_afterwards(store):
    for number in range(20):
        async with store.transaction() as tx:
            await execute(tx, sa.insert(Row).values(text=str(number)))
    assert await store.repository(Note).count() == 20


async def test_a_cancelled_statement_leaves_nothing_behind(store):
    async def work():
        async with store.transaction() as tx:
            for number in range(10_000):
                await execute(tx, sa.insert(Row).values(text=str(number)))
                started.set()

    for _ in range(3):
        started = asyncio.Event()
        task = asyncio.create_task(work())
        waiting = asyncio.create_task(started.wait())
        await asyncio.wait((task, waiting), timeout=10, return_when=asyncio.FIRST_COMPLETED)
        assert started.is_set()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await texts(store) == []
    await store.repository(Note).add(Note(text="alive"))
    assert await texts(store) == ["alive"]


async def test_plain_code_is_given_the_blocking_connection(store):
    async with store.transaction() as tx:
        await execute(tx, sa.insert(Row).values(text="a"))
        found = await run_sync(tx, lambda connection: connection.execute(TEXTS).scalars().all())
    assert found == ["a"]


def test_the_blocking_twin_does_the_same(blocking):
    notes = blocking.repository(Note)
    with pytest.raises(KeyError):
        with blocking.transaction() as tx:
            notes.add(Note(text="a"))
            assert stepped.execute(tx, TEXTS).scalars().all() == ["a"]
            with stepped.orm_session(tx) as session:
                session.add(Row(text="b"))
                session.commit()
            raise KeyError
    assert notes.count() == 0
    with blocking.transaction() as tx:
        with stepped.orm_session(tx) as session:
            session.add(Row(text="c"))
        with pytest.raises(sa.exc.IntegrityError):
            stepped.execute(tx, sa.insert(Row).values(text="c"))
        assert stepped.run_sync(
            tx, lambda connection: connection.execute(TEXTS).scalars().all()
        ) == ["c"]
    assert [each.text for each in notes.find()] == ["c"]


async def test_what_is_no_sql_refuses_by_name():
    async with open_store("memory://", [Note]) as store:
        async with store.transaction() as tx:
            with pytest.raises(UnsupportedError, match="memory"):
                await execute(tx, TEXTS)


async def test_a_schema_made_or_dropped_twice_says_nothing(store, caplog):
    await store.create_schema()
    await store.drop_schema()
    await store.drop_schema()
    await store.create_schema()
    assert not caplog.records


ENDINGS = {
    "commit": [sa.text("COMMIT")],
    "rollback": [sa.text("ROLLBACK")],
    "another begun": [sa.text("COMMIT"), sa.text("BEGIN")],
}


def ended():
    return pytest.raises(TransactionError, match="ended before its block did")


@pytest.fixture(params=ENDINGS)
def ending(request):
    return ENDINGS[request.param]


async def test_a_statement_that_ends_the_transaction_is_told_at_once_and_at_the_end(store, ending):
    notes, called = store.repository(Note), []

    async def callback():
        called.append(True)

    with ended():
        async with store.transaction() as tx:
            tx.after_commit(callback)
            for statement in ending:
                with ended():
                    await execute(tx, statement)
            for refused in (
                notes.add(Note(text="after")),
                notes.find(),
                execute(tx, sa.insert(Row).values(text="after")),
                run_sync(tx, lambda connection: connection.execute(TEXTS)),
            ):
                with ended():
                    await refused
    assert not called
    assert await texts(store) == []
    async with store.transaction() as tx:
        await execute(tx, sa.insert(Row).values(text="the connection serves on"))
    assert await texts(store) == ["the connection serves on"]


async def test_plain_code_that_ends_the_transaction_by_the_drivers_own_cursor_is_told(store):
    def work(connection):
        cursor = connection.connection.cursor()
        for text in ("COMMIT", "BEGIN"):
            cursor.execute(text)
        cursor.close()

    with ended():
        async with store.transaction() as tx:
            with ended():
                await run_sync(tx, work)
    assert await texts(store) == []


async def test_a_session_that_ends_the_transaction_is_told(store, ending):
    with ended():
        async with store.transaction() as tx, tx.savepoint(), orm_session(tx) as session:
            for statement in ending:
                with ended():
                    await session.execute(statement)
    await store.repository(Note).add(Note(text="alive"))
    assert await texts(store) == ["alive"]


async def test_another_error_of_the_block_does_not_hide_that_the_transaction_ended(store):
    with ended() as info:
        async with store.transaction() as tx:
            with ended():
                await execute(tx, sa.text("COMMIT"))
            raise KeyError
    assert isinstance(info.value.__context__, KeyError)


async def test_a_cancelled_block_stays_cancelled_when_its_transaction_ended(store):
    with pytest.raises(asyncio.CancelledError):
        async with store.transaction() as tx:
            with ended():
                await execute(tx, sa.text("COMMIT"))
            raise asyncio.CancelledError
    await store.repository(Note).add(Note(text="alive"))


@pytest.mark.parametrize(
    "text", ["CREATE TABLE lent_more (id INT)", "CREATE TABLE lent_notes (id INT)"]
)
async def test_what_commits_by_itself_on_mariadb_is_told_even_when_it_fails(mariadb_url, text):
    async with open_store(mariadb_url, [Note]) as store:
        await store.drop_schema()
        await store.create_schema()
        with ended():
            async with store.transaction() as tx:
                await execute(tx, sa.insert(Row).values(text="kept"))
                with ended():
                    await execute(tx, sa.text(text))
                with ended():
                    await store.repository(Note).add(Note(text="refused"))
        assert await texts(store) == ["kept"]
        with ended():
            async with store.transaction() as tx:
                await execute(tx, sa.text("DROP TABLE IF EXISTS lent_more"))


def test_the_blocking_twin_tells_the_same(blocking, ending):
    with ended():
        with blocking.transaction() as tx:
            for statement in ending:
                with ended():
                    stepped.execute(tx, statement)
            with ended():
                blocking.repository(Note).add(Note(text="after"))
    with ended():
        with blocking.transaction() as tx, stepped.orm_session(tx) as session:
            session.execute(ending[0])
    blocking.repository(Note).add(Note(text="alive"))
    assert [each.text for each in blocking.repository(Note).find()] == ["alive"]
