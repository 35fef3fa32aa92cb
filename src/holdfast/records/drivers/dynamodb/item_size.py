"""The size of an item as the service counts it."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from holdfast.records.drivers.dynamodb.attribute_codec import AttributeValue, Item

LARGEST_ITEM = 400 * 1024
"""Bytes of an item at most."""


def item_size(item: Item) -> int:
    """Return the bytes of *item*: names and values, and what documents take beside them."""
    return sum(len(name.encode()) + value_size(value) for name, value in item.items())


def value_size(value: AttributeValue) -> int:
    """Return the bytes of one value.

    A number takes a byte for two digits, zeros at its ends apart, one more, and one for a sign:
    what the service documents as about right, rounded up.
    """
    ((letter, held),) = value.items()
    match letter:
        case "S":
            text = cast("str", held)
            return len(text) if text.isascii() else len(text.encode())
        case "N":
            return _number_size(cast("str", held))
        case "B":
            return len(base64.b64decode(cast("str", held)))
        case "BOOL" | "NULL":
            return 1
        case "M":
            members = cast("Item", held)
            return 3 + len(members) + item_size(members)
        case "L":
            return 3 + sum(1 + value_size(each) for each in cast("list[AttributeValue]", held))
        case _:
            one = letter[0]
            return sum(value_size({one: each}) for each in cast("list[str]", held))


def _number_size(text: str) -> int:
    mantissa = text.lower().partition("e")[0]
    digits = mantissa.lstrip("-").replace(".", "").strip("0")
    return (len(digits) + 1) // 2 + 1 + mantissa.startswith("-")
