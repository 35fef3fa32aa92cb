"""The middleware around an application: request ids, limits, validators of answers."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

from starlette.requests import HTTPConnection

from holdfast.acting import acting_as
from holdfast.correlation import current_request_id
from holdfast.fastapi.conditional_answer import ConditionalAnswer
from holdfast.fastapi.exchange import (
    REQUEST_ID,
    Exchange,
    chosen_request_id,
    current_exchange,
    keep_exchange,
)
from holdfast.fastapi.problems.problem import ProblemError, problem_response
from holdfast.fastapi.request_limits import LimitedBody

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from holdfast.fastapi.exchange import Resources

_CONTROL = re.compile(rb"[\r\n\0]")
_ID_HEADER = REQUEST_ID.lower().encode("ascii")


class ExchangeMiddleware:
    """Gives each request its exchange, holds it to the limits, and looks at the answer's headers.

    A header with a line break or a NUL in it is a bug of the application: RuntimeError, before
    anything of the answer was sent.
    """

    def __init__(self, app: ASGIApp, resources: Resources) -> None:
        self._app = app
        self._resources = resources

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, as ASGI has it."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        exchange = Exchange(self._resources, chosen_request_id(scope["headers"]), scope)
        keep_exchange(scope, exchange)
        token = current_exchange.set(exchange)
        id_token = current_request_id.set(exchange.request_id)
        try:
            with acting_as(request=exchange.request_id):
                await self._serve(scope, receive, send, exchange)
        finally:
            current_exchange.reset(token)
            current_request_id.reset(id_token)

    async def _serve(self, scope: Scope, receive: Receive, send: Send, exchange: Exchange) -> None:
        if scope["type"] == "websocket":
            await self._app(scope, receive, send)
            return
        options = self._resources.options
        limited = LimitedBody(scope, receive, most=options.max_body, deepest=options.max_json_depth)
        answer = ConditionalAnswer(scope, send)

        async def checked(message: Message) -> None:
            if message["type"] == "http.response.start":
                exchange.lift_deadline()
                message = with_headers(message, exchange)
            await answer(message)

        if not options.request_time:
            await self._app(scope, limited, checked)
            return
        exchange.deadline = asyncio.timeout(options.request_time)
        try:
            async with exchange.deadline:
                await self._app(scope, limited, checked)
        except TimeoutError:
            if not exchange.deadline.expired():
                raise
            late = problem_response(HTTPConnection(scope), _too_slow(options.request_time))
            await late(scope, receive, checked)


def _too_slow(seconds: float) -> ProblemError:
    return ProblemError(
        503,
        f"the request was not done within {seconds:g} s, and was stopped",
        kind="too-slow",
        title="The request took too long",
        members={"limit": seconds},
    )


def with_headers(message: Message, exchange: Exchange) -> Message:
    """Return the start of an answer with the headers of *exchange* and the request's id."""
    headers = [*message.get("headers", ()), *exchange.headers]
    if _CONTROL.search(b" ".join([part for header in headers for part in header])):
        broken = [name for name, value in headers if _CONTROL.search(name + value)]
        raise RuntimeError(f"response headers with a line break or NUL: {broken!r}")
    if _ID_HEADER not in {name.lower() for name, _ in headers}:
        headers.append((_ID_HEADER, exchange.request_id.encode("ascii")))
    return {**message, "headers": headers}
