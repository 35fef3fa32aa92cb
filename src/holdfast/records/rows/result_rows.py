"""What rows of values are made into: tuples, or something of the caller's own."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Protocol, cast

from holdfast.errors import InvalidQueryError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class PydanticModel(Protocol):
    """An instance of a pydantic model, which is made by the names of its fields."""

    def model_dump_json(self) -> str:
        """Return the model as JSON; nothing here asks for it."""
        ...


def maker_of(
    into: Callable[..., object], values: Sequence[str]
) -> Callable[[Sequence[object]], object]:
    """Return what makes something of a row of *values*, which are named for the error.

    Raises InvalidQueryError when *into* can't be called with as many.
    """
    if not callable(into):
        raise InvalidQueryError(f"into= takes a class or a function, got {into!r:.100}")
    fields = getattr(into, "model_fields", None) if isinstance(into, type) else None
    if fields is not None:
        return _by_name(into, cast("dict[str, Any]", fields), values)
    try:
        signature = inspect.signature(into)
    except ValueError:  # of some classes that are written in C
        return lambda row: into(*row)
    try:
        signature.bind(*values)
    except TypeError as error:
        raise _unfit(into, values, f"it takes {signature}: {error}") from None
    return lambda row: into(*row)


def _by_name(
    into: Callable[..., object], fields: dict[str, Any], values: Sequence[str]
) -> Callable[[Sequence[object]], object]:
    names = list(fields)[: len(values)]
    missing = [name for name in list(fields)[len(values) :] if fields[name].is_required()]
    if missing or len(names) < len(values):
        raise _unfit(into, values, f"its fields are {', '.join(fields)}")
    return lambda row: into(**dict(zip(names, row, strict=True)))


def _unfit(into: object, values: Sequence[str], why: str) -> InvalidQueryError:
    name = getattr(into, "__name__", repr(into))
    return InvalidQueryError(
        f"into={name} can't be made of {len(values)} values ({', '.join(values)}): {why}"
    )
