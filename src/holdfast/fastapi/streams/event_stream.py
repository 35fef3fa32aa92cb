"""Server-sent events: a response that goes on, for as long as client and server want it."""

from __future__ import annotations

import asyncio
import logging
import re
import signal
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, aclosing, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, TypeAlias

from fastapi import HTTPException
from pydantic_core import to_json
from starlette.responses import Response

from holdfast.errors import InvalidValueError
from holdfast.fastapi.streams.client_watch import sent_within, while_connected
from holdfast.option_checks import check_kind, check_span, check_whole

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.types import Receive, Scope, Send

_log = logging.getLogger(__name__)
_LINES = re.compile(r"\r\n|\r|\n")
_ONE_LINE = re.compile(r"[^\r\n\0]*")
_LONGEST_ID = 1024
_HEARTBEAT = b": \n\n"
_TICK = 1.0  # seconds between two looks at whether the server stops
_STATE = "holdfast_event_streams"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSentEvent:
    """One event. *data* is text, or anything that pydantic writes as JSON; lines in it are kept.

    *name* is its type, to which a page listens; *id* is what a client that comes again gives as
    `Last-Event-ID`. Raises InvalidValueError for a name or id that is not one line.
    """

    data: object
    id: str | None = None
    name: str | None = None

    def __post_init__(self) -> None:
        for what, text in (("id", self.id), ("name", self.name)):
            if text is not None and not _ONE_LINE.fullmatch(text):
                raise InvalidValueError("event", what, f"expected one line without NUL: {text!r}")

    def encode(self) -> bytes:
        """Return the event as it is sent."""
        text = self.data if isinstance(self.data, str) else to_json(self.data).decode()
        lines = [f"data: {line}" for line in _LINES.split(text)]
        if self.name is not None:
            lines.insert(0, f"event: {self.name}")
        if self.id is not None:
            lines.insert(0, f"id: {self.id}")
        return ("\n".join(lines) + "\n\n").encode("utf-8", errors="replace")


EventSource: TypeAlias = Callable[[str | None], AsyncIterator[ServerSentEvent]]
"""Gives the events behind the one with that id, all of them when it is None."""

Authorize: TypeAlias = Callable[[], Awaitable[bool]]
"""Tells whether the client may still have events."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventStreamOptions:
    """How events are streamed.

    *heartbeat*: after how much silence a comment is sent, so that nothing between client and
    server takes the connection for dead. *stall*: how long a client may take nothing before it is
    dropped. *retry*: after how long a client shall come again. *most_per_client*: how many streams
    one client may have open in this process. *recheck*: how often `authorize` is asked, besides
    before each event.
    """

    heartbeat: timedelta = timedelta(seconds=15)
    stall: timedelta = timedelta(seconds=30)
    retry: timedelta = timedelta(seconds=3)
    most_per_client: int = 8
    recheck: timedelta = timedelta(seconds=5)

    def __post_init__(self) -> None:
        check_span(self, "heartbeat", "stall", "retry", "recheck")
        check_whole(self, "most_per_client")


_DEFAULTS = EventStreamOptions()


def event_stream(
    request: Request,
    events: EventSource,
    *,
    client: str | None = None,
    authorize: Authorize | None = None,
    options: EventStreamOptions = _DEFAULTS,
) -> Response:
    """Return the response that sends *events* until they end.

    *events* is called with the `Last-Event-ID` of a client that comes again. It is asked for the
    next event when the last one was taken; it is closed when the client leaves, takes nothing for
    too long or is no longer allowed (*authorize*), and when the server stops: then the stream ends
    and the client comes again, to the next server. *client* is who is counted, the address by
    default.

    Raises HTTPException: 429 for a client that has too many streams, 400 for a `Last-Event-ID`
    that no event of ours had.
    """
    check_kind(options, EventStreamOptions)
    last = request.headers.get("last-event-id")
    if last is not None and (len(last) > _LONGEST_ID or not _ONE_LINE.fullmatch(last)):
        raise HTTPException(400, f"the Last-Event-ID is not one line of at most {_LONGEST_ID}")
    who = client if client is not None else (request.client.host if request.client else "")
    streams = _streams_of(request.app)
    streams.check(who, options.most_per_client)
    return _EventStreamResponse(streams, who, events(last), authorize, options)


def end_event_streams(app: Starlette) -> None:
    """End all event streams of *app*, and those that begin later.

    Under uvicorn they end by themselves when it is told to stop; another server's way to stop
    calls this.
    """
    _streams_of(app).ended.set()


class _OpenStreams:
    """The event streams of one application."""

    def __init__(self) -> None:
        self.ended = asyncio.Event()
        self._open: Counter[str] = Counter()

    def check(self, client: str, most: int) -> None:
        """Raise HTTPException 429 when *client* has *most* of them."""
        if self._open[client] >= most:
            raise HTTPException(
                429, f"{most} event streams are open; close one", {"Retry-After": "5"}
            )

    @contextmanager
    def counted(self, client: str, most: int) -> Iterator[None]:
        """Count one more of *client* in the block. Raises as `check` does."""
        self.check(client, most)
        self._open[client] += 1
        try:
            yield
        finally:
            self._open[client] -= 1
            if not self._open[client]:
                del self._open[client]


def _streams_of(app: Starlette) -> _OpenStreams:
    found = getattr(app.state, _STATE, None)
    if found is None:
        found = _OpenStreams()
        setattr(app.state, _STATE, found)
    assert isinstance(found, _OpenStreams)
    return found


class _EventStreamResponse(Response):
    media_type = "text/event-stream"

    def __init__(
        self,
        streams: _OpenStreams,
        client: str,
        events: AsyncIterator[ServerSentEvent],
        authorize: Authorize | None,
        options: EventStreamOptions,
    ) -> None:
        self._streams = streams
        self._client = client
        self._events = events
        self._authorize = authorize
        self._options = options
        self.status_code = 200
        self.background = None
        self.init_headers(
            {
                "Cache-Control": "no-store",
                "X-Accel-Buffering": "no",  # proxies pass each event on at once
                "X-Content-Type-Options": "nosniff",
            }
        )

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        with self._streams.counted(self._client, self._options.most_per_client):
            await while_connected(receive, self._run(send))

    async def _run(self, send: Send) -> None:
        """Send events until there are no more, with one task that asks for them."""
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        coming: asyncio.Queue[ServerSentEvent | None] = asyncio.Queue(maxsize=1)
        asking = asyncio.create_task(self._ask(coming))
        try:
            if await self._pass_on(coming, send):
                await send({"type": "http.response.body", "body": b""})
        finally:
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
        if not asking.cancelled():
            asking.result()  # raises what the source did

    async def _ask(self, coming: asyncio.Queue[ServerSentEvent | None]) -> None:
        try:
            await self._ask_on(coming)
        except Exception:
            await coming.put(None)
            raise
        await coming.put(None)

    async def _ask_on(self, coming: asyncio.Queue[ServerSentEvent | None]) -> None:
        async with AsyncExitStack() as stack:
            if isinstance(self._events, AsyncGenerator):
                await stack.enter_async_context(aclosing(self._events))
            async for event in self._events:
                await coming.put(event)

    async def _pass_on(self, coming: asyncio.Queue[ServerSentEvent | None], send: Send) -> bool:
        """Send what comes; return False when the client is dropped."""
        options = self._options
        clock = asyncio.get_running_loop().time
        milliseconds = options.retry // timedelta(milliseconds=1)
        said, asked = clock(), clock()
        message = f"retry: {milliseconds}\n\n".encode()
        while True:
            if message:
                body = {"type": "http.response.body", "body": message, "more_body": True}
                if not await sent_within(send, body, options.stall):
                    _log.info("%s was dropped: it took no events", self._client)
                    return False
                said = clock()
            event = await _within(coming, min(_TICK, options.recheck.total_seconds()))
            if event is None or self._streams.ended.is_set() or _server_stops():
                return True
            message = b""
            if isinstance(event, ServerSentEvent):
                message = event.encode()
            elif clock() - said >= options.heartbeat.total_seconds():
                message = _HEARTBEAT
            due = clock() - asked >= options.recheck.total_seconds()
            if self._authorize is not None and (due or isinstance(event, ServerSentEvent)):
                if not await self._authorize():
                    return True
                asked = clock()


_NOTHING = object()


async def _within(coming: asyncio.Queue[ServerSentEvent | None], seconds: float) -> object:
    """Return the next event, None at the end, and something else when none came in time."""
    try:
        async with asyncio.timeout(seconds):
            return await coming.get()
    except TimeoutError:
        return _NOTHING


def _server_stops() -> bool:
    """Return whether uvicorn was told to stop: it waits for responses, so they have to end.

    Its handler of SIGTERM is a method of the server, which knows it.
    """
    handler = signal.getsignal(signal.SIGTERM)
    return bool(getattr(getattr(handler, "__self__", None), "should_exit", False))
