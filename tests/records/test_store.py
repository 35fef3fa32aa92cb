"""What stores promise beyond single calls: retries, unique pairs, files that can't be written."""

import os
import subprocess
import sys
from uuid import UUID

import pytest

from holdfast import Entity, Field, field, key, open_store, ref, uuid7
from holdfast.errors import (
    ConfigurationError,
    DuplicateError,
    InvalidQueryError,
    InvalidValueError,
    LockTimeoutError,
    SerializationError,
    TransactionError,
    UnsupportedError,
)
from holdfast.records.transactions import own_transaction
from holdfast.sync import open_store as open_blocking

pytestmark = pytest.mark.anyio


class Seat(Entity, table="seats", uniques=[("row", "number")]):
    id: Field[UUID] = key(default_factory=uuid7)
    row: Field[str] = field(max_length=2)
    number: Field[int]
    guest: Field[str | None] = field(default=None)


@pytest.fixture(params=["memory://", "sqlite"])
def url(request, tmp_path):
    return request.param if "://" in request.param else f"sqlite:///{tmp_path}/store.db"


@pytest.fixture
async def store(url):
    async with open_store(url, [Seat]) as opened:
        await opened.create_schema()
        yield opened


async def test_work_that_clashes_is_undone_and_done_again(store):
    seats = store.repository(Seat)
    attempts = []

    async def work():
        attempts.append(await seats.count())
        await seats.add(Seat(row="A", number=1))
        if len(attempts) < 3:
            raise SerializationError("another was quicker")
        return "done"

    assert await store.retrying(work) == "done"
    assert attempts == [0, 0, 0]
    assert await seats.count() == 1


async def test_retrying_ends_after_its_attempts_with_the_last_error(store):
    attempts = []

    async def work():
        attempts.append(1)
        raise LockTimeoutError("held")

    with pytest.raises(LockTimeoutError):
        await store.retrying(work, attempts=2)
    assert len(attempts) == 2
    with pytest.raises(InvalidQueryError):
        await store.retrying(work, attempts=0)


async def test_other_errors_are_not_retried(store):
    attempts = []

    async def work():
        attempts.append(1)
        raise KeyError("mine")

    with pytest.raises(KeyError):
        await store.retrying(work)
    assert len(attempts) == 1


async def test_retrying_inside_a_transaction_is_refused(store):
    async def work():
        raise AssertionError("never called")

    async with store.transaction():
        with pytest.raises(TransactionError):
            await store.retrying(work)


async def test_a_call_that_is_a_transaction_of_its_own_is_done_again_twenty_times_at_most(
    store, monkeypatch
):
    seats = store.repository(Seat)
    attempts, longest = [], []

    async def pause(seconds, *, blocking):
        assert blocking is False
        assert seconds in longest

    def latest(least, most):  # as long a pause as there may be
        assert least == 0
        longest.append(most)
        return most

    monkeypatch.setattr(own_transaction, "pause", pause)
    monkeypatch.setattr(own_transaction.random, "uniform", latest)

    def failing(times, error):
        attempts.clear()

        async def work():
            attempts.append(await seats.count())
            await seats.add(Seat(row="A", number=len(attempts)))
            if len(attempts) <= times:
                raise error
            return "done"

        return own_transaction.in_own_transaction(store.transaction, work, blocking=False)

    for times, error in ((20, SerializationError("clashes")), (1, LockTimeoutError("held"))):
        with pytest.raises(type(error)):
            await failing(times, error)
        assert len(attempts) == times
    assert longest[:9] == [0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.25, 0.25]
    assert await seats.count() == 0
    assert await failing(19, SerializationError("clashes")) == "done"
    assert attempts == [0] * 20
    assert [seat.number for seat in await seats.find()] == [20]


def test_retrying_blocks_where_the_store_does(url):
    with open_blocking(url, [Seat]) as store:
        store.create_schema()
        attempts = []

        def work():
            attempts.append(1)
            store.repository(Seat).add(Seat(row="A", number=1))
            if len(attempts) < 2:
                raise SerializationError("another was quicker")

        store.retrying(work)
        assert store.repository(Seat).count() == 1


async def test_a_pair_is_unique_where_its_parts_are_not(store):
    seats = store.repository(Seat)
    first = await seats.add(Seat(row="A", number=1))
    await seats.add_many([Seat(row="A", number=2), Seat(row="B", number=1)])
    with pytest.raises(DuplicateError) as caught:
        await seats.add(Seat(row="A", number=1))
    assert caught.value.fields == ("row", "number")
    upserted = await seats.upsert(Seat(row="A", number=1, guest="Ann"), on=[Seat.number, Seat.row])
    assert (upserted.created, upserted.entity.id) == (False, first.id)
    with pytest.raises(InvalidQueryError):
        await seats.upsert(Seat(row="A", number=1), on=[Seat.row])


async def test_a_store_that_was_not_set_up_says_so(url):
    async with open_store(url, [Seat]) as store:
        with pytest.raises(ConfigurationError, match="create_schema"):
            await store.repository(Seat).count()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become another user")
def test_a_folder_that_may_not_be_written_is_a_storage_error(tmp_path):
    tmp_path.chmod(0o755)
    for parent in tmp_path.parents:
        if parent.name.startswith("pytest"):
            parent.chmod(0o755)
    program = (
        "import os\n"
        "from holdfast import Entity, Field, generated_key\n"
        "from holdfast.sync import open_store\n"
        "from holdfast.errors import StorageError\n"
        "class Note(Entity, table='notes'):\n    id: Field[int] = generated_key()\n"
        "open_store('sqlite:///x.db', [Note])\n"
        "os.setgid(65534)\nos.setuid(65534)\n"  # after the imports, which lie in root's folders
        "try:\n"
        f"    with open_store('sqlite:///{tmp_path}/x.db', [Note]) as store:\n"
        "        store.create_schema()\n"
        "except StorageError as error:\n    print('refused:', error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.stdout.startswith("refused:"), done.stderr
    assert list(tmp_path.iterdir()) == []


class Level(Entity, table="levels"):
    id: Field[int] = key()
    above: Field[int | None] = ref("Level", default=None, on_delete="cascade")


def test_a_cascade_in_memory_may_be_deeper_than_calls_can_be():
    with open_blocking("memory://", [Level]) as store:
        store.create_schema()
        levels = store.repository(Level)
        levels.add_many([Level(id=n + 1, above=n or None) for n in range(3000)])
        assert levels.delete(1)
        assert levels.count() == 0


def test_a_cascade_deeper_than_sqlite_follows_is_refused_and_changes_nothing(tmp_path):
    with open_blocking(f"sqlite:///{tmp_path}/deep.db", [Level]) as store:
        store.create_schema()
        levels = store.repository(Level)
        levels.add_many([Level(id=n + 1, above=n or None) for n in range(1200)])
        with pytest.raises(UnsupportedError, match="1,000 levels"):
            levels.delete(1)
        assert levels.count() == 1200
        assert levels.delete(601)
        assert levels.delete(1)


class Weight(Entity, table="weights"):
    id: Field[int] = key()
    kilos: Field[float]
    about: Field[dict[str, object]] = field(default_factory=dict)


def test_a_sum_that_no_float_can_hold_is_refused(url):
    with open_blocking(url, [Weight]) as store:
        store.create_schema()
        weights = store.repository(Weight)
        weights.add_many([Weight(id=number, kilos=1e308) for number in range(3)])
        assert weights.aggregate(Weight.kilos.max()) == [(1e308,)]
        with pytest.raises(InvalidValueError, match="too large for a float"):
            weights.aggregate(Weight.kilos.sum())


def test_a_position_in_json_that_no_list_has_is_refused():
    with pytest.raises(InvalidQueryError, match="at most"):
        Weight.about["x"][10**30]


def test_after_commit_waits_for_the_transaction_around_and_else_runs_at_once():
    done = []
    with open_blocking("memory://", [Seat]) as store:
        store.create_schema()
        store.after_commit(lambda: done.append("alone"))
        assert done == ["alone"]
        with store.transaction():
            store.after_commit(lambda: done.append("inside"))
            assert done == ["alone"]
        assert done == ["alone", "inside"]
        with pytest.raises(ZeroDivisionError), store.transaction():
            store.after_commit(lambda: done.append("undone"))
            raise ZeroDivisionError
    assert done == ["alone", "inside"]
