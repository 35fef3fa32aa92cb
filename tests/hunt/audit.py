"""Fifty writers and three sequencers at once, and then the whole log is proved.

    python tests/hunt/audit.py [--minutes 1] [--url URL] [--writers 50]

Every verb, savepoints that are undone, transactions that are rolled back and clashes. In the end
each entry must be in the log once, every checkpoint must fit, and the changes of each row must be a
chain without a gap from its first entry to what is stored.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import random
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[2]))

from tools.services.endpoints import endpoints

from audited_entities import Project, Task, audited_store
from holdfast import everything
from holdfast.audit import AuditEntry, Sequencer, SignerKey, StoreLog, acting_as, verify_log
from holdfast.errors import (
    DuplicateError,
    ForeignKeyError,
    LockTimeoutError,
    NotFoundError,
    SerializationError,
    StaleVersionError,
)
from servers import database_on

ORIGIN = "hunt.example/audit"
ROWS = 20
EXPECTED = (
    DuplicateError,
    ForeignKeyError,
    LockTimeoutError,
    NotFoundError,
    SerializationError,
    StaleVersionError,
)


class _UndoneError(Exception):
    pass


class Writer:
    """One of the writers: it does what its dice say until its time is over."""

    def __init__(self, store, number, seed):
        self.projects, self.tasks = store.repository(Project), store.repository(Task)
        self.store = store
        self.dice = random.Random(seed * 1000 + number)
        self.number = number
        self.writes = self.refused = 0

    async def run(self, until):
        with acting_as(f"writer {self.number}"):
            while time.monotonic() < until:
                try:
                    await self.step()
                except EXPECTED:
                    self.refused += 1
                except _UndoneError:
                    continue
                else:
                    self.writes += 1
                await asyncio.sleep(0)

    async def step(self):
        dice, name = self.dice, f"p{self.dice.randrange(ROWS)}"
        match dice.randrange(9):
            case 0:
                await self.projects.upsert(
                    Project(name=name, description=str(dice.random())), on=Project.name
                )
            case 1 | 2:
                if (found := await self.projects.first(Project.name == name)) is not None:
                    found.description = str(dice.random())
                    await self.projects.update(found)
            case 3 | 4:
                if (found := await self.projects.first(Project.name == name)) is not None:
                    await self.projects.patch(found.id, Project.cached.increment(1))
            case 5:
                await self.projects.update_where(
                    Project.name.in_([name, "p0"]), changes=Project.share.to(dice.random())
                )
            case 6:
                if (found := await self.projects.first(Project.name == name)) is not None:
                    await self.tasks.add(Task(project_id=found.id, title="t"))
            case 7:
                if dice.random() < 0.3:
                    await self.projects.delete_where(Project.name == name)
            case _:
                async with self.store.transaction() as tx:
                    await self.projects.upsert(Project(name=name), on=Project.name)
                    with contextlib.suppress(_UndoneError):
                        async with tx.savepoint():
                            await self.projects.upsert(Project(name=f"{name}x"), on=Project.name)
                            raise _UndoneError
                    if dice.random() < 0.5:
                        raise _UndoneError


async def hunt(url, seconds, writers, seed):
    """Let them write for *seconds*; raise what does not hold, and return the figures."""
    signer = SignerKey.generate(ORIGIN)
    async with audited_store(url) as store:
        crowd = [Writer(store, number, seed) for number in range(writers)]
        until, began = time.monotonic() + seconds, time.monotonic()
        over = asyncio.Event()

        async def sequence():
            own = Sequencer(store, signer, origin=ORIGIN)
            batches = 0
            while not over.is_set():
                if await own.append(batch=200) is None:
                    await asyncio.sleep(0.01)
                else:
                    batches += 1
            return batches

        sequencers = [asyncio.create_task(sequence()) for _ in range(3)]
        await asyncio.gather(*(each.run(until) for each in crowd))
        wrote = time.monotonic() - began
        over.set()
        batches = sum(await asyncio.gather(*sequencers))
        await Sequencer(store, signer, origin=ORIGIN).run()
        began = time.monotonic()
        found = await verify_log(StoreLog(store), key=signer.verifier)
        checked = time.monotonic() - began
        total = await store.repository(AuditEntry).count()
        assert found.ok, found.findings[:5]
        assert (found.size, found.entries, found.waiting) == (total, total, 0)
        await check_chains(store)
        writes = sum(each.writes for each in crowd)
        refused = sum(each.refused for each in crowd)
        return (
            f"{writers} writers, {wrote:.0f} s: {writes} writes ({refused} refused), "
            f"{total} entries in {batches} batches, {found.checkpoints} checkpoints fit; "
            f"verified in {checked:.1f} s"
        )


async def check_chains(store):
    chains = defaultdict(list)
    entries = store.repository(AuditEntry)
    async for entry in entries.stream(everything(), order_by=AuditEntry.id.asc()):
        chains[entry.entity, entry.key].append(entry)
    living = {}
    for entity in (Project, Task):
        async for row in store.repository(entity).stream(everything()):
            living[entity.__name__, str(row.id)] = row
    assert living.keys() <= chains.keys()
    for named, chain in chains.items():
        state = {}
        for entry in chain:
            for field, (before, after) in entry.changes.items():
                assert state.get(field) == before, (named, entry.id, field, state.get(field))
                state[field] = after
        if named in living:
            row = living[named]
            assert state.get("version", 0) == getattr(row, "version", 0), named
            assert state["id"] == str(row.id)
        else:
            assert not any(value is not None for value in state.values()), (named, state)


def places(stack):
    yield f"sqlite:///{stack.enter_context(tempfile.TemporaryDirectory())}/hunt.db"
    for name in ("postgresql", "mariadb"):
        if name in endpoints():
            yield stack.enter_context(database_on(name))


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=1.0, help="for each backend")
    parser.add_argument("--url", help="one backend instead of all")
    parser.add_argument("--writers", type=int, default=50)
    parser.add_argument("--seed", type=int, default=None)
    asked = parser.parse_args()
    seed = random.randrange(10**6) if asked.seed is None else asked.seed
    with contextlib.ExitStack() as stack:
        for url in [asked.url] if asked.url else places(stack):
            told = asyncio.run(hunt(url, asked.minutes * 60, asked.writers, seed))
            print(f"{url.partition(':')[0]} (--seed {seed}): {told}; nothing found", flush=True)


if __name__ == "__main__":
    main()
