"""Transactions nested, gathered, cancelled and abandoned at random, against what must come of them.

    python tests/hunt/transactions.py --minutes 3
    python tests/hunt/transactions.py --seed 4711 --url sqlite:///hunt.db

Each round runs a few tasks, each a tree of blocks: transactions, parts of them one after the other
or beside one another, generators that are left. Every block adds rows of its own. What becomes of
a block is noted where it ends; at the end of the round the rows that are there must fit: those of a
block that was kept, if all around it were; none of one that was undone; all or none of one that was
cancelled while it ended. Then the store must take a write at once, and its pool be whole.

Without --url: memory, SQLite, and the servers of the tests. A seed that finds something is printed
with its backend; the same seed makes the same tree, though not the same moments.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import random
import sys
import tempfile
import time
from dataclasses import dataclass
from dataclasses import field as attribute
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[2]))

from tools.services.endpoints import endpoints

from holdfast import Entity, Field, everything, field, key, open_store
from holdfast.errors import DuplicateError, SerializationError, TransactionError
from servers import database_on

PATIENCE = 120.0  # seconds for a round; only a deadlock takes that long


class Mark(Entity, table="hunt_marks"):
    id: Field[str] = key()
    block: Field[str] = field(default="")


class ChangedMindError(Exception):
    """What a block raises of its own accord."""


@dataclass
class Block:
    """One block: what it added, what it held, and what became of it."""

    name: str
    rows: list[str] = attribute(default_factory=list)
    inside: list[Block] = attribute(default_factory=list)
    outcome: str = "never begun"

    def check(self, there: set[str], *, around: bool) -> None:
        """Raise AssertionError unless what is *there* fits; *around*: all around it was kept."""
        present = [row for row in self.rows if row in there]
        kept = around and (self.outcome == "kept" or (self.outcome == "unknown" and bool(present)))
        expected = self.rows if kept else []
        assert present == expected, (
            f"{self.name} was {self.outcome}, {'inside of what was kept' if around else 'undone'}: "
            f"expected {expected}, found {present}"
        )
        for each in self.inside:
            each.check(there, around=kept)


class Round:
    """One round of random work on a store."""

    def __init__(self, store, seed):
        self.store = store
        self.marks = store.repository(Mark)
        self.chosen = random.Random(seed)
        self.count = 0
        self.generators = 0

    def new(self, around):
        self.count += 1
        block = Block(f"block {self.count}")
        around.inside.append(block)
        return block

    async def mark(self, block):
        """Add a row of *block*."""
        self.count += 1
        block.rows.append(f"{self.count:04}")
        await self.marks.add(Mark(id=block.rows[-1], block=block.name))

    # --- blocks ---------------------------------------------------------------------------------

    async def run(self, block, depth):
        """Run *block* in a transaction, or a part of one; swallow its own change of mind."""
        ended = False
        block.outcome = "undone"
        try:
            async with self.store.transaction():
                await self.body(block, depth)
                ended = True
            block.outcome = "kept"
        except ChangedMindError:
            pass
        except TransactionError:
            raise
        except BaseException:
            block.outcome = "unknown" if ended else "undone"
            raise

    async def body(self, block, depth):
        """Do some random work inside of *block*."""
        await self.mark(block)
        leaves = (self.more, self.look, self.collide, self.turn)
        inner = (self.nest, self.nest, self.gather, self.beside, self.leave, self.drop)
        for _ in range(self.chosen.randrange(4)):
            work = self.chosen.choice((*leaves, *inner) if depth < 3 else leaves)
            await work(block, depth)
        if self.chosen.random() < 0.25:
            raise ChangedMindError

    async def items(self, block):
        """Yield from inside of *block*, whose caller never comes to its end."""
        self.generators += 1
        block.outcome = "undone"
        try:
            async with self.store.transaction():
                while True:
                    await self.mark(block)
                    yield block
        finally:
            self.generators -= 1

    # --- work inside of a block -----------------------------------------------------------------

    async def more(self, block, _depth):
        """Add one more row."""
        await self.mark(block)

    async def turn(self, _block, _depth):
        """Let the others go on."""
        await asyncio.sleep(0)

    async def look(self, block, _depth):
        """Find one's own rows."""
        found = {each.id for each in await self.marks.find(Mark.block == block.name)}
        assert set(block.rows) <= found, f"{block.name} does not see {set(block.rows) - found}"

    async def collide(self, block, _depth):
        """Let a write fail: it leaves nothing, and the block goes on."""
        with contextlib.suppress(DuplicateError):
            await self.marks.add_many([Mark(id=f"{block.rows[0]}x"), Mark(id=block.rows[0])])
            raise AssertionError("a key was given twice")

    async def nest(self, block, depth):
        """Open a part, which may fail for itself."""
        await self.run(self.new(block), depth + 1)

    async def gather(self, block, depth):
        """Open parts beside one another, some of them cancelled."""
        tasks = [asyncio.create_task(self.run(self.new(block), depth + 1)) for _ in range(3)]
        self.cancel_some(tasks, within=0.01)
        await ended(tasks)

    async def beside(self, block, depth):
        """Write beside a part."""
        part = asyncio.create_task(self.run(self.new(block), depth + 1))
        plain = asyncio.create_task(self.mark(block))
        await ended([part, plain])
        plain.result()

    async def leave(self, block, _depth):
        """Close a generator with a part of its own where it is left."""
        async with contextlib.aclosing(self.items(self.new(block))) as generator:
            async for _each in generator:
                break

    async def drop(self, block, _depth):
        """Leave a generator with a part of its own to the loop."""
        async for _each in self.items(self.new(block)):
            break

    # --- work that stands alone -----------------------------------------------------------------

    async def tree(self, root):
        """Run a transaction."""
        await self.run(self.new(root), 0)

    async def abandon(self, root):
        """Leave a generator with a transaction to the loop, and go on outside of it."""
        async for _each in self.items(self.new(root)):
            break
        after = self.new(root)
        after.outcome = "unknown"
        await self.mark(after)
        after.outcome = "kept"

    def cancel_some(self, tasks, *, within):
        """Cancel some of *tasks*, in so many seconds at the most."""
        for task in tasks:
            if self.chosen.random() < 0.3:
                asyncio.get_running_loop().call_later(self.chosen.random() * within, task.cancel)

    async def play(self):
        """Run the round. Raises AssertionError for what does not fit."""
        await self.marks.delete_where(everything())
        works = [self.chosen.choice((self.tree, self.tree, self.abandon)) for _ in range(4)]
        root = Block("root", outcome="kept")
        tasks = [asyncio.create_task(work(root)) for work in works]
        self.cancel_some(tasks, within=0.03)
        await ended(tasks)
        while self.generators:  # noqa: ASYNC110 - the loop closes them, and tells nobody
            await asyncio.sleep(0.001)
        await self.marks.add(Mark(id="works"))
        assert await self.marks.delete("works")
        root.check({each.id for each in await self.marks.find()}, around=True)
        gauges = self.store.stats().gauges
        if "connections_waiting" in gauges:
            assert gauges["connections_idle"] == gauges["connections_open"], gauges


async def ended(tasks):
    """Return when all *tasks* have ended; raise what none of them should have raised."""
    try:
        await asyncio.wait(tasks)
    except asyncio.CancelledError:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        raise
    for task in tasks:
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, (TransactionError, SerializationError)):
            raise error


async def hunt(url, seed, until):
    """Play rounds on the store at *url* until then; return how many."""
    told = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, what: told.append(what))
    rounds = 0
    async with open_store(url, [Mark], verify="off") as store:
        await store.create_schema()
        while not rounds or time.monotonic() < until:
            try:
                async with asyncio.timeout(PATIENCE):
                    await Round(store, seed + rounds).play()
            except BaseException:
                print(f"FOUND by --seed {seed + rounds} --url {url}", flush=True)
                raise
            assert not told, f"--seed {seed + rounds} --url {url}: {told}"
            rounds += 1
        await store.drop_schema()
    return rounds


def places(stack):
    """Yield the URLs of all backends at hand."""
    yield "memory://"
    folder = stack.enter_context(tempfile.TemporaryDirectory())
    yield f"sqlite:///{folder}/hunt.db?synchronous=normal"
    for name in ("postgresql", "mariadb", "mysql"):
        if name in endpoints():
            yield f"{stack.enter_context(database_on(name))}?pool_size=3&max_overflow=2"


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=1.0, help="for all backends together")
    parser.add_argument("--seed", type=int, default=None, help="of the first round")
    parser.add_argument("--url", help="one backend instead of all")
    asked = parser.parse_args()
    seed = random.randrange(10**6) * 1000 if asked.seed is None else asked.seed
    with contextlib.ExitStack() as stack:
        urls = [asked.url] if asked.url else list(places(stack))
        for url in urls:
            until = time.monotonic() + asked.minutes * 60 / len(urls)
            rounds = asyncio.run(hunt(url, seed, until))
            print(f"{url.partition(':')[0]}: {rounds} rounds from --seed {seed}, nothing found")


if __name__ == "__main__":
    main()
