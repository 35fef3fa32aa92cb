"""The moments at which a campaign kills, or stops, a process that works on jobs."""

import asyncio
import os
from contextlib import contextmanager
from uuid import uuid4

import preloaded
from dynamodb_servers import store_url
from holdfast import open_store
from holdfast.jobs import Jobs
from servers import empty_store

KILLS = int(os.environ.get("HOLDFAST_TEST_KILLS", "2"))


def backends(*always):
    """Return the backends of a campaign: those *always* meant, and all where there are many."""
    others = ["sqlite", "postgresql", "mariadb", "mysql", "dynamodb"] if KILLS > 2 else []
    return list(dict.fromkeys([*always, *others]))


@contextmanager
def place_on(backend, folder):
    """Yield the URL of an empty store there; `spread` removes what it made."""
    if backend == "dynamodb":
        yield store_url("dynoxide", f"killed{uuid4().hex[:8]}", scan=True)
    else:
        with empty_store(backend, folder) as url:
            yield url


async def spread(url, entities, program, number, start):
    """Yield some moments of all that *program* passes by, and what *start* put in for each."""
    async with open_store(url, entities) as store:
        await store.create_schema()
        jobs = Jobs(store)
        await start(jobs)
        whole = await asyncio.to_thread(preloaded.run, program, url, number.value, 0, timeout=120)
        assert whole.returncode == 0, whole.stderr
        moments = int(whole.stdout.split()[0])
        for each in range(KILLS):
            await store.clear()
            yield 1 + (each * 2 + 1) * (moments - 1) // (KILLS * 2), await start(jobs)
        await store.drop_schema()
