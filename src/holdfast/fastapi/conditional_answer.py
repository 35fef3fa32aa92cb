"""Answers to GET with a strong ETag, and 304 where the client has that state already."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from holdfast.fastapi.entity_tag import any_matches

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from starlette.types import Message, Send

_KEPT = frozenset(
    {b"cache-control", b"content-location", b"date", b"etag", b"expires", b"vary", b"link"}
)


class ConditionalAnswer:
    """Sends an answer; to a GET or HEAD that has If-None-Match, 304 when its tag is among them.

    A whole JSON answer to a GET that has no ETag gets one from its bytes, so that lists have it
    too. What is streamed is sent as it comes; nothing of a body is sent to a HEAD.
    """

    def __init__(self, scope: MutableMapping[str, Any], send: Send) -> None:
        self._send = send
        self._reading = scope["method"] in ("GET", "HEAD")
        self._tags = [v for n, v in scope["headers"] if n == b"if-none-match"]
        self._start: Message | None = None
        self._silent = scope["method"] == "HEAD"

    async def __call__(self, message: Message) -> None:
        """Send *message*, or keep the start of the answer until its body is there."""
        if not self._reading:
            await self._send(message)
        elif message["type"] == "http.response.start":
            await self._begin(message)
        elif message["type"] == "http.response.body":
            await self._go_on(message)
        else:
            await self._send(message)

    async def _begin(self, message: Message) -> None:
        headers = {name.lower(): value for name, value in message["headers"]}
        if message["status"] != 200:
            await self._send(message)
        elif b"etag" in headers:
            await self._send(self._judged(message, headers[b"etag"]))
        elif _to_be_tagged(headers):
            self._start = message
        else:
            await self._send(message)

    async def _go_on(self, message: Message) -> None:
        body = message.get("body", b"")
        if self._start is not None:
            start, self._start = self._start, None
            if not message.get("more_body", False) and body:
                tag = b'"%s"' % blake2b(body, digest_size=12).hexdigest().encode("ascii")
                start = {**start, "headers": [*start["headers"], (b"etag", tag)]}
                start = self._judged(start, tag)
            await self._send(start)
        if self._silent:
            if message.get("more_body", False):
                return
            message = {"type": "http.response.body", "body": b""}
        await self._send(message)

    def _judged(self, start: Message, tag: bytes) -> Message:
        """Return *start*, or what says that the client has *tag* already."""
        if not any_matches(self._tags, tag):
            return start
        self._silent = True
        kept = [
            (name, value)
            for name, value in start["headers"]
            if name.lower() in _KEPT or name.lower().startswith((b"x-", b"access-control-"))
        ]
        return {**start, "status": 304, "headers": kept}


def _to_be_tagged(headers: dict[bytes, bytes]) -> bool:
    is_json = headers.get(b"content-type", b"").startswith(b"application/json")
    return is_json and b"no-store" not in headers.get(b"cache-control", b"")
