"""The load: tasks that ask the platform over HTTP, each with a history of what it was told.

A client that does not know whether its operation happened never touches that key again: the
operation may still happen later, and nothing could then be said of the key.
"""

import asyncio
import hashlib
import random
import time
from collections import deque
from itertools import count

import httpx

from chaos.history import Operation, Told

PRICES = 3
COUNTERS = 2
ACCOUNTS = 4
OPENING = 1_000
OBJECTS = 100
"""Objects that each client has at a time."""
PART, LARGE = 6 << 20, 20
"""Bytes of the objects that are uploaded in parts, and how many of these each client puts."""
_PATIENCE = 20.0  # seconds for one answer
_START = 300.0
_REFUSALS = range(400, 500)


class Caller:
    """A client's way to the platform: it asks, waits for the answer, and writes down both."""

    def __init__(self, name, http, record, began):
        self.name = name
        self.http = http
        self.record = record
        self.began = began
        self.dice = random.Random(f"{record.folder.name}:{name}")

    def now(self):
        return time.monotonic() - self.began

    async def ask(self, domain, verb, key, call, *, value=None, read=None):
        """Send *call*, a method and a path with what goes with it; return the operation.

        *read* makes the operation's answer of the response.
        """
        began, status, answer, boot = self.now(), None, None, None
        method, path, content = (*call, {})[:3]
        try:
            response = await self.http.request(method, path, **content)
            status, boot = response.status_code, response.headers.get("x-boot")
            if response.is_success:
                told = Told.ACKNOWLEDGED
                answer = None if read is None else read(response)
            else:
                told = Told.REFUSED if status in _REFUSALS else Told.UNKNOWN
                answer = None if status == 503 else response.text[:500]
        except httpx.ConnectError as error:  # nothing was sent: the server starts
            told, answer = Told.REFUSED, type(error).__name__
            await asyncio.sleep(1)
        except httpx.HTTPError as error:
            told, answer = Told.UNKNOWN, type(error).__name__
        operation = Operation(
            client=self.name, domain=domain, verb=verb, key=key, value=value, began=began,
            ended=self.now(), told=told, answer=answer, boot=boot, status=status,
        )  # fmt: skip
        self.record.add(operation)
        return operation

    async def pause(self):
        await asyncio.sleep(self.dice.uniform(0.02, 0.3))


def _json(response):
    return response.json()


async def write_rows(caller, until):
    """Rows are added, changed, read and deleted, one at a time."""
    for number in count():
        name = f"{caller.name}-{number}"
        done = await caller.ask(
            "records", "add", name, ("POST", "/ledger/rows", {"json": {"id": name, "value": 0}}),
            value=0,
        )  # fmt: skip
        for value in range(1, caller.dice.randint(2, 8)):
            if done.told is not Told.ACKNOWLEDGED or until():
                break
            await caller.ask("records", "get", name, ("GET", f"/ledger/rows/{name}"), read=_json)
            done = await caller.ask(
                "records", "change", name,
                ("PUT", f"/ledger/rows/{name}", {"json": {"value": value}}), value=value,
            )  # fmt: skip
            await caller.pause()
        if done.told is Told.ACKNOWLEDGED and caller.dice.random() < 0.3:
            await caller.ask("records", "delete", name, ("DELETE", f"/ledger/rows/{name}"))
        if until():
            return
        await caller.pause()


async def count_up(caller, until):
    """Several count on the same rows."""
    while not until():
        name = f"counter-{caller.dice.randrange(COUNTERS)}"
        await caller.ask("counters", "count", name, ("POST", f"/ledger/counters/{name}"))
        await caller.pause()


async def transfer(caller, until):
    """What is taken from one row is given to another."""
    names = [f"account-{number}" for number in range(ACCOUNTS)]
    while not until():
        source, target = caller.dice.sample(names, 2)
        asked = {"source": source, "target": target, "amount": caller.dice.randint(1, 5)}
        await caller.ask(
            "transfers", "transfer", source, ("POST", "/ledger/transfers", {"json": asked})
        )
        await caller.pause()


async def write_objects(caller, until):
    """Objects are put, put again, read and deleted; some are large enough to go in parts.

    A name comes again after OBJECTS others, unless what was done to it last is in doubt; so a long
    run fills no disk by itself.
    """
    names = deque(f"chaos/{caller.name}-{number}" for number in range(OBJECTS))
    large = LARGE
    for number in count(OBJECTS):
        name = names.popleft()
        for turn in range(caller.dice.randint(1, 4)):
            size = caller.dice.randint(1, 60_000)
            if large and caller.dice.random() < 0.08:
                size, large = PART, large - 1
            seed = f"{name}:{number}:{turn}".encode()
            content = hashlib.shake_128(seed).digest(min(size, 60_000)) * (size // 60_000 or 1)
            wanted = hashlib.sha256(content).hexdigest()
            done = await caller.ask(
                "objects", "put", name, ("PUT", f"/objects/{name}", {"content": content}),
                value=wanted,
            )  # fmt: skip
            if done.told is not Told.ACKNOWLEDGED or until():
                break
            await caller.ask(
                "objects", "get", name, ("GET", f"/objects/{name}"),
                read=lambda response: hashlib.sha256(response.content).hexdigest(),
            )  # fmt: skip
            await caller.pause()
        if done.told is Told.ACKNOWLEDGED and caller.dice.random() < 0.3:
            done = await caller.ask("objects", "delete", name, ("DELETE", f"/objects/{name}"))
        certain = done.told is Told.ACKNOWLEDGED
        names.append(name if certain else f"chaos/{caller.name}-{number}")
        if until():
            return
        await caller.pause()


async def write_prices(caller, until):
    """One writer of all prices raises them."""
    values = dict.fromkeys((f"price-{number}" for number in range(PRICES)), 0)
    while not until():
        name = caller.dice.choice(sorted(values))
        values[name] += 1
        asked = {"json": {"value": values[name]}}
        await caller.ask(
            "cache", "write", name, ("PUT", f"/ledger/prices/{name}", asked), value=values[name]
        )
        await caller.pause()


async def read_prices(caller, until):
    """Others read them, by the cache."""
    while not until():
        name = f"price-{caller.dice.randrange(PRICES)}"
        await caller.ask("cache", "read", name, ("GET", f"/ledger/prices/{name}"), read=_json)
        await caller.pause()


async def order(caller, until):
    """Jobs are enqueued with the rows that they are for."""
    for number in count():
        name = f"{caller.name}-{number}"
        await caller.ask(
            "jobs", "enqueue", name, ("POST", "/ledger/orders", {"json": {"id": name}})
        )
        if until():
            return
        await caller.pause()


async def register(caller, until):
    """Versions of a model are registered; who was not told asks again by the same key."""
    for number in count():
        token = f"{caller.name}-{number}"
        while True:
            done = await caller.ask(
                "models", "register", token,
                ("POST", "/ledger/models", {"json": {"token": token, "text": token * 50}}),
                read=_json,
            )  # fmt: skip
            if done.told is not Told.UNKNOWN or until():
                break
            await caller.pause()
        if until():
            return
        await asyncio.sleep(caller.dice.uniform(0.5, 2.0))


async def look_at_pages(caller, until):
    """Somebody looks at the console."""
    pages = ("/console/", "/console/jobs", "/console/audit", "/console/buckets", "/readyz")
    while not until():
        page = caller.dice.choice(pages)
        await caller.ask("console", "look", page, ("GET", caller.http.base_url.join(page)))
        await asyncio.sleep(caller.dice.uniform(0.5, 2.0))


LOAD = {
    "rows-1": write_rows,
    "rows-2": write_rows,
    "counts-1": count_up,
    "counts-2": count_up,
    "transfers-1": transfer,
    "transfers-2": transfer,
    "objects-1": write_objects,
    "objects-2": write_objects,
    "prices-1": write_prices,
    "readers-1": read_prices,
    "readers-2": read_prices,
    "orders-1": order,
    "orders-2": order,
    "models-1": register,
    "pages-1": look_at_pages,
}


async def open_books(http):
    """Make what the load takes for granted, before anything is hurt; workers still start."""
    counters = [f"counter-{number}" for number in range(COUNTERS)]
    accounts = [f"account-{number}" for number in range(ACCOUNTS)]
    asked = [("/ledger/accounts", {"names": counters, "amount": 0})]
    asked.append(("/ledger/accounts", {"names": accounts, "amount": OPENING}))
    asked += [("/ledger/prices", {"id": f"price-{number}"}) for number in range(PRICES)]
    for path, body in asked:
        async with asyncio.timeout(_START):
            while (answer := await http.post(path, json=body)).status_code == 503:  # noqa: ASYNC110 - of a server
                await asyncio.sleep(1)
        answer.raise_for_status()


async def load(url, record, until):
    """Let every client of LOAD work on the platform at *url* until *until* says so."""
    began = time.monotonic()

    async def alone(name, work):
        async with httpx.AsyncClient(
            base_url=f"{url}/api/v1", timeout=_PATIENCE, trust_env=False
        ) as http:
            await work(Caller(name, http, record, began), until)

    async with asyncio.TaskGroup() as group:
        for name, work in LOAD.items():
            group.create_task(alone(name, work))
