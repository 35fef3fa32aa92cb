"""JSON as jsonb keeps it: numbers by value, and whether they were ints by their digits."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import cast

import orjson

_EXPONENT = re.compile(rb"\d[eE][-+]?\d")


def encode_jsonb(value: object) -> str:
    """Return JSON text in which each float has a point, by which jsonb knows it from an int."""
    text = orjson.dumps(value)
    if _EXPONENT.search(text):
        text = orjson.dumps(_spelt_out(value))
    return text.decode()


def _spelt_out(value: object) -> object:
    match value:
        case float():
            digits = format(Decimal(repr(value)), "f")
            return orjson.Fragment(digits if "." in digits else f"{digits}.0")
        case dict():
            members = cast("dict[str, object]", value)
            return {name: _spelt_out(item) for name, item in members.items()}
        case list():
            return [_spelt_out(item) for item in cast("list[object]", value)]
        case _:
            return value
