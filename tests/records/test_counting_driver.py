"""The counting driver of the suite: it can what the counted one can, and knows what is written."""

import inspect

import pytest

from holdfast import Entity, Field, everything, key, open_store
from holdfast.errors import DuplicateError
from holdfast.records.conformance.statement_counter import CountingDriver
from holdfast.records.connect import driver_at


class Cup(Entity, table="counted_cups"):
    id: Field[int] = key()


class Saucer(Entity, table="counted_saucers"):
    id: Field[int] = key()


@pytest.mark.parametrize("url", ["memory://", "sqlite:///x.db", "postgresql://u@localhost/x"])
def test_its_class_has_every_name_that_a_protocol_may_ask_for(url):
    driver = driver_at(url)
    counting = CountingDriver(driver)
    names = {name for name in dir(driver) if not name.startswith("_")}
    # As isinstance does for a protocol: nothing that __getattr__ makes up is seen.
    assert {name for name in names if inspect.getattr_static(counting, name, None)} == names
    assert counting.capabilities is driver.capabilities


async def test_it_knows_the_tables_that_writes_name_also_in_a_transaction_and_refused():
    async with open_store("memory://", [Cup, Saucer]) as store:
        await store.create_schema()
        with CountingDriver.around(store) as counting:
            cups, saucers = store.repository(Cup), store.repository(Saucer)
            await saucers.find()
            assert (counting.reads, counting.writes, counting.written) == (1, 0, set())
            await cups.add(Cup(id=1))
            with pytest.raises(DuplicateError):
                await cups.add(Cup(id=1))
            assert (counting.writes, counting.written) == (2, {"counted_cups"})
            async with store.transaction():
                await saucers.delete_where(everything())
            assert counting.written == {"counted_cups", "counted_saucers"}
