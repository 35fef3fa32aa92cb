"""The HTTP protocol of uvicorn, with bounds on a request's head: its size and its time.

uvicorn over httptools waits forever for the rest of a head, and keeps whatever comes of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

if TYPE_CHECKING:
    import asyncio

MAX_HEAD = 64 * 1024  # bytes of the request line and all headers
HEAD_TIME = 20.0  # seconds from its first byte, or from the connection, to its end
_TOO_LARGE = (431, "Request Header Fields Too Large")
_TOO_SLOW = (408, "Request Timeout")


class BoundedProtocol(HttpToolsProtocol):
    """One connection; see uvicorn's class."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._head_deadline: asyncio.TimerHandle | None = None
        self._head_size = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin, as asyncio asks."""
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """End, as asyncio asks."""
        self._end_head()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        """Begin a request, as httptools asks."""
        super().on_message_begin()
        self._await_head()

    def on_headers_complete(self) -> None:
        """Begin the request's body, as httptools asks."""
        self._end_head()
        super().on_headers_complete()

    def data_received(self, data: bytes) -> None:
        """Take what came, as asyncio asks."""
        super().data_received(data)
        if self._head_deadline is not None and not self.transport.is_closing():
            self._head_size += len(data)
            if self._head_size > MAX_HEAD:
                self._refuse(*_TOO_LARGE)

    def _await_head(self) -> None:
        self._end_head()
        self._head_size = 0
        self._head_deadline = self.loop.call_later(HEAD_TIME, self._refuse, *_TOO_SLOW)

    def _end_head(self) -> None:
        if self._head_deadline is not None:
            self._head_deadline.cancel()
            self._head_deadline = None

    def _refuse(self, status: int, reason: str) -> None:
        self._end_head()
        body = b'{"type":"about:blank","title":"%s","status":%d}' % (reason.encode(), status)
        self.transport.write(
            b"HTTP/1.1 %d %s\r\nContent-Type: application/problem+json\r\n"
            b"Content-Length: %d\r\nConnection: close\r\n\r\n%s"
            % (status, reason.encode(), len(body), body)
        )
        self.transport.close()
