"""What an operation costs as records, objects and audit entries grow in number.

    python benchmarks/scale.py [--only sqlite,postgresql,mysql,audit,disk,minio]
                               [--rows 10000,100000,1000000] [--entries 1000,10000,100000]
                               [--objects 1000,10000,100000]

Servers have to run (`make services`), and are asked for a database or a bucket of the run's own,
which is removed. An operation of which the cost is flat costs the same in the last row as in the
first.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from contextlib import aclosing
from datetime import UTC, datetime
from pathlib import Path

import scale_audit
import scale_objects
import scale_records
from timing import machine, table

sys.path.insert(0, str(Path(__file__).parents[1]))

from tools.services.endpoints import endpoints
from tools.services.paths import default_folder

TEXT = f"""\
## Cost as tables grow

Each figure is the client's CPU of one call in us, and in brackets the least wall time of some 200
calls on random rows: the machine does other things too, and the least is what it costs when it does
not. Rows are added {scale_records.BATCH:,} at a time, and *added* is of one of them. Objects are
put {scale_objects.AT_ONCE} at once, and the wall time of *added* is all of it by their number.
*Index* finds the {scale_records.OWNERS} rows of one owner, *deep page* is a page of 50 from the
middle of the table by its cursor, *offset* the same by `offset=`, once. Each of these is one call
of the driver, which is counted. Rows have six fields and two indexes, objects
{len(scale_objects.BODY)} bytes; memory is the most that the client's process ever had. Measured on
{machine()}, {datetime.now(UTC).date()}.
"""


async def records(opened, asked):
    async with opened as (store, disk):
        await store.create_schema()
        growing = scale_records.Growing(store)
        return await shown(scale_records.HEAD, scale_records.measure(growing, asked.rows, disk))


async def objects(opened, asked):
    async with opened as (bucket, disk):
        rows = scale_objects.measure(bucket, asked.objects, disk)
        return await shown(scale_objects.HEAD, rows)


async def audit(asked):
    return await shown(scale_audit.HEAD, scale_audit.measure(asked.entries))


async def shown(head, rows):
    """Return *rows* as a table, each told of on the way: a large one takes long."""
    taken = []
    async with aclosing(rows):
        async for row in rows:
            print(" ".join(row), file=sys.stderr, flush=True)
            taken.append(row)
    return table(head, taken)


def url(name):
    return endpoints()[name].url


PLACES = {
    "sqlite": lambda asked: records(scale_records.on_sqlite(), asked),
    "postgresql": lambda asked: records(scale_records.on_server(url("postgresql")), asked),
    "mysql": lambda asked: records(scale_records.on_server(url("mysql")), asked),
    "audit": audit,
    "disk": lambda asked: objects(scale_objects.on_disk(), asked),
    "minio": lambda asked: objects(
        scale_objects.on_minio(url("minio"), default_folder() / "minio" / "data"), asked
    ),
}


async def main():
    asked = parse()
    print(TEXT)
    for name in asked.only:
        print(f"### {name}\n", flush=True)
        print(await PLACES[name](asked), "\n", flush=True)


def parse():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])

    def numbers(text):
        return [int(each) for each in text.split(",")]

    def names(text):
        for each in text.split(","):
            if each not in PLACES:
                raise argparse.ArgumentTypeError(f"{each!r}; expected some of {', '.join(PLACES)}")
        return text.split(",")

    parser.add_argument("--only", type=names, default=list(PLACES))
    parser.add_argument("--rows", type=numbers, default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--entries", type=numbers, default=[1_000, 10_000, 100_000])
    parser.add_argument("--objects", type=numbers, default=[1_000, 10_000, 100_000])
    return parser.parse_args()


if __name__ == "__main__":
    asyncio.run(main())
