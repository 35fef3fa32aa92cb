"""Whether rows, jobs, objects and files of a data folder agree with one another, exactly."""

from __future__ import annotations

from pathlib import Path

from holdfast.jobs import Job, JobStatus
from holdfast.media import MEDIA_ENTITIES, Clip, Project, Video
from holdfast.objects.drivers.disk.record import decode
from holdfast.settings import Settings
from holdfast.sync import open_bucket, open_store

RESULTS = (
    "activity.parquet",
    "counts.csv",
    "detections.jsonl.zst",
    "detections.parquet",
    "summary.json",
    "tracks.parquet",
)


def disagreements(data):
    """What is wrong in *data* when every ingest is over and every job is done: lines of text.

    Records and objects are looked for where the environment's settings say.
    """
    data = Path(data)
    settings = Settings(data=data)
    found = []
    with open_store(settings.store_url, [*MEDIA_ENTITIES, Job]) as store:
        videos = store.repository(Video).find()
        clips = store.repository(Clip).find()
        jobs = {job.id: job for job in store.repository(Job).find()}
        names = [project.name for project in store.repository(Project).find()]
    expected = set()
    for video in videos:
        expected |= keys_of(video, [clip for clip in clips if clip.video_id == video.id])
        job = jobs.pop(video.job_id, None)
        if job is None or job.status is not JobStatus.SUCCEEDED or video.analysed_at is None:
            found.append(f"{video.filename}: its job is {job and job.status}: {job and job.error}")
    found += [f"a job of no video: {job.payload}" for job in jobs.values()]
    if len(set(names)) != len(names):
        found.append(f"projects: {names}")
    known = {(video.project_id, video.sha256) for video in videos}
    if len(known) != len(videos):
        found.append("a file is there twice")
    stored, files = _in_bucket(settings.bucket) if settings.bucket else _objects(data / "objects")
    found += [f"missing: {key}" for key in sorted(expected - stored.keys())]
    found += [f"stray: {key}" for key in sorted(stored.keys() - expected)]
    found += [f"file of no object: {path}" for path in sorted(files)]
    for video in videos:
        info = stored.get(video.raw_key)
        if info is not None and (info.sha256, info.size) != (video.sha256, video.size):
            found.append(f"{video.raw_key} holds other bytes")
    found += [f"left in work: {path}" for path in (data / "work").glob("*")]
    return found


def keys_of(video, clips):
    tracks = (video.summary or {}).get("tracks", 0)
    return (
        {
            video.raw_key,
            video.thumbnail_key,
            f"frames/{video.id}/strip.jpg",
            f"processed/{video.id}/annotated.mp4",
        }
        | {f"results/{video.id}/{name}" for name in RESULTS}
        | {f"frames/{video.id}/track-{number}.jpg" for number in range(1, tracks + 1)}
        | {clip.key for clip in clips}
    )


def _in_bucket(url):
    with open_bucket(url) as bucket:
        return {info.key: bucket.head(info.key) for info in bucket.list()}, set()


def _objects(root):
    """Objects by key, and the files that belong to none."""
    hidden = root / ".holdfast"
    records = [path for path in (hidden / "records").rglob("*") if path.is_file()]
    decoded = [decode(path.read_bytes(), str(path)) for path in records]
    files = {path for path in root.rglob("*") if path.is_file()} - set(records)
    locks = {path for path in files if path.is_relative_to(hidden / "locks")}
    files -= {path for path in locks if not path.stat().st_size}
    return (
        {record.info.key: record.info for record in decoded},
        files - {root / record.data for record in decoded},
    )
