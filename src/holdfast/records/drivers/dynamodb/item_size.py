"""The size of an item as the service counts it."""

from __future__ import annotations

import base64
from decimal import Decimal
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

    A number takes a byte for two digits, counted from the point both ways and without zeros at the
    ends, one more, and one for a minus: what the service documents as about right, rounded up.
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
    sign, digits, exponent = Decimal(text).as_tuple()
    assert isinstance(exponent, int)
    said = "".join(map(str, digits)).lstrip("0") + "0" * (exponent % 2)
    while said.endswith("00"):
        said = said[:-2]
    return (len(said) + 1) // 2 + 1 + sign
