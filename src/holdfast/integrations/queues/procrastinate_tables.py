"""Jobs of procrastinate in PostgreSQL, read by SQL in one transaction that can only read."""

from __future__ import annotations

import asyncio
from collections import deque
from datetime import datetime  # noqa: TC003 - the types of rows are looked up
from typing import TYPE_CHECKING

import msgspec
import sqlalchemy as sa
from sqlalchemy import exc

from holdfast.errors import ConfigurationError, UnavailableError
from holdfast.extras import needs_extra
from holdfast.integrations.queues.foreign_job import ForeignJob, RefusedJob
from holdfast.jobs import EnqueueOptions

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

SOURCE = "procrastinate"
_PIECE = 500
_WAITING, _RUNNING = "todo", "doing"


class _Row(msgspec.Struct):
    id: int
    status: str
    queue_name: str
    task_name: str
    priority: int
    lock: str | None
    args: dict[str, object]
    scheduled_at: datetime | None


async def procrastinate_jobs(
    url: str, *, schema: str | None = None, running: bool = False
) -> AsyncIterator[ForeignJob | RefusedJob]:
    """Yield the jobs that wait in the database at *url*, by id, as they are at one moment.

    *schema* is where procrastinate's tables are, None: where the search path leads. Those that
    workers have taken are refused, unless *running* says that there is no worker any more.
    Nothing is changed there. Raises ConfigurationError for a database without its tables, and
    UnavailableError.
    """
    rows = await asyncio.to_thread(_rows, url, schema)
    while rows:
        yield _job(rows.popleft(), running=running)


def _job(row: _Row, *, running: bool) -> ForeignJob | RefusedJob:
    options = EnqueueOptions(
        queue=row.queue_name,
        priority=row.priority,
        run_at=row.scheduled_at,
        limit_key=row.lock,
    )
    job = ForeignJob(SOURCE, str(row.id), row.task_name, (), row.args, options)
    if row.status == _RUNNING and not running:
        return job.refused("a worker has taken it")
    return job


def _rows(url: str, schema: str | None) -> deque[_Row]:
    table = sa.table("procrastinate_jobs", schema=schema)
    columns: list[sa.ColumnElement[object]] = [
        sa.column(each.name) for each in msgspec.structs.fields(_Row) if each.name != "status"
    ]
    status = sa.cast(sa.column("status"), sa.Text)
    asked = (
        sa.select(status.label("status"), *columns)
        .select_from(table)
        .where(status.in_((_WAITING, _RUNNING)))
        .order_by(sa.column("id"))
    )
    shown, engine = _engine(url)
    try:
        with engine.connect() as connection:
            connection.execute(sa.text("SET TRANSACTION READ ONLY"))
            found = connection.execution_options(yield_per=_PIECE).execute(asked)
            return deque(_converted(shown, found.mappings()))
    except exc.ProgrammingError as error:
        raise ConfigurationError(
            f"{shown}: no tables of procrastinate 2 or 3: {error.orig}"
        ) from error
    except exc.OperationalError as error:
        raise UnavailableError(f"{shown}: {error.orig}") from error
    finally:
        engine.dispose()


def _converted(shown: str, rows: object) -> Iterator[_Row]:
    for row in rows:  # type: ignore[attr-defined]
        try:
            yield msgspec.convert(dict(row), _Row)
        except msgspec.ValidationError as error:
            raise ConfigurationError(
                f"{shown}: procrastinate_jobs is not as procrastinate writes it: {error}"
            ) from None


def _engine(url: str) -> tuple[str, sa.Engine]:
    try:
        parsed = sa.make_url(url)
    except exc.ArgumentError as error:
        raise ConfigurationError(f"that is no URL of a database: {error}") from None
    shown = parsed.render_as_string(hide_password=True)
    if parsed.get_backend_name() != "postgresql":
        raise ConfigurationError(f"{shown!r}: procrastinate's tables are in postgresql://")
    with needs_extra("postgresql", f"reading {shown}"):
        engine = sa.create_engine(
            parsed.set(drivername="postgresql+psycopg"),
            poolclass=sa.NullPool,
            isolation_level="REPEATABLE READ",
        )
    return shown, engine
