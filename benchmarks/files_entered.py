"""Which source files one call enters in steady state: how far a reader walks to follow it.

python benchmarks/files_entered.py [--url http://key:secret@127.0.0.1:9000]

Counted are the distinct files below src/holdfast of which code runs between a call and its answer,
on all threads. Without a URL, S3 is the MinIO that `make services` started.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from objects_sides import Place

import holdfast
from holdfast.objects import Credentials, S3Options, open_bucket

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

SOURCE = f"{Path(holdfast.__file__).parent}/"
BODY = bytes(10_240)


class Entered:
    """The files entered while it is switched on, by every thread started after `install`."""

    def __init__(self) -> None:
        self.files: set[str] = set()
        self.on = False

    def install(self) -> None:
        threading.setprofile(self._note)
        sys.setprofile(self._note)

    def remove(self) -> None:
        threading.setprofile(None)
        sys.setprofile(None)

    async def by(self, call: Callable[[], Awaitable[object]]) -> list[str]:
        """Return the files that *call* enters when it has run a few times before."""
        for _ in range(3):
            await call()
        self.files.clear()
        self.on = True
        await call()
        self.on = False
        return sorted(self.files)

    def _note(self, frame, event, _argument) -> None:
        name = frame.f_code.co_filename
        if self.on and event == "call" and name.startswith(SOURCE):
            self.files.add(name.removeprefix(SOURCE))


async def objects_entered(url: str, options: S3Options | None) -> dict[str, list[str]]:
    """Return what `put` and `get` of 10 KB enter on the bucket at *url*."""
    entered = Entered()
    entered.install()  # before the bucket's threads start
    try:
        async with open_bucket(url, options=options) as bucket:
            put = await entered.by(lambda: bucket.put("k", BODY))
            get = await entered.by(lambda: bucket.get("k"))
            await bucket.delete("k")
    finally:
        entered.remove()
    return {"put": put, "get": get}


def minio_url() -> str | None:
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from tools.services.endpoints import endpoints

    found = endpoints().get("minio")
    return found.url if found else None


def show(backend: str, found: dict[str, list[str]]) -> None:
    for verb, files in found.items():
        print(f"{verb} on {backend}: {len(files)}")
        for name in files:
            print(f"  {name}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--url", help="of an S3 server, with its keys")
    url = parser.parse_args().url or minio_url()
    with tempfile.TemporaryDirectory() as folder:
        show("disk", asyncio.run(objects_entered(f"file://{folder}/objects", None)))
    if url is None:
        print("S3: no MinIO runs; `make services` starts one")
        return
    place = Place.of(url, f"entered-{uuid4().hex[:12]}")
    options = S3Options(
        endpoint_url=place.endpoint,
        credentials=Credentials(place.key, place.secret),
        create=True,
    )
    show("S3", asyncio.run(objects_entered(f"s3://{place.bucket}", options)))


if __name__ == "__main__":
    main()
