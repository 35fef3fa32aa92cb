"""Work for a client that may leave: ended when it does, without a task left behind."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from datetime import timedelta

    from starlette.types import Message, Receive, Send


async def while_connected(receive: Receive, work: Coroutine[object, object, None]) -> bool:
    """Run *work*; cancel it when the client leaves. Return whether it ran to its end.

    The request's body must have been read. Raises what *work* raises. When it returns, nothing of
    it runs any more.
    """
    working = asyncio.ensure_future(work)
    leaving = asyncio.create_task(_left(receive))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            leaving.result()  # raises what is wrong with the server
            return False
        working.result()
        return True
    finally:
        for task in (working, leaving):
            task.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)


async def sent_within(send: Send, message: Message, patience: timedelta) -> bool:
    """Send *message*; return False when the client did not take it within *patience*."""
    try:
        async with asyncio.timeout(patience.total_seconds()):
            await send(message)
    except TimeoutError:
        return False
    return True


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
