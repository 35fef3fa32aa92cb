"""What is kept of a request with an Idempotency-Key: who asked what, and the answer."""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import TYPE_CHECKING

from starlette.responses import Response

from holdfast.records import Entity, Field, created_at, field, key

if TYPE_CHECKING:
    from collections.abc import Iterable

    from holdfast.records import Store

REPLAYED = "Idempotency-Replayed"
"""The header that marks an answer which was given before."""
_DIGEST = 64
_MADE_ANEW = ("content-length", "date", "server")


class IdempotencyRecord(Entity, table="idempotency_records", indexes=[("expires_at",)]):
    """A request with an Idempotency-Key and its answer, written with what the request wrote.

    *id* and *request* are SHA-256 digests: of the caller, the route and the key; and of all that
    was asked. The key itself and the request are not kept.
    """

    id: Field[str] = key(max_length=_DIGEST)
    request: Field[str] = field(max_length=_DIGEST)
    status: Field[int] = field(default=0)
    headers: Field[list[object]] = field(default_factory=list)
    body: Field[bytes] = field(default=b"")
    expires_at: Field[datetime]
    created_at: Field[datetime] = created_at()


def digest_of(parts: Iterable[bytes]) -> str:
    """Return the SHA-256 of *parts*, each in its place, in hexadecimal."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.hexdigest()


def kept_headers(raw: Iterable[tuple[bytes, bytes]]) -> list[object]:
    """Return the headers of an answer as they are kept."""
    pairs = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in raw]
    return [[name, value] for name, value in pairs if name.lower() not in _MADE_ANEW]


def replay_of(record: IdempotencyRecord) -> Response:
    """Return the answer that is kept in *record*, marked as one that was given before."""
    response = Response(record.body, record.status)
    for pair in record.headers:
        assert isinstance(pair, list)
        name, value = pair
        response.headers.append(name, value)
    response.headers[REPLAYED] = "true"
    return response


async def purge_idempotency_records(store: Store) -> int:
    """Delete the records whose time is over; return how many. For a job that runs now and then."""
    records = store.repository(IdempotencyRecord)
    return await records.delete_where(IdempotencyRecord.expires_at <= store.now())
