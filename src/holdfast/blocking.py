"""The blocking API from the async one: coroutines whose I/O never suspends, stepped by hand.

The async code is written once. Under a blocking store, bucket or cache every awaited operation
does its work inline, so the whole coroutine runs to its end in one step, without an event loop.
"""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Concatenate, Generic, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterator

T = TypeVar("T")
F = TypeVar("F", bound="Callable[..., object]")
S = TypeVar("S")
S_co = TypeVar("S_co", covariant=True)
P = ParamSpec("P")


class BlockingTwin(Generic[S_co]):
    """What has the methods of an async *S*, blocking: the attribute `asynchronous` is that one.

    A method that *S* inherits takes the twin of *S* too.
    """

    asynchronous: S_co

    def step(self, coroutine: Coroutine[object, None, T]) -> T:
        """Run *coroutine* of the async *S* to its end and return what it returns."""
        return run(coroutine)


def blocking(
    method: Callable[Concatenate[S, P], Coroutine[object, None, T]],
) -> Callable[Concatenate[BlockingTwin[S], P], T]:
    """Return the blocking twin of an async *method*.

    `get = blocking(AsyncRepository[E].get)` takes the same arguments, and carries the same name,
    signature and docstring. It steps what `asynchronous` has by that name, which may be a
    subclass's own.
    """
    name = method.__name__

    @wraps(method)
    def call(self: BlockingTwin[S], /, *args: P.args, **kwargs: P.kwargs) -> T:
        coroutine: Coroutine[object, None, T] = getattr(self.asynchronous, name)(*args, **kwargs)
        return self.step(coroutine)

    return call


def documented_by(original: Callable[..., object]) -> Callable[[F], F]:
    """Return a decorator that gives a twin written by hand the docstring of its *original*."""

    def documented(twin: F) -> F:
        twin.__doc__ = original.__doc__
        return twin

    return documented


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


def iterate(iterator: AsyncIterator[T], twin: BlockingTwin[object] | None = None) -> Iterator[T]:
    """Yield what *iterator* yields; closing this generator closes *iterator*.

    With a *twin* each step is run by it.
    """
    step = run if twin is None else twin.step
    try:
        while True:
            try:
                item = step(_next(iterator))
            except StopAsyncIteration:
                return
            yield item
    finally:
        close = getattr(iterator, "aclose", None)
        if close is not None:
            step(close())


async def _next(iterator: AsyncIterator[T]) -> T:
    return await iterator.__anext__()
