"""Calling what people give to load values, and saying plainly what is wrong with it."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from holdfast.errors import InvalidValueError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")
P = ParamSpec("P")


def check_load(load: object) -> None:
    """Raise InvalidValueError for what can't be called."""
    if not callable(load):
        raise InvalidValueError("cache", "load", f"expected a function, got {load!r}")


async def loaded(load: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> T:
    """Return what the async *load* gives. Raises InvalidValueError for one that is not async."""
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


def given(load: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Return what the blocking *load* gives. Raises InvalidValueError for one that is async."""
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
    """Raise InvalidValueError for what is no mapping of keys to values."""
    if not isinstance(values, Mapping):
        raise InvalidValueError(
            "cache", field, f"expected a mapping of keys to values, got {type(values).__name__}"
        )
