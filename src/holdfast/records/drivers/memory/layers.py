"""Rows in layers: what is committed, and what a transaction sees instead of it."""

from __future__ import annotations

import enum
import heapq
from functools import cache
from operator import itemgetter
from typing import TYPE_CHECKING, TypeAlias, cast

from holdfast.records.drivers.memory.sorted_tuples import TOP, Entry, SortedTuples
from holdfast.records.rows.row_rules import unique_values

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from holdfast.records.entities.constraint import Unique
    from holdfast.records.entities.model import Model, Row
    from holdfast.records.values.field_spec import FieldSpec


class _Absent(enum.Enum):
    ABSENT = "the layer says nothing about this key"


ABSENT = _Absent.ABSENT
Positions: TypeAlias = tuple[int, ...]
"""Fields, by their places in a row, that an index goes by; those of the key follow."""


class Layer:
    """Rows of one model by key, with an index for each set of fields that is looked up by.

    None in place of a row says that the row is deleted, whatever lies below.
    """

    def __init__(self, model: Model[object]) -> None:
        self.rows: dict[object, Row | None] = {}
        self.indexes: dict[Positions, SortedTuples] = {
            positions: SortedTuples() for positions in indexed_positions(model)
        }
        self.uniques: dict[Unique, dict[object, set[object]]] = {
            unique: {} for unique in model.further_uniques
        }
        """The keys of the rows with the same values, for those of some rows or without case."""
        self._fields = model.fields
        several = len(model.keys)
        self.key_in: Callable[[Entry], object] = itemgetter(
            slice(-several, None) if several > 1 else -1
        )
        """Returns the key at the end of an index's entry."""

    def put(self, key: object, row: Row | None) -> None:
        """Let the layer say that *key* has *row*, or none."""
        self.forget(key)
        self.rows[key] = row
        if row is not None:
            for positions, index in self.indexes.items():
                index.add(self._entry(positions, key, row))
            for unique, keys in self.uniques.items():
                if (values := unique_values(unique, row)) is not None:
                    keys.setdefault(values, set()).add(key)

    def forget(self, key: object) -> None:
        """Make the layer say nothing about *key*."""
        row = self.rows.pop(key, None)
        if row is not None:
            for positions, index in self.indexes.items():
                index.remove(self._entry(positions, key, row))
            for unique, keys in self.uniques.items():
                if (values := unique_values(unique, row)) is not None:
                    keys[values].discard(key)
                    if not keys[values]:
                        del keys[values]

    def _entry(self, positions: Positions, key: object, row: Row) -> Entry:
        values = (sortable(self._fields[at], row[at]) for at in positions)
        return (*values, *key) if isinstance(key, tuple) else (*values, key)


def sortable(spec: FieldSpec, value: object) -> object:
    """Return the row value in a form that compares with others of the field, nulls last."""
    if not spec.type.nullable:
        return value
    return (True, 0) if value is None else (False, value)


@cache
def indexed_positions(model: Model[object]) -> list[Positions]:
    """Return the sets of fields that rows are looked up by: none for the key alone."""
    at = {spec.name: spec.position for spec in model.fields}
    sets = [(), *(tuple(at[name] for name in unique) for unique in model.uniques)]
    sets += [(spec.position,) for spec in model.references]
    sets += [tuple(at[name] for name in index) for index in model.indexes]
    return list(dict.fromkeys(sets))


class View:
    """What one transaction sees and does: its own layers over the committed ones."""

    def __init__(self, base: dict[str, Layer], models: dict[str, Model[object]]) -> None:
        self._base = base
        self._models = models
        self.own: dict[str, Layer] = {}
        self._undo: list[tuple[str, object, Row | _Absent | None]] = []

    def get(self, table: str, key: object) -> Row | None:
        """Return the row under *key*, None when there is none."""
        own = self.own.get(table)
        found = ABSENT if own is None else own.rows.get(key, ABSENT)
        return self._base[table].rows.get(key) if found is ABSENT else found

    def rows(self, table: str) -> Iterator[Row]:
        """Yield all rows, in no order."""
        own = self.own.get(table)
        hidden = {} if own is None else own.rows
        for key, row in self._base[table].rows.items():
            if row is not None and key not in hidden:
                yield row
        yield from (row for row in hidden.values() if row is not None)

    def lookup(self, table: str, positions: Positions, values: Row) -> list[Row]:
        """Return the rows that hold *values* at *positions*, which are indexed."""
        fields = self._models[table].fields
        prefix = tuple(
            sortable(fields[at], value) for at, value in zip(positions, values, strict=True)
        )
        return [row for _, row in self.walk(table, positions, prefix, (*prefix, TOP))]

    def same(self, table: str, unique: Unique, values: Row) -> list[Row]:
        """Return the rows of which *unique*, of some rows or without case, compares *values*."""
        own = self.own.get(table)
        hidden = {} if own is None else own.rows
        below = self._base[table]
        keys = [key for key in below.uniques[unique].get(values, ()) if key not in hidden]
        found = [below.rows[key] for key in keys]
        if own is not None:
            found += [own.rows[key] for key in own.uniques[unique].get(values, ())]
        return [row for row in found if row is not None]

    def walk(
        self,
        table: str,
        positions: Positions,
        low: Entry,
        high: Entry,
        *,
        descending: bool = False,
    ) -> Iterator[tuple[Entry, Row]]:
        """Yield entries and rows of the index from *low* up to, without, *high*."""
        own = self.own.get(table)
        base = self._base[table]
        hidden = {} if own is None else own.rows
        key_in = base.key_in
        walks = [
            (
                (entry, row)
                for entry in _between(base.indexes[positions], low, high, descending=descending)
                if (key := key_in(entry)) not in hidden and (row := base.rows[key]) is not None
            )
        ]
        if own is not None:
            walks.append(
                (entry, cast("Row", own.rows[key_in(entry)]))
                for entry in _between(own.indexes[positions], low, high, descending=descending)
            )
        if len(walks) == 1:
            return walks[0]
        return heapq.merge(*walks, key=lambda found: found[0], reverse=descending)

    def write(self, table: str, key: object, row: Row | None) -> None:
        """Put *row* under *key*, or None to delete it; `undo` takes it back."""
        own = self._layer(table)
        self._undo.append((table, key, own.rows.get(key, ABSENT)))
        own.put(key, row)

    def mark(self) -> int:
        """Return the place in the history that `undo` goes back to."""
        return len(self._undo)

    def undo(self, mark: int) -> None:
        """Take back all writes since *mark*."""
        while len(self._undo) > mark:
            table, key, before = self._undo.pop()
            if before is ABSENT:
                self.own[table].forget(key)
            else:
                self.own[table].put(key, before)

    def keep(self, table: str, key: object, row: Row | None) -> None:
        """Go on seeing *row* under *key*, since what lies below is about to change."""
        own = self._layer(table)
        if key not in own.rows:
            own.put(key, row)

    def _layer(self, table: str) -> Layer:
        own = self.own.get(table)
        if own is None:
            own = self.own[table] = Layer(self._models[table])
        return own


def _between(index: SortedTuples, low: Entry, high: Entry, *, descending: bool) -> Iterator[Entry]:
    if descending:
        for entry in index.before(high):
            if entry < low:
                return
            yield entry
    else:
        for entry in index.since(low):
            if entry >= high:
                return
            yield entry
