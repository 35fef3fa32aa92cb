"""A column is changed, as by a migration, while connections have statements that read it."""

import pytest

import holdfast.sync
from holdfast import Entity, Field, field, key, open_store
from holdfast.errors import SerializationError
from servers import execute

pytestmark = pytest.mark.anyio


class Crate(Entity, table="changed_crates"):
    id: Field[int] = key()
    text: Field[str] = field(default="", max_length=20)


CALLS = {
    "get": lambda crates: crates.get(1),
    "find": lambda crates: crates.find(Crate.id > 0),
    "patch": lambda crates: crates.patch(1, Crate.text.to("x")),
    "upsert": lambda crates: crates.upsert(Crate(id=1)),
    "upsert_many": lambda crates: crates.upsert_many([Crate(id=1), Crate(id=2)]),
}
ONE_CONNECTION = "?pool_size=1&max_overflow=0"
OFTEN = 8  # after which psycopg prepares a statement


@pytest.fixture
def url(postgresql_url):
    yield postgresql_url + ONE_CONNECTION
    execute(postgresql_url, "DROP TABLE IF EXISTS changed_crates")


def change_column(url, length):
    execute(
        url.removesuffix(ONE_CONNECTION),
        f"ALTER TABLE changed_crates ALTER COLUMN text TYPE varchar({length})",
    )


@pytest.mark.parametrize("call", CALLS)
def test_a_blocking_call_is_done_again(url, call):
    with holdfast.sync.open_store(url, [Crate]) as store:
        store.create_schema()
        crates = store.repository(Crate)
        crates.upsert_many([Crate(id=1), Crate(id=2)])
        for _ in range(OFTEN):
            CALLS[call](crates)
        change_column(url, 30)
        CALLS[call](crates)

        def work():
            crates.count(Crate.id > 7)
            CALLS[call](crates)

        for _ in range(OFTEN):
            CALLS[call](crates)
        change_column(url, 40)
        with pytest.raises(SerializationError, match="column"), store.transaction():
            work()
        store.retrying(work)


@pytest.mark.parametrize("call", CALLS)
async def test_a_transaction_is_done_again(url, call):
    async with open_store(url, [Crate]) as store:
        await store.create_schema()
        crates = store.repository(Crate)
        await crates.upsert_many([Crate(id=1), Crate(id=2)])
        await CALLS[call](crates)
        change_column(url, 30)
        await CALLS[call](crates)

        change_column(url, 40)
        with pytest.raises(SerializationError, match="column"):
            async with store.transaction():
                await CALLS[call](crates)
        await CALLS[call](crates)

        change_column(url, 50)
        attempts = []

        async def work():
            attempts.append(1)
            await CALLS[call](crates)

        await store.retrying(work)
        assert len(attempts) == 2
