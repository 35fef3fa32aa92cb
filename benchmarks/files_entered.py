"""How many files of Holdfast one cached read enters, in steady state.

    python benchmarks/files_entered.py [redis://host:port/0]

Counted are the distinct files below `src/holdfast` whose Python code runs between the call and the
return of an await: `sys.setprofile` sees every function that is entered, also those that the event
loop calls meanwhile. Without a URL the cache in memory alone is looked at.
"""

import asyncio
import sys
from pathlib import Path

import holdfast
from holdfast import open_cache

PACKAGE = Path(holdfast.__file__).parent
WARM_CALLS = 20  # first calls import, open and learn; the count is for those after them


async def files_of(call):
    """Return the files below `holdfast` that *call*, an async function, enters."""
    for _ in range(WARM_CALLS):
        await call()
    entered = set()

    def note(frame, event, _argument):
        if event == "call":
            entered.add(frame.f_code.co_filename)

    sys.setprofile(note)
    try:
        await call()
    finally:
        sys.setprofile(None)
    inside = (Path(name) for name in entered)
    return sorted(str(path.relative_to(PACKAGE)) for path in inside if PACKAGE in path.parents)


async def files_of_cached_reads(url):
    """Return the files of a `get` and of a `get_or_set` that find a value at *url*."""

    async def load():
        return {"a": 1}

    async with open_cache(url) as cache:
        await cache.set("set", {"a": 1}, ttl=600)
        return {
            "get": await files_of(lambda: cache.get("set")),
            "get_or_set": await files_of(lambda: cache.get_or_set("loaded", load, ttl=600)),
        }


if __name__ == "__main__":
    for place in ("memory://", *sys.argv[1:]):
        for verb, files in asyncio.run(files_of_cached_reads(place)).items():
            print(f"{place.partition(':')[0]} {verb}: {len(files)} files: {', '.join(files)}")
