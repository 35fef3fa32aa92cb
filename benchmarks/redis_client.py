"""Holdfast's Redis connection beside redis-py, both bare: bytes in, bytes out.

    python benchmarks/redis_client.py redis://host:port/0 [--rounds 15]

Measured is what one operation costs the client, wall and CPU, in microseconds: medians of rounds in
turns on one server. Nothing of the cache is in it, only the connection, so that the figures answer
one question: what redis-py in its place would cost. `32 tasks` read through one client each,
redis-py by its connection pool.
"""

import argparse
import asyncio
import statistics
import time

import redis.asyncio
from timing import table

from holdfast.cache.drivers.redis.async_connection import dial
from holdfast.cache.drivers.redis.redis_connection import Endpoint

VALUE = b"v" * 400
MANY = [f"bench:many:{number}" for number in range(100)]
TASKS = 32


class Own:
    """Holdfast's connection."""

    name = "Holdfast"

    def __init__(self, connection):
        self.connection = connection

    async def get(self):
        await self.connection.ask([("GET", "bench:k")])

    async def set(self):
        await self.connection.ask([("SET", "bench:k", VALUE, "PX", 600_000)])

    async def get_100(self):
        await self.connection.ask([("MGET", *MANY)])

    async def set_100(self):
        sets = [("SET", name, VALUE, "PX", 600_000) for name in MANY]
        await self.connection.ask([("MULTI",), *sets, ("EXEC",)])


class RedisPy:
    """redis-py, which parses with hiredis where that is installed, as it is here."""

    name = "redis-py"

    def __init__(self, client):
        self.client = client

    async def get(self):
        await self.client.get("bench:k")

    async def set(self):
        await self.client.set("bench:k", VALUE, px=600_000)

    async def get_100(self):
        await self.client.mget(MANY)

    async def set_100(self):
        async with self.client.pipeline(transaction=True) as pipeline:
            for name in MANY:
                pipeline.set(name, VALUE, px=600_000)
            await pipeline.execute()


async def alone(call, times):
    """Return microseconds for each of *times* calls one after another: wall, and CPU."""
    start = time.perf_counter(), time.process_time()
    for _ in range(times):
        await call()
    ended = time.perf_counter(), time.process_time()
    return [(b - a) / times * 1e6 for a, b in zip(start, ended, strict=True)]


async def crowd(call, times):
    """The same for each call of TASKS tasks, each of which makes *times*."""

    async def work():
        for _ in range(times):
            await call()

    whole = await alone(lambda: asyncio.gather(*[work() for _ in range(TASKS)]), 1)
    return [figure / (TASKS * times) for figure in whole]


ROWS = {
    "get": lambda side: alone(side.get, 300),
    "set": lambda side: alone(side.set, 300),
    "get 100": lambda side: alone(side.get_100, 60),
    "set 100": lambda side: alone(side.set_100, 30),
    "get, 32 tasks": lambda side: crowd(side.get, 30),
}


async def measure(url, rounds):
    host, _, port = url.removeprefix("redis://").partition("/")[0].partition(":")
    connection = await dial(Endpoint(host, int(port), timeout=30.0))
    async with redis.asyncio.Redis(host=host, port=int(port)) as client:
        sides = [Own(connection), RedisPy(client)]
        for side in sides:
            await side.set()
            await side.set_100()
        figures = {row: {side.name: [] for side in sides} for row in ROWS}
        for _ in range(rounds):
            for row, run in ROWS.items():
                for side in sides:
                    figures[row][side.name].append(await run(side))
    connection.close()
    return figures


def show(figures):
    lines = []
    for row, sides in figures.items():
        own, other = sides["Holdfast"], sides["redis-py"]
        cells = [row]
        for side in (own, other):
            wall, cpu = (statistics.median(of) for of in zip(*side, strict=True))
            cells.append(f"{wall:,.1f} ({cpu:,.1f})")
        ratios = [
            statistics.median(b[which] / a[which] for a, b in zip(own, other, strict=True))
            for which in (0, 1)
        ]
        lines.append([*cells, f"{ratios[0]:.2f} ({ratios[1]:.2f})"])
    print(table(["µs, wall (CPU)", "Holdfast", "redis-py", "ratio"], lines))


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("url")
    arguments.add_argument("--rounds", type=int, default=15)
    given = arguments.parse_args()
    show(asyncio.run(measure(given.url, given.rounds)))
