"""Records on PostgreSQL, MariaDB, MySQL: Holdfast beside drivers, SQLAlchemy, Advanced Alchemy.

    python benchmarks/records_servers.py [--quick] [--url URL]... [--only get,add] [--rounds N]

Without --url it starts servers of its own and stops them again: they don't sync to disk, for that
would hide what the client costs. The rows and the operations are those of `records.py`.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.metadata import version as version_of
from pathlib import Path
from urllib.parse import urlsplit

import records_servers_sides as sides
from database_admin import admin, new_database
from timing import interleave, machine, ratio, table

import records

sys.path.insert(0, str(Path(__file__).parents[1]))

from tools.services import lifecycle
from tools.services.failure import ServicesError
from tools.services.mariadb import MARIADB
from tools.services.mysql import MYSQL
from tools.services.postgresql import POSTGRESQL

NOTES = """\
What each side does. The rows, the operations and the work of each side are those of the table on
SQLite above. All sides have a pool of 15 connections, and taking one is part of each operation.
*Thin pool*: the driver's connections in a list behind a semaphore, statements written out, nothing
checked; *its pool* is the driver's own, which asyncpg resets with a query after each use. The raw
asyncpg side adds many by COPY and upserts by unnest; the raw asyncmy side does both with
one statement of many rows, and updates and reads in one message, as Holdfast does. On MySQL, where
no write returns rows, the raw sides and SQLAlchemy's read upserted rows back, and tell nobody which
of them were new.
The servers run on the same machine and don't sync to disk; CPU is the client's alone."""
RAW = {
    "postgresql": sides.Asyncpg,
    "mariadb": sides.Asyncmy,
    "mysql": sides.AsyncmyOnMySQL,
}
TARGETS = {
    "postgresql": [
        ("get", "Holdfast", "raw", "at most", 1.3),
        ("find 1000", "Holdfast", "raw", "at most", 1.2),
        ("get", "AdvancedAlchemy", "Holdfast", "at least", 5.0),
        ("find 1000", "AdvancedAlchemy", "Holdfast", "at least", 2.0),
        ("add", "AdvancedAlchemy", "Holdfast", "at least", 8.0),
        ("update", "AdvancedAlchemy", "Holdfast", "at least", 8.0),
        ("add many 1000", "AdvancedAlchemy", "Holdfast", "at least", 3.0),
        ("upsert many 1000", "AdvancedAlchemy", "Holdfast", "at least", 15.0),
    ],
    "mariadb": [
        ("get", "Holdfast", "raw", "at most", 1.5),
        ("get", "Core", "Holdfast", "at least", 4.0),
        ("add", "AdvancedAlchemy", "Holdfast", "at least", 8.0),
        ("update", "AdvancedAlchemy", "Holdfast", "at least", 8.0),
        ("add many 1000", "AdvancedAlchemy", "Holdfast", "at least", 3.0),
        ("upsert many 1000", "AdvancedAlchemy", "Holdfast", "at least", 15.0),
    ],
}
TARGETS["mysql"] = TARGETS["mariadb"]


@asynccontextmanager
async def opened(url, kinds, rows):
    """Open each of *kinds* on a database of its own, filled with *rows*; check that all agree."""
    keys = [row["id"] for row in rows]
    homes = {row["id"]: row["project_id"] for row in rows}
    found = {}
    async with AsyncExitStack() as stack:
        for kind in kinds:
            side = kind()
            await side.open(stack.enter_context(new_database(url)), None)
            stack.push_async_callback(side.close)
            for at in range(0, len(rows), 1000):
                await side.add_many([side.make(row) for row in rows[at : at + 1000]])
            after = await side.cursor(records.project(3), len(rows) // 20)
            operations = records.Operations(side, keys, after)
            operations.homes = homes
            await records.verify(side, operations, rows)
            found[side.name] = operations
        yield found


async def compare(url, asked):
    """Return results by operation, then by side."""
    kinds = sides.SERVERS[urlsplit(url).scheme]
    rows = records.seeded()
    async with opened(url, kinds, rows) as by_side:
        works = {name: each.works(asked.scale) for name, each in by_side.items()}
        results = {}
        for operation in next(iter(works.values())):
            if asked.only and operation not in asked.only:
                continue
            slow = operation.endswith("many 1000")
            rounds = max(1, asked.rounds // 3) if slow else asked.rounds
            taken = {name: each[operation] for name, each in works.items()}
            results[operation] = await interleave(taken, rounds)
        return results


def show_targets(scheme, results):
    rows = []
    for operation, above, below, how, bound in TARGETS[scheme]:
        if operation not in results:
            continue
        one, other = (
            RAW[scheme].name if name == "raw" else getattr(sides, name).name
            for name in (above, below)
        )
        taken = results[operation]
        wall = ratio(taken[one].wall, taken[other].wall)
        cpu = ratio(taken[one].cpu, taken[other].cpu)
        limit = ratio(taken[one].wall, taken[RAW[scheme].name].wall) if "least" in how else 1.0
        held = wall <= bound if how == "at most" else wall >= bound
        figures = [f"{wall:.2f}", f"{cpu:.2f}", f"{limit:.2f}", "yes" if held else "no"]
        rows.append([operation, f"{one} / {other}", f"{how} {bound:g}", *figures])
    return table(["operation", "ratio", "target", "wall", "CPU", "raw limit", "holds"], rows)


def version_at(url):
    with admin(url) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT version()")
        return cursor.fetchone()[0].partition(" on ")[0].removeprefix("PostgreSQL ")


def report(url, asked):
    scheme = urlsplit(url).scheme
    title = {"postgresql": "PostgreSQL", "mariadb": "MariaDB", "mysql": "MySQL"}[scheme]
    names = ("asyncpg", "psycopg") if scheme == "postgresql" else ("asyncmy", "pymysql")
    peers = ", ".join(
        f"{name} {version_of(name)}" for name in (*names, "sqlalchemy", "advanced-alchemy")
    )
    print(f"## Records on {title}: {records.ROWS:,} rows, medians of {asked.rounds} rounds\n")
    print(f"{machine()}, {title} {version_at(url)}, {peers}\n\n{NOTES}\n")
    results = asyncio.run(compare(url, asked))
    print(records.show_times(results), "\n")
    ours, least = sides.Holdfast.name, RAW[scheme].name
    against = [(f"{ours} / {least}", ours, least)]
    against += [
        (f"{side.name} / {ours}", side.name, ours)
        for side in sides.SERVERS[scheme]
        if side.name not in (ours, least)
    ]
    print(records.show_ratios(results, against), "\n")
    print(show_targets(scheme, results), "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few rounds, few rows: a trial")
    parser.add_argument("--url", action="append", default=[], help="a server to measure on")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--only", type=lambda text: text.split("/"), default=[])
    asked = parser.parse_args()
    asked.rounds = asked.rounds or (1 if asked.quick else 15)
    asked.scale = 0.1 if asked.quick else 1.0
    if asked.url:
        for url in asked.url:
            report(url, asked)
        return
    # Not below a folder that root keeps to itself: the servers run as users of their own.
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        servers = (POSTGRESQL, MARIADB, MYSQL)
        try:
            for outcome in lifecycle.start(servers, Path(folder), fast=True, say=print):
                if outcome.failure is not None:
                    print(f"## Records on {outcome.server.name}\n\nSkipped: {outcome.failure}\n")
                else:
                    report(outcome.urls[outcome.server.name], asked)
        except ServicesError as error:
            sys.exit(str(error))
        finally:
            lifecycle.reset(servers, Path(folder))


if __name__ == "__main__":
    main()
