"""What an operation on records costs as their table grows: see scale.py."""

from __future__ import annotations

import random
import tempfile
import time
import uuid
from contextlib import asynccontextmanager
from datetime import datetime  # noqa: TC003, the entity reads it
from pathlib import Path

from database_admin import admin, new_database
from timing import cost, peak_memory

from holdfast import Entity, Field, created_at, everything, field, key, open_store, version
from holdfast.records.conformance.statement_counter import CountingDriver
from holdfast.records.cursor import Cursor, CursorCodec

BATCH = 1_000
TIMES = 200
OWNERS = 50
"""Rows of one owner: a query by the index finds as many, however large the table is."""


class Thing(Entity, table="scale_things", indexes=[("owner", "number"), ("number",)]):
    id: Field[uuid.UUID] = key(default_factory=uuid.uuid4)
    owner: Field[int]
    number: Field[int]
    title: Field[str] = field(max_length=100)
    made: Field[datetime] = created_at()
    version: Field[int] = version()


def thing(number):
    """Return row *number*: its key can be told from its number, and keys come in no order."""
    return Thing(
        id=uuid.uuid5(uuid.NAMESPACE_OID, str(number)),
        owner=number // OWNERS, number=number, title=f"thing number {number}",
    )  # fmt: skip


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
                figures.append(await cost(call, TIMES))
            asked = counted.reads + counted.writes
            assert asked == TIMES, f"{asked} calls of the driver for {TIMES}"
        growing.things = growing.store.repository(Thing)
        figures.append(await cost(growing.offset, 1))
        await growing.things.delete_where(Thing.owner == -1)
        yield [f"{size:,}", *(f"{cpu:,.0f} ({wall:,.0f})" for cpu, wall in figures),
               f"{peak_memory():.0f}", f"{disk() >> 20}"]  # fmt: skip


def size_of(folder):
    return sum(each.stat().st_size for each in folder.iterdir())


HEAD = ["rows", "added", "get", "index", "deep page", "patch", "add", "offset", "MiB", "disk MiB"]


@asynccontextmanager
async def on_sqlite():
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        async with open_store(f"sqlite:///{folder}/scale.db", [Thing]) as store:
            yield store, lambda: size_of(path)


@asynccontextmanager
async def on_server(url):
    with new_database(url) as own, admin(url) as connection, connection.cursor() as cursor:
        name = own.rpartition("/")[2]
        sizes = (
            f"SELECT pg_database_size('{name}')"
            if url.startswith("postgresql")
            else "SELECT SUM(file_size) FROM information_schema.innodb_tablespaces "
            f"WHERE name LIKE '{name}/%'"
        )

        def disk():
            cursor.execute(sizes)
            return int(cursor.fetchone()[0])

        async with open_store(own, [Thing]) as store:
            yield store, disk
