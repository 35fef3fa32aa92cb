"""Run a coroutine whose I/O never suspends, without an event loop.

The async code is written once. Under a blocking store or bucket every awaited operation does its
work inline, so the whole coroutine runs to its end in one step.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine, Iterator

T = TypeVar("T")


def run(coroutine: Coroutine[object, None, T]) -> T:
    """Step *coroutine* to its end and return what it returns.

    Raises RuntimeError when it waits for something that only an event loop could bring.
    """
    try:
        coroutine.send(None)
    except StopIteration as stop:
        result: T = stop.value
        return result
    coroutine.close()
    raise RuntimeError(
        "a blocking call waited for an event loop: something in it is asynchronous; "
        "use the async API for that, or a function that blocks"
    )


def iterate(iterator: AsyncIterator[T]) -> Iterator[T]:
    """Yield what *iterator* yields; closing this generator closes *iterator*."""
    try:
        while True:
            try:
                item = run(_next(iterator))
            except StopAsyncIteration:
                return
            yield item
    finally:
        close = getattr(iterator, "aclose", None)
        if close is not None:
            run(close())


async def _next(iterator: AsyncIterator[T]) -> T:
    return await iterator.__anext__()
