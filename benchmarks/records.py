"""Records on SQLite: Holdfast beside raw drivers, SQLAlchemy and Advanced Alchemy, in one run.

    python benchmarks/records.py [--quick] [--rounds N] [--only get,add] [--sizes 1000,10000]

A row has 12 columns: two UUIDs, two aware datetimes, a JSON document, text and numbers. Every side
has a file of its own with the same rows, index and pragmas (WAL, and synchronous=NORMAL, for an
fsync at each commit would hide what the client costs; a table with FULL stands beside). What each
side does is said in its docstring in `records_sides.py`; the differences are printed.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sqlite3
import sys
import tempfile
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from importlib.metadata import version as version_of
from pathlib import Path
from uuid import UUID

import records_raw as raw
from records_sides import SIDES, AdvancedAlchemy, Holdfast, HoldfastSync, OneHop, Raw, Video
from timing import Work, interleave, machine, median, ratio, table

from holdfast import open_store, uuid7

PROJECTS, ROWS = 10, 10_000  # rows of all projects together
START = datetime(2026, 1, 1, tzinfo=UTC)
TASKS = 32
NOTES = """\
What each side does. Adding and upserting begin with plain values, from which each side makes its
objects. Every read makes an object a row, with UUIDs, aware datetimes and a dict made
from JSON; every write commits. Holdfast checks each value, copies what it returns and compares the
version in `update`. The raw sides have fixed statements and check nothing; the hop is a thread with
a SimpleQueue. aiosqlite holds one connection. Core, ORM and Advanced Alchemy take a connection
from SQLAlchemy's pool for each call; their JSON goes through orjson too. ORM and Advanced Alchemy
read the row before they update it (`merge`); Advanced Alchemy's `upsert_many`
raises no version. Pages are keyset
pages on all sides. `upsert many` meets 500 rows that are there and 500
that are not. Medians over interleaved rounds; a ratio is taken within a round."""


def project(number: int) -> UUID:
    return UUID(int=number + 1)


def values(number: int, of: UUID) -> dict[str, object]:
    return {
        "id": uuid7(),
        "project_id": of,
        "filename": f"camera-{number % 7}/2026-11-21/{number:07}.mp4",
        "title": f"Crossing {number}, north",
        "duration": number % 600 + 0.5,
        "width": 1920,
        "height": 1080,
        "size": 1_000_000 + number,
        "attributes": {
            "provider": "aws",
            "codec": "h264",
            "fps": 29.97,
            "tags": ["day", "rain", "north"],
            "place": {"lat": 52.5 + number / 1e6, "lon": 13.4},
        },
    }


def new_rows(count: int, *, of: UUID) -> list[dict[str, object]]:
    return [values(number, of) for number in range(count)]


def seeded() -> list[dict[str, object]]:
    """The rows that every side's file starts with."""
    return [values(each, project(each % PROJECTS)) for each in range(ROWS)]


class Operations:
    """The operations measured: what is prepared, what is run, and how often a round."""

    def __init__(self, side, keys, cursor) -> None:
        self.side = side
        self.keys = keys
        self.after = cursor
        self.random = random.Random(7)
        self.elsewhere = UUID(int=999)  # new rows must not change what is found

    def some(self, count):
        return self.random.choices(self.keys, k=count)

    def works(self, scale):
        def each(method, prepare, count):
            count = max(1, int(count * scale))

            async def run(prepared):
                for arguments in prepared:
                    await method(*arguments)

            async def prepared():
                return await prepare(count)

            return Work(prepared, run, count)

        side = self.side

        async def add(row):
            await side.add(side.make(row))

        async def add_many(rows):
            await side.add_many([side.make(row) for row in rows])

        async def upsert_many(rows):
            await side.upsert_many([side.make(row) for row in rows])

        return {
            "get": each(side.get, self.key_arguments, 300),
            "get, 32 tasks": self.in_tasks(int(960 * scale) or TASKS),
            "find 100": each(side.find, self.finding(250.0, 100), 20),
            "find 1000": each(side.find, self.finding(0.0, 1000), 6),
            "page 50": each(side.page, self.paging, 40),
            "count": each(side.count, self.counting, 100),
            "add": each(add, self.adding, 100),
            "update": each(side.update, self.updating, 100),
            "add many 1000": each(add_many, self.adding_many, 2),
            "upsert many 1000": each(upsert_many, self.upserting_many, 1),
        }

    def in_tasks(self, count):
        share = count // TASKS

        async def prepare():
            return [self.some(share) for _ in range(TASKS)]

        async def task(keys):
            for key in keys:
                await self.side.get(key)

        async def run(prepared):
            await asyncio.gather(*(task(keys) for keys in prepared))

        return Work(prepare, run, share * TASKS)

    async def key_arguments(self, count):
        return [(key,) for key in self.some(count)]

    def finding(self, shortest, limit):
        async def prepare(count):
            return [(project(each % PROJECTS), shortest, limit) for each in range(count)]

        return prepare

    async def paging(self, count):
        return [(project(3), self.after, 50)] * count

    async def counting(self, count):
        return [(project(each % PROJECTS),) for each in range(count)]

    async def adding(self, count):
        return [(each,) for each in new_rows(count, of=self.elsewhere)]

    async def adding_many(self, count):
        return [(new_rows(1000, of=self.elsewhere),) for _ in range(count)]

    async def updating(self, count):
        keys = self.random.sample(self.keys, count)
        found = [await self.side.get(key) for key in keys]
        return [(self.side.renamed(each, f"Seen {each.size}"),) for each in found]

    async def upserting_many(self, count):
        made = []
        for _ in range(count):
            rows = new_rows(1000, of=self.elsewhere)
            for row, key in zip(rows, self.random.sample(self.keys, 500), strict=False):
                row["id"] = key
                row["project_id"] = self.homes[key]
            made.append((rows,))
        return made

    homes: dict[UUID, UUID]


@asynccontextmanager
async def opened(folder, kinds, rows, synchronous):
    """Open each of *kinds*, fill it with *rows*, and check that all read the same."""
    keys = [row["id"] for row in rows]
    homes = {row["id"]: row["project_id"] for row in rows}
    found = {}
    async with AsyncExitStack() as open_sides:  # or aiosqlite's threads outlive a failure
        for number, kind in enumerate(kinds):
            side = kind()
            open_sides.push_async_callback(side.close)
            await side.open(Path(folder, f"{number}-{synchronous}.db"), synchronous)
            for at in range(0, len(rows), 1000):
                await side.add_many([side.make(row) for row in rows[at : at + 1000]])
            operations = Operations(side, keys, await side.cursor(project(3), 500))
            operations.homes = homes
            await verify(side, operations, rows)
            found[side.name] = operations
        yield found


async def verify(side, operations, rows):
    """Stop unless *side* gives back what was put in, and pages and counts what is there."""
    wanted = rows[1234 % len(rows)]
    read = await side.get(wanted["id"])
    same = all(getattr(read, name) == value for name, value in wanted.items())
    aware = read.created_at.tzinfo is not None and read.version == 1
    paged = await side.page(project(3), operations.after, 50)
    mine = [row for row in rows if row["project_id"] == project(3)]
    ordered = [each.id for each in paged] == [row["id"] for row in mine[500:550]]
    counted = await side.count(project(3)) == len(mine)
    found = len(await side.find(project(0), 0.0, 1000)) == len(mine)
    if not (same and aware and ordered and counted and found):
        sys.exit(f"{side.name} does not do the same work: {[same, aware, ordered, counted, found]}")


async def compare(asked):
    """Return results by operation, then by side."""
    with tempfile.TemporaryDirectory() as folder:
        async with opened(folder, SIDES, seeded(), "normal") as sides:
            works = {name: each.works(asked.scale) for name, each in sides.items()}
            results = {}
            for operation in next(iter(works.values())):
                if asked.only and operation not in asked.only:
                    continue
                slow = operation.endswith("many 1000")
                rounds = max(1, asked.rounds // 3) if slow else asked.rounds
                of = {name: each[operation] for name, each in works.items()}
                results[operation] = await interleave(of, rounds)
            return results


async def durable(asked):
    """The same with an fsync at each commit, for the sides that matter."""
    kinds = (Holdfast, OneHop, AdvancedAlchemy)
    with tempfile.TemporaryDirectory() as folder:
        async with opened(folder, kinds, seeded(), "full") as sides:
            works = {name: each.works(asked.scale / 2) for name, each in sides.items()}
            results = {}
            for operation in ("add", "update"):
                of = {name: each[operation] for name, each in works.items()}
                results[operation] = await interleave(of, max(1, asked.rounds // 3))
            return results


# --- cost against table size ----------------------------------------------------------------


def fill(path, count):
    """Add *count* rows of one project to Holdfast's own file at *path*, and return their keys."""
    of = project(0)
    keys = []

    def encoded():
        for number in range(count):
            row = raw.RawVideo(**values(number, of), created_at=None, updated_at=None, version=1)
            keys.append(row.id)
            yield raw.encode(row, START + timedelta(milliseconds=number), 1)

    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("BEGIN")
    connection.executemany(raw.INSERT, encoded())
    connection.execute("COMMIT")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    return keys


async def deep(videos, size, where, order):
    """Return the cursor nine tenths into what fits *where*, which is the whole table."""
    cursor, left = None, size * 9 // 10
    while left > 0:
        found = await videos.page(*where, order_by=order, size=min(left, 9000), cursor=cursor)
        cursor, left = found.next, left - len(found.items)
    return cursor


async def size_works(store, keys, scale):
    videos, size = store.repository(Video), len(keys)
    chosen = random.Random(7)
    mine = Video.project_id == project(0)

    async def paging(where, order):
        cursor = await deep(videos, size, where, order)

        async def page(_):
            await videos.page(*where, order_by=order, size=50, cursor=cursor)

        return page

    by_time = await paging([mine], Video.created_at.asc())
    by_key = await paging([], Video.id.asc())

    async def some_keys(count):
        return chosen.sample(keys, count)

    async def nothing(count):
        return [None] * count

    async def new(count):
        return [Video(**row) for row in new_rows(count, of=project(1))]

    async def read(count):
        return [await videos.get_one(key) for key in chosen.sample(keys, count)]

    async def renamed(count):
        found = await read(count)
        for each in found:
            each.title = "Seen"
        return found

    def work(prepare, method, count):
        count = max(5, int(count * scale))

        async def prepared():
            return await prepare(count)

        async def run(arguments):
            for argument in arguments:
                await method(argument)

        return Work(prepared, run, count)

    return {
        "get": work(some_keys, videos.get, 200),
        "page 50 by (project, time), 90% deep": work(nothing, by_time, 30),
        "page 50 by key, 90% deep": work(nothing, by_key, 30),
        "add": work(new, videos.add, 100),
        "update": work(renamed, videos.update, 100),
        "upsert": work(renamed, videos.upsert, 100),
        "count (not keyed)": work(nothing, lambda _: videos.count(mine), 3),
    }


async def sizes(asked):
    """Return results by operation, then by table size."""
    with tempfile.TemporaryDirectory() as folder:
        works, stores = {}, AsyncExitStack()
        for size in asked.sizes:
            path = Path(folder, f"{size}.db")
            opening = open_store(f"sqlite:///{path}?synchronous=normal", [Video])
            store = await stores.enter_async_context(opening)
            await store.create_schema()
            keys = fill(path, size)
            works[f"{size:,} rows"] = await size_works(store, keys, asked.scale)
        results = {}
        for operation in next(iter(works.values())):
            of = {size: each[operation] for size, each in works.items()}
            results[operation] = await interleave(of, asked.rounds)
        await stores.aclose()
    return results


# --- tables ---------------------------------------------------------------------------------


def microseconds(seconds: float) -> str:
    return f"{seconds * 1e6:,.0f}"


def show_times(results):
    operations = list(results)
    sides = list(next(iter(results.values())))
    rows = [
        [side]
        + [
            f"{microseconds(median(results[each][side].wall))} "
            f"({microseconds(median(results[each][side].cpu))})"
            for each in operations
        ]
        for side in sides
    ]
    return table(["µs an operation, wall (CPU)", *operations], rows)


def show_ratios(results, against):
    """*against*: rows of label, the side above, the side below."""
    operations = list(results)
    rows = []
    for label, above, below in against:
        line = [label]
        for each in operations:
            one, other = results[each][above], results[each][below]
            line.append(f"{ratio(one.wall, other.wall):.2f} ({ratio(one.cpu, other.cpu):.2f})")
        rows.append(line)
    return table(["ratio of wall (CPU)", *operations], rows)


def show_targets(results):
    targets = [
        ("get", Holdfast, OneHop, "at most", 1.3),
        ("get", HoldfastSync, Raw, "at most", 2.0),
        ("find 1000", Holdfast, OneHop, "at most", 1.2),
        ("get", AdvancedAlchemy, Holdfast, "at least", 10.0),
        ("find 1000", AdvancedAlchemy, Holdfast, "at least", 2.0),
        ("add", AdvancedAlchemy, Holdfast, "at least", 8.0),
        ("update", AdvancedAlchemy, Holdfast, "at least", 8.0),
        ("add many 1000", AdvancedAlchemy, Holdfast, "at least", 3.0),
        ("upsert many 1000", AdvancedAlchemy, Holdfast, "at least", 15.0),
    ]
    rows = []
    for operation, above, below, how, bound in targets:
        if operation not in results:
            continue
        taken = results[operation]
        wall = ratio(taken[above.name].wall, taken[below.name].wall)
        cpu = ratio(taken[above.name].cpu, taken[below.name].cpu)
        limit = ratio(taken[above.name].cpu, taken[OneHop.name].cpu) if "least" in how else 1.0
        held = wall <= bound if how == "at most" else wall >= bound
        names = f"{above.name} / {below.name}"
        figures = [f"{wall:.2f}", f"{cpu:.2f}", f"{limit:.2f}", "yes" if held else "no"]
        rows.append([operation, names, f"{how} {bound:g}", *figures])
    return table(["operation", "ratio", "target", "wall", "CPU", "raw limit, CPU", "holds"], rows)


def versions():
    names = ("sqlalchemy", "aiosqlite", "advanced-alchemy", "orjson")
    peers = ", ".join(f"{name} {version_of(name)}" for name in names)
    return f"{machine()}, SQLite {sqlite3.sqlite_version}, {peers}"


def report(asked):
    print(f"## Records on SQLite: {ROWS:,} rows, medians of {asked.rounds} rounds\n")
    print(f"{versions()}\n\n{NOTES}\n")
    results = asyncio.run(compare(asked))
    print(show_times(results), "\n")
    ours = Holdfast.name
    against = [
        (f"{ours} / {OneHop.name}", ours, OneHop.name),
        (f"{HoldfastSync.name} / {Raw.name}", HoldfastSync.name, Raw.name),
    ]
    blocking = (HoldfastSync, Raw)
    against += [
        (f"{side.name} / {ours}", side.name, ours)
        for side in SIDES
        if side not in (Holdfast, OneHop, *blocking)
    ]
    print(show_ratios(results, against), "\n")
    print(show_targets(results), "\n")
    if asked.only:
        return
    print("With synchronous=FULL, an fsync at each commit on every side:\n")
    print(show_times(asyncio.run(durable(asked))), "\n")
    print("## Cost against table size\n")
    print("Holdfast alone; each size in a file of its own, all rows in one project.\n")
    results = asyncio.run(sizes(asked))
    smallest, *_, largest = next(iter(results.values()))
    rows = [
        [operation]
        + [
            f"{microseconds(median(of.wall))} ({microseconds(median(of.cpu))})"
            for of in by.values()
        ]
        + [f"{ratio(by[largest].wall, by[smallest].wall):.2f}"]
        for operation, by in results.items()
    ]
    head = ["µs, wall (CPU)", *next(iter(results.values())), "largest / smallest"]
    print(table(head, rows))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few rounds, small tables: a trial")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--only", type=lambda text: text.split("/"), default=[])
    parser.add_argument("--sizes", type=lambda text: [int(size) for size in text.split(",")])
    asked = parser.parse_args()
    asked.rounds = asked.rounds or (3 if asked.quick else 15)
    asked.scale = 0.2 if asked.quick else 1.0
    asked.sizes = asked.sizes or (
        [1_000, 10_000] if asked.quick else [1_000, 10_000, 100_000, 1_000_000]
    )
    report(asked)


if __name__ == "__main__":
    main()
