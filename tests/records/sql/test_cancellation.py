"""Calls that are cancelled while the network is slow: no connection comes back dirty."""

import asyncio
import contextlib
import gc
import json
import random
import urllib.request
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

from holdfast import open_store
from holdfast.errors import UnavailableError
from records.sql.notes import ENTITIES, Counter, Note, sessions


class Proxy:
    """A proxy of Toxiproxy's before the server of *url*."""

    def __init__(self, control, url):
        parts = urlsplit(url)
        self.control = control
        self.name = f"sql-{uuid4().hex}"
        made = self.ask(
            "/proxies",
            name=self.name,
            listen="127.0.0.1:0",
            upstream=f"{parts.hostname}:{parts.port}",
        )
        port = made["listen"].rpartition(":")[2]
        self.url = f"{parts.scheme}://{parts.username}@127.0.0.1:{port}{parts.path}"

    def ask(self, path, method="POST", **body):
        request = urllib.request.Request(
            f"{self.control}{path}", json.dumps(body).encode(), method=method
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def poison(self, kind, **attributes):
        stream = attributes.pop("stream", "downstream")
        name = f"{kind}-{stream}"
        self.ask(
            f"/proxies/{self.name}/toxics",
            name=name,
            type=kind,
            stream=stream,
            attributes=attributes,
        )
        return name

    def cure(self, name):
        self.ask(f"/proxies/{self.name}/toxics/{name}", "DELETE")

    def remove(self):
        self.ask(f"/proxies/{self.name}", "DELETE")


@pytest.fixture(params=["postgresql", "mariadb", "mysql"])
def url(request):
    return request.getfixturevalue(f"{request.param}_url")


@pytest.fixture
def proxy(url, toxiproxy_server):
    made = Proxy(toxiproxy_server, url)
    yield made
    made.remove()


@pytest.fixture
async def store(url, proxy):
    async with open_store(url, ENTITIES) as direct:
        await direct.create_schema()
        options = "pool_size=2&max_overflow=2"
        async with open_store(f"{proxy.url}?{options}", ENTITIES) as opened:
            yield opened
        await direct.drop_schema()


async def cancelled(work, after):
    """Do *work* and cancel it *after* seconds; tell whether it came to its end."""
    task = asyncio.ensure_future(work)
    await asyncio.wait((task,), timeout=after)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
        return True
    return False


async def test_no_moment_to_be_cancelled_leaves_a_dirty_connection(store, proxy, url):
    """Each round something is cut short; each answer after it must be its own question's."""
    notes, counters = store.repository(Note), store.repository(Counter)
    await notes.add_many([Note(id=f"{each}", batch=each) for each in range(10)])
    await counters.add(Counter(id=1))
    proxy.poison("latency", latency=4, jitter=3)
    chosen = random.Random(11)
    done = left_open = 0

    async def transaction():
        async with store.transaction():
            await counters.patch(1, Counter.total.increment(1))
            async with store.transaction():
                await counters.patch(1, Counter.total.increment(1))

    async def batch(number):
        await notes.add_many([Note(id=f"{number}/{each}", batch=-number) for each in range(3)])

    for number in range(1, 61):
        kind = chosen.choice(["read", "write", "transaction", "batch"])
        work = {
            "read": lambda: notes.get("1"),
            "write": lambda: counters.patch(1, Counter.total.increment(1)),
            "transaction": transaction,
            "batch": lambda number=number: batch(number),
        }[kind]()
        ended = await cancelled(work, chosen.uniform(0, 0.06))
        counted = {"write": 1, "transaction": 2}.get(kind, 0)
        done += counted if ended else 0
        left_open += 0 if ended else counted
        wanted = chosen.randrange(10)
        found = await asyncio.gather(*(notes.get_one(f"{wanted}") for _ in range(2)))
        assert [each.batch for each in found] == [wanted, wanted]
        if kind == "batch":
            assert await notes.count(Note.batch == -number) in (0, 3)
    total = (await counters.get_one(1)).total
    assert done <= total <= done + left_open
    assert done, "nothing was let through: the delays are too long to prove anything"
    assert left_open, "nothing was cut short: the delays are too short to prove anything"
    assert len(await asyncio.to_thread(sessions, url)) <= 5


async def test_who_is_cancelled_while_connecting_leaves_no_connection(store, proxy, url):
    await store.repository(Note).count()
    slow = proxy.poison("latency", latency=30)
    for number in range(8):
        calls = [store.repository(Note).count() for _ in range(4)]
        await asyncio.gather(*(cancelled(call, 0.02 * number) for call in calls))
    proxy.cure(slow)
    assert await asyncio.gather(*(store.repository(Note).count() for _ in range(8))) == [0] * 8


async def test_calls_that_are_cancelled_leave_nothing_in_the_log(store, proxy):
    """A future whose failure nobody looks at is told of when it is collected."""
    told = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, what: told.append(what))
    slow = proxy.poison("latency", latency=10, jitter=5)
    notes, chosen = store.repository(Note), random.Random(13)

    async def transaction():
        async with store.transaction():
            await notes.count()
            await notes.add(Note(id="never"))
            raise AssertionError("undone")

    outcomes = set()
    for _ in range(12):
        calls = [notes.count, transaction, notes.count, transaction, notes.count]
        outcomes |= set(
            await asyncio.gather(*(ended_or_not(call(), chosen.uniform(0, 0.1)) for call in calls))
        )
        end = asyncio.create_task(store.driver.session().pool.decided())
        await end
    proxy.cure(slow)
    assert await notes.count() == 0
    while store.driver.session().pool._connecting:  # noqa: ASYNC110 - no event tells
        await asyncio.sleep(0.01)
    gc.collect()
    await asyncio.sleep(0)
    assert not told
    assert "cut short" in outcomes, "nothing was cut short: the delays prove nothing"


async def test_who_is_cancelled_while_a_connection_is_tried_loses_none(proxy, url):
    async with open_store(
        f"{proxy.url}?pool_size=2&max_overflow=0&pool_pre_ping=true", ENTITIES
    ) as tried:
        await tried.create_schema()
        slow = proxy.poison("latency", latency=30)
        for _ in range(6):
            task = asyncio.create_task(tried.repository(Note).count())
            await asyncio.sleep(0)  # it has taken a connection, and waits for the server
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await asyncio.gather(*(tried.repository(Note).count() for _ in range(2)))
            gauges = tried.stats().gauges
            assert gauges["connections_idle"] == gauges["connections_open"] <= 2
        proxy.cure(slow)
        await tried.drop_schema()


async def ended_or_not(work, after):
    try:
        return "ended" if await cancelled(work, after) else "cut short"
    except AssertionError:
        return "ended"


async def test_a_connection_cut_within_an_answer_is_no_answer(store, proxy):
    notes = store.repository(Note)
    await notes.add_many([Note(id=f"{each}", text="x" * 500) for each in range(100)])
    cut = proxy.poison("limit_data", bytes=5_000)
    with pytest.raises(UnavailableError):
        await notes.find()
    proxy.cure(cut)
    found = await notes.find()
    assert len(found) == 100
    assert all(each.text == "x" * 500 for each in found)
