"""Making entities from rows: one generated function per model and decoding.

Building twelve attributes by hand-written source costs a third of a generic loop, and reading is
mostly this (`benchmarks/records.py`).
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, TypeVar, cast

from holdfast.records.value import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from holdfast.records.field_spec import FieldSpec
    from holdfast.records.model import Model, Row

E = TypeVar("E")


def hydrator(
    model: Model[E], decoder: Callable[[FieldSpec], Callable[[object], object] | None]
) -> Callable[[Iterable[Sequence[object]]], list[E]]:
    """Return a function from rows of encoded values, one per field, to entities.

    *decoder* tells how a driver's values of a field become row values; None: they are the same.
    """
    scope: dict[str, object] = {"_new": object.__new__, "_entity": model.entity}
    names = [f"v{spec.position}" for spec in model.fields]
    parts: list[str] = []
    for spec, value in zip(model.fields, names, strict=True):
        made = value
        for stage, function in (("d", decoder(spec)), ("l", spec.type.load)):
            if function is not None:
                scope[f"{stage}{spec.position}"] = function
                made = f"{stage}{spec.position}({made})"
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
        f"    for ({', '.join(names)},) in rows:",
        *(f"        {line}" for line in making),
        "        entities.append(made)",
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
    rows: Iterable[tuple[object, ...]], specs: Sequence[FieldSpec | None]
) -> list[tuple[object, ...]]:
    """Return tuples of row values as entities hold them; None for a column that is not a field."""
    loads = [None if spec is None else spec.type.load for spec in specs]
    if not any(loads):
        return list(rows)
    return [
        tuple(
            value if load is None or value is None else load(value)
            for value, load in zip(row, loads, strict=True)
        )
        for row in rows
    ]
