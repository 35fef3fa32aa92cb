"""Two clients, one store that is hurt at random, and a record of what each may still read.

    python tests/cache/coherence.py --minutes 10       ours; then what must be caught: a planted bug
                                                       (PLANTED) and cashews, a minute each
    python tests/cache/coherence.py --near 0.05        the same with copies in the clients
    python tests/cache/coherence.py --cluster          on six nodes that die and are succeeded
    python tests/cache/coherence.py --only late        one bug alone (see planted.py), or `cashews`
    python tests/cache/coherence.py --calm             without faults

The truth is a version per key. A writer raises it, then invalidates the key, or its tag, or a
pattern. From the moment that an invalidation answers APPLIED no client may read an older version;
from PENDING on not the client that was told so, and nobody once that client has the store back.
Read are values one by one and several at once, with loads that take their time before and after
they look at the truth, and without loads. A stale read is one that begins after that moment and
returns an older version all the same.

Both clients live on one event loop, each with its own connection, so that what was acknowledged
before a read began is known exactly, with no clocks to compare. They keep no values of their own
while the store is away (fallback=0), since one that is cut off alone can't know what the others
invalidate. Each reaches the server by a line of its own, so that one of them can be cut off alone,
or have its requests delivered late; not so in a cluster, whose nodes give out their own addresses.
"""

import argparse
import asyncio
import importlib.metadata
import importlib.util
import math
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[2]))

from cache.lines import Line
from cache.planted import BUGS, NEAR, plant
from cache.servers import RedisCluster, RedisServer
from cache.states import counter, is_settled
from holdfast.cache import CacheOptions, Outcome, open_cache

KEYS = [f"key:{number}" for number in range(6)]
OPTIONS = CacheOptions(fallback=0, timeout=0.25, load_timeout=1.0)
PLANTED = {False: "unfenced", True: "deaf"}
"""The bug that must be caught, without copies in the clients and with them."""
SOON = 0.005
WRITES = 0.15


class Record:
    """What is true, what may be read at the least, and what was done."""

    def __init__(self):
        self.truth = dict.fromkeys(KEYS, 0)
        self.floor = dict.fromkeys(KEYS, 0)
        self.raised = dict.fromkeys(KEYS, 0.0)
        self.unread = set()  # keys that nobody has asked for since their invalidation was told
        self.clients = []
        self.counts = Counter()
        self.faults = Counter()
        self.stale = []
        self.near_hits = lambda: 0

    def write(self, key):
        self.truth[key] += 1
        return self.truth[key]

    def applied(self, key, version):
        if version > self.floor[key]:
            self.floor[key] = version
            self.raised[key] = time.monotonic()
            self.unread.add(key)

    def begin(self, client, keys):
        """Return the oldest versions that *client* may read of *keys* from now on."""
        for each in self.clients:
            each.settle()
        now = time.monotonic()
        for key in keys:
            self.counts["after an acknowledged invalidation"] += self.floor[key] > 0
            self.counts["within 5 ms of it"] += self.raised[key] > now - SOON
            self.counts["first after it"] += key in self.unread
            self.unread.discard(key)
        return {key: max(self.floor[key], client.pending.get(key, 0)) for key in keys}

    def end(self, kind, least, found):
        self.counts[kind] += 1
        for key, version in found.items():
            self.counts["values read"] += 1
            if version < least[key]:
                self.stale.append((kind, key, version, least[key]))


class Client:
    """A cache, and what it was told about keys that the others may not know of yet."""

    def __init__(self, cache, record, dice):
        self.cache = cache
        self.record = record
        self.dice = dice
        self.pending = {}
        record.clients.append(self)

    def settle(self):
        if self.pending and is_settled(self.cache):
            for key, version in self.pending.items():
                self.record.applied(key, version)
            self.pending = {}

    async def write(self):
        key = self.dice.choice(KEYS)
        version = self.record.write(key)
        how = self.dice.choice(("key", "tag", "pattern"))
        if how == "key":
            outcome = await self.cache.invalidate(keys=[key])
        elif how == "tag":
            outcome = await self.cache.invalidate(tags=[f"tag of {key}"])
        else:
            outcome = await self.cache.invalidate(pattern=f"*{key[-3:]}")
        self.record.counts[f"invalidations {outcome}"] += 1
        if outcome is Outcome.APPLIED:
            self.record.applied(key, version)
        else:
            self.pending[key] = max(self.pending.get(key, 0), version)

    async def read(self):
        kind = self.dice.choice(("get_or_set", "get_or_set", "get_or_set_many", "get_many"))
        keys = self.dice.sample(KEYS, 1 if kind == "get_or_set" else 3)
        least = self.record.begin(self, keys)
        tags = [f"tag of {key}" for key in keys]
        if kind == "get_or_set":
            stale = self.dice.choice((0, 5.0))
            lasting = 0.05 if stale else 30.0
            (key,) = keys
            value = await self.cache.get_or_set(
                key, lambda: self.load(key), ttl=lasting, stale=stale, tags=tags
            )
            found = {key: value}
        elif kind == "get_or_set_many":
            found = await self.cache.get_or_set_many(keys, self.load_many, ttl=30.0, tags=tags)
        else:
            found = await self.cache.get_many(keys)
        self.record.end(kind, least, found)

    async def load(self, key):
        return (await self.load_many([key]))[key]

    async def load_many(self, keys):
        await asyncio.sleep(self.dice.uniform(0, 0.004))
        versions = {key: self.record.truth[key] for key in keys}
        await asyncio.sleep(self.dice.uniform(0, 0.004))
        return versions


class CashewsClient(Client):
    """What raises is neither acknowledged nor read."""

    def settle(self):
        pass

    async def write(self):
        key = self.dice.choice(KEYS)
        version = self.record.write(key)
        try:
            await self.cache.delete(key)
        except Exception as error:  # noqa: BLE001 - it raises what its client raises
            self.record.counts[type(error).__name__] += 1
        else:
            self.record.counts["invalidations applied"] += 1
            self.record.applied(key, version)

    async def read(self):
        key = self.dice.choice(KEYS)
        least = self.record.begin(self, [key])

        async def load():
            return await self.load(key)

        try:
            value = await self.cache.get_or_set(key, load, expire=30)
        except Exception as error:  # noqa: BLE001
            self.record.counts[type(error).__name__] += 1
        else:
            self.record.end("get_or_set", least, {key: value})


async def work(client, until):
    while not until():
        if client.dice.random() < WRITES:
            await client.write()
        else:
            await client.read()
        await asyncio.sleep(client.dice.uniform(0, 0.002))


async def hurt(server, lines, record, dice, until):
    """Do something to the server, or to one client's line, and leave it well."""
    fault = dice.choice(
        (
            *("server frozen", "server killed", "server emptied", "server back on old data"),
            *("all connections cut", "one client cut off", "requests held", "answers held"),
        )
    )
    record.faults[fault] += 1
    line = dice.choice(lines)
    if fault == "server frozen":
        server.freeze()
        await asyncio.sleep(dice.uniform(0, 0.8))
        server.thaw()
    elif fault == "server emptied":
        await asyncio.to_thread(server.ask, "FLUSHALL")
    elif fault == "all connections cut":
        await asyncio.to_thread(server.ask, "CLIENT", "KILL", "TYPE", "normal")
    elif fault == "one client cut off":
        line.cut()
        await asyncio.sleep(dice.uniform(0, 0.5))
        line.mend()
    elif fault in {"requests held", "answers held"}:
        release = line.hold("asks" if fault == "requests held" else "answers")
        await asyncio.sleep(dice.uniform(0, 0.8))
        release()
    else:
        if fault == "server back on old data":  # the snapshot misses what is invalidated after it
            await asyncio.to_thread(server.ask, "SAVE")
            await asyncio.sleep(dice.uniform(0, 0.3))
        server.kill()
        await asyncio.sleep(dice.uniform(0, 0.4))
        await asyncio.to_thread(server.start)


async def hurt_cluster(cluster, _lines, record, dice, until):
    """The same to any node: a death outlasts its primary's office, a freeze does not."""
    node = dice.choice(cluster.nodes)
    fault = dice.choice(("node frozen", "node killed", "node emptied", "its connections cut"))
    record.faults[fault] += 1
    if fault == "node frozen":
        node.freeze()
        await asyncio.sleep(dice.uniform(0, 0.6))
        node.thaw()
    elif fault == "node emptied":
        await asyncio.to_thread(node.ask, "FLUSHALL")
    elif fault == "its connections cut":
        await asyncio.to_thread(node.ask, "CLIENT", "KILL", "TYPE", "normal")
    else:
        node.kill()
        await asyncio.sleep(dice.uniform(0, 4.0))
        await asyncio.to_thread(node.start)
        await asyncio.to_thread(cluster.wait_until_whole)


@asynccontextmanager
async def cashews(url):
    from cashews import Cache  # noqa: PLC0415 - a peer, for those who have it

    cache = Cache()
    cache.setup(url, client_side=False, suppress=False)
    await cache.init()
    yield cache
    await cache.close()


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What is tried: *place* is hurt, a server or a cluster, unless *faults* is False.

    *opening* opens the cache at a URL, *kind* uses it. It ends when its time is over and *enough*
    of its record, or after *longest* seconds, whatever the machine is busy with; and, unless
    *whole*, at the first stale read.
    """

    seconds: float
    seed: int = 0
    faults: bool = True
    near: float = 0.0
    place: type = RedisServer
    whole: bool = False
    opening: Callable | None = None
    kind: type = Client
    enough: Callable = lambda _record: True
    longest: float = math.inf


async def run(trial):
    """Return the record of *trial*."""
    options = replace(OPTIONS, near=trial.near)
    opening = trial.opening or (lambda url: open_cache(url, options=options))
    record, dice = Record(), random.Random(trial.seed)

    def until():
        now = time.monotonic()
        if now >= end + trial.longest or (record.stale and not trial.whole):
            return True
        return now >= end and trial.enough(record)

    async def hurting(server, lines):
        calm = 2.0 if trial.near else 0.5  # copies come to be in quiet times
        one = hurt if lines else hurt_cluster
        while not until():
            await asyncio.sleep(dice.uniform(0.05, calm))
            await one(server, lines, record, dice, until)

    with tempfile.TemporaryDirectory() as folder, trial.place(Path(folder)) as server:
        async with AsyncExitStack() as stack:
            lines = []
            if trial.place is RedisServer:
                lines = [await stack.enter_async_context(Line(server.port)) for _ in range(2)]
            urls = [line.url for line in lines] or [server.url] * 2
            caches = [await stack.enter_async_context(opening(url)) for url in urls]
            clients = [trial.kind(cache, record, dice) for cache in caches]
            if trial.near and trial.opening is None:
                record.near_hits = lambda: sum(counter(cache, "near_hits") for cache in caches)
            end = time.monotonic() + trial.seconds
            async with asyncio.TaskGroup() as group:
                for client in clients:
                    for _ in range(8):
                        group.create_task(work(client, until))
                if trial.faults:
                    group.create_task(hurting(server, lines))
            if trial.near and trial.opening is None:
                record.counts["near hits"] = record.near_hits()
    return record


def report(name, trial, record):
    """Print what was done, what was done to it, and what came of it."""
    print(f"{name}, {trial.seconds:.0f} s, seed {trial.seed}")
    counts = dict(record.counts)
    after = [counts.pop(what, 0) for what in ("after an acknowledged invalidation", _SOON_SAID)]
    print("  operations  ", _said(counts))
    print("  faults      ", _said(record.faults) or "none")
    print(f"  reads that began after an acknowledged invalidation of their key: {after[0]},")
    print(f"  {after[1]} of them {_SOON_SAID}")
    print(f"  stale reads: {len(record.stale)} {record.stale[:3] or ''}", flush=True)


_SOON_SAID = "within 5 ms of it"


def _said(counts):
    return ", ".join(f"{what} {count}" for what, count in sorted(counts.items()))


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--near", type=float, default=0.0)
    parser.add_argument("--cluster", action="store_true")
    parser.add_argument("--calm", action="store_true")
    parser.add_argument("--only", choices=["holdfast", "cashews", *BUGS])
    arguments = parser.parse_args()
    planted = PLANTED[bool(arguments.near)]
    names = [arguments.only] if arguments.only else ["holdfast", planted, "cashews"]
    place = RedisCluster if arguments.cluster else RedisServer
    failed = False
    for name in names:
        minutes = arguments.minutes if len(names) == 1 else min(arguments.minutes, 1.0)
        trial = Trial(
            seconds=60 * (arguments.minutes if name == "holdfast" else minutes),
            seed=arguments.seed,
            faults=not arguments.calm,
            near=arguments.near or (0.05 if name in NEAR else 0.0),
            place=place,
            whole=True,
        )
        if name == "cashews":
            if importlib.util.find_spec("cashews") is None:
                print("cashews is not installed (the dependency group `bench` has it): not tried")
                continue
            trial = replace(trial, opening=cashews, kind=CashewsClient, near=0.0)
        mend = plant(name) if name in BUGS else lambda: None
        record = asyncio.run(run(trial))
        mend()
        said = f"cashews {importlib.metadata.version('cashews')}" if name == "cashews" else name
        report(f"holdfast with the bug {name!r}" if name in BUGS else said, trial, record)
        failed |= bool(record.stale) is (name == "holdfast")
    print("NOT as it must be" if failed else "as it must be")
    return failed


if __name__ == "__main__":
    sys.exit(main())
