"""The cache beside redis-py, cashews, aiocache and dogpile, on one Redis server on loopback.

    python benchmarks/cache.py [--rounds 15]

Needs redis-server and the dependency group `bench`. Every side gets and sets the same value, a
dictionary of twelve fields. What each does with it: Holdfast msgspec to and from typed builtins,
cashews, aiocache and dogpile pickle, "redis-py, bytes" nothing at all (what was encoded before, and
what comes is left as bytes), "redis-py, msgspec" what Holdfast does, with nothing else around it.
Figures are microseconds an operation, wall and the client's CPU, medians of rounds in turns; only
ratios within a round count. "near" has
copies in the process for 50 ms after each word from the server.
"""

import argparse
import asyncio
import importlib.metadata
import pickle
import platform
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager

import msgspec
from timing import table

from holdfast.cache import open_cache, sync

VALUE = {
    "id": "0199a3f0-7c1e-7bb2-9a52-5f3a0f0c1d2e",
    "project_id": "0199a3f0-7c1e-7bb2-9a52-5f3a0f0c1d2f",
    "filename": "north-gate-2026-11-21.mp4",
    "duration": 63.5,
    "width": 1920,
    "height": 1080,
    "codec": "h264",
    "rate": 25,
    "created_at": "2026-11-21T10:00:00.000000+00:00",
    "updated_at": "2026-11-21T10:00:00.000000+00:00",
    "attributes": {"provider": "aws", "camera": 7, "tags": ["gate", "night"]},
    "version": 3,
}
MANY = [f"many:{number}" for number in range(100)]
WAITERS = 1000
TARGETS = [  # row, and how many times the second the first takes at the least
    ("get", "redis-py, bytes", "Holdfast", 1 / 1.2),
    ("get", "cashews", "Holdfast", 1.8),
    ("get_32_tasks", "redis-py, bytes", "Holdfast", 5),
    ("get_32_tasks", "aiocache", "Holdfast", 8),
    ("set_100", "redis-py, bytes", "Holdfast", 5),
]


@contextmanager
def redis_server():
    if shutil.which("redis-server") is None:
        sys.exit("redis-server is not installed")
    with tempfile.TemporaryDirectory() as folder, socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        taken.close()
        command = ["redis-server", "--port", str(port), "--save", "", "--dir", folder]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port)).close()
                    break
                except OSError:
                    time.sleep(0.01)
            yield port
        finally:
            process.kill()
            process.wait()


class Holdfast:
    name = "Holdfast"

    def __init__(self, cache):
        self.cache = cache

    @classmethod
    @asynccontextmanager
    async def open(cls, port):
        async with open_cache(f"redis://127.0.0.1:{port}/1") as cache:
            yield cls(cache)

    async def get(self, key):
        return await self.cache.get(key)

    async def set(self, key, value):
        await self.cache.set(key, value, ttl=600)

    async def get_many(self, keys):
        return await self.cache.get_many(keys)

    async def set_many(self, values):
        await self.cache.set_many(values, ttl=600)

    async def get_or_set(self, key, load):
        return await self.cache.get_or_set(key, load, ttl=600)


class HoldfastNear(Holdfast):
    """With copies in this process, for the reads: its writes wait for 50 ms."""

    name = "Holdfast, near"
    rows = ("get", "get_100", "get_32_tasks", "get_or_set_hit")

    @classmethod
    @asynccontextmanager
    async def open(cls, port):
        async with open_cache(f"redis://127.0.0.1:{port}/7?near=0.05") as cache:
            yield cls(cache)


class RedisPy:
    name = "redis-py, bytes"
    database = 2

    def __init__(self, client):
        self.client = client
        self.encoded = pickle.dumps(VALUE)

    @classmethod
    @asynccontextmanager
    async def open(cls, port):
        import redis.asyncio

        client = redis.asyncio.Redis(host="127.0.0.1", port=port, db=cls.database)
        async with client:
            yield cls(client)

    async def get(self, key):
        return await self.client.get(key)

    async def set(self, key, _value):
        await self.client.set(key, self.encoded, px=600_000)

    async def get_many(self, keys):
        return await self.client.mget(keys)

    async def set_many(self, values):
        async with self.client.pipeline(transaction=False) as pipeline:
            for key in values:
                pipeline.set(key, self.encoded, px=600_000)
            await pipeline.execute()

    get_or_set = None


class RedisPyMsgspec(RedisPy):
    """redis-py with the least around it that gives values back: what Holdfast does of its work."""

    name = "redis-py, msgspec"
    rows = ("get", "set", "get_100", "set_100", "get_32_tasks")
    database = 8

    async def get(self, key):
        return msgspec.msgpack.decode(await self.client.get(key))

    async def set(self, key, value):
        await self.client.set(key, msgspec.msgpack.encode(value), px=600_000)

    async def get_many(self, keys):
        raws = await self.client.mget(keys)
        decode = msgspec.msgpack.decode
        return {key: decode(raw) for key, raw in zip(keys, raws, strict=True) if raw is not None}

    async def set_many(self, values):
        encode = msgspec.msgpack.encode
        async with self.client.pipeline(transaction=False) as pipeline:
            for key, value in values.items():
                pipeline.set(key, encode(value), px=600_000)
            await pipeline.execute()


class Cashews:
    name = "cashews"

    def __init__(self, cache):
        self.cache = cache

    @classmethod
    @asynccontextmanager
    async def open(cls, port):
        from cashews import Cache

        cache = Cache()
        cache.setup(f"redis://127.0.0.1:{port}/3", client_side=False)
        await cache.init()
        yield cls(cache)
        await cache.close()

    async def get(self, key):
        return await self.cache.get(key)

    async def set(self, key, value):
        await self.cache.set(key, value, expire=600)

    async def get_many(self, keys):
        return await self.cache.get_many(*keys)

    async def set_many(self, values):
        await self.cache.set_many(values, expire=600)

    async def get_or_set(self, key, load):
        return await self.cache.get_or_set(key, load, expire=600)


class Aiocache:
    name = "aiocache"

    def __init__(self, cache):
        self.cache = cache

    @classmethod
    @asynccontextmanager
    async def open(cls, port):
        from aiocache import RedisCache
        from aiocache.serializers import PickleSerializer

        try:
            cache = RedisCache(endpoint="127.0.0.1", port=port, db=4, serializer=PickleSerializer())
        except TypeError:  # from 1.0 on it is given a client
            import redis.asyncio

            client = redis.asyncio.Redis(host="127.0.0.1", port=port, db=4)
            cache = RedisCache(client, serializer=PickleSerializer())
        async with cache:
            yield cls(cache)

    async def get(self, key):
        return await self.cache.get(key)

    async def set(self, key, value):
        await self.cache.set(key, value, ttl=600)

    async def get_many(self, keys):
        return await self.cache.multi_get(keys)

    async def set_many(self, values):
        await self.cache.multi_set(list(values.items()), ttl=600)

    get_or_set = None


async def measure(rounds):
    with redis_server() as port:
        async with AsyncExitStack() as stack:
            sides = [
                await stack.enter_async_context(kind.open(port))
                for kind in (Holdfast, HoldfastNear, RedisPy, RedisPyMsgspec, Cashews, Aiocache)
            ]
            for side in sides:
                await side.set("k", VALUE)
                await side.set_many(dict.fromkeys(MANY, VALUE))
                if side.get_or_set is not None:
                    await side.get_or_set("hit", load)
            rows = {row.__name__: {side.name: [] for side in sides} for row in ROWS}
            for _ in range(rounds):
                for row in ROWS:
                    for side in sides:
                        if row.__name__ not in getattr(side, "rows", rows):
                            continue
                        if (took := await row(side)) is not None:
                            rows[row.__name__][side.name].append(took)
        rows |= blocking(port, rounds)
    return rows


async def load():
    await asyncio.sleep(0.001)
    return VALUE


async def get(side):
    return await timed(side.get, "k", times=300)


async def set(side):  # noqa: A001
    return await timed(side.set, "k", VALUE, times=300)


async def get_100(side):
    return await timed(side.get_many, MANY, times=30)


async def set_100(side):
    return await timed(side.set_many, dict.fromkeys(MANY, VALUE), times=15)


async def get_32_tasks(side):
    async def work():
        for _ in range(30):
            await side.get("k")

    start = now()
    await asyncio.gather(*[work() for _ in range(32)])
    return since(start, 960)


async def get_or_set_hit(side):
    if side.get_or_set is None:
        return None
    return await timed(side.get_or_set, "hit", load, times=200)


async def miss_1000_waiters(side):
    """Microseconds in all for a thousand callers of one missing key, whose load takes 1 ms."""
    if side.get_or_set is None:
        return None
    key = f"miss:{time.perf_counter_ns()}"
    start = now()
    await asyncio.gather(*[side.get_or_set(key, load) for _ in range(WAITERS)])
    return since(start, 1)


ROWS = [get, set, get_100, set_100, get_32_tasks, get_or_set_hit, miss_1000_waiters]


async def timed(call, *arguments, times):
    start = now()
    for _ in range(times):
        await call(*arguments)
    return since(start, times)


def now():
    return time.perf_counter(), time.process_time()


def since(start, times):
    """Return microseconds for each of *times*: wall, and CPU of this process."""
    return tuple((here - there) / times * 1e6 for here, there in zip(now(), start, strict=True))


def blocking(port, rounds):
    from dogpile.cache import make_region

    region = make_region().configure(
        "dogpile.cache.redis",
        expiration_time=600,
        arguments={
            "host": "127.0.0.1",
            "port": port,
            "db": 5,
            "distributed_lock": True,
            "thread_local_lock": False,
        },
    )
    with sync.open_cache(f"redis://127.0.0.1:{port}/6") as cache:
        cache.set("k", VALUE, ttl=600)
        region.set("k", VALUE)
        calls = {
            "blocking_get": (lambda: cache.get("k"), lambda: region.get("k")),
            "blocking_set": (
                lambda: cache.set("k", VALUE, ttl=600),
                lambda: region.set("k", VALUE),
            ),
            "blocking_get_or_set": (
                lambda: cache.get_or_set("h", lambda: VALUE, ttl=600),
                lambda: region.get_or_create("h", lambda: VALUE),
            ),
        }
        rows = {}
        for name, pair in calls.items():
            rows[name] = {"Holdfast": [], "dogpile": []}
            for _ in range(rounds):
                for side, call in zip(rows[name], pair, strict=True):
                    start = now()
                    for _ in range(200):
                        call()
                    rows[name][side].append(since(start, 200))
    return rows


def show(rows):
    versions = ", ".join(
        f"{name} {importlib.metadata.version(name)}"
        for name in ("hiredis", "msgspec", "redis", "cashews", "aiocache", "dogpile.cache")
    )
    print(f"Python {platform.python_version()}, {versions}\n")
    names = list(dict.fromkeys(name for sides in rows.values() for name in sides))
    print(table(["µs, wall (CPU)", *names], lines(rows, names, lambda took, _ours: took)))
    print()
    others = [name for name in names if name != "Holdfast"]
    over = lines(
        rows, others, lambda took, ours: [one / h for one, h in zip(took, ours, strict=True)]
    )
    print(table(["ratio to Holdfast, wall (CPU)", *others], over))
    print()
    held = []
    for row, above, below, least in TARGETS:
        wall, cpu = (
            statistics.median(
                one[which] / two[which] for one, two in pairs(rows[row], above, below)
            )
            for which in (0, 1)
        )
        holds = "yes" if min(wall, cpu) >= least else "no"
        told = [f"{above} / {below}", f"at least {least:.2g}", f"{wall:.2f}", f"{cpu:.2f}", holds]
        held.append([row.replace("_", " "), *told])
    print(table(["operation", "ratio", "target", "wall", "CPU", "holds"], held))


def lines(rows, names, figures):
    """Return a line for each row: the medians of what *figures* says of a round's two figures."""
    made = []
    for row, sides in rows.items():
        cells = []
        for name in names:
            each = [figures(*pair) for pair in pairs(sides, name, "Holdfast")]
            wall, cpu = (
                (statistics.median(of) for of in zip(*each, strict=True)) if each else (None, None)
            )
            digits = 0 if each and max(wall, cpu) >= 20 else 1
            cells.append(f"{wall:,.{digits}f} ({cpu:,.{digits}f})" if each else "")
        made.append([row.replace("_", " "), *cells])
    return made


def pairs(sides, above, below):
    return list(zip(sides[above], sides[below], strict=True)) if sides.get(above) else []


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--rounds", type=int, default=15)
    show(asyncio.run(measure(arguments.parse_args().rounds)))
