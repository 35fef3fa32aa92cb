"""Rows in layers: what is committed, and what a transaction sees instead of it."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from holdfast.records.model import Model, Row


class _Absent(enum.Enum):
    ABSENT = "the layer says nothing about this key"


ABSENT = _Absent.ABSENT
Positions: TypeAlias = tuple[int, ...]


class Layer:
    """Rows of one model by key, with an index from the values of some fields to keys.

    None in place of a row says that the row is deleted, whatever lies below.
    """

    def __init__(self, model: Model[object]) -> None:
        self.rows: dict[object, Row | None] = {}
        self._indexes: dict[Positions, dict[Row, set[object]]] = {
            positions: {} for positions in indexed_positions(model)
        }

    def put(self, key: object, row: Row | None) -> None:
        self.forget(key)
        self.rows[key] = row
        if row is not None:
            for positions, index in self._indexes.items():
                index.setdefault(tuple([row[at] for at in positions]), set()).add(key)

    def forget(self, key: object) -> None:
        """Make the layer say nothing about *key*."""
        row = self.rows.pop(key, None)
        if row is not None:
            for positions, index in self._indexes.items():
                values = tuple([row[at] for at in positions])
                keys = index[values]
                keys.discard(key)
                if not keys:
                    del index[values]

    def keys(self, positions: Positions, values: Row) -> Iterable[object]:
        """Return the keys of this layer's rows that hold *values* at *positions*."""
        return self._indexes[positions].get(values, ())


def indexed_positions(model: Model[object]) -> list[Positions]:
    """Return the sets of fields that lookups go by: uniques, references and indexes."""
    at = {spec.name: spec.position for spec in model.fields}
    sets = [tuple(at[name] for name in unique) for unique in model.uniques]
    sets += [(spec.position,) for spec in model.references]
    sets += [(at[index[0]],) for index in model.indexes]
    return list(dict.fromkeys(sets))


class View:
    """What one transaction sees and does: its own layers over the committed ones."""

    def __init__(self, base: dict[str, Layer], models: Iterable[Model[object]]) -> None:
        self._base = base
        self.own = {model.table: Layer(model) for model in models}
        self._undo: list[tuple[str, object, Row | _Absent | None]] = []

    def get(self, table: str, key: object) -> Row | None:
        found = self.own[table].rows.get(key, ABSENT)
        return self._base[table].rows.get(key) if found is ABSENT else found

    def rows(self, table: str) -> Iterator[Row]:
        own = self.own[table].rows
        for key, row in self._base[table].rows.items():
            if row is not None and key not in own:
                yield row
        yield from (row for row in own.values() if row is not None)

    def lookup(self, table: str, positions: Positions, values: Row) -> list[Row]:
        """Return the rows that hold *values* at *positions*, which are indexed."""
        own = self.own[table]
        below = self._base[table]
        keys = [key for key in below.keys(positions, values) if key not in own.rows]
        keys += own.keys(positions, values)
        return [row for key in keys if (row := self.get(table, key)) is not None]

    def write(self, table: str, key: object, row: Row | None) -> None:
        own = self.own[table]
        self._undo.append((table, key, own.rows.get(key, ABSENT)))
        own.put(key, row)

    def mark(self) -> int:
        """Return the place in the history that `undo` goes back to."""
        return len(self._undo)

    def undo(self, mark: int) -> None:
        while len(self._undo) > mark:
            table, key, before = self._undo.pop()
            if before is ABSENT:
                self.own[table].forget(key)
            else:
                self.own[table].put(key, before)

    def keep(self, table: str, key: object, row: Row | None) -> None:
        """Go on seeing *row* under *key*, since what lies below is about to change."""
        if key not in self.own[table].rows:
            self.own[table].put(key, row)
