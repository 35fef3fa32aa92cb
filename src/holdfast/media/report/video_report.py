"""A video's report, from what its detection left in the library."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import PurePath
from typing import TYPE_CHECKING

from holdfast.errors import NotFoundError, ObjectNotFoundError
from holdfast.media.entities import Project
from holdfast.media.object_keys import ANNOTATED, FRAMES, SUMMARY, result_key
from holdfast.media.report import Report, ReportOptions, write_report
from holdfast.media.report.contents import longest_tracks
from holdfast.media.vision.summary_file import read_summary
from holdfast.workspace import workspace

if TYPE_CHECKING:
    from pathlib import Path

    from holdfast.media.entities import Video
    from holdfast.media.library import MediaLibrary
    from holdfast.media.vision.detector import Analysis


async def report_video(library: MediaLibrary, video: Video, output: Path, root: Path) -> None:
    """Write what was found in *video* to *output* as one HTML file; *root* is for working in.

    The file appears whole or not at all. Raises NotFoundError when no detection has ended yet,
    IntegrityError when its summary is damaged, StorageError for the disk.
    """
    if video.analysed_at is None:
        raise NotFoundError("results", video.filename, hint="`holdfast worker --once` makes them")
    options = ReportOptions()
    project = await library.store.repository(Project).get_one(video.project_id)
    summary = await library.bucket.get(result_key(video.id, PurePath(SUMMARY)))
    analysis = read_summary(summary, video.filename)
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(workspace(root))
        await _fetch_pictures(library, video, analysis, options, folder)
        annotated = await stack.enter_async_context(
            library.bucket.as_file(result_key(video.id, PurePath(ANNOTATED)))
        )
        report = Report(
            analysis=analysis,
            title=video.filename,
            project=project.name,
            ingested=video.created_at,
            analysed=video.analysed_at,
            detector=str((video.summary or {}).get("detector", "")),
            checksum=f"sha256 {video.sha256}",
            annotated=annotated,
            frames=folder,
        )
        await asyncio.to_thread(write_report, output, report, options=options)


async def _fetch_pictures(
    library: MediaLibrary, video: Video, analysis: Analysis, options: ReportOptions, folder: Path
) -> None:
    for track in longest_tracks(analysis.tracks, options.thumbnails):
        name = f"track-{track.id}.jpg"
        try:
            await library.bucket.download(
                result_key(video.id, PurePath(FRAMES, name)), folder / name
            )
        except ObjectNotFoundError:
            continue  # the page says where a picture is missing
