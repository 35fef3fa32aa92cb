"""Making entities from rows: one generated function per model and decoding.

Building twelve attributes by hand-written source costs a third of a generic loop, and reading is
mostly this (`benchmarks/records.py`).
"""

from __future__ import annotations

import math
from datetime import date, datetime, time
from functools import cache, partial
from typing import TYPE_CHECKING, NoReturn, TypeVar, cast

from holdfast.errors import StoredValueError
from holdfast.records.values.value import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from holdfast.records.entities.model import Model, Row
    from holdfast.records.values.field_spec import FieldSpec

E = TypeVar("E")
_UNREADABLE = (ValueError, TypeError, ArithmeticError, AttributeError, LookupError)
"""What the functions that make a field's value raise of one that they know nothing to do with."""
NO_VALUE = "there is no value"
"""Why a row can't be read that lacks a field which is never null."""
_TYPES = {"_datetime": datetime, "_date": date, "_time": time}


def hydrator(
    model: Model[E],
    decoder: Callable[[FieldSpec], Callable[[object], object] | None],
    *,
    checked: bool = False,
) -> Callable[[Iterable[Sequence[object]]], list[E]]:
    """Return a function from rows of encoded values, one per field, to entities.

    *decoder* tells how a driver's values of a field become row values; None: they are the same.
    *checked*: others may have written them, so that what a driver gives of a value that the class
    can't hold, such as NaN, is looked for. The function raises StoredValueError.
    """
    scope: dict[str, object] = {
        "_new": object.__new__,
        "_entity": model.entity,
        "_refuse": _refuse,
        "_infinity": math.inf,
        **_TYPES,
    }
    stages = [(decoder(spec), spec.type.load) for spec in model.fields]
    scope["_unreadable"] = partial(_unreadable, model, stages)
    names = [f"v{spec.position}" for spec in model.fields]
    parts: list[str] = []
    for spec, value in zip(model.fields, names, strict=True):
        made = value
        decode, load = stages[spec.position]
        if decode is not None:
            scope[f"d{spec.position}"] = decode
            made = f"d{spec.position}({made})"
        if checked:
            made = _checked(spec, made)
        if load is not None:
            scope[f"l{spec.position}"] = load
            made = f"l{spec.position}({made})"
        if spec.type.nullable and made != value:
            made = f"None if {value} is None else {made}"
        parts.append(f"{spec.name!r}: {made}")
    values = f"{{{', '.join(parts)}}}"
    if model.adapter is None:
        making = ["made = _new(_entity)", f"made.__dict__ = {values}"]
    else:
        scope["_make"] = model.adapter.instances.make
        making = [f"made = _make({values})"]
    source = [
        "def hydrate(rows):",
        "    entities = []",
        "    try:",
        f"        for ({', '.join(names)},) in rows:",
        *(f"            {line}" for line in making),
        "            entities.append(made)",
        "    except Exception as error:",
        "        raise _unreadable(locals(), error)",
        "    return entities",
    ]
    exec("\n".join(source), scope)  # noqa: S102 - built from field names, which are identifiers
    return cast("Callable[[Iterable[Sequence[object]]], list[E]]", scope["hydrate"])


def from_rows(model: Model[E]) -> Callable[[Iterable[Row]], list[E]]:
    """Return a function from row values to entities that share nothing with them."""
    return cast("Callable[[Iterable[Row]], list[E]]", _from_rows(model))


def from_own_rows(model: Model[E]) -> Callable[[Iterable[Row]], list[E]]:
    """Return a function from row values to entities that take them over, to nobody else's harm."""
    return cast("Callable[[Iterable[Row]], list[E]]", _from_own_rows(model))


@cache
def _from_rows(model: Model[object]) -> object:
    return hydrator(model, lambda spec: _copy if spec.type.kind is Kind.JSON else None)


@cache
def _from_own_rows(model: Model[object]) -> object:
    return hydrator(model, lambda _spec: None)


def copied_row(model: Model[E], row: Row) -> Row:
    """Return a row that shares nothing that can change with *row*."""
    places = _documents(cast("Model[object]", model))
    if not places:
        return row
    return tuple(_copy(value) if at in places else value for at, value in enumerate(row))


@cache
def _documents(model: Model[object]) -> frozenset[int]:
    return frozenset(spec.position for spec in model.fields if spec.type.kind is Kind.JSON)


def _copy(value: object) -> object:
    """Return a copy of a JSON value that has been checked."""
    kind = type(value)
    if kind is dict:
        members = cast("dict[str, object]", value)
        return {name: _copy(item) for name, item in members.items()}
    if kind is list:
        return [_copy(item) for item in cast("list[object]", value)]
    return value


def loaded(
    model: Model[E], rows: Iterable[tuple[object, ...]], specs: Sequence[FieldSpec | None]
) -> list[tuple[object, ...]]:
    """Return tuples of row values as entities hold them; None for a column that is not a field.

    Raises StoredValueError.
    """
    loads = [None if spec is None else spec.type.load for spec in specs]
    if not any(loads):
        return list(rows)
    return converted(model, rows, specs, loads)


def converted(
    model: Model[E],
    rows: Iterable[Sequence[object]],
    specs: Sequence[FieldSpec | None],
    functions: Sequence[Callable[[object], object] | None],
) -> list[tuple[object, ...]]:
    """Return *rows*, each value but null by its function; *specs* are the fields they are of.

    Raises StoredValueError for a value that its function refuses.
    """
    given = list(rows)
    try:
        return _by_column(given, functions)
    except _UNREADABLE:
        pass  # row by row it shows which is the first
    at, value = 0, None
    made: list[tuple[object, ...]] = []
    try:
        for row in given:
            values: list[object] = []
            for at, (value, function) in enumerate(zip(row, functions, strict=True)):  # noqa: B007
                values.append(value if function is None or value is None else function(value))
            made.append(tuple(values))
    except _UNREADABLE as error:
        spec = specs[at]
        name = "an aggregate" if spec is None else spec.name
        raise StoredValueError(model.name, name, value, _reason(error)) from error
    return made


def _by_column(
    rows: list[Sequence[object]], functions: Sequence[Callable[[object], object] | None]
) -> list[tuple[object, ...]]:
    """Return *rows* as `converted` does, a column at a time, which is one loop in C for each."""
    columns: list[Iterable[object]] = list(zip(*rows, strict=True))
    for at, function in enumerate(functions):
        if function is not None and columns:
            columns[at] = [None if value is None else function(value) for value in columns[at]]
    return list(zip(*columns, strict=True))


def value_check(spec: FieldSpec) -> Callable[[object], object] | None:
    """Return what passes on a row value that a driver gave, and raises ValueError for a bad one.

    None where drivers give nothing but what the field can hold.
    """
    checked = _checked(spec, "value")
    return None if checked == "value" else _function_of(checked)


@cache
def _function_of(checked: str) -> Callable[[object], object]:
    scope: dict[str, object] = {"_refuse": _refuse, "_infinity": math.inf, **_TYPES}
    made = eval(f"lambda value: {checked}", scope)  # noqa: S307 - a constant of ours
    return cast("Callable[[object], object]", made)


def _checked(spec: FieldSpec, made: str) -> str:
    """Return the expression *made* with a look at what it gives; a call would cost three times."""
    match spec.type.kind:
        case Kind.FLOAT:
            return f"(x if -_infinity < (x := {made}) < _infinity else _refuse(x))"
        case Kind.DECIMAL:
            return f"(x if (x := {made}).is_finite() else _refuse(x))"
        case Kind.DATETIME | Kind.DATE | Kind.TIME:
            return f"(x if type(x := {made}) is _{spec.type.kind.value} else _refuse(x))"
        case Kind.JSON if spec.type.load is None and spec.type.container is not None:
            return f"(x if type(x := {made}) is {spec.type.container.__name__} else _refuse(x))"
        case _:
            return made


def _refuse(value: object) -> NoReturn:
    raise ValueError(f"got {value!r:.100}, a {type(value).__name__}")


def _reason(error: Exception) -> str:
    lines = str(error).splitlines() or [type(error).__name__]
    return " ".join(line.strip() for line in lines)


def _unreadable(
    model: Model[E],
    stages: Sequence[tuple[Callable[[object], object] | None, Callable[[object], object] | None]],
    found: dict[str, object],
    error: Exception,
) -> Exception:
    """Return what is wrong with the row whose values are in *found*; *error* if nothing is."""
    for spec, (decode, load) in zip(model.fields, stages, strict=True):
        name = f"v{spec.position}"
        value = found.get(name)
        try:
            if value is None and name in found and not spec.type.nullable:
                raise ValueError(NO_VALUE)
            if value is not None:
                check = value_check(spec)
                made = value if decode is None else decode(value)
                made = made if check is None else check(made)
                if load is not None:
                    load(made)
        except _UNREADABLE as bad:
            parts: list[object] = []
            for of_key in model.keys:
                part = found.get(f"v{of_key.position}")
                decode_part = stages[of_key.position][0]
                if spec is not of_key and decode_part is not None:
                    part = decode_part(part)
                parts.append(part)
            key = parts[0] if len(parts) == 1 else tuple(parts)
            wrong = StoredValueError(model.name, spec.name, value, _reason(bad), key=key)
            wrong.__cause__ = bad
            return wrong
    return error
