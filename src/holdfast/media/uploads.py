"""Files that were sent in and are not ingested yet, and those that nobody ever will."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from holdfast.objects import Bucket

UPLOADS = "uploads/"
"""What the keys of these files begin with."""


async def remove_old_uploads(bucket: Bucket, *, age: timedelta, now: datetime) -> int:
    """Delete the files in *bucket* that came longer than *age* ago, and return how many.

    A server that is killed between the end of an upload and its ingest leaves one; so does a
    client that sends a file straight to the bucket and never says so.
    """
    old = [info.key async for info in bucket.list(UPLOADS) if info.modified < now - age]
    for key in old:
        await bucket.delete(key)
    return len(old)
