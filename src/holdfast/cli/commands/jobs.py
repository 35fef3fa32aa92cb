"""The command that lists jobs: jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.cli.options import AsJson, Data, Traceback
from holdfast.cli.output import fields_of, lately, note, print_json, print_table
from holdfast.cli.runner import look
from holdfast.cli.video_output import MOST, note_cut

if TYPE_CHECKING:
    from holdfast.platform import Platform


def jobs(data: Data = None, as_json: AsJson = False, traceback: Traceback = False) -> None:
    """List the jobs, newest first, with how far they are."""
    from holdfast.jobs import Job, JobStatus

    async def work(platform: Platform) -> None:
        found = await platform.store.repository(Job).find(order_by=Job.created_at.desc())
        if as_json:
            print_json([fields_of(job) for job in found])
            return
        if not found:
            note("No jobs yet: `holdfast ingest FILE` makes one.")
            return
        now = platform.store.now()
        print_table(
            ("task", "file", "state", "done", "tries", "added", "message"),
            [
                (
                    job.task,
                    job.payload.get("filename", ""),
                    job.status.value,
                    f"{job.progress:.0%}",
                    f"{job.attempts}/{job.max_attempts}",
                    lately(job.created_at, now),
                    job.message if job.status is JobStatus.RUNNING else job.error,
                )
                for job in found[:MOST]
            ],
            right=("done", "tries"),
            folded=("file", "message"),
        )
        note_cut(len(found))

    look(data, work)
