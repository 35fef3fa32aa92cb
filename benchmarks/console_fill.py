"""Fills an installation with as many rows and objects as a benchmark of its console asks for.

A few of each are made by the product itself: a film is ingested and looked at, a model registered,
a workflow run. Of those `add_many` writes some thousands more, with keys and names of their own,
and SQL copies the rows that it wrote. On disk an object's files are written as the bucket would
write them, without an fsync each.
"""

from __future__ import annotations

import inspect
import os
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from holdfast import open_store
from holdfast.audit import AuditEntry
from holdfast.jobs import (
    EnqueueOptions,
    Job,
    Jobs,
    JobStatus,
    Limit,
    NewJob,
    Schedule,
    Schedules,
    Worker,
    Workflow,
    Workflows,
)
from holdfast.media import Clip, Project, Video
from holdfast.media.object_keys import ACTIVITY, DETECTIONS, result_key
from holdfast.media.review.cases import Cases
from holdfast.media.review.saved_clips import SavedClips
from holdfast.models import ModelRegistry, VersionDetails
from holdfast.uuid7 import uuid7

sys.path.insert(0, str(Path(__file__).parent.parent))
sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from media.films import film
from servers import execute

if TYPE_CHECKING:
    from collections.abc import Iterable

    from holdfast.platform import Platform

BATCH = 5_000
PROJECTS = 200
FLAT = 10  # one object in so many lies in one folder with the others; the rest are 500 a folder
FOLDER = 500
HOUR = 3_600
RATE = 25
GROUP = 4_096  # rows of a row group, as the product writes them
_LINKS = 60_000  # names of one file; ext4 takes 65,000


@dataclass
class Filled:
    """What the pages of one thing are found by; *many* is the id of a project with many videos."""

    project: Project
    video: Video
    hour: Video
    clip: str
    case: str
    job: str
    workflow: str
    object: str
    many: UUID | None = None


async def seed(platform: Platform) -> Filled:
    """Make a few of everything, as people and workers do."""
    library, jobs = platform.library, platform.service(Jobs)
    with tempfile.TemporaryDirectory() as folder:
        came = await library.ingest(film(Path(folder) / "gate.mp4", frames=75), project="gate")
        other = film(Path(folder) / "hour.mp4", frames=90)
        hour = await library.ingest(other, project="gate")
        await Worker(jobs, platform.handlers).run(until="idle")
        weights = Path(folder) / "weights.bin"
        registry = platform.service(ModelRegistry)
        for number in range(1, 21):
            weights.write_bytes(bytes([number]) * 1_000)
            details = VersionDetails(metrics={"mAP": number / 20}, config={"lr": number})
            version = await registry.register("vehicles", weights, details)
        await registry.promote(version.version, "production", reason="the best")
    video = await library.videos.get_one(came.video.id)
    clips = SavedClips(library)
    clip = await clips.make(video, "the crossing", 0.5, 1.5, by="ann")
    cases = Cases(library)
    case = await cases.open(video.project_id, "The crossing", by="ann")
    await cases.add_clip(case, clip, by="ann")
    await cases.add_note(case, "seen from the north", by="ann")
    await Schedules(platform.store).put(Schedule("nightly", NewJob("t"), cron="0 3 * * *"))
    await jobs.limits.set(Limit(queue="q1", concurrency=10, key_concurrency=2))
    flow = Workflow("report")
    first = flow.add(NewJob("t"), name="first")
    flow.add(NewJob("t"), name="second", after=[first])
    run = await Workflows(jobs).start(flow)
    for number in range(10):
        name = f"q{number}"
        await jobs.enqueue_many([NewJob("t", {"n": 1}, EnqueueOptions(queue=name))] * 11)
        claims = await jobs.claim_many("w", 11, queues=(name,))
        await jobs.complete_many([(claim, None) for claim in claims[1:]])
        await jobs.fail(claims[0], f"camera {number} did not answer", retry=False)
        await jobs.enqueue("t", options=EnqueueOptions(queue=name, delay=timedelta(days=9)))
    failed = await platform.store.repository(Job).first(Job.status == JobStatus.FAILED)
    await platform.bucket.put("notes/north.txt", b"seen from the north")
    return Filled(
        project=await library.projects.get_one(video.project_id),
        video=video,
        hour=await library.videos.get_one(hour.video.id),
        clip=str(clip.id),
        case=str(case.id),
        job=str(failed.id),
        workflow=str(run.id),
        object="notes/north.txt",
    )


async def fill_rows(platform: Platform, url: str, count: int) -> None:
    """Have *count* videos, each with a clip, as many jobs, and an entry of the audit for each.

    `add_many` writes BATCH of each, SQL the copies of those. The copies of entries have places
    that the log does not know, for the sequencer would work on them beside what is measured.
    """
    models = platform.store.models
    kept = {
        entity: await platform.store.repository(entity).find(limit=200)
        for entity in (Project, Video, Clip, AuditEntry)
    }
    jobs = [
        each
        for each in await platform.store.repository(Job).find(Job.task == "t")
        if each.workflow_id is None and each.status in _RESTING
    ]
    entries = [each for each in kept[AuditEntry] if each.entity in ("Video", "Project", "Clip")]
    few = min(BATCH, count)
    async with open_store(url, [model.entity for model in models]) as store:  # without the audit
        projects = [
            _copy(kept[Project][0], id=uuid7(), name=f"camera {number:03}")
            for number in range(PROJECTS)
        ]
        await store.repository(Project).add_many(projects)
        videos = [
            _copy(
                kept[Video][number % len(kept[Video])],
                id=uuid4(),
                project_id=projects[number % PROJECTS].id,
                filename=f"camera-{number % PROJECTS:03}-{number:04}.mp4",
                sha256=f"{number:064x}",
            )
            for number in range(few)
        ]
        clips = [_copy(kept[Clip][0], id=uuid7(), video_id=each.id, number=1) for each in videos]
        made = {
            Video: videos,
            Clip: clips,
            Job: [
                _copy(jobs[number % len(jobs)], id=uuid7(), queue=f"q{number % 10}")
                for number in range(few)
            ],
            AuditEntry: [
                _copy(entries[number % len(entries)], id=None, position=None, key=str(each.id))
                for number, each in enumerate(videos)
            ],
        }  # fmt: skip
        for entity, rows in made.items():
            await store.repository(entity).add_many(rows)
    _multiply(url, count // few - 1)


_NEW = {
    "sqlite": {
        "id": "lower(hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-4' || "
        "substr(hex(randomblob(2)), 2) || '-a' || substr(hex(randomblob(2)), 2) || '-' || "
        "hex(randomblob(6)))",
        "sha256": "lower(hex(randomblob(32)))",
    },
    "postgresql": {
        "id": "gen_random_uuid()",
        "sha256": "md5(random()::text) || md5(random()::text)",
    },
}
_EARLIER = {
    "sqlite": "strftime('%Y-%m-%d %H:%M:%f', created_at, '-' || n.i || ' minutes', "
    "'-' || (abs(random() % 5000) / 100.0) || ' seconds') || '000'",
    "postgresql": "created_at - n.i * interval '1 minute' - random() * interval '50 seconds'",
}
_CHANGED = {
    "videos": {
        "id": "",
        "sha256": "",
        "filename": "substr(filename, 1, 15) || '-' || n.i || '.mp4'",
        "created_at": "earlier",
    },
    "clips": {"id": "", "number": "number + n.i", "created_at": "earlier"},
    "jobs": {"id": "", "created_at": "earlier"},
    "audit_entries": {"position": "1000000000 + 10000 * n.i + own.id"},
}
"""What differs in a copy, by table and column: '' is a value at random, `earlier` a time."""
_OWN = {
    "videos": "size > 0",
    "clips": "number = 1",
    "jobs": "task = 't'",
    "audit_entries": "position IS NULL",
}


def _multiply(url: str, times: int) -> None:
    """Copy each row that was just added *times* times."""
    kind = urlsplit(url).scheme
    for name, changed in _CHANGED.items():
        start = time.perf_counter()
        if kind == "sqlite":
            found = execute(url, f"SELECT name FROM pragma_table_info('{name}')")
        else:
            found = execute(
                url,
                "SELECT column_name FROM information_schema.columns "
                f"WHERE table_name = '{name}' AND table_schema = current_schema()",
            )
        columns = [column for (column,) in found if (name, column) != ("audit_entries", "id")]
        new = {each: changed.get(each, each) or _NEW[kind][each] for each in columns}
        values = [_EARLIER[kind] if value == "earlier" else value for value in new.values()]
        numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {})"
        execute(
            url,
            f"{numbers.format(times)} INSERT INTO {name} ({', '.join(columns)}) "
            f"SELECT {', '.join(values)} FROM n, (SELECT * FROM {name} WHERE {_OWN[name]}) AS own",
        )
        _say(f"{times:,} copies of the rows of {name}", start)


_RESTING = (JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.QUEUED)


def _copy(entity: object, **changed: object) -> object:
    """Return a new entity like *entity*, without what the store gives itself, or an id of None."""
    taken = inspect.signature(type(entity)).parameters
    given = {**vars(entity), **changed}
    return type(entity)(**{
        name: value
        for name, value in given.items()
        if name in taken and not (name == "id" and value is None)
    })  # fmt: skip


async def fill_detections(platform: Platform, video: Video, count: int) -> None:
    """Make *video* one of an hour with *count* detections, the same number in every frame."""
    frames = HOUR * RATE
    each = max(1, count // frames)
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / DETECTIONS
        labels = pa.array(["car", "person", "truck"])
        with pq.ParquetWriter(path, _detections(0, 1, labels).schema, compression="zstd") as file:
            for row in range(0, frames * each, GROUP):
                rows = min(GROUP, frames * each - row)
                file.write_table(_detections(row, rows, labels, each))
        await platform.bucket.put(result_key(video.id, Path(DETECTIONS)), path)
        size = path.stat().st_size
        activity = Path(folder) / ACTIVITY
        seconds = np.repeat(np.arange(HOUR), 3)
        pq.write_table(
            pa.table({
                "second": pa.array(seconds, pa.int64()),
                "label": pa.DictionaryArray.from_arrays(
                    pa.array(np.tile(np.arange(3), HOUR), pa.int32()), labels
                ),
                "tracks": pa.array(1 + seconds % 7, pa.int64()),
                "detections": pa.array(np.full(len(seconds), RATE * each // 3), pa.int64()),
            }),
            activity,
            compression="zstd",
            row_group_size=GROUP,
        )  # fmt: skip
        await platform.bucket.put(result_key(video.id, Path(ACTIVITY)), activity)
    await platform.library.videos.patch(
        video.id, Video.duration.to(float(HOUR)), Video.frames.to(frames)
    )
    _say(f"{frames * each:,} detections of one video, {size / 1e6:,.0f} MB", start)


def _detections(first: int, rows: int, labels: pa.Array, each: int = 1) -> pa.Table:
    number = np.arange(first, first + rows)
    frame, place = number // each, number % each
    names = pa.DictionaryArray.from_arrays(pa.array(place % 3, pa.int32()), labels)
    schema = pa.schema([
        pa.field("frame", pa.int64(), nullable=False),
        pa.field("time", pa.float64(), nullable=False),
        pa.field("track", pa.int64(), nullable=False),
        pa.field("label", names.type, nullable=False),
        *(pa.field(name, pa.float32(), nullable=False) for name in _FLOATS),
    ])  # fmt: skip
    values = {
        "frame": pa.array(frame, pa.int64()),
        "time": pa.array(frame / RATE, pa.float64()),
        "track": pa.array(1 + place + each * (frame // 500), pa.int64()),
        "label": names,
        "score": pa.array(0.5 + (number % 50) / 100, pa.float32()),
        "x": pa.array((frame + 13 * place) % 140, pa.float32()),
        "y": pa.array((7 * place) % 100, pa.float32()),
        "width": pa.array(np.full(rows, 20), pa.float32()),
        "height": pa.array(np.full(rows, 16), pa.float32()),
    }
    return pa.table(values, schema=schema)


_FLOATS = ("score", "x", "y", "width", "height")


def keys_of(count: int) -> Iterable[str]:
    """Yield *count* keys: a tenth of them in one folder, the others 500 a folder."""
    for number in range(count):
        if number % FLAT == 0:
            yield f"flat/{number:07}.txt"
        else:
            yield f"days/{number // FOLDER // 100:03}/{number // FOLDER:05}/{number:07}.txt"


def fill_disk(platform: Platform, like: str, count: int) -> None:
    """Have *count* objects more in a bucket on disk, each as the one under the key *like*."""
    from holdfast.objects.drivers.disk.paths import data_path, record_path

    start = time.perf_counter()
    root = Path(str(platform.settings.bucket).removeprefix("file://"))
    records = root / ".holdfast" / "records"
    written = msgspec.json.decode((records / record_path(like)).read_bytes())
    source = root / written["data"]
    made: set[str] = set()
    for links, key in enumerate(keys_of(count)):
        data = data_path(key, uuid4().hex)
        record = records / record_path(key)
        for folder in (os.path.dirname(root / data), os.path.dirname(record)):  # noqa: PTH120
            if folder not in made:
                os.makedirs(folder, exist_ok=True)  # noqa: PTH103
                made.add(folder)
        if links % _LINKS == 0:  # the bytes are the same: a name more is quicker than a file more
            source = root / data
            source.write_bytes(b"seen from the north")
        else:
            os.link(source, root / data)
        content = msgspec.json.encode({**written, "key": key, "data": data})
        with open(record, "wb") as file:  # noqa: PTH123
            file.write(content)
    _say(f"{count:,} objects on disk", start)


async def fill_bucket(platform: Platform, count: int) -> None:
    """Have *count* objects more in a bucket of a server, put one by one, 32 at a time."""
    import asyncio

    start = time.perf_counter()
    keys = iter(keys_of(count))

    async def put() -> None:
        for key in keys:
            await platform.bucket.put(key, b"seen from the north", content_type="text/plain")

    async with asyncio.TaskGroup() as group:
        for _ in range(32):
            group.create_task(put())
    _say(f"{count:,} objects on the server", start)


def _say(text: str, start: float) -> None:
    print(f"{text} in {time.perf_counter() - start:,.0f} s", file=sys.stderr, flush=True)
