"""Calls the functions that people give to load values, and names what is wrong with one."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from holdfast.errors import InvalidValueError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")
P = ParamSpec("P")


def not_callable(load: object) -> InvalidValueError:
    """Return what to raise for a *load* that can't be called."""
    return InvalidValueError("cache", "load", f"expected a function, got {load!r}")


async def call_async(load: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> T:
    """Return what the async *load* returns. Raises InvalidValueError for one that is not async."""
    coming: object = load(*args, **kwargs)
    if not inspect.isawaitable(coming):
        raise InvalidValueError(
            "cache",
            "load",
            f"expected an async function, got {load!r}, which returned a "
            f"{type(coming).__name__}; holdfast.sync.open_cache takes functions that block",
        )
    value: T = await coming
    return value


def call_blocking(load: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Return what the blocking *load* returns. Raises InvalidValueError for one that is async."""
    value = load(*args, **kwargs)
    if inspect.isawaitable(value):
        if inspect.iscoroutine(value):
            value.close()
        raise InvalidValueError(
            "cache",
            "load",
            f"expected a function that blocks, got {load!r}, which is async; "
            "holdfast.open_cache takes such",
        )
    return value


def check_mapping(field: str, values: object) -> None:
    """Raise InvalidValueError for what is not a mapping of keys to values."""
    if not isinstance(values, Mapping):
        raise InvalidValueError(
            "cache", field, f"expected a mapping of keys to values, got {type(values).__name__}"
        )
