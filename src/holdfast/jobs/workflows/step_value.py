"""The values of steps: from what a function returns to JSON, and back to the same type."""

from __future__ import annotations

import collections.abc
import functools
import json
import typing
from typing import TYPE_CHECKING, cast

from holdfast.errors import InvalidValueError
from holdfast.jobs.job import PAYLOAD_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable

_AWAITABLE = (collections.abc.Awaitable, collections.abc.Coroutine)


def returned_type(function: Callable[..., object]) -> object:
    """Return the type that *function* says it returns, None where it says nothing usable."""
    while isinstance(function, functools.partial):
        function = function.func
    try:
        said = typing.get_type_hints(function).get("return")
    except (NameError, TypeError, AttributeError):
        return None  # a name that exists for type checkers alone, or no function
    if typing.get_origin(said) in _AWAITABLE:
        said = typing.get_args(said)[-1]
    if said is object or isinstance(said, typing.TypeVar):
        return None
    return None if said is type(None) else said


def as_json(step: str, value: object) -> object:
    """Return *value* as JSON: structs, dataclasses and pydantic models too.

    Raises InvalidValueError for what is not JSON, or too large.
    """
    from holdfast.jobs.typed_tasks.json_types import plain_of  # noqa: PLC0415 - msgspec is slow to import

    try:
        plain = plain_of(value)
        text = json.dumps(plain, allow_nan=False, ensure_ascii=False)
        data, size = cast("object", json.loads(text)), len(text.encode())
    except (TypeError, ValueError, OverflowError) as error:
        reason = f"the step {step!r} gave a {type(value).__name__}, which is no JSON: {error}"
        raise InvalidValueError("JobStep", "result", reason) from error
    if size > PAYLOAD_BYTES:
        reason = (
            f"the step {step!r} gave {size} bytes as JSON, expected at most {PAYLOAD_BYTES}; put "
            "the data into a bucket and return its key"
        )
        raise InvalidValueError("JobStep", "result", reason)
    return data


def from_json(step: str, data: object, wanted: object) -> object:
    """Return *data* as a *wanted*, a type that msgspec or pydantic knows; None: as it is.

    Raises InvalidValueError when it does not fit, as when the type has changed since.
    """
    if wanted is None or wanted is typing.Any:
        return data
    from holdfast.jobs.typed_tasks.json_types import value_of  # noqa: PLC0415 - msgspec is slow to import

    try:
        return value_of(data, wanted)
    except (TypeError, ValueError) as error:
        reason = f"the step {step!r} gave what is not of the type {wanted!r}: {error}"
        raise InvalidValueError("JobStep", "result", reason) from error
