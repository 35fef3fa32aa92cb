"""JSON values: what they are, how they are copied and compared."""

from __future__ import annotations

import math
import typing

from holdfast.records.values.text import ValueRejected, check_text

INT_MIN, INT_MAX = -(2**63), 2**63 - 1
JSON_DEPTH = 100
_INFINITY = math.inf

_Place: typing.TypeAlias = "tuple[_Place, str | int] | None"
"""Where in a document a value stands, from the innermost step out; made text only for errors."""


def copy_json(value: object) -> object:
    """Return a copy of the JSON value; raises ValueRejected naming the place that is not JSON."""
    return _copied(value, None, 0)


def _copied(value: typing.Any, path: _Place, depth: int) -> object:
    kind = type(value)
    if kind is str:
        if value.isascii() and "\0" not in value:
            return value
        try:
            return check_text(value)
        except ValueRejected as unfit:
            raise ValueRejected(_at(path, str(unfit))) from None
    if value is None or kind is bool:
        return value
    if kind is int:
        if not INT_MIN <= value <= INT_MAX:
            raise ValueRejected(_at(path, f"{value} does not fit in 64 bits"))
        return value
    if kind is float:
        if not math.isfinite(value):
            raise ValueRejected(_at(path, f"{value} is not a finite number"))
        return value + 0.0
    if depth >= JSON_DEPTH:
        raise ValueRejected(f"{_at(path, '')[:40]}: nested deeper than {JSON_DEPTH} levels")
    if kind is dict:
        copied: dict[str, object] = {}
        for name, item in value.items():
            if type(name) is not str:
                raise ValueRejected(
                    _at(path, f"the key {name!r} is of type {type(name).__name__}, not str")
                )
            if not name.isascii() or "\0" in name:
                try:
                    check_text(name)
                except ValueRejected as unfit:
                    raise ValueRejected(_at(path, f"the key {name!r} {unfit}")) from None
            # What most documents hold is looked at here: a call for each would cost twice as much.
            kind = type(item)
            if (
                (kind is str and item.isascii() and "\0" not in item)
                or kind is bool
                or item is None
            ):
                copied[name] = item
            elif kind is float and -_INFINITY < item < _INFINITY:
                copied[name] = item + 0.0
            elif kind is int and INT_MIN <= item <= INT_MAX:
                copied[name] = item
            else:
                copied[name] = _copied(item, (path, name), depth + 1)
        return copied
    if kind is list:
        return [
            item
            if type(item) is str and item.isascii() and "\0" not in item
            else item + 0.0
            if type(item) is float and -_INFINITY < item < _INFINITY
            else _copied(item, (path, index), depth + 1)
            for index, item in enumerate(value)
        ]
    raise ValueRejected(
        _at(path, f"{kind.__name__} is not a type of JSON; use dict, list, str, int, float")
    )


def json_equal(left: object, right: object) -> bool:
    """Return whether two JSON values are the same in type and value (1 is 1.0, but is not True)."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, dict):
        return (
            isinstance(right, dict)
            and left.keys() == right.keys()
            and all(json_equal(item, right[name]) for name, item in left.items())
        )
    if isinstance(left, list):
        return (
            isinstance(right, list)
            and len(left) == len(right)
            and all(json_equal(*pair) for pair in zip(left, right, strict=True))
        )
    return left == right


def _at(path: _Place, reason: str) -> str:
    steps: list[str] = []
    while path is not None:
        path, step = path
        steps.append(f".{step}" if isinstance(step, str) else f"[{step}]")
    place = "".join(reversed(steps)).lstrip(".")
    return ": ".join(filter(None, (place, reason)))
