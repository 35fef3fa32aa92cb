"""How many rows are upserted on PostgreSQL: in which rounds, and which answer is whose."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, TypeVar, cast

from holdfast.errors import StorageError
from holdfast.records.rows.row_rules import identities

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.records.drivers.sql.statements.dialect import Codec
    from holdfast.records.entities.model import Model, Row

E = TypeVar("E")


def rounds_of(model: Model[E], rows: Sequence[Row], on: tuple[str, ...]) -> list[list[int]]:
    """Return the places of *rows* in rounds, in each of which no two have the same *on*.

    A statement may write a row once. The later of two with the same *on* are in later rounds.
    """
    fields = [model.by_name[name].position for name in on]
    wanted = identities([[row[field] for row in rows] for field in fields])
    if len({*wanted}) == len(rows):
        return [list(range(len(rows)))]
    seen: Counter[object] = Counter()
    rounds: list[list[int]] = []
    for place, name in enumerate(wanted):
        turn = 0 if name is None else seen[name]
        seen[name] += 1
        if turn == len(rounds):
            rounds.append([])
        rounds[turn].append(place)
    return rounds


def encoded_columns(encoders: Sequence[Codec], rows: Sequence[Row]) -> list[list[object]]:
    """Return the encoded values of *rows*, a list for each field."""
    columns: list[list[object]] = []
    for encode, column in zip(encoders, zip(*rows, strict=True), strict=True):
        if encode is None:
            columns.append(list(column))
        else:
            columns.append([None if value is None else encode(value) for value in column])
    return columns


def as_given(
    model: Model[E],
    on: tuple[str, ...],
    columns: Sequence[Sequence[object]],
    found: Sequence[Row],
) -> list[Row]:
    """Return the rows *found*, which the upsert returned in no order, in that of the given ones.

    *columns* are the encoded values that were given, of no two rows with the same *on*. Raises
    StorageError where a trigger stored other values there, so that no answer is a given row's.
    """
    try:
        return _matched(model, on, columns, found)
    except KeyError:
        raise StorageError(
            f"{model.name}: the database stored other values of {', '.join(on)} than were given, "
            "as where a trigger changes them; outside a transaction the rows may be stored"
        ) from None


def _matched(
    model: Model[E],
    on: tuple[str, ...],
    columns: Sequence[Sequence[object]],
    found: Sequence[Row],
) -> list[Row]:
    at = model.keys[0].position
    numbered = columns[at][0] is None
    places = [model.by_name[name].position for name in on]
    wanted = identities([columns[place] for place in places])
    names = identities([[row[place] for row in found] for place in places])
    stored = dict(zip(names, found, strict=True))
    if None not in wanted:
        return [stored[name] for name in wanted]
    if numbered:  # a null is the same as no other: what tells it apart is the number, in turn
        new = [row for row, name in zip(found, names, strict=True) if at in places or name is None]
        added = iter(sorted(new, key=lambda row: cast("int", row[at])))
        return [next(added) if name is None else stored[name] for name in wanted]
    keys = identities([columns[spec.position] for spec in model.keys])
    of_found = identities([[row[spec.position] for row in found] for spec in model.keys])
    by_key = dict(zip(of_found, found, strict=True))
    return [
        by_key[key] if name is None else stored[name]
        for name, key in zip(wanted, keys, strict=True)
    ]
