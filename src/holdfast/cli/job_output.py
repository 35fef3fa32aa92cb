"""How jobs are shown, as tables and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson
import typer

from holdfast.cli.output import (
    fields_of,
    lately,
    moment,
    plain,
    print_facts,
    print_table,
)
from holdfast.cli.video_output import MOST, note_cut

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta

    from holdfast.jobs import FailureGroup, Job, JobAttempt, JobLogLine, TaskStatistics
    from holdfast.jobs.history.queue_position import QueuePosition

_HIDDEN = frozenset({"lease", "live_key", "held_key", "traceparent", "lane", "precedence"})
_PERCENTS = (50, 95, 99)


def job_json(job: Job) -> dict[str, object]:
    """Return a job for programs: without the token of its lease."""
    return {name: value for name, value in fields_of(job).items() if name not in _HIDDEN}


def line_json(line: JobLogLine) -> dict[str, object]:
    """Return a line of a log for programs."""
    names = ("position", "attempt", "at", "level", "text")
    return {name: getattr(line, name) for name in names}


def print_jobs(found: Sequence[Job], now: datetime) -> None:
    """Print jobs as a table."""
    from holdfast.jobs import JobStatus

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


def print_job_ids(found: Sequence[Job]) -> None:
    """Print jobs as a table with their ids, which other commands take."""
    print_table(
        ("job", "state", "done", "tries", "queue", "task"),
        [
            (
                job.id,
                job.status.value,
                f"{job.progress:.0%}",
                f"{job.attempts}/{job.max_attempts}",
                job.queue,
                job.task,
            )
            for job in found[:MOST]
        ],
        right=("done", "tries"),
        folded=("queue", "task"),
    )
    note_cut(len(found))


def print_job(job: Job, position: QueuePosition | None) -> None:
    """Print what is known of one job."""
    facts = {
        "job": job.id,
        "task": job.task,
        "queue": job.queue,
        "state": job.status.value,
        "done": f"{job.progress:.0%}",
        "tries": f"{job.attempts}/{job.max_attempts}",
        "added": moment(job.created_at),
        "started": moment(job.started_at),
        "finished": moment(job.finished_at),
        "message": job.message,
        "error": job.error,
    }
    if position is not None:
        facts["place"] = position.place
        if position.earliest is not None:
            facts["starts"] = f"{moment(position.earliest)} to {moment(position.latest)}"
    print_facts({name: value for name, value in facts.items() if value not in (None, "")})


def print_attempts(found: Sequence[JobAttempt]) -> None:
    """Print the attempts at a job as a table, if there are any."""
    if found:
        print_table(
            ("try", "began", "ended", "outcome", "error"),
            [
                (
                    each.number,
                    moment(each.began_at),
                    moment(each.ended_at),
                    "running" if each.outcome is None else each.outcome.value,
                    each.error,
                )
                for each in found
            ],
            right=("try",),
            folded=("error",),
        )


def print_lines(lines: Sequence[JobLogLine], *, as_json: bool) -> None:
    """Print lines of a log, each on a line; as JSON, each a document."""
    for line in lines:
        if as_json:
            typer.echo(orjson.dumps(line_json(line)).decode())
        else:
            typer.echo(f"{moment(line.at)} {line.level.value:<7} {plain(line.text)}")


def print_change(job: Job, *, as_json: bool) -> None:
    """Print where a job stands, on a line."""
    if as_json:
        typer.echo(orjson.dumps(job_json(job)).decode())
        return
    message = job.error if job.status.finished else job.message
    said = f" {plain(message)}" if message else ""
    typer.echo(
        f"{moment(job.updated_at)} {job.id} {plain(job.task)} "
        f"{job.status.value} {job.progress:.0%}{said}"
    )


def statistics_json(
    found: Sequence[TaskStatistics], failures: Sequence[FailureGroup]
) -> dict[str, object]:
    """Return statistics for programs; times are in seconds."""
    names = ("name", "start", "succeeded", "failed", "cancelled", "retried", "lost", "per_second")
    tasks = [
        {
            **{name: getattr(each, name) for name in names},
            "length": each.length.total_seconds(),
            "mean": _seconds(each.mean),
            **{f"p{cut}": _seconds(each.percentile(cut / 100)) for cut in _PERCENTS},
        }
        for each in found
    ]
    reasons = ("queue", "task", "reason", "count", "example", "job_id", "latest")
    return {
        "statistics": tasks,
        "failures": [{name: getattr(each, name) for name in reasons} for each in failures],
    }


def print_statistics(found: Sequence[TaskStatistics], *, stepped: bool) -> None:
    """Print statistics as a table, a row for each time and name."""
    columns: tuple[str, ...] = (
        "name",
        "done",
        "failed",
        "cancelled",
        "retried",
        "lost",
        "p50",
        "p95",
        "p99",
    )
    rows: list[tuple[object, ...]] = [
        (
            each.name,
            each.succeeded,
            each.failed,
            each.cancelled,
            each.retried,
            each.lost,
            *(_short(each.percentile(cut / 100)) for cut in _PERCENTS),
        )
        for each in found
    ]
    if stepped:
        columns = ("start", *columns)
        rows = [(moment(each.start), *row) for each, row in zip(found, rows, strict=True)]
    print_table(columns, rows, right=columns[2 if stepped else 1 :], folded=("name",))


def print_failures(found: Sequence[FailureGroup]) -> None:
    """Print why attempts failed as a table, if any did."""
    if found:
        print_table(
            ("times", "task", "reason"),
            [(each.count, each.task, each.reason) for each in found[:MOST]],
            right=("times",),
            folded=("reason",),
        )


def _seconds(time: timedelta | None) -> float | None:
    return None if time is None else time.total_seconds()


def _short(time: timedelta | None) -> str:
    if time is None:
        return ""
    seconds = time.total_seconds()
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"
