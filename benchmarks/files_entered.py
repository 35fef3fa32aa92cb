"""How many of Holdfast's files one call enters, on each backend that can be reached.

    python benchmarks/files_entered.py [--url URL]... [--files]

A call is awaited again until its caches are warm; then every Python function that runs between
call and return is noted, on all threads, and the files below `src/holdfast` are counted. Without
--url it looks at memory, a new SQLite file, and the servers of `make services` that answer.
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
from uuid import UUID  # noqa: TC003

sys.path.insert(0, str(Path(__file__).parents[1]))

from tools.services.endpoints import endpoints

import holdfast
from holdfast import Entity, Field, created_at, field, key, open_store, uuid7, version

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

ROOT = Path(holdfast.__file__).parent
WARM = 50  # calls after which nothing is compiled, prepared or connected any more


class Clip(Entity, table="files_entered"):
    """A row with a UUID, an aware datetime and a JSON column, as most rows have."""

    id: Field[UUID] = key(default_factory=uuid7)
    title: Field[str]
    attributes: Field[dict[str, object]] = field(default_factory=dict)
    created_at: Field[datetime] = created_at()
    version: Field[int] = version()


class Watch:
    """Notes which files functions are called in, on all threads, while it is told to look."""

    def __init__(self) -> None:
        self.looking = False
        self._found: dict[str, None] = {}
        # A thread takes this when it starts, so it has to stand before a store is opened.
        threading.setprofile(self._note)
        sys.setprofile(self._note)

    def _note(self, frame, event, _argument) -> None:
        if self.looking and event == "call":
            self._found[frame.f_code.co_filename] = None

    async def entered(self, call: Callable[[], Awaitable[object]]) -> list[str]:
        """Return the files of Holdfast's that *call* enters in steady state, in their order."""
        for _ in range(WARM):
            await call()
        self._found.clear()
        self.looking = True
        await call()
        self.looking = False
        below = [Path(name) for name in self._found if name.startswith(str(ROOT))]
        return [str(path.relative_to(ROOT)) for path in below]


async def of_store(url: str, watch: Watch) -> dict[str, list[str]]:
    """Return the files that each verb enters on the store at *url*."""
    async with open_store(url, [Clip]) as store:
        await store.create_schema()
        try:
            clips = store.repository(Clip)
            clip = await clips.add(Clip(title="a"))
            return {"get": await watch.entered(lambda: clips.get(clip.id))}
        finally:
            await store.drop_schema()


def urls(folder: str) -> list[str]:
    """Return the backends that can be reached from here."""
    found = ["memory://", f"sqlite:///{folder}/files.db"]
    running = endpoints()
    return found + [running[name].url for name in ("postgresql", "mariadb") if name in running]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--url", action="append", default=[], help="a backend to look at")
    parser.add_argument("--files", action="store_true", help="name the files as well")
    asked = parser.parse_args()
    watch = Watch()
    with tempfile.TemporaryDirectory() as folder:
        for url in asked.url or urls(folder):
            for verb, files in asyncio.run(of_store(url, watch)).items():
                print(f"{url.partition('://')[0]:12} {verb:8} {len(files):3}")
                for name in files if asked.files else ():
                    print(f"    {name}")


if __name__ == "__main__":
    main()
