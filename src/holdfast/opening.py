"""The context manager that `open_store`, `open_bucket` and `open_cache` return."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Generic, TypeVar

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager, AbstractContextManager
    from types import TracebackType

T = TypeVar("T")

_TWICE = "this was entered before; call open_{} again for another one"


class _Unentered:
    """What is typed first by many is answered with what to type instead."""

    _noun: str
    _way: ClassVar[str]
    """The statement that enters it."""
    _elsewhere: ClassVar[str]
    """Where the code that awaits, or does not, finds its own."""

    if not TYPE_CHECKING:  # type checkers refuse all of these

        def refuse(self, *_):  # noqa: ANN002, ANN202
            raise TypeError(f"{self._written()}; {self._elsewhere.format(self._noun)}")

        def __getattr__(self, name):  # noqa: ANN001, ANN204
            if name.startswith("_"):
                raise AttributeError(name)
            raise AttributeError(f"nothing has {name!r} yet: {self._written()}")

    def _written(self) -> str:
        return f"write `{self._way} open_{self._noun}(...) as {self._noun}`"


class Opening(_Unentered, Generic[T]):
    """Opens one thing: `async with open_store(url, entities) as store`.

    Made without any I/O. Entering connects; leaving the block closes, whatever the block raised.
    Entering a second time raises RuntimeError.
    """

    _way = "async with"
    _elsewhere = "in blocking code import open_{} from holdfast.sync"

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

    if not TYPE_CHECKING:
        __enter__ = __exit__ = __await__ = _Unentered.refuse


class BlockingOpening(_Unentered, Generic[T]):
    """Opens one thing, blocking: `with open_store(url, entities) as store`; see `Opening`."""

    _way = "with"
    _elsewhere = "in code that awaits import open_{} from holdfast"

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
        __aenter__ = __aexit__ = __await__ = _Unentered.refuse
