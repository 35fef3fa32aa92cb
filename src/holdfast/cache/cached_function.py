"""Functions whose results are cached: how a call becomes a key, and a function its type."""

from __future__ import annotations

import functools
import hashlib
import inspect
import typing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, ParamSpec, TypeVar, cast

import msgspec

from holdfast.cache.entry_name import LONGEST_KEY
from holdfast.errors import InvalidValueError

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
R = TypeVar("R")

_encode = msgspec.json.Encoder(order="deterministic").encode


@dataclass(frozen=True, slots=True)
class CallKeys(Generic[P]):
    """The keys of the calls of one function: its name, then its arguments as JSON.

    Arguments that mean the same by position and by name, given or by default, have one key. With a
    *name* of one's own, the key is what that function returns for the arguments.
    """

    function: Callable[P, object]
    signature: inspect.Signature
    name: Callable[P, str] | None

    def key(self, *args: P.args, **kwargs: P.kwargs) -> str:
        """Return the key of one call.

        Raises InvalidValueError for arguments that JSON can't say, TypeError for those that the
        function does not take.
        """
        if self.name is not None:
            return self.name(*args, **kwargs)
        bound = self.signature.bind(*args, **kwargs)
        bound.apply_defaults()
        owner = f"{self.function.__module__}.{self.function.__qualname__}"
        try:
            said = _encode(bound.arguments).decode()
        except (TypeError, ValueError, RecursionError) as error:
            raise InvalidValueError(
                "cache", "cached", f"the arguments of {owner} make no key: {error}; pass key="
            ) from None
        key = f"{owner}({said})"
        if len(key.encode()) <= LONGEST_KEY:
            return key
        return f"{owner[:200]}#{hashlib.sha256(key.encode()).hexdigest()}"


def call_keys(function: Callable[P, object], name: Callable[P, str] | None) -> CallKeys[P]:
    """Return the keys of the calls of *function*. Raises InvalidValueError for no function."""
    if not callable(function):
        raise InvalidValueError("cache", "cached", f"expected a function, got {function!r}")
    return CallKeys(function, inspect.signature(function), name)


def result_type(function: Callable[P, object]) -> type[object]:
    """Return the type that *function* is annotated to return, object when it says none."""
    target = function
    while isinstance(target, functools.partial):
        target = target.func
    try:
        hints = typing.get_type_hints(target)
    except (NameError, TypeError):
        return object
    return cast("type[object]", hints.get("return", object))
