"""The harness that a backend gives to the suite, and the blocking bucket behind async methods."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager
from typing import TYPE_CHECKING, cast

from holdfast.objects import sync
from holdfast.objects.administration import Administration
from holdfast.objects.bucket import Bucket
from holdfast.objects.reader import ObjectReader

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable

    from holdfast.objects.driver import BucketCapability


class BucketHarness(ABC):
    """One empty place for objects."""

    @property
    @abstractmethod
    def capabilities(self) -> frozenset[BucketCapability]:
        """What the backend can; of the rest the suite asserts the refusal."""

    @abstractmethod
    def open(self) -> AbstractAsyncContextManager[Bucket]:
        """Return what opens the place as an async bucket."""

    @abstractmethod
    def open_blocking(self) -> AbstractContextManager[sync.Bucket]:
        """Return what opens the place as a blocking bucket."""


@asynccontextmanager
async def blocking_bucket(harness: BucketHarness) -> AsyncIterator[Bucket]:
    """Open the harness's blocking bucket, so that a case written once runs on it too."""
    with harness.open_blocking() as bucket:
        yield cast("Bucket", _Awaited(bucket, Bucket))


class _Awaited:
    """A blocking object with the methods of its async twin, which can be awaited here."""

    def __init__(self, blocking: object, twin: type[object]) -> None:
        self._blocking = blocking
        self._twin = twin

    def __getattr__(self, name: str) -> object:
        method = inspect.getattr_static(self._twin, name, None)
        value = getattr(self._blocking, name)
        if isinstance(method, property):
            return _Awaited(value, Administration) if name == "admin" else value
        if method is None:
            return value  # a plain attribute
        if name in ("acting_as", "compressing", "stats"):
            return value
        if inspect.iscoroutinefunction(method):
            return _awaitable(value)
        if hasattr(method, "__wrapped__"):
            return _entering(value)
        return _stepping(value)

    async def __aiter__(self) -> AsyncIterator[object]:
        for item in cast("Iterable[object]", self._blocking):
            yield item


def _awaitable(call: Callable[..., object]) -> Callable[..., object]:
    async def awaitable(*given: object, **named: object) -> object:
        return call(*given, **named)

    return awaitable


def _stepping(call: Callable[..., object]) -> Callable[..., object]:
    async def stepping(*given: object, **named: object) -> AsyncIterator[object]:
        for item in cast("Iterable[object]", call(*given, **named)):
            yield item

    return stepping


def _entering(call: Callable[..., object]) -> Callable[..., object]:
    @asynccontextmanager
    async def entering(*given: object, **named: object) -> AsyncIterator[object]:
        with cast("AbstractContextManager[object]", call(*given, **named)) as entered:
            reader = isinstance(entered, sync.ObjectReader)
            yield _Awaited(entered, ObjectReader) if reader else entered

    return entering
