"""Records what this version stores: `python tests/upgrade/record.py FOLDER`.

FOLDER gets data.zip, the platform's folder, and expected.json, what was in it by the API.
"""

import asyncio
import json
import sys
import tempfile
import zipfile
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from holdfast import Migrations
from holdfast.jobs import EnqueueOptions, Worker
from holdfast.models import ModelRegistry, VersionDetails
from holdfast.platform import open_platform, platform_entities
from holdfast.settings import Settings


def plain(value):
    """Return *value* of a field as JSON has it."""
    return json.loads(json.dumps(value, default=str, sort_keys=True))


async def rows_of(platform):
    """Return all rows of the platform, by table and in the order of their keys."""
    found = {}
    for entity in platform_entities(platform.settings):
        model = platform.store.repository(entity).model
        rows = [
            {field.name: plain(getattr(row, field.name)) for field in model.fields}
            for row in await platform.store.repository(entity).find()
        ]
        found[model.table] = rows
    return found


async def objects_of(bucket):
    """Return the SHA-256 of all objects by their keys."""
    return {info.key: (await bucket.head(info.key)).sha256 async for info in bucket.list()}


def small_film(path):
    """Write two seconds in which a bright square goes from left to right."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(15), options={"crf": "30"})
        stream.width, stream.height, stream.pix_fmt = 160, 128, "yuv420p"
        for number in range(30):
            picture = np.full((128, 160, 3), 60, np.uint8)
            left = 5 + number * 4
            picture[50:80, left : left + 30] = 220
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        container.mux(stream.encode())


async def fill(platform, scratch):
    film, weights = scratch / "film.mp4", scratch / "weights.bin"
    small_film(film)
    weights.write_bytes(b"weights" * 1000)
    await platform.library.ingest(film, project="North gate")
    await Worker(platform.jobs, platform.handlers).run(until="idle")
    registry = platform.service(ModelRegistry)
    details = VersionDetails(
        semantic_version="1.0.0", metrics={"mAP": 0.9}, tags={"team": "vision"}
    )
    made = await registry.register("vehicles", weights, details)
    await registry.promote(made.version, "prod", expected=None)
    later = datetime.now(UTC) + timedelta(days=36500 // 2)
    await platform.jobs.enqueue(
        "report", {"day": "2026-11-29"}, options=EnqueueOptions(run_at=later)
    )
    await platform.jobs.enqueue("unknown to workers", {"tags": ["a", "b"]})
    await platform.bucket.put("notes/a.txt", b"hello", metadata={"camera": "north"})


async def keep_migrations(settings, folder):
    """Write the file of these tables, as everybody does before the first upgrade."""
    migrations = Migrations(
        f"sqlite:///{settings.data}/holdfast.db", platform_entities(settings), folder=folder
    )
    await migrations.create("tables of this version")
    await migrations.stamp()


async def record(folder):
    with tempfile.TemporaryDirectory() as scratch:
        data = Path(scratch) / "data"
        settings = Settings(data=data)
        async with open_platform(settings) as platform:
            await fill(platform, Path(scratch))
            expected = {
                "rows": await rows_of(platform),
                "objects": await objects_of(platform.bucket),
            }
        await keep_migrations(settings, data / "migrations")
        with zipfile.ZipFile(
            folder / "data.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=9
        ) as packed:
            for path in sorted(data.rglob("*")):
                packed.write(path, path.relative_to(data))
        (folder / "expected.json").write_text(json.dumps(expected, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    asyncio.run(record(Path(sys.argv[1])))
