"""Two clients, one store that is hurt at random, and a record of what each may still read.

    python tests/cache/coherence.py --minutes 10             ends with the number of stale reads
    python tests/cache/coherence.py --plant unfenced         a bug, to see that it is found
    python tests/cache/coherence.py --plant forgetful
    python tests/cache/coherence.py --near 0.05              with copies in the clients
    python tests/cache/coherence.py --near 0.05 --plant deaf
    python tests/cache/coherence.py --near 0.05 --plant hasty
    python tests/cache/coherence.py --cluster                on six nodes that die and are succeeded
    python tests/cache/coherence.py --cashews                the same of cashews, without faults

The truth is a version per key. A writer raises it, then invalidates the key, or its tag, or a
pattern. From the moment that an invalidation answers APPLIED no client may read an older version;
from PENDING on not the client that was told so, and nobody once that client has the store back.
A read is `get_or_set` with a load that takes its time before and after it looks at the truth.
Clients keep no values of their own while the store is away (fallback=0), since one that is cut off
alone can't know what the others invalidate.
"""

import argparse
import asyncio
import random
import sys
import tempfile
import time
from collections import Counter
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path

from hiredis import PushNotification

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[2]))

from cache.servers import RedisCluster, RedisServer
from holdfast.cache import CacheOptions, Outcome, State, open_cache
from holdfast.cache.drivers.redis import RedisDriver
from holdfast.cache.drivers.redis.wire import _Ear
from holdfast.cache.journal import Journal
from holdfast.cache.near import NearDriver

KEYS = [f"key:{number}" for number in range(6)]
OPTIONS = CacheOptions(fallback=0, timeout=0.25, load_timeout=1.0)


class Record:
    """What is true, and what may be read at the least."""

    def __init__(self):
        self.truth = dict.fromkeys(KEYS, 0)
        self.floor = dict.fromkeys(KEYS, 0)
        self.counts = Counter()
        self.stale = []

    def write(self, key):
        self.truth[key] += 1
        return self.truth[key]

    def applied(self, key, version):
        self.floor[key] = max(self.floor[key], version)


class Client:
    """A cache, and what it was told about keys that the others may not know of yet."""

    def __init__(self, cache, record, dice):
        self.cache = cache
        self.record = record
        self.dice = dice
        self.pending = {}

    async def write(self, key):
        version = self.record.write(key)
        how = self.dice.choice(("key", "tag", "pattern"))
        if how == "key":
            outcome = await self.cache.invalidate(keys=[key])
        elif how == "tag":
            outcome = await self.cache.invalidate(tags=[f"tag of {key}"])
        else:
            outcome = await self.cache.invalidate(pattern=f"*{key[-3:]}")
        self.record.counts[str(outcome)] += 1
        if outcome is Outcome.APPLIED:
            self.record.applied(key, version)
        else:
            self.pending[key] = max(self.pending.get(key, 0), version)

    async def read(self, key):
        health = self.cache.health()
        if health.state is State.UP and not health.pending:
            for told, version in self.pending.items():
                self.record.applied(told, version)
            self.pending = {}
        least = max(self.record.floor[key], self.pending.get(key, 0))

        async def load():
            await asyncio.sleep(self.dice.uniform(0, 0.004))
            version = self.record.truth[key]
            await asyncio.sleep(self.dice.uniform(0, 0.004))
            return version

        stale = self.dice.choice((0, 5.0))
        lasting = 0.05 if stale else 30.0
        found = await self.cache.get_or_set(
            key, load, ttl=lasting, stale=stale, tags=[f"tag of {key}"]
        )
        self.record.counts["reads"] += 1
        if found < least:
            self.record.stale.append((key, found, least))


class CashewsClient(Client):
    async def write(self, key):
        version = self.record.write(key)
        await self.cache.delete(key)
        self.record.applied(key, version)

    async def read(self, key):
        least = self.record.floor[key]

        async def load():
            await asyncio.sleep(self.dice.uniform(0, 0.004))
            version = self.record.truth[key]
            await asyncio.sleep(self.dice.uniform(0, 0.004))
            return version

        found = await self.cache.get_or_set(key, load, expire=30)
        self.record.counts["reads"] += 1
        if found < least:
            self.record.stale.append((key, found, least))


async def work(client, until):
    while not until():
        key = client.dice.choice(KEYS)
        if client.dice.random() < 0.15:
            await client.write(key)
        else:
            await client.read(key)
        await asyncio.sleep(client.dice.uniform(0, 0.002))


async def hurt(server, record, dice, until, calm):
    """Do something to the server every *calm* seconds at the most; leave it well."""
    while not until():
        await asyncio.sleep(dice.uniform(0.05, calm))
        fault = dice.choice(("freeze", "crash", "flush", "cut", "old data"))
        record.counts[fault] += 1
        if fault == "freeze":
            server.freeze()
            await asyncio.sleep(dice.uniform(0, 0.8))
            server.thaw()
        elif fault == "flush":
            await asyncio.to_thread(server.ask, "FLUSHALL")
        elif fault == "cut":
            await asyncio.to_thread(server.ask, "CLIENT", "KILL", "TYPE", "normal")
        else:
            if fault == "old data":  # the snapshot misses what is invalidated after it
                await asyncio.to_thread(server.ask, "SAVE")
                await asyncio.sleep(dice.uniform(0, 0.3))
            server.kill()
            await asyncio.sleep(dice.uniform(0, 0.4))
            await asyncio.to_thread(server.start)


async def hurt_cluster(cluster, record, dice, until, calm):
    """The same to any node: a death outlasts its primary's office, a freeze does not."""
    while not until():
        await asyncio.sleep(dice.uniform(0.05, calm))
        node = dice.choice(cluster.nodes)
        fault = dice.choice(("freeze", "crash", "flush", "cut"))
        record.counts[fault] += 1
        if fault == "freeze":
            node.freeze()
            await asyncio.sleep(dice.uniform(0, 0.6))
            node.thaw()
        elif fault == "flush":
            await asyncio.to_thread(node.ask, "FLUSHALL")
        elif fault == "cut":
            await asyncio.to_thread(node.ask, "CLIENT", "KILL", "TYPE", "normal")
        else:
            node.kill()
            await asyncio.sleep(dice.uniform(0, 4.0))
            await asyncio.to_thread(node.start)
            await asyncio.to_thread(cluster.wait_until_whole)


async def run(seconds, *, seed=0, faults=True, near=0.0, place=RedisServer, **peer):
    """Return the record of *seconds*, or of less once a stale read was seen.

    *place* is what is hurt, a server or a cluster; *peer* says how another library is opened and
    used.
    """
    options = replace(OPTIONS, near=near)
    opening, kind = peer.get("opening"), peer.get("kind", Client)
    record, dice = Record(), random.Random(seed)
    hurting = hurt if place is RedisServer else hurt_cluster
    end = time.monotonic() + seconds

    def until():
        return time.monotonic() >= end or bool(record.stale)

    with tempfile.TemporaryDirectory() as folder, place(Path(folder)) as server:
        async with AsyncExitStack() as stack:
            open_one = opening or (lambda url: open_cache(url, options=options))
            caches = [await stack.enter_async_context(open_one(server.url)) for _ in range(2)]
            clients = [kind(cache, record, dice) for cache in caches]
            async with asyncio.TaskGroup() as group:
                for client in clients:
                    for _ in range(8):
                        group.create_task(work(client, until))
                if faults:
                    calm = 2.0 if near else 0.5  # copies come to be in quiet times
                    group.create_task(hurting(server, record, dice, until, calm))
            if near:
                record.counts["near hits"] = sum(cache.statistics.near_hits for cache in caches)
    return record


def plant(bug):
    """Break the cache in this process; return what mends it."""
    if bug == "unfenced":
        honest = RedisDriver.swap_many

        async def swap_many(self, swaps, *, ttl):
            forced = [swap for swap in swaps if swap.over is not None and swap.value is not None]
            await self.set_many([(swap.name, swap.value) for swap in forced], ttl=ttl)
            others = [swap for swap in swaps if swap not in forced]
            return [True] * len(forced) + await honest(self, others, ttl=ttl)

        RedisDriver.swap_many = swap_many
        return lambda: setattr(RedisDriver, "swap_many", honest)
    if bug == "deaf":
        honest_told = NearDriver.told
        NearDriver.told = lambda *_: None
        return lambda: setattr(NearDriver, "told", honest_told)
    if bug == "hasty":

        async def patient_of_none(self, commands):
            return await self._link.ask(commands)

        honest_write, RedisDriver._write = RedisDriver._write, patient_of_none
        honest_ear = _Ear.takes

        def late(self, reply):
            if isinstance(reply, PushNotification):
                asyncio.get_running_loop().call_later(0.03, self._told, reply)
                return True
            return honest_ear(self, reply)

        _Ear.takes = late

        def mend():
            RedisDriver._write = honest_write
            _Ear.takes = honest_ear

        return mend
    honest_add = Journal.add
    Journal.add = lambda *_: None
    return lambda: setattr(Journal, "add", honest_add)


@asynccontextmanager
async def cashews(url):
    from cashews import Cache  # noqa: PLC0415 - a peer, for those who ask for it

    cache = Cache()
    cache.setup(url, client_side=False)
    await cache.init()
    yield cache
    await cache.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--plant", choices=["unfenced", "forgetful", "deaf", "hasty"])
    parser.add_argument("--near", type=float, default=0.0)
    parser.add_argument("--cluster", action="store_true")
    parser.add_argument("--cashews", action="store_true")
    arguments = parser.parse_args()
    if arguments.plant:
        plant(arguments.plant)
    peer = {"faults": False, "opening": cashews, "kind": CashewsClient} if arguments.cashews else {}
    place = RedisCluster if arguments.cluster else RedisServer
    how = {"seed": arguments.seed, "near": arguments.near, "place": place}
    record = asyncio.run(run(arguments.minutes * 60, **how, **peer))
    print(dict(record.counts))
    print(f"{len(record.stale)} stale reads {record.stale[:3]}")
    return bool(record.stale)


if __name__ == "__main__":
    sys.exit(main())
