"""How many of Holdfast's files one call enters: how far a reader walks to follow it.

    python benchmarks/files_entered.py [--files]

A call is awaited again until its caches are warm; then every Python function that runs between
call and return is noted, on all threads, and the files below `src/holdfast` are counted. It looks
at the embedded backends, and at the servers of `make services` that answer.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import threading
from datetime import datetime  # noqa: TC003 - annotations are read at run time
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import (
    UUID,
    uuid4,
)

sys.path.insert(0, str(Path(__file__).parents[1]))

from objects_sides import Place
from tools.services.endpoints import endpoints

import holdfast
from holdfast import (
    Entity,
    Field,
    created_at,
    field,
    key,
    open_bucket,
    open_cache,
    open_store,
    uuid7,
    version,
)
from holdfast.objects import Credentials, S3Options

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

ROOT = Path(holdfast.__file__).parent
WARM = 50  # calls after which nothing is compiled, prepared or connected any more
BODY = bytes(10_240)


class Clip(Entity, table="files_entered"):
    """A row with a UUID, an aware datetime and a JSON column, as most rows have."""

    id: Field[UUID] = key(default_factory=uuid7)
    title: Field[str]
    attributes: Field[dict[str, object]] = field(default_factory=dict)
    created_at: Field[datetime] = created_at()
    version: Field[int] = version()


class Entered:
    """Notes which files functions are called in, on all threads, while it is on."""

    def __init__(self) -> None:
        self.on = False
        self._found: dict[str, None] = {}
        # A thread takes this when it starts, so it has to stand before anything is opened.
        threading.setprofile(self._note)
        sys.setprofile(self._note)

    def _note(self, frame, event, _argument) -> None:
        if self.on and event == "call":
            self._found[frame.f_code.co_filename] = None

    async def by(self, call: Callable[[], Awaitable[object]]) -> list[str]:
        """Return the files of Holdfast's that *call* enters in steady state, in their order."""
        for _ in range(WARM):
            await call()
        self._found.clear()
        self.on = True
        await call()
        self.on = False
        below = [Path(name) for name in self._found if name.startswith(str(ROOT))]
        return [str(path.relative_to(ROOT)) for path in below]


async def by_records(url: str, entered: Entered) -> dict[str, list[str]]:
    async with open_store(url, [Clip]) as store:
        await store.create_schema()
        try:
            clips = store.repository(Clip)
            clip = await clips.add(Clip(title="a"))
            return {"get by key": await entered.by(lambda: clips.get(clip.id))}
        finally:
            await store.drop_schema()


async def by_objects(url: str, options: S3Options | None, entered: Entered) -> dict[str, list[str]]:
    async with open_bucket(url, options=options) as bucket:
        put = await entered.by(lambda: bucket.put("k", BODY))
        get = await entered.by(lambda: bucket.get("k"))
        await bucket.delete("k")
    return {"put": put, "get": get}


async def by_cache(url: str, entered: Entered) -> dict[str, list[str]]:
    async def load() -> dict[str, int]:
        return {"a": 1}

    async with open_cache(url) as cache:
        await cache.set("set", {"a": 1}, ttl=600)
        return {
            "cached get": await entered.by(lambda: cache.get("set")),
            "get_or_set, a hit": await entered.by(
                lambda: cache.get_or_set("loaded", load, ttl=600)
            ),
        }


def all_of(entered: Entered, folder: str) -> dict[str, dict[str, list[str]]]:
    """Return the files by backend and verb."""
    servers = endpoints()
    found: dict[str, dict[str, list[str]]] = {}
    stores = {"memory": "memory://", "sqlite": f"sqlite:///{folder}/files.db"} | {
        name: servers[name].url for name in ("postgresql", "mariadb", "mysql") if name in servers
    }
    for name, url in stores.items():
        found[name] = asyncio.run(by_records(url, entered))
    found["disk"] = asyncio.run(by_objects(f"file://{folder}/objects", None, entered))
    if "minio" in servers:
        place = Place.of(servers["minio"].url, f"entered-{uuid4().hex[:12]}")
        options = S3Options(
            endpoint_url=place.endpoint,
            credentials=Credentials(place.key, place.secret),
            create=True,
        )
        found["s3"] = asyncio.run(by_objects(f"s3://{place.bucket}", options, entered))
    caches = {"memory cache": "memory://"} | (
        {"redis": servers["redis"].url} if "redis" in servers else {}
    )
    for name, url in caches.items():
        found[name] = asyncio.run(by_cache(url, entered))
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", action="store_true", help="name the files as well")
    named = parser.parse_args().files
    with tempfile.TemporaryDirectory() as folder:
        for backend, verbs in all_of(Entered(), folder).items():
            for verb, files in verbs.items():
                print(f"{backend:13} {verb:18} {len(files):3}")
                for name in files if named else ():
                    print(f"    {name}")


if __name__ == "__main__":
    main()
