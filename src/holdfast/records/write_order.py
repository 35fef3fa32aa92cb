"""In which order the rows of one write are written: the same one on every backend.

Callers name rows in any order. Writes that run beside one another must take their locks in the
same order, or each waits for the other; and a row must be there before another one points at it.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeVar, cast
from uuid import UUID

from holdfast.errors import DuplicateError, ForeignKeyError
from holdfast.records.entities.model import model_of
from holdfast.records.rows.row_rules import folded, identities

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from holdfast.errors import ConflictError
    from holdfast.records.entities.model import Model, Row
    from holdfast.records.values.field_spec import FieldSpec

E = TypeVar("E")
T = TypeVar("T")


def upsert_order(model: Model[E], rows: Sequence[Row], on: tuple[str, ...]) -> list[int]:
    """Return the places of *rows* in the order of their *on* fields, a null after all values.

    Those with equal fields stay in turn. A row that another one points at comes before it.
    """
    places = [model.by_name[name].position for name in on]
    if model.unique_on(on).ignore_case:
        ranks: Sequence[Any] = _ranks([folded(row) for row in rows], places)
    else:
        ranks = _ranks(rows, places)
    order = sorted(range(len(rows)), key=ranks.__getitem__)
    if not own_references(model):
        return order
    turns = {
        later: earlier
        for earlier, later in pairwise(order)
        if ranks[earlier] == ranks[later]
        and not any(rows[later][place] is None for place in places)
    }
    return _targets_first(model, rows, order, turns)


def insert_order(model: Model[E], rows: Sequence[Row]) -> list[int]:
    """Return the places of *rows* as they are, but a row that another one points at before it."""
    return _targets_first(model, rows, list(range(len(rows))), {})


def points_ahead(model: Model[E], rows: Sequence[Row]) -> bool:
    """Return whether one of *rows* points at a later one, as after the above only a circle does."""
    references = own_references(model)
    if not references:
        return False
    at = model.key.position
    places: dict[object, int] = {}
    for place, row in enumerate(rows):
        places.setdefault(row[at], place)
    return any(
        row[spec.position] is not None and places.get(row[spec.position], -1) > place
        for place, row in enumerate(rows)
        for spec in references
    )


def own_references(model: Model[E]) -> tuple[FieldSpec, ...]:
    """Return the fields by which a row points at another one of the same model."""
    return tuple(
        spec
        for spec in model.references
        if spec.reference is not None
        and model_of(spec.reference.target()).entity is model.entity  # see `Model.leaving`
    )


def lock_order(model: Model[E], rows: Sequence[Row]) -> Sequence[Row]:
    """Return *rows*, which have keys, by key: the order in which everybody locks them.

    Rows that may point at each other stay as they are, as one must be there before the other.
    """
    if own_references(model):
        return rows
    ranks = _ranks(rows, [spec.position for spec in model.keys])
    return [rows[place] for place in sorted(range(len(rows)), key=ranks.__getitem__)]


def in_turn(order: Sequence[int], results: Sequence[T]) -> list[T]:
    """Return *results*, which came in *order*, at the places of what they are for."""
    placed: dict[int, T] = dict(zip(order, results, strict=True))
    return [placed[place] for place in range(len(order))]


def at_its_place(conflict: ConflictError, order: Sequence[int]) -> ConflictError:
    """Return *conflict* with the place that its row was given at."""
    match conflict:
        case DuplicateError(entity=entity, fields=fields, index=int() as index):
            return DuplicateError(entity, fields, order[index], constraint=conflict.constraint)
        case ForeignKeyError(entity=entity, fields=fields, index=int() as index):
            return ForeignKeyError(entity, fields, order[index])
        case _:
            return conflict


def _ranks(rows: Sequence[Row], places: Sequence[int]) -> Sequence[Any]:
    """Return of each of *rows* what its values at *places* are ordered by."""
    if len(places) == 1:
        values = identities([[row[places[0]] for row in rows]])
        if None not in values:  # as most upserts are: by one field, which all have
            return values
    return [tuple(_rank(row[place]) for place in places) for row in rows]


def _rank(value: object) -> tuple[bool, int]:
    if isinstance(value, UUID):
        value = value.int  # compares five times as fast
    return (value is None, cast("int", 0 if value is None else value))


def _targets_first(
    model: Model[E], rows: Sequence[Row], order: list[int], turns: dict[int, int]
) -> list[int]:
    """Return *order* with targets first; *turns* are the places that come after another one."""
    references = own_references(model)
    if not references:
        return order
    at = model.key.position
    places: dict[object, int] = {}
    for place in order:
        places.setdefault(rows[place][at], place)
    done: dict[int, None] = {}
    under_way: set[int] = set()

    def targets(place: int) -> Iterator[int]:
        if place in turns:
            yield turns[place]
        for spec in references:
            value = rows[place][spec.position]
            if value is not None and value in places:
                yield places[value]

    for first in order:
        waiting = [first]
        while waiting:  # a chain of rows may be longer than calls can be deep
            place = waiting[-1]
            ahead = [each for each in targets(place) if each not in done and each not in under_way]
            if place in done or (place in under_way and not ahead):
                done[waiting.pop()] = None
                continue
            under_way.add(place)
            waiting += [each for each in ahead if each != place]
            if waiting[-1] == place:
                done[waiting.pop()] = None
    return list(done)
