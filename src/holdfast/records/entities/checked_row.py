"""Making a row of an entity's values: one generated function per model.

Most values are plainly as they should be. A look at the type, written into the function, tells
that for a third of what the call of a check costs.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING, cast
from uuid import UUID

from holdfast.records.values.field_spec import LEFT_OUT, within
from holdfast.records.values.json_values import INT_MAX, INT_MIN
from holdfast.records.values.text import ValueRejected

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from holdfast.records.values.field_spec import FieldSpec

_STORE_SET = {
    "version": "version",
    "created_at": "now",
    "updated_at": "now",
    "deleted_at": "None",
}
_NAMES: dict[str, object] = {
    "_UUID": UUID,
    "_UTC": UTC,
    "_datetime": datetime,
    "_infinity": math.inf,
    "_least": INT_MIN,
    "_most": INT_MAX,
    "_left_out": LEFT_OUT,
}


def checked_row(
    entity: str,
    fields: Sequence[FieldSpec],
    check_names: Callable[[Mapping[str, object]], None] | None,
) -> Callable[[Mapping[str, object], int, datetime], tuple[object, ...]]:
    """Return the function that makes a row of *fields* of an *entity*'s values, version and time.

    It raises KeyError, ValueRejected and InvalidValueError for values that are not all as they
    should be, and what *check_names* raises where there are more values than a new entity has.
    """
    scope = {**_NAMES, "_check_names": check_names}
    parts: list[str] = []
    always = sum(spec.in_constructor and spec.server_default is None for spec in fields)
    for spec in fields:
        stored = _STORE_SET.get(spec.role)
        if stored is not None:
            parts.append(stored)
            continue
        scope[f"c{spec.position}"] = _check(entity, spec)
        value = f"values[{spec.name!r}]"
        if spec.role == "generated":
            value = f"values.get({spec.name!r})"
        checked = _expression(spec, value)
        if spec.server_default is not None:
            checked = f"({checked}) if {spec.name!r} in values else _left_out"
        parts.append(checked)
    lines = ["def row(values, version, now):", f"    return ({', '.join(parts)},)"]
    if check_names is not None:  # a look at the number alone costs new entities next to nothing
        lines.insert(1, f"    if len(values) > {always}: _check_names(values)")
    source = "\n".join(lines)
    exec(source, scope)  # noqa: S102 - built from field names, which are identifiers
    made = scope["row"]
    return cast("Callable[[Mapping[str, object], int, datetime], tuple[object, ...]]", made)


def _expression(spec: FieldSpec, value: str) -> str:
    """Return source for the row value of *value*, by the field's check where a look won't do."""
    nullable = spec.type.nullable or spec.role == "generated"
    check = f"c{spec.position}"
    # A column that a class of another library maps may hold less than its type in Python tells.
    own = spec.outside is not None or spec.native_column is not None
    plain = None if own else _plain(spec, value)
    if plain is not None:
        test, made = plain
        checked = f"None if x is None else {check}(x)" if nullable else f"{check}(x)"
        return f"{made} if {test} else {checked}"
    if nullable:
        return f"None if (x := {value}) is None else {check}(x)"
    return f"{check}({value})"


def _plain(spec: FieldSpec, value: str) -> tuple[str, str] | None:
    """Return source for the test that *value*, from then on x, is plain, and for what it becomes.

    None where only the field's check knows.
    """
    python, most = spec.type.python, spec.type.bounds.max_length
    kind = f"type(x := {value}) is "
    if python is str:
        long = "" if most is None else f" and len(x) <= {most}"
        empty = "" if spec.role == "plain" else " and x"  # which a key is not
        return f'{kind}str and x.isascii() and "\\0" not in x{long}{empty}', "x"
    if python is int:
        return f"{kind}int and _least <= x <= _most", "x"
    if python is float:
        return f"{kind}float and -_infinity < x < _infinity", "x + 0.0"
    if python is bool:
        return f"{kind}bool", "x"
    if python is UUID:
        return f"{kind}_UUID", "x"
    if python is datetime:
        return f"{kind}_datetime and x.tzinfo is _UTC", "x"
    return None


def _check(entity: str, spec: FieldSpec) -> Callable[[object], object]:
    """Return the check of a field's values, and that of its bounds where it has any."""
    check, bounds = spec.type.check, spec.type.bounds
    if spec.role != "plain":
        return lambda value: spec.to_row(entity, value)
    if spec.outside is None:
        return check

    def held(value: object) -> object:
        found = check(value)
        if not within(found, bounds):
            raise ValueRejected(str(spec.outside))
        return found

    return held
