"""A random search for trouble between caches and a Redis that stalls, closes and restarts.

    python tests/hunt/redis_server.py --minutes 3     rounds with seeds of their own, until then
    python tests/hunt/redis_server.py --seed 1234     one round again

Every write has a number higher than all before it. A write or invalidation that answered APPLIED
lifts the floor of its key for all clients; one that answered PENDING for its own client at once,
and for the others when that client has settled. What is read is nothing, or not below the floor.
Numbers of locks rise and nobody has one twice, counters count each answer once, and no error comes
but UnavailableError while the store is away.
"""

import asyncio
import random
import sys
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[2]))

from cache.servers import RedisServer
from cache.states import is_settled
from holdfast.cache import CacheOptions, Outcome, open_cache
from holdfast.errors import LockTimeoutError, UnavailableError
from hunt.rounds import hunt

KEYS = [f"key{number}" for number in range(4)]
STEPS = 150


class Search:
    """One round: two clients of a server, and what each may read."""

    def __init__(self, seed, redis, clients):
        self.chance = random.Random(seed)
        self.redis = redis
        self.clients = clients
        self.number = 0
        self.floors = [dict.fromkeys(KEYS, 0) for _ in clients]
        self.pending = [{} for _ in clients]
        self.count = 0  # what the counter was at the last answer
        self.late = [0 for _ in clients]  # increments of each that may be carried out yet
        self.known = True
        self.lock_number = 0
        self.thaw = None

    async def step(self):
        await self.hurt()
        who = self.chance.randrange(len(self.clients))
        verb = self.chance.choice(
            (
                *(self.set, self.get, self.get, self.many, self.load, self.forget),
                *(self.forget_all, self.increment, self.lock, self.health, self.settle),
            )
        )
        await verb(who)

    async def hurt(self):
        what = self.chance.random()
        if what < 0.03:
            self.wake()
            self.redis.kill()
            if self.chance.random() < 0.5:
                await asyncio.sleep(self.chance.uniform(0, 0.2))
            self.redis.start()
            self.known = False  # counters and fencing numbers are gone
            self.late = [0 for _ in self.clients]
            self.lock_number = 0
        elif what < 0.08 and self.thaw is None:
            self.redis.freeze()
            loop = asyncio.get_running_loop()
            self.thaw = loop.call_later(self.chance.uniform(0, 0.7), self.wake)
        elif what < 0.25 and self.thaw is None:
            self.redis.ask("CLIENT", "KILL", "TYPE", "normal")
            await asyncio.sleep(self.chance.choice([0, 0.001, 0.12]))

    def wake(self):
        if self.thaw is not None:
            self.thaw.cancel()
            self.thaw = None
            self.redis.thaw()

    def told(self, who, keys, outcome, floor):
        for key in keys:
            if outcome is Outcome.APPLIED:
                for floors in self.floors:
                    floors[key] = max(floors[key], floor)
            else:
                self.floors[who][key] = max(self.floors[who][key], floor)
                self.pending[who][key] = floor

    def check(self, who, key, floor, found):
        assert found is None or found >= floor, f"{key}: client {who} read {found} below {floor}"

    def next(self):
        self.number += 1
        return self.number

    async def set(self, who):
        key, number = self.chance.choice(KEYS), self.next()
        tags = ["tag"] if self.chance.random() < 0.3 else []
        outcome = await self.clients[who].set(key, number, tags=tags)
        self.told(who, [key], outcome, number)

    async def get(self, who):
        key = self.chance.choice(KEYS)
        floor = self.floors[who][key]
        self.check(who, key, floor, await self.clients[who].get(key))

    async def many(self, who):
        floors = dict(self.floors[who])
        found = await self.clients[who].get_many(KEYS)
        for key, value in found.items():
            self.check(who, key, floors[key], value)

    async def load(self, who):
        key = self.chance.choice(KEYS)
        floor = self.floors[who][key]

        async def load():
            await asyncio.sleep(self.chance.choice([0, 0.01]))
            return self.number

        tags = ["tag"] if self.chance.random() < 0.3 else []
        self.check(who, key, floor, await self.clients[who].get_or_set(key, load, tags=tags))

    async def forget(self, who):
        key, number = self.chance.choice(KEYS), self.next()
        outcome = await self.clients[who].invalidate(keys=[key])
        self.told(who, [key], outcome, number)

    async def forget_all(self, who):
        number = self.next()
        outcome = await self.clients[who].invalidate(pattern="key*")
        self.told(who, KEYS, outcome, number)

    async def increment(self, who):
        known = self.known
        try:
            total = await self.clients[who].increment("counter")
        except UnavailableError:  # a server that thaws may come to it after another client's
            self.late[who] += 1
            return
        if known:
            most = self.count + 1 + sum(self.late)
            assert self.count < total <= most, (
                f"counter: {total}, expected {self.count + 1} to {most}"
            )
        self.count = total
        self.known = True
        self.late[who] = 0  # who asks again has ended its old connection: done or never

    async def lock(self, who):
        try:
            async with self.clients[who].lock("lock", ttl=30, wait=0.05) as held:
                assert held.number > self.lock_number, f"lock: {held.number} came again"
                self.lock_number = held.number
        except LockTimeoutError:  # its release was lost: forget it
            await self.clients[who]._driver.delete_many(["l:lock"])
        except UnavailableError:
            return

    async def health(self, who):
        await self.clients[who].health()

    async def settle(self, _who):
        """Let all clients settle: then what they were told was pending holds for everybody."""
        self.wake()
        async with asyncio.timeout(120):
            while not all(map(is_settled, self.clients)):
                await asyncio.sleep(0.005)
                for client in self.clients:
                    await client.get("anything")
        for pending in self.pending:
            for key, floor in pending.items():
                for floors in self.floors:
                    floors[key] = max(floors[key], floor)
            pending.clear()


async def run_round(seed, steps=STEPS):
    """Search once. Raises AssertionError, and any error that is none of the store's being away."""
    near = random.Random(seed).choice([0.0, 0.0, 0.02])
    options = CacheOptions(timeout=0.25, early=0, fallback=0, near=near, load_timeout=2)
    with tempfile.TemporaryDirectory() as folder, RedisServer(Path(folder)) as redis:
        async with AsyncExitStack() as stack:
            clients = [
                await stack.enter_async_context(open_cache(redis.url, options=options))
                for _ in range(2)
            ]
            search = Search(seed, redis, clients)
            try:
                for number in range(steps):
                    try:
                        await search.step()
                    except BaseException:
                        print(f"seed {seed}, step {number}", file=sys.stderr)
                        raise
                await search.settle(0)
            finally:
                search.wake()


if __name__ == "__main__":
    hunt(__doc__, lambda seed: asyncio.run(run_round(seed)), STEPS)
