"""The body of a request as it comes: bounded in size and time, never kept as a whole."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from fastapi import HTTPException
from starlette.requests import ClientDisconnect

from holdfast.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from starlette.requests import Request

_CLOSE = {"Connection": "close"}  # what else is on its way is not waited for
FORM_BYTES = 1 << 20
"""What a form may have beside its file: names, headers and the other fields."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadLimits:
    """What an upload may be.

    *most* and *least*: its bytes. *types*: content types that it may have, such as
    ``("video/*", "image/png")``, any by default; with them, its first bytes must be of the type
    that it says. *deadline*: how long the client may take in all; *least_rate*: bytes a second
    that it must send, on the average, once *grace* is over.
    """

    most: int = 1 << 30
    least: int = 0
    types: tuple[str, ...] = ()
    deadline: timedelta = timedelta(hours=1)
    least_rate: int = 1024
    grace: timedelta = timedelta(seconds=20)

    def __post_init__(self) -> None:
        if not 0 <= self.least <= self.most:
            raise ConfigurationError(
                f"least={self.least}, most={self.most}: expected 0 <= least <= most"
            )
        if isinstance(self.types, str) or any("/" not in each for each in self.types):
            raise ConfigurationError(
                f"types={self.types!r}: expected content types such as ('video/*', 'image/png')"
            )
        if self.least_rate < 1:
            raise ConfigurationError(f"least_rate={self.least_rate}: expected 1 or more")
        if min(self.deadline, self.grace) <= timedelta(0):
            raise ConfigurationError(
                f"deadline={self.deadline}, grace={self.grace}: expected positive times"
            )


def announced_size(request: Request) -> int:
    """Return the bytes that the file in the body has at least, by its head; 0 where that is mute.

    A form has more in it than its file.
    """
    is_form = request.headers.get("content-type", "").lower().startswith("multipart/")
    return max(_declared(request) - (FORM_BYTES if is_form else 0), 0)


def _declared(request: Request) -> int:
    declared = request.headers.get("content-length", "")
    return int(declared[:20]) if declared.isascii() and declared.isdigit() else 0


async def body_chunks(
    request: Request, limits: UploadLimits, *, beside: int = 0
) -> AsyncGenerator[bytes, None]:
    """Yield the body of *request* as it comes, at most *beside* bytes more than an upload may be.

    Raises HTTPException: 415 for an encoded body, 413 for one that is or says that it is too
    long, 408 for a client that is too slow, 400 for one that left.
    """
    coding = request.headers.get("content-encoding", "identity").strip().lower()
    if coding != "identity":
        raise HTTPException(415, f"a body in the Content-Encoding {coding[:40]!r}; expected none")
    most = limits.most + beside
    if _declared(request) > most:
        raise too_large(limits)
    received, waited = 0, 0.0
    clock = asyncio.get_running_loop().time
    async with aclosing(request.stream()) as stream:
        while True:
            slowest = limits.grace.total_seconds() + received / limits.least_rate
            patience = min(slowest, limits.deadline.total_seconds()) - waited
            began = clock()
            try:
                async with asyncio.timeout(patience):
                    chunk = await anext(stream, None)
            except TimeoutError:
                raise HTTPException(
                    408,
                    f"the body came too slowly: {received} bytes in {waited + patience:.0f} s",
                    _CLOSE,
                ) from None
            except ClientDisconnect:
                raise HTTPException(400, "the client left before all of the body came") from None
            waited += clock() - began  # what the bucket takes is not the client's
            if chunk is None:
                return
            received += len(chunk)
            if received > most:
                raise too_large(limits)
            if chunk:
                yield chunk


def too_large(limits: UploadLimits) -> HTTPException:
    """Return the refusal of an upload that is longer than *limits* say."""
    return HTTPException(
        413, f"the upload is too large; expected at most {limits.most} bytes", _CLOSE
    )
