"""A verb's signature stands in the contract and in each executor, and is the same there."""

import inspect

import pytest

from holdfast.records.driver import Reader, Session, Writer
from holdfast.records.drivers.memory.executor import MemoryExecutor
from holdfast.records.drivers.sql.executors.mariadb_executor import MariaDBExecutor
from holdfast.records.drivers.sql.executors.postgresql_executor import PostgreSQLExecutor
from holdfast.records.drivers.sql.executors.sqlite_executor import SQLiteExecutor
from holdfast.records.transactions.session import VerbSession

VERBS = [
    name for part in (Reader, Writer) for name in vars(part) if inspect.iscoroutinefunction(
        getattr(part, name)
    )
]  # fmt: skip
EXECUTORS = [MemoryExecutor, SQLiteExecutor, PostgreSQLExecutor, MariaDBExecutor]
AWAITED = [PostgreSQLExecutor, MariaDBExecutor]


def test_the_contract_has_four_verbs_that_read_and_six_that_write():
    assert len(VERBS) == 10


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("verb", VERBS)
def test_an_executor_has_the_contracts_signature(executor, verb):
    # Annotations are texts here, so equal signatures are equal word for word.
    found = getattr(executor, verb)
    assert inspect.signature(found) == inspect.signature(getattr(Session, verb))
    assert inspect.iscoroutinefunction(found) is (executor in AWAITED)


class Recorder(VerbSession):
    """Notes which way each verb goes."""

    executor = MemoryExecutor

    async def read(self, verb, *args, **kwargs):
        return ("read", verb, args, kwargs)

    async def write(self, verb, *args, **kwargs):
        return ("write", verb, args, kwargs)


class Choosing(Recorder):
    async def write_one(self, verb, *args, **kwargs):
        return ("write_one", verb, args, kwargs)

    async def write_rows(self, verb, *args, **kwargs):
        return ("write_rows", verb, args, kwargs)


@pytest.mark.parametrize("verb", VERBS)
async def test_a_session_passes_each_verb_on_with_its_arguments(verb):
    way = "read" if hasattr(Reader, verb) else "write"
    found = await getattr(Recorder(), verb)("a", 1, atomic=True)
    assert found == (way, getattr(MemoryExecutor, verb), ("a", 1), {"atomic": True})


@pytest.mark.parametrize(
    ("verb", "way"),
    [("insert", "write_rows"), ("upsert", "write"), ("patch", "write_one"), ("get", "read")],
)
async def test_a_session_that_knows_better_is_given_single_writes_and_rows(verb, way):
    assert (await getattr(Choosing(), verb)())[0] == way


async def test_a_session_keeps_its_verbs_where_it_says_so_and_only_there():
    session = Recorder()
    _ = session.get
    assert "get" not in vars(session)

    session.keeps_verbs = True
    assert session.get is session.get
