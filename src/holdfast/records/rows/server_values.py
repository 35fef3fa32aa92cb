"""The values of fields that are left out, as far as they are known without the database."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from holdfast.errors import InvalidValueError, UnsupportedError
from holdfast.records.entities.server_default import (
    ConstantDefault,
    SequenceDefault,
    TextDefault,
    TimeDefault,
)
from holdfast.records.rows.row_rules import check_row
from holdfast.records.values.field_spec import LEFT_OUT

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from holdfast.records.driver import NumberGiver
    from holdfast.records.entities.model import Model, Row
    from holdfast.records.values.field_spec import FieldSpec

E = TypeVar("E")


def filled(model: Model[E], row: Row, now: datetime) -> Row:
    """Return *row* with constants, and *now*, where they are left out.

    A text and the number of a sequence stay left out.
    """
    known = {
        spec.position: default_value(model.name, spec, now)
        for spec in model.server_defaults
        if row[spec.position] is LEFT_OUT
    }
    return tuple(known.get(place, value) for place, value in enumerate(row))


def default_value(entity: str, spec: FieldSpec, now: datetime) -> object:
    """Return the row value of a field's server default, LEFT_OUT where only a database knows."""
    assert spec.server_default is not None
    match spec.server_default.source:
        case ConstantDefault(value):
            return spec.to_row(entity, value)
        case TimeDefault():
            return now
        case TextDefault() | SequenceDefault():
            return LEFT_OUT


async def numbered(writer: NumberGiver, model: Model[E], rows: Sequence[Row]) -> list[Row]:
    """Return *rows* with the numbers of sequences that they leave out, which go up along them.

    Raises InvalidValueError where a sequence has no number left, and for one out of its bounds.
    """
    made = [list(row) for row in rows]
    for spec, _ in model.sequences:
        lacking = [row for row in made if row[spec.position] is LEFT_OUT]
        if not lacking:
            continue
        numbers = await writer.numbers(model, spec, len(lacking))
        for row, number in zip(lacking, numbers, strict=True):
            row[spec.position] = spec.bounded(model.name, number)
    return [check_row(model, tuple(row)) for row in made]


def run_out(model: Model[E], spec: FieldSpec) -> InvalidValueError:
    """Return the error for a row that gets no number, as its sequence has given all that it has."""
    return InvalidValueError(model.name, spec.name, "its sequence has no number left")


def check_texts(models: Iterable[Model[object]], backend: str) -> None:
    """Raise UnsupportedError for a default in SQL that says nothing for *backend*."""
    for model in models:
        for spec in model.server_defaults:
            source = None if spec.server_default is None else spec.server_default.source
            if isinstance(source, TextDefault) and backend not in source.texts:
                raise UnsupportedError(
                    f"the default of {model.name}.{spec.name}, which is SQL of {_said(source)}",
                    backend,
                )


def _said(source: TextDefault) -> str:
    return ", ".join(sorted(source.texts))
