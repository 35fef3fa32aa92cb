"""Values of any type as JSON, and back: by msgspec what it knows, by pydantic what is its own."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast

import msgspec

if TYPE_CHECKING:
    from collections.abc import Hashable

    from pydantic import TypeAdapter


def plain_of(value: object) -> object:
    """Return *value* as JSON. Raises TypeError, ValueError or RecursionError for what is none."""
    return _listed(msgspec.to_builtins(value, enc_hook=_dump, str_keys=True))


def _listed(value: object) -> object:
    """Return *value* with a list in place of each tuple, which msgspec leaves as it is."""
    if isinstance(value, dict):
        return {name: _listed(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_listed(each) for each in value]
    return value


def value_of(plain: object, kind: object) -> object:
    """Return *plain*, which is JSON, as a *kind*. Raises ValueError when it does not fit.

    TypeError for a kind that neither library knows.
    """
    try:
        found: object = msgspec.convert(plain, cast("Any", kind), dec_hook=_load, str_keys=True)
    except msgspec.ValidationError as error:
        raise ValueError(str(error)) from None
    return found


def _load(kind: type[object], value: object) -> object:
    """Return *value* as a *kind*, which msgspec does not know."""
    return _adapter(kind).validate_python(value)


def _dump(value: object) -> object:
    return _adapter(type(value)).dump_python(value, mode="json")


def _adapter(kind: type[object]) -> TypeAdapter[object]:
    return _adapters(cast("Hashable", kind))


@lru_cache(maxsize=1024)
def _adapters(kind: Any) -> TypeAdapter[object]:
    from pydantic import PydanticSchemaGenerationError, TypeAdapter  # noqa: PLC0415 - slow to import

    try:
        return TypeAdapter(kind)
    except PydanticSchemaGenerationError as error:
        raise TypeError(f"{kind!r} has no JSON form: {error}") from None
