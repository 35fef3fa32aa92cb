"""Requests to one origin over connections that are kept."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from holdfast.aws.http import exchange, more

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from holdfast.aws.http import Incoming, Request
    from holdfast.aws.network import Network, Pipe
    from holdfast.aws.origin import Origin
    from holdfast.aws.patience import Limits, Patience


@dataclass(slots=True)
class _Idle:
    pipe: Pipe
    since: float


class Response:
    """A response whose head is there. `close` it, whatever happens."""

    __slots__ = ("_give_back", "_incoming", "_pipe", "_read_timeout", "_whole")

    def __init__(
        self,
        pipe: Pipe,
        incoming: Incoming,
        *,
        whole: bool,
        read_timeout: float,
        give_back: Callable[[Pipe, bool], None],
    ) -> None:
        self._pipe = pipe
        self._incoming = incoming
        self._whole = whole
        self._read_timeout = read_timeout
        self._give_back: Callable[[Pipe, bool], None] | None = give_back

    @property
    def status(self) -> int:
        return self._incoming.status

    @property
    def headers(self) -> Mapping[str, str]:
        """By lower-case name."""
        return self._incoming.headers

    async def receive(self) -> bytes:
        """Return the next bytes of the body, ``b""`` at its end.

        Raises OSError when the connection dies before, TimeoutError when nothing comes.
        """
        incoming = self._incoming
        while True:
            piece = incoming.take()
            if piece or incoming.done:
                return piece
            if self._give_back is None:
                raise ConnectionError("the response is closed")
            await more(self._pipe, incoming, self._read_timeout)

    async def read(self, most: int) -> bytes:
        """Return the whole body. Raises ConnectionError when it exceeds *most* bytes."""
        pieces: list[bytes] = []
        size = 0
        while piece := await self.receive():
            pieces.append(piece)
            size += len(piece)
            if size > most:
                raise ConnectionError(f"the response exceeds {most} bytes")
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def close(self) -> None:
        """Keep the connection if it is clean, else drop it. Idempotent."""
        if self._give_back is not None:
            give_back, self._give_back = self._give_back, None
            came = self._incoming
            clean = self._whole and came.done and came.keep_alive and not came.surplus
            give_back(self._pipe, clean)


class Client:
    """Sends requests to one origin.

    A connection serves the next request only when the response before was read to its end: one
    that was cancelled, failed, cut short or answered early is dropped.
    """

    def __init__(
        self,
        network: Network,
        origin: Origin,
        limits: Limits,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.network = network
        self.origin = origin
        self._limits = limits
        self._clock = clock
        self._gate = network.gate(limits.connections)
        self._idle: deque[_Idle] = deque()
        self._closed = False

    async def send(self, request: Request, patience: Patience) -> Response:
        """Send *request* and return its response once its head is there.

        A kept connection that turns out dead before a byte of the response came is replaced,
        unless the request is not repeatable. Raises OSError, TimeoutError.
        """
        await self._gate.enter(patience.read())
        try:
            while (pipe := self._kept()) is not None:
                try:
                    return await self._on(pipe, request, patience)
                except TimeoutError:
                    raise
                except OSError:
                    if not request.repeatable:
                        raise
            pipe = await self.network.connect(self.origin, patience.connect())
            return await self._on(pipe, request, patience)
        except BaseException:
            self._gate.leave()
            raise

    def close(self) -> None:
        """Drop what is kept; what comes back is dropped. Idempotent."""
        self._closed = True
        while self._idle:
            self._idle.pop().pipe.close()

    async def _on(self, pipe: Pipe, request: Request, patience: Patience) -> Response:
        try:
            incoming, whole = await exchange(pipe, request, patience)
        except BaseException:
            pipe.close()
            raise
        return Response(
            pipe,
            incoming,
            whole=whole,
            read_timeout=self._limits.read,
            give_back=self._take_back,
        )

    def _kept(self) -> Pipe | None:
        while self._idle:
            try:
                idle = self._idle.pop()
            except IndexError:  # another thread was faster
                return None
            if self._clock() - idle.since <= self._limits.idle and not idle.pipe.stirred:
                return idle.pipe
            idle.pipe.close()
        return None

    def _take_back(self, pipe: Pipe, clean: bool) -> None:
        if clean and not self._closed and not pipe.stirred:
            self._idle.append(_Idle(pipe, self._clock()))
        else:
            pipe.close()
        self._gate.leave()
