"""A unit of work: what was read, what is to be written, and how both become one request.

Writes are gathered and seen by later reads of the unit. At the end they are sent as one
transaction of the service, on the condition that every row they concern, and every row that was
read, is still as it was. What fails is a `Clash`: nothing was written, and all may be done again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias, TypeVar

from holdfast.errors import UnsupportedError
from holdfast.records.drivers.dynamodb.guards import guard_key, guard_owner, guards_of
from holdfast.records.drivers.dynamodb.item_reader import LARGEST_WRITE, NAME
from holdfast.records.drivers.dynamodb.table_layout import StoredRow, counter_name, target_of
from holdfast.records.rows.row_rules import unique_values

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from holdfast.records.drivers.dynamodb.attribute_codec import Item
    from holdfast.records.drivers.dynamodb.item_reader import ItemReader
    from holdfast.records.drivers.dynamodb.table_layout import TableLayout
    from holdfast.records.entities.constraint import Unique
    from holdfast.records.entities.model import Model, Row
    from holdfast.records.values.field_spec import FieldSpec

E = TypeVar("E")
Place: TypeAlias = "tuple[Model[object], object]"
"""A row of a model, by its key."""


class Clash(Exception):  # noqa: N818 - never leaves the driver: it becomes SerializationError
    """Somebody else wrote what the unit read or writes. *place* is where, as text."""

    def __init__(self, place: str) -> None:
        super().__init__(place)
        self.place = place


class UnitOfWork:
    """The rows of one unit: as the store has them, and as the unit leaves them.

    When it *assumes*, a row that was not read is taken for absent where it is added, and for there
    where something points at it; the conditions of the write then tell. *checks*: what was only
    read has to be unchanged at the end too. *keys_only*: rows are found by their keys alone, of
    which it is known at the end that no other was added.
    """

    def __init__(
        self,
        reader: ItemReader,
        *,
        assumes: bool = False,
        checks: bool = False,
        keys_only: bool = False,
    ) -> None:
        self.reader = reader
        self.assumes = assumes
        self.checks = checks
        self.keys_only = keys_only
        self.seen: dict[Place, StoredRow | None] = {}
        self.written: dict[Place, Row | None] = {}
        self.held: set[Place] = set()
        """Rows whose transaction is to clash with any other that holds them too."""
        self.expected: set[Place] = set()
        """Rows that the unit is about to add, which nothing can point at before."""
        self._owners: dict[str, object] = {}
        """Who holds the guards that were read, None for nobody."""
        self.abandoned: dict[str, object] = {}
        """Guards whose row has expired, by their keys, with the key of that row."""
        self._undo: list[tuple[Place, bool, Row | None]] = []

    # --- reading ----------------------------------------------------------------------------

    async def row(self, model: Model[object], key: object) -> Row | None:
        """Return the row under *key* as the unit sees it."""
        place = (model, key)
        if place in self.written:
            return self.written[place]
        stored = await self.stored(model, key)
        return None if stored is None else stored.row

    async def stored(self, model: Model[object], key: object) -> StoredRow | None:
        """Return the row under *key* as the store had it when it was first read."""
        place = (model, key)
        if place not in self.seen:
            layout = self.reader.layout(model)
            item = await self.reader.item(layout, key, strong=True)
            self.seen[place] = None if item is None else layout.stored(item)
        return self.seen[place]

    def note(self, layout: TableLayout[object], item: Item) -> Row:
        """Remember the row in *item*, which was read, and return it. Raises Clash."""
        stored = layout.stored(item)
        place = (layout.model, layout.model.key_of(stored.row))
        known = self.seen.setdefault(place, stored)
        if known is None or known.revision != stored.revision:
            raise Clash(said(place))
        return known.row

    async def prefetch(self, model: Model[object], rows: Sequence[Row]) -> None:
        """Read in few requests what adding or overwriting *rows* asks for one by one."""
        if len(rows) < 2 or self.assumes:
            return
        wanted: dict[Model[object], dict[object, None]] = {}
        for row in rows:
            wanted.setdefault(model, {})[model.key_of(row)] = None
            for spec in model.references:
                if row[spec.position] is not None:
                    wanted.setdefault(target_of(spec), {})[row[spec.position]] = None
        for each, keys in wanted.items():
            await self._read_all(each, [key for key in keys if key is not None])
        guards = [guard for row in rows for guard in guards_of(model, row)]
        await self._read_owners(model, guards)

    async def _read_all(self, model: Model[object], keys: Sequence[object]) -> None:
        missing = [key for key in keys if (model, key) not in self.seen]
        if not missing:
            return
        layout = self.reader.layout(model)
        for item in await self.reader.items(layout, missing, strong=True):
            self.note(layout, item)
        for key in missing:
            self.seen.setdefault((model, key), None)

    async def _read_owners(self, model: Model[object], guards: Sequence[str]) -> None:
        missing = [guard for guard in guards if guard not in self._owners]
        if not missing:
            return
        layout = self.reader.layout(model)
        found = await self.reader.owners(missing)
        for guard in missing:
            item = found.get(guard)
            self._owners[guard] = None if item is None else guard_owner(layout, item)
        if layout.expires is not None:
            await self._pass_over_expired(model, missing)

    async def _pass_over_expired(self, model: Model[object], guards: Sequence[str]) -> None:
        """Let nobody hold those of *guards* whose row is gone."""
        held = {guard: key for guard in guards if (key := self._owners[guard]) is not None}
        await self._read_all(model, list(dict.fromkeys(held.values())))
        for guard, key in held.items():
            if self.seen[model, key] is None:
                self._owners[guard] = None
                self.abandoned[guard] = key

    async def holder(
        self, model: Model[object], unique: Unique, values: tuple[object, ...]
    ) -> object:
        """Return the key of the row of which *unique* compares *values*, None for none."""
        for (owner, key), row in self.written.items():
            if owner is model and row is not None and unique_values(unique, row) == values:
                return key
        guard = guard_key(model, unique, values)
        if not self.assumes:
            await self._read_owners(model, [guard])
        key = self._owners.get(guard)
        if key is None or (model, key) in self.written:  # which has other values by now
            return None
        return key

    async def pointing_at(self, child: Model[object], spec: FieldSpec, key: object) -> list[Row]:
        """Return the rows of *child* that point at *key* by *spec*, as the unit sees them.

        The store's are found along an index, which lags, and are counted at their target, which
        does not. Raises Clash while the two differ.
        """
        target = target_of(spec)
        stored = await self.stored(target, key)
        expected = 0 if stored is None else stored.referred.get(counter_name(child, spec), 0)
        rows: list[Row] = []
        if expected or target is child:
            found = await self.reader.along_reference(child, spec, key)
            noted = [self.note(self.reader.layout(child), item) for item in found]
            counted = sum(not _is_itself(child, spec, row) for row in noted)
            if counted != expected:
                raise Clash(said((target, key)))
            rows = [row for row in noted if (child, child.key_of(row)) not in self.written]
        return rows + [
            row
            for (model, _), row in self.written.items()
            if model is child and row is not None and row[spec.position] == key
        ]

    def overlaid(self, model: Model[object], rows: Iterable[Row]) -> list[Row]:
        """Return *rows*, which the store has, without those that the unit has written."""
        return [row for row in rows if (model, model.key_of(row)) not in self.written]

    def check_found(
        self, model: Model[object], found: Iterable[Row], holds: Callable[[Row], bool]
    ) -> None:
        """Raise Clash when a row that was read before, and fits, is not among those *found* now."""
        known = self.written.keys() | {(model, model.key_of(row)) for row in found}
        for place, stored in self.seen.items():
            if stored is None or place[0] is not model or place in known:
                continue
            if holds(stored.row):
                raise Clash(said(place))

    def written_rows(self, model: Model[object]) -> list[Row]:
        """Return the rows of *model* that the unit has written."""
        return [row for (each, _), row in self.written.items() if each is model and row is not None]

    def has_written(self, model: Model[object]) -> bool:
        """Return whether the unit has written rows of *model*."""
        return any(each is model for each, _ in self.written)

    def hold(self, model: Model[object], rows: Iterable[Row]) -> None:
        """Let the unit, when it writes at all, be the only one at a time that holds *rows*."""
        self.held |= {(model, model.key_of(row)) for row in rows}

    # --- writing ----------------------------------------------------------------------------

    def write(self, model: Model[object], key: object, row: Row | None) -> None:
        """Let the unit leave *row* under *key*, or nothing. Raises UnsupportedError."""
        place = (model, key)
        if place not in self.written and len(self.written) >= LARGEST_WRITE:
            raise too_many()
        self._undo.append((place, place in self.written, self.written.get(place)))
        self.written[place] = row

    def mark(self) -> int:
        """Return the place in the history that `undo` goes back to."""
        return len(self._undo)

    def undo(self, mark: int) -> None:
        """Take back all writes since *mark*."""
        while len(self._undo) > mark:
            place, known, row = self._undo.pop()
            if known:
                self.written[place] = row
            else:
                del self.written[place]


def too_many() -> UnsupportedError:
    """Return the refusal of a write that concerns more items than the service's transactions."""
    return UnsupportedError(
        f"writes that concern more than {LARGEST_WRITE} items at once, guards of unique fields, "
        "counts of references and rows that were read included",
        NAME,
    )


def said(place: Place) -> str:
    """Return *place* as messages name it."""
    model, key = place
    return f"{model.name} {key}"


def _is_itself(child: Model[object], spec: FieldSpec, row: Row) -> bool:
    return target_of(spec) is child and row[spec.position] == row[child.key.position]


def marks(model: Model[object], old: Row, new: Row) -> bool:
    """Return whether the row, which was living, is marked as deleted when *old* becomes *new*."""
    if model.deleted_at is None:
        return False
    at = model.deleted_at.position
    return old[at] is None and new[at] is not None


def reference_changes(
    model: Model[object], old: Row | None, new: Row | None
) -> list[tuple[Place, str, int]]:
    """Return how the counts at the targets change when *old* becomes *new*."""
    changes: list[tuple[Place, str, int]] = []
    for spec in model.references:
        name, target = counter_name(model, spec), target_of(spec)
        before, after = (None if row is None else _pointed(model, spec, row) for row in (old, new))
        if before == after:
            continue
        if before is not None:
            changes.append(((target, before), name, -1))
        if after is not None:
            changes.append(((target, after), name, 1))
    return changes


def _pointed(model: Model[object], spec: FieldSpec, row: Row) -> object:
    """Return the key that *row* points at by *spec*; None when it is its own."""
    return None if _is_itself(model, spec, row) else row[spec.position]
