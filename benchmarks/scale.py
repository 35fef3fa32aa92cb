"""What an operation costs as a table grows: records on SQLite, PostgreSQL, MySQL; audit entries.

    python benchmarks/scale.py [--rows 10000,100000,1000000] [--entries 1000,10000,100000]
                               [--only sqlite,postgresql,mysql,audit]

Servers have to run (`make services`), and are asked for a database of the run's own, which is
dropped. An operation of which the cost is flat costs the same in the last row as in the first.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import resource
import sys
import tempfile
import time
import uuid
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from database_admin import admin
from timing import machine, table

from holdfast import Entity, Field, created_at, everything, field, key, open_store, version
from holdfast.audit import AuditHook, AuditLog, Sequencer, SignerKey
from holdfast.audit.audit_entry import AUDIT_ENTITIES
from holdfast.records.conformance.statement_counter import CountingDriver
from holdfast.records.cursor import Cursor, CursorCodec

sys.path.insert(0, str(Path(__file__).parents[1]))

from tools.services.endpoints import endpoints

BATCH = 1_000
TIMES = 200
OWNERS = 50
"""Rows of one owner: a query by the index finds as many, however large the table is."""
TEXT = """\
## Cost as tables grow

Rows are added {batch:,} at a time. Each figure is the client's CPU of one call in us, and in
brackets the least wall time of {times} calls on random rows: the machine does other things too,
and the least is what it costs when it does not. *Index* finds the {owners} rows of one owner, *deep
page* is a page of 50 from the middle of the table by its cursor, *offset* the same by `offset=`,
once. *Added* is of one row in batches of {batch:,}. Each of these is one call of the driver, which
is counted. Rows have six fields and two indexes; memory is the most that the client's process
ever had. Measured on {machine}, {date}.
"""


class Thing(Entity, table="scale_things", indexes=[("owner", "number"), ("number",)]):
    id: Field[uuid.UUID] = key(default_factory=uuid.uuid4)
    owner: Field[int]
    number: Field[int]
    title: Field[str] = field(max_length=100)
    made: Field[datetime] = created_at()
    version: Field[int] = version()


class Kept(Entity, table="scale_kept", audited=True):
    id: Field[uuid.UUID] = key(default_factory=uuid.uuid4)
    title: Field[str] = field(max_length=100)


def thing(number):
    """Return row *number*: its key can be told from its number, and keys come in no order."""
    return Thing(
        id=uuid.uuid5(uuid.NAMESPACE_OID, str(number)),
        owner=number // OWNERS, number=number, title=f"thing number {number}",
    )  # fmt: skip


async def cost(call, times=TIMES):
    """Return what one of *times* calls costs: CPU us of this process, and the least wall us."""
    walls, cpu = [], time.process_time()
    for _ in range(times):
        began = time.perf_counter()
        await call()
        walls.append(time.perf_counter() - began)
    return (time.process_time() - cpu) / times * 1e6, min(walls) * 1e6


class Growing:
    """The things of one store, as many as *size*."""

    def __init__(self, store):
        self.store = store
        self.things = store.repository(Thing)
        self.size = 0
        self.dice = random.Random(7)

    async def grow(self, size):
        """Add rows up to *size*; return the CPU us, and the least wall us, of one of them."""
        walls, cpu, before = [], time.process_time(), self.size
        while self.size < size:
            rows = [thing(number) for number in range(self.size, self.size + BATCH)]
            began = time.perf_counter()
            await self.things.add_many(rows)
            walls.append((time.perf_counter() - began) / BATCH)
            self.size += BATCH
        return (time.process_time() - cpu) / (size - before) * 1e6, min(walls) * 1e6

    def any(self):
        return self.dice.randrange(self.size)

    async def get(self):
        assert (await self.things.get(thing(self.any()).id)) is not None

    async def by_index(self):
        owner = self.any() // OWNERS
        assert len(await self.things.find(Thing.owner == owner)) == OWNERS

    async def deep_page(self):
        order, middle = (
            (Thing.number.asc(), Thing.id.asc()),
            self.size // 2 + self.dice.randrange(50),
        )
        cursor = Cursor("after", (middle, thing(middle).id))
        text = CursorCodec(everything(), order).encode(cursor)
        page = await self.things.page(order_by=order, size=50, cursor=text)
        assert page.items[0].number == middle + 1

    async def offset(self):
        found = await self.things.find(order_by=Thing.number.asc(), limit=50, offset=self.size // 2)
        assert found[0].number == self.size // 2

    async def change(self):
        await self.things.patch(thing(self.any()).id, Thing.title.to("changed"))

    async def add(self):
        await self.things.add(Thing(owner=-1, number=1 << 40, title="one more"))


async def measure(growing, sizes, disk):
    """Yield the row of the table at each of *sizes*."""
    operations = {
        "get": growing.get, "index": growing.by_index, "deep page": growing.deep_page,
        "patch": growing.change, "add": growing.add,
    }  # fmt: skip
    for size in sizes:
        added = await growing.grow(size)
        figures = [added]
        for call in operations.values():
            await call()  # what is prepared at first use
            with CountingDriver.around(growing.store) as counted:
                growing.things = growing.store.repository(Thing)
                figures.append(await cost(call))
            asked = counted.reads + counted.writes
            assert asked == TIMES, f"{asked} calls of the driver for {TIMES}"
        growing.things = growing.store.repository(Thing)
        figures.append(await cost(growing.offset, 1))
        await growing.things.delete_where(Thing.owner == -1)
        yield [f"{size:,}", *(f"{cpu:,.0f} ({wall:,.0f})" for cpu, wall in figures),
               f"{memory()}", f"{disk() >> 20}"]  # fmt: skip


def size_of(folder):
    return sum(each.stat().st_size for each in folder.iterdir())


HEAD = ["rows", "added", "get", "index", "deep page", "patch", "add", "offset", "MiB", "disk MiB"]


def memory():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10


@asynccontextmanager
async def on_sqlite():
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        async with open_store(f"sqlite:///{folder}/scale.db", [Thing]) as store:
            yield store, lambda: size_of(path)


@asynccontextmanager
async def on_server(url):
    name = f"scale_{uuid.uuid4().hex}"
    with admin(url) as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name}")
        sizes = (
            f"SELECT pg_database_size('{name}')"
            if url.startswith("postgresql")
            else "SELECT SUM(file_size) FROM information_schema.innodb_tablespaces "
            f"WHERE name LIKE '{name}/%'"
        )

        def disk():
            cursor.execute(sizes)
            return int(cursor.fetchone()[0])

        try:
            async with open_store(urlsplit(url)._replace(path=name).geturl(), [Thing]) as store:
                yield store, disk
        finally:
            cursor.execute(f"DROP DATABASE {name}")


async def audited(counts):
    """Return rows of what the audit's log costs as it grows, on SQLite."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/audit.db"
        async with open_store(url, [Kept, *AUDIT_ENTITIES], hooks=[AuditHook()]) as store:
            await store.create_schema()
            kept, log = store.repository(Kept), AuditLog(store)
            sequencer = Sequencer(
                store, SignerKey.generate("scale.example"), origin="scale.example"
            )
            size = 0
            for count in counts:
                cpu, before = time.process_time(), size
                while size < count:
                    await kept.add_many([Kept(title=f"kept {each}") for each in range(BATCH)])
                    size += BATCH
                added = (time.process_time() - cpu) / (size - before) * 1e6
                cpu = time.process_time()
                await sequencer.run()
                sequenced = (time.process_time() - cpu) / (size - before) * 1e6
                a_key = (await kept.first()).id
                history = await cost(lambda: log.history(Kept, a_key), 50)  # noqa: B023
                disk = size_of(Path(folder))
                figures = f"{added:,.0f}", f"{sequenced:,.0f}", f"{history[0]:,.0f}"
                rows.append([f"{count:,}", *figures, f"{disk >> 20}"])
    return rows


async def main():
    asked = parse()
    now = datetime.now(UTC).date()
    print(TEXT.format(batch=BATCH, times=TIMES, owners=OWNERS, machine=machine(), date=now))
    running = endpoints()
    for name in asked.only:
        if name == "audit":
            print("### Audit entries\n", flush=True)
            head = ["entries", "added", "sequenced", "history", "disk MiB"]
            print(table(head, await audited(asked.entries)), "\n", flush=True)
            continue
        place = on_sqlite() if name == "sqlite" else on_server(running[name].url)
        print(f"### {name}\n", flush=True)
        async with place as (store, disk):
            await store.create_schema()
            rows = [row async for row in shown(measure(Growing(store), asked.rows, disk))]
        print(table(HEAD, rows), "\n", flush=True)


async def shown(rows):
    """Pass *rows* on, each told of on the way: a large table takes long."""
    async for row in rows:
        print(" ".join(row), file=sys.stderr, flush=True)
        yield row


def parse():
    parser = argparse.ArgumentParser(description=__doc__)

    def numbers(text):
        return [int(each) for each in text.split(",")]

    parser.add_argument("--rows", type=numbers, default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--entries", type=numbers, default=[1_000, 10_000, 100_000])
    parser.add_argument(
        "--only", type=lambda text: text.split(","),
        default=["sqlite", "postgresql", "mysql", "audit"],
    )  # fmt: skip
    return parser.parse_args()


if __name__ == "__main__":
    asyncio.run(main())
