"""Sends an object of a bucket as the response to a GET or HEAD."""

from __future__ import annotations

import logging
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from fastapi import HTTPException
from starlette.responses import Response

from holdfast.errors import ObjectNotFoundError, PreconditionFailedError
from holdfast.fastapi.problems.problem_schema import problem_responses
from holdfast.fastapi.streams.client_watch import sent_within, while_connected
from holdfast.fastapi.transfers.object_headers import answer_to
from holdfast.option_checks import check_kind, check_span, check_whole

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable
    from contextlib import AbstractAsyncContextManager

    from fastapi import APIRouter
    from starlette.background import BackgroundTask
    from starlette.requests import Request
    from starlette.types import Receive, Scope, Send

    from holdfast.fastapi.transfers.object_headers import ObjectAnswer, ObjectPart
    from holdfast.objects import Bucket, ObjectInfo, ObjectReader

_log = logging.getLogger(__name__)
WINDOW = 256 * 1024  # bytes of an object in memory at once
_ATTEMPTS = 5  # to open an object that is replaced again and again


@dataclass(frozen=True, slots=True, kw_only=True)
class DownloadOptions:
    """How an object is sent.

    *most_ranges*: how many ranges one request may ask for. *stall*: how long a client may take
    nothing before it is dropped.
    """

    most_ranges: int = 16
    stall: timedelta = timedelta(seconds=60)

    def __post_init__(self) -> None:
        check_whole(self, "most_ranges")
        check_span(self, "stall")


_DEFAULTS = DownloadOptions()


async def object_response(
    request: Request,
    bucket: Bucket,
    key: str,
    *,
    download_as: str | None = None,
    options: DownloadOptions = _DEFAULTS,
) -> Response:
    """Return the response that streams *key*, or what the request asks for of it.

    Answers GET and HEAD, single and multiple ranges, `If-Range`, `If-Match`, `If-None-Match` and
    the conditions by time, with a strong `ETag`. With *download_as* a browser saves it under that
    name, whatever the name is; without, it shows video, sound, pictures and plain text in a
    sandbox, and saves all else. Objects that are kept compressed are sent as their content.

    Bytes pass in windows of at most 256 KiB, as fast as the client takes them. When the client
    leaves, reading stops and the bucket's connection is given back.

    Raises ObjectNotFoundError, and HTTPException with status 412 for a condition that does not
    hold, 416 for ranges that can't be sent, 405 for another method.
    """
    check_kind(options, DownloadOptions)
    if request.method not in ("GET", "HEAD"):
        raise HTTPException(405, headers={"Allow": "GET, HEAD"})
    info = await bucket.head(key)
    if info is None:
        raise ObjectNotFoundError(key)
    response = _ObjectResponse(request, bucket, info, download_as, options)
    if response.answer.status in (412, 416):
        raise _refusal(response.answer)
    return response


def add_download(
    router: APIRouter, path: str, endpoint: Callable[..., Awaitable[Response]]
) -> None:
    """Add *endpoint*, which returns an `object_response`, to *router* for GET, and for HEAD.

    The description of the API has it once.
    """
    answers: dict[int | str, dict[str, Any]] = {
        200: {"content": {"*/*": {"schema": {"type": "string", "format": "binary"}}}},
        206: {"description": "The ranges that were asked for"},
        **problem_responses(404, 412, 416),
    }
    router.add_api_route(
        path, endpoint, methods=["GET"], response_class=Response, responses=answers
    )
    router.add_api_route(
        path, endpoint, methods=["HEAD"], response_class=Response, include_in_schema=False
    )


def _refusal(answer: ObjectAnswer) -> HTTPException:
    return HTTPException(answer.status, answer.reason, headers=answer.headers)


class _ObjectResponse(Response):
    """An object on its way: opened when the response begins, closed when it ends."""

    def __init__(
        self,
        request: Request,
        bucket: Bucket,
        info: ObjectInfo,
        download_as: str | None,
        options: DownloadOptions,
    ) -> None:
        self._request = request
        self._bucket = bucket
        self._download_as = download_as
        self._options = options
        self.background: BackgroundTask | None = None
        self.init_headers({})
        self._describe(info)

    def _describe(self, info: ObjectInfo) -> None:
        self.answer = answer_to(
            self._request.method,
            self._request.headers,
            info,
            download_as=self._download_as,
            most_ranges=self._options.most_ranges,
        )
        self._info = info
        self.status_code = self.answer.status
        self.headers.update(self.answer.headers)

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        """Send it. Raises ObjectNotFoundError when it was deleted before the response began."""
        await while_connected(receive, self._send(send))
        if self.background is not None:
            await self.background()

    async def _send(self, send: Send) -> None:
        async with AsyncExitStack() as stack:
            reader = None
            if self._request.method == "GET" and self.answer.parts:
                reader = await self._opened(stack)
            await send(
                {
                    "type": "http.response.start",
                    "status": self.status_code,
                    "headers": self.raw_headers,
                }
            )
            if reader is not None:
                async with aclosing(self._content(reader)) as content:
                    async for chunk in content:
                        message = {"type": "http.response.body", "body": chunk, "more_body": True}
                        if not await sent_within(send, message, self._options.stall):
                            _log.info("%s was dropped: it took nothing", self._request.client)
                            return  # the server closes the connection: the response is cut short
            await send({"type": "http.response.body", "body": b""})

    async def _opened(self, stack: AsyncExitStack) -> ObjectReader:
        """Return the reader of the first part: of the object as it is now, if it was replaced."""
        for _ in range(_ATTEMPTS):
            try:
                return await stack.enter_async_context(self._open(self.answer.parts[0]))
            except PreconditionFailedError:
                now = await self._bucket.head(self._info.key)
                if now is None:
                    raise ObjectNotFoundError(self._info.key) from None
                self._redescribe(now)
        raise HTTPException(503, "the object is replaced all the time", {"Retry-After": "1"})

    def _redescribe(self, info: ObjectInfo) -> None:
        for name in self.answer.headers:
            del self.headers[name]
        self._describe(info)
        if not self.answer.parts:
            raise _refusal(self.answer)

    def _open(self, part: ObjectPart) -> AbstractAsyncContextManager[ObjectReader]:
        start, end = part.span
        return self._bucket.open(self._info.key, start=start, end=end, if_match=self._info.etag)

    async def _content(self, first: ObjectReader) -> AsyncGenerator[bytes, None]:
        for number, part in enumerate(self.answer.parts):
            if part.head:
                yield part.head
            async with AsyncExitStack() as stack:
                if number == 0:
                    reader = first
                else:
                    reader = await stack.enter_async_context(self._open(part))
                while chunk := await reader.read(WINDOW):
                    yield chunk
        if self.answer.tail:
            yield self.answer.tail
