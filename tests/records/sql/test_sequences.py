"""What an entity may say of sequences, and what others meet of them in a database."""

from contextlib import suppress

import pytest
from sqlalchemy import insert, select, text

from holdfast import (
    Entity,
    Field,
    field,
    key,
    open_store,
    ref,
    server_default,
    server_sequence,
    server_text,
)
from holdfast.errors import (
    ConfigurationError,
    InvalidValueError,
    SchemaMismatchError,
    TransactionError,
    UnsupportedError,
)
from holdfast.integrations.sqlalchemy import execute, table_of
from holdfast.records.driver import StoreCapability


class Order(Entity, table="sequence_orders"):
    number: Field[int] = key(default=server_sequence("sequence_order_numbers", start=1000))
    name: Field[str] = field(max_length=20)
    place: Field[int] = field(default=server_sequence("sequence_places"), le=2)


@pytest.fixture(params=["postgresql", "mariadb"])
async def store(request):
    url = request.getfixturevalue(f"{request.param}_url")
    async with open_store(url, [Order]) as store:
        await store.drop_schema()
        await store.create_schema()
        yield store
        await store.drop_schema()


async def test_statements_of_others_are_numbered_by_the_column(store):
    table = table_of(Order)
    async with store.transaction() as tx:
        await execute(tx, insert(table).values(name="a"))
        assert (await execute(tx, select(table.c.number))).scalar_one() == 1000
    assert (await store.repository(Order).add(Order(name="b"))).number == 1001


async def test_a_number_out_of_bounds_is_refused_before_it_is_stored(store):
    orders = store.repository(Order)
    await orders.add_many([Order(name=name) for name in "ab"])
    with pytest.raises(InvalidValueError, match=r"Order\.place") as caught:
        await orders.add(Order(name="c"))
    assert caught.value.field == "place"
    assert await orders.count() == 2


async def test_a_sequence_that_is_gone_is_named(store):
    for statement in ("DROP TABLE sequence_orders", "DROP SEQUENCE sequence_places"):
        with suppress(TransactionError):  # MariaDB commits it by itself
            async with store.transaction() as tx:
                await execute(tx, text(statement))
    with pytest.raises(SchemaMismatchError, match=r"the sequence of Order\.place is missing"):
        await store.repository(Order).add(Order(name="a"))
    await store.create_schema()
    assert (await store.repository(Order).add(Order(name="a"))).place == 1


@pytest.mark.parametrize("url", ["sqlite:///any.db", "mysql://u@h/d", "dynamodb://eu-central-1/x"])
def test_a_backend_without_sequences_is_not_opened(url):
    with pytest.raises(UnsupportedError) as caught:
        open_store(url, [Order])
    assert caught.value.capability == StoreCapability.SEQUENCES


@pytest.mark.parametrize(
    ("hint", "default", "words"),
    [
        (str, server_sequence("a"), "for an int"),
        (int, server_default(1), "takes no default of the database"),
        (str, server_text(sqlite="'x'"), "takes no default of the database"),
    ],
)
def test_a_key_takes_a_sequence_of_ints_alone(hint, default, words):
    with pytest.raises(ConfigurationError, match=words):

        class Wrong(Entity, table="wrong"):
            id: Field[hint] = key(default=default)


@pytest.mark.parametrize(
    "words",
    [
        {"name": ""},
        {"name": "a.b"},
        {"name": "a'b"},
        {"name": "x" * 64},
        {"name": "a", "increment": 0},
        {"name": "a", "increment": 2**63},
        {"name": "a", "start": -(2**63)},
        {"name": "a", "start": 1.0},
        {"name": "a", "start": True},
    ],
)
def test_odd_sequences_are_refused(words):
    with pytest.raises(ConfigurationError, match="server_sequence"):
        server_sequence(**words)


def test_fields_that_share_a_sequence_say_the_same_of_it():
    class First(Entity, table="first"):
        id: Field[int] = key(default=server_sequence("numbers", start=5))

    class Second(Entity, table="second"):
        id: Field[int] = key(default=server_sequence("numbers"))

    class Loud(Entity, table="loud"):
        id: Field[int] = key(default=server_sequence("Numbers", start=5))

    class Away(Entity, table="away", schema="app"):
        id: Field[int] = key(default=server_sequence("numbers"))

    class Taken(Entity, table="numbers"):
        id: Field[int] = key()

    for other in (Second, Loud):
        with pytest.raises(ConfigurationError, match=r"First\.id .* share the sequence"):
            open_store("memory://", [First, other])
    with pytest.raises(ConfigurationError, match="is the table of Taken"):
        open_store("memory://", [Taken, First])
    open_store("memory://", [First, Away])
    with pytest.raises(ConfigurationError, match="share the sequence"):
        open_store("memory://?schema=app", [First, Away])


def test_a_view_and_a_reference_are_not_numbered():
    with pytest.raises(ConfigurationError, match="is a view"):

        class Seen(Entity, table="seen", view=True):
            id: Field[int] = key(default=server_sequence("numbers"))

    with pytest.raises(ConfigurationError, match="a reference is given"):

        class Wrong(Entity, table="wrong"):
            id: Field[int] = key()
            order: Field[int] = ref(Order, default=server_sequence("numbers"))


async def test_numbers_begin_again_with_a_new_schema():
    async with open_store("memory://", [Order]) as store:
        await store.create_schema()
        orders = store.repository(Order)
        assert (await orders.add(Order(name="a"))).number == 1000
        await store.clear()
        assert (await orders.add(Order(name="a"))).number == 1001
        await store.drop_schema()
        await store.create_schema()
        assert (await orders.add(Order(name="a"))).number == 1000
