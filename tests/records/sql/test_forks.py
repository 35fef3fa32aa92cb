"""A store in a process that is forked: the child starts afresh, and the parent notices nothing."""

import textwrap

import pytest

import preloaded

PROGRAM = """
import asyncio, contextlib, os, sys, threading
from holdfast import Entity, Field, everything, key
from holdfast import open_store as open_awaited
from holdfast.errors import TransactionError
from holdfast.sync import open_store

class Count(Entity, table="fork_counts"):
    id: Field[str] = key()
    total: Field[int]

URL, ROUNDS = sys.argv[1], 60

def in_child(work):
    "Run work in a child; return what reports that it went well."
    child = os.fork()
    if child:
        return lambda: os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    try:
        work()
        os._exit(0)
    except BaseException:
        import traceback
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)
"""

BLOCKING = """
def use(store, name):
    counts = store.repository(Count)
    for number in range(ROUNDS):
        with store.transaction():
            assert counts.get_one(name).id == name, "the answer was to somebody else's question"
            counts.patch(name, Count.total.increment(1))
        assert counts.get_one(name).total == number + 1
        with store.transaction(read_only=True):
            assert [each.id for each in counts.find(Count.id == name)] == [name]

with open_store(URL, [Count]) as store:
    store.create_schema()
    counts = store.repository(Count)
    counts.delete_where(everything())
    counts.add_many([Count(id=name, total=0) for name in ("parent", "one", "two")])
    with store.transaction(read_only=True):
        counts.count()
    children = [in_child(lambda name=name: use(store, name)) for name in ("one", "two")]
    use(store, "parent")
    assert [child() for child in children] == [0, 0]
    assert [each.total for each in counts.find()] == [ROUNDS] * 3
    store.drop_schema()
"""

AWAITED = """
async def use(store, name):
    counts = store.repository(Count)
    for number in range(ROUNDS):
        async with store.transaction():
            assert (await counts.get_one(name)).id == name
            await counts.patch(name, Count.total.increment(1))
        assert (await counts.get_one(name)).total == number + 1

loop = asyncio.new_event_loop()
opening = open_awaited(URL, [Count])
store = loop.run_until_complete(opening.__aenter__())
loop.run_until_complete(store.create_schema())
counts = store.repository(Count)
loop.run_until_complete(counts.delete_where(everything()))
names = ("parent", "one", "two")
loop.run_until_complete(counts.add_many([Count(id=name, total=0) for name in names]))
children = [in_child(lambda name=name: asyncio.run(use(store, name))) for name in names[1:]]
loop.run_until_complete(use(store, "parent"))
assert [child() for child in children] == [0, 0]
assert [each.total for each in loop.run_until_complete(counts.find())] == [ROUNDS] * 3
loop.run_until_complete(store.drop_schema())
loop.run_until_complete(opening.__aexit__(None, None, None))
loop.close()
"""

INSIDE = """
def refused(store):
    counts = store.repository(Count)
    for call in (lambda: counts.get("a"), lambda: counts.add(Count(id="b", total=0))):
        try:
            call()
        except TransactionError as error:
            assert "forked" in str(error)
        else:
            raise AssertionError("the child used the parent's transaction")

with open_store(URL, [Count]) as store:
    store.create_schema()
    counts = store.repository(Count)
    counts.delete_where(everything())
    child = 0
    with contextlib.suppress(TransactionError):  # of the child alone, which can't end it
        with store.transaction():
            counts.add(Count(id="a", total=1))
            child = os.fork()
            if not child:
                refused(store)
    if not child:
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert [each.id for each in counts.find()] == ["a"], "the parent's transaction was kept"
    assert in_child(lambda: counts.add(Count(id="c", total=0)))() == 0
    assert counts.count() == 2
    store.drop_schema()
"""


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def url(request, tmp_path):
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/forks.db?synchronous=normal"
    return request.getfixturevalue(f"{request.param}_url")


@pytest.mark.parametrize("how", [BLOCKING, AWAITED, INSIDE], ids=["blocking", "awaited", "inside"])
def test_a_forked_child_has_connections_of_its_own(url, how):
    flags = ("-W", "ignore::DeprecationWarning")
    done = preloaded.run(PROGRAM + textwrap.dedent(how), url, flags=flags, timeout=300)
    assert (done.returncode, done.stderr) == (0, "")
