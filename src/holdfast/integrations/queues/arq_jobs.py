"""Jobs of arq on Redis: the queue is a sorted set of ids, a job a value under its id.

arq pickles jobs unless it was given another serializer. JSON and MessagePack are read, pickles are
refused: whoever can write to the Redis could have them do anything.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from holdfast.integrations.queues.foreign_job import ForeignJob, RefusedJob
from holdfast.jobs import EnqueueOptions

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from holdfast.integrations.queues.redis_source import RedisSource

SOURCE = "arq"
_PIECE = 500
_PICKLE = b"\x80"  # how protocol 2 and later begin; in MessagePack it is an empty map
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class _Stored(msgspec.Struct):
    """A job as arq keeps it: function, arguments, and when it was enqueued."""

    f: str
    a: list[Any] = msgspec.field(default_factory=list)
    k: dict[str, Any] = msgspec.field(default_factory=dict)


async def arq_jobs(
    redis: RedisSource, queues: Sequence[str] = ("arq:queue",)
) -> AsyncIterator[ForeignJob | RefusedJob]:
    """Yield the jobs that wait in *queues*, by the time at which they are due.

    Nothing is changed there. Stop arq's workers first.
    """
    for queue in queues:
        found = await redis.scored_members(queue, piece=_PIECE)
        for at in range(0, len(found), _PIECE):
            some = found[at : at + _PIECE]
            values = await redis.values([b"arq:job:" + member for member, _ in some])
            for (member, due), value in zip(some, values, strict=True):
                yield read_job(member.decode(errors="replace"), due, value, queue=queue)


def read_job(
    job_id: str, due: float, value: bytes | None, *, queue: str
) -> ForeignJob | RefusedJob:
    """Return the job that *value* holds, due at so many milliseconds, or why it can't be taken."""
    if value is None:
        return RefusedJob(SOURCE, job_id, "", "has expired: arq keeps no more than its id")
    if value.startswith(_PICKLE):
        return RefusedJob(
            SOURCE,
            job_id,
            "",
            "is a pickle, and pickles run what they hold. Let the old workers do it, or enqueue it "
            "again with a job_serializer of JSON or MessagePack",
        )
    try:
        if value.startswith(b"{"):
            stored = msgspec.json.decode(value, type=_Stored)
        else:
            stored = msgspec.msgpack.decode(value, type=_Stored)
        run_at = _EPOCH + timedelta(milliseconds=due)
    except (msgspec.DecodeError, OverflowError, ValueError) as error:
        return RefusedJob(SOURCE, job_id, "", f"is neither JSON nor MessagePack of arq's: {error}")
    name = queue.removeprefix("arq:")
    options = EnqueueOptions(queue=None if name == "queue" else name, run_at=run_at)
    return ForeignJob(SOURCE, job_id, stored.f, tuple(stored.a), stored.k, options)
