"""Celery's jobs on Redis: the messages that its transport keeps, and what they mean here.

The format is that of Celery's message protocol 2 in kombu's envelope. Pickled bodies are refused:
whoever can write to the Redis could have them do anything.
"""

from __future__ import annotations

import base64
import binascii
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from holdfast.integrations.queues.foreign_job import ForeignJob, RefusedJob
from holdfast.jobs import EnqueueOptions
from holdfast.time_text import read_datetime

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from holdfast.integrations.queues.redis_source import RedisSource

SOURCE = "celery"
_STEPS = (0, 3, 6, 9)  # lists by priority, of which 0 goes first and has the queue's own name
_SEPARATOR = "\x06\x16"
_UNACKED = "unacked"  # what workers have taken and not ended
_PIECE = 500
_LINKS = ("callbacks", "errbacks", "chain", "chord")


class _DeliveryInfo(msgspec.Struct):
    routing_key: str | None = None


class _Properties(msgspec.Struct):
    body_encoding: str | None = None
    priority: int | None = None
    delivery_info: _DeliveryInfo = msgspec.field(default_factory=_DeliveryInfo)


class _Headers(msgspec.Struct):
    id: str | None = None
    task: str | None = None
    eta: str | None = None
    expires: str | None = None
    compression: str | None = None


class _Envelope(msgspec.Struct):
    body: str
    headers: _Headers
    properties: _Properties
    content_type: str | None = msgspec.field(name="content-type", default=None)


async def celery_jobs(
    redis: RedisSource, queues: Sequence[str] = ("celery",)
) -> AsyncIterator[ForeignJob | RefusedJob]:
    """Yield the jobs that wait in *queues*, oldest first in each, and those taken and not ended.

    Nothing is changed there. A job that workers take, or put back, meanwhile may be missed or come
    twice: stop them first.
    """
    for queue in queues:
        for step in _STEPS:
            name = f"{queue}{_SEPARATOR}{step}" if step else queue
            # New messages are pushed at the left, so the oldest is the last.
            for raw in reversed(await redis.list_items(name, piece=_PIECE)):
                yield read_message(raw)
    async for raw in redis.hash_values(_UNACKED, piece=_PIECE):
        found = _unacked(raw)
        if found is None or found[1] in queues:
            yield read_message(raw if found is None else found[0])


def read_message(raw: bytes) -> ForeignJob | RefusedJob:
    """Return the job that a message holds, or why it can't be taken over."""
    try:
        envelope = msgspec.json.decode(raw, type=_Envelope)
    except msgspec.DecodeError as error:
        return RefusedJob(SOURCE, "", "", f"is no message of Celery's: {error}")
    headers, properties = envelope.headers, envelope.properties
    job_id, task = headers.id or "", headers.task or ""

    def refused(reason: str) -> RefusedJob:
        return RefusedJob(SOURCE, job_id, task, reason)

    if not job_id or not task:
        return refused("has no id and task in its headers: it is of message protocol 1")
    if envelope.content_type != "application/json":
        return refused(
            f"its body is {envelope.content_type}, and only JSON is read: pickles run what they "
            "hold. Let the old workers do it, or send it again with task_serializer='json'"
        )
    if headers.compression is not None or properties.body_encoding not in (None, "base64"):
        return refused("its body is compressed or encoded in an unknown way")
    try:
        body = envelope.body.encode()
        if properties.body_encoding == "base64":
            body = base64.b64decode(body, validate=True)
        args, kwargs, embedded = msgspec.json.decode(
            body, type=tuple[list[Any], dict[str, Any], dict[str, Any]]
        )
        run_at, expires = _time(headers.eta), _time(headers.expires)
    except (msgspec.DecodeError, binascii.Error, ValueError) as error:
        return refused(f"its body or times can't be read: {error}")
    links = [name for name in _LINKS if embedded.get(name)]
    if links:
        return refused(f"it is a part of a workflow ({', '.join(links)}), which is not taken over")
    options = EnqueueOptions(
        queue=properties.delivery_info.routing_key or None,
        priority=-(properties.priority or 0),  # 0 goes first on Redis
        run_at=run_at,
        deadline=expires,
    )
    return ForeignJob(SOURCE, job_id, task, tuple(args), kwargs, options)


def _unacked(raw: bytes) -> tuple[bytes, str] | None:
    """Return the message in what a worker has taken, and its queue; None if it is neither."""
    try:
        message, _exchange, queue = msgspec.json.decode(raw, type=tuple[msgspec.Raw, str, str])
    except msgspec.DecodeError:
        return None
    return bytes(message), queue


def _time(text: str | None) -> datetime | None:
    """Return the time; without a zone it is in UTC, Celery's default. Raises ValueError."""
    if text is None:
        return None
    found = read_datetime(text)
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found
