"""Context managers that are entered once, and say so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager, AbstractContextManager
    from types import TracebackType

T = TypeVar("T")

_TWICE = "this opening was entered before; call open_cache again for another cache"


class AsyncOpening(Generic[T]):
    """*manager*, which raises RuntimeError when it is entered a second time."""

    def __init__(self, manager: AbstractAsyncContextManager[T]) -> None:
        self._manager = manager
        self._entered = False

    async def __aenter__(self) -> T:
        if self._entered:
            raise RuntimeError(_TWICE)
        self._entered = True
        return await self._manager.__aenter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        return await self._manager.__aexit__(kind, error, traceback)


class Opening(Generic[T]):
    """The blocking twin of `AsyncOpening`."""

    def __init__(self, manager: AbstractContextManager[T]) -> None:
        self._manager = manager
        self._entered = False

    def __enter__(self) -> T:
        if self._entered:
            raise RuntimeError(_TWICE)
        self._entered = True
        return self._manager.__enter__()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        return self._manager.__exit__(kind, error, traceback)
