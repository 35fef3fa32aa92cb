"""The context manager that `open_store`, `open_bucket` and `open_cache` return."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager, AbstractContextManager
    from types import TracebackType

T = TypeVar("T")

_ENTER = "write `{0} open_{1}(...) as {1}`"
_TWICE = "this was entered before; call open_{} again for another one"


class Opening(Generic[T]):
    """Opens one thing: `async with open_store(url, entities) as store`.

    Made without any I/O. Entering connects; leaving the block closes, whatever the block raised.
    Entering a second time raises RuntimeError.
    """

    def __init__(self, manager: AbstractAsyncContextManager[T], noun: str) -> None:
        self._manager = manager
        self._noun = noun
        self._entered = False

    async def __aenter__(self) -> T:
        """Open it. Raises what the function that made this says of its entry."""
        if self._entered:
            raise RuntimeError(_TWICE.format(self._noun))
        self._entered = True
        return await self._manager.__aenter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        """Close it."""
        return await self._manager.__aexit__(kind, error, traceback)

    if not TYPE_CHECKING:  # what is typed first by many, answered with what to type instead

        def _refuse(self, *_):  # noqa: ANN002, ANN202 - hidden from type checkers
            raise TypeError(
                f"{_ENTER.format('async with', self._noun)}; in blocking code import "
                f"open_{self._noun} from holdfast.sync"
            )

        __enter__ = __exit__ = __await__ = _refuse

        def __getattr__(self, name):  # noqa: ANN001, ANN204
            if name.startswith("_"):
                raise AttributeError(name)
            raise AttributeError(
                f"nothing has {name!r} yet: {_ENTER.format('async with', self._noun)}"
            )


class BlockingOpening(Generic[T]):
    """Opens one thing, blocking: `with open_store(url, entities) as store`; see `Opening`."""

    def __init__(self, manager: AbstractContextManager[T], noun: str) -> None:
        self._manager = manager
        self._noun = noun
        self._entered = False

    def __enter__(self) -> T:
        """Open it. Raises what the function that made this says of its entry."""
        if self._entered:
            raise RuntimeError(_TWICE.format(self._noun))
        self._entered = True
        return self._manager.__enter__()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        """Close it."""
        return self._manager.__exit__(kind, error, traceback)

    if not TYPE_CHECKING:

        def _refuse(self, *_):  # noqa: ANN002, ANN202
            raise TypeError(
                f"{_ENTER.format('with', self._noun)}; in code that awaits import "
                f"open_{self._noun} from holdfast"
            )

        __aenter__ = __aexit__ = __await__ = _refuse

        def __getattr__(self, name):  # noqa: ANN001, ANN204
            if name.startswith("_"):
                raise AttributeError(name)
            raise AttributeError(f"nothing has {name!r} yet: {_ENTER.format('with', self._noun)}")
