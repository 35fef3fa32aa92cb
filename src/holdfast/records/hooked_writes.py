"""The writes of entities that hooks watch: rows read under a lock, written, and told.

It stands above the driver contract, so that every backend has it. Every write is a transaction, or
a part of the one around it: rows are locked as they were before, written by the contract's own
verb, and the hooks are told before anything can commit.
"""

from __future__ import annotations

from collections import defaultdict
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar, cast

from holdfast.errors import HoldfastError, SerializationError, TransactionError
from holdfast.records.driver import ChangeRecorder
from holdfast.records.driver_requests import Select, Update
from holdfast.records.entities.model import model_of
from holdfast.records.expressions.operands import Column
from holdfast.records.expressions.predicates import In, InRows, Predicate
from holdfast.records.rows.row_key import has_key, has_key_among, key_asked_for, key_order
from holdfast.records.rows.row_rules import alike, unique_values
from holdfast.records.search.indexed_session import (
    indexed_session,
    indexed_writes,
    plain_session,
    whole_write,
)
from holdfast.records.transactions.row_lock import lock_of
from holdfast.records.transactions.scope import scope_of
from holdfast.records.write_hook import RowChange, StatementHook, WriteVerb

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence

    from holdfast.errors import ConflictError
    from holdfast.records.driver import RecordingWriter, Session, Writer
    from holdfast.records.driver_requests import RowLock
    from holdfast.records.entities.model import Model, Row
    from holdfast.records.store import Store
    from holdfast.records.values.field_spec import FieldSpec
    from holdfast.records.write_hook import WriteHook

E = TypeVar("E")
T = TypeVar("T")

_ATTEMPTS = 20  # to lock what an upsert overwrites
_TOGETHER = 500  # rows that are looked for by one statement before an upsert


class HookedModels:
    """Which hooks of a store watch which models, and what a deletion reaches."""

    def __init__(self, models: Sequence[Model[object]], hooks: Sequence[WriteHook]) -> None:
        self.hooks = tuple(hooks)
        self.by_model = {
            model: tuple(hook for hook in hooks if hook.watches(model)) for model in models
        }
        self.pointers: dict[Model[object], list[tuple[Model[object], FieldSpec]]] = defaultdict(
            list
        )
        for model in models:
            for spec in () if model.view else model.references:
                assert spec.reference is not None
                if spec.reference.on_delete != "restrict":
                    self.pointers[model_of(spec.reference.target())].append((model, spec))
        self.tables = frozenset(model.table for model, found in self.by_model.items() if found)
        self.reached: set[Model[object]] = {
            model for model, found in self.by_model.items() if found
        }
        """Models that are watched, or whose deletion changes rows of one that is."""
        growing = True
        while growing:
            found = {
                model
                for model, pointers in self.pointers.items()
                if any(pointer in self.reached for pointer, _ in pointers)
            }
            growing = not found <= self.reached
            self.reached |= found

    def touches(self, model: Model[E]) -> bool:
        """Return whether a write of *model* has to be looked at."""
        return model in self.reached

    def watched(self, model: Model[E]) -> bool:
        """Return whether a hook is told of changes of *model* itself."""
        return bool(self.by_model[_any(model)])


@dataclass(slots=True)
class _Found:
    """What a deletion will change by references, as it was before."""

    removed: dict[tuple[Model[object], object], Row]
    nulled: dict[tuple[Model[object], object], Row]


class HookedWrites:
    """See `Writer`; each verb tells the hooks of *watch* what it did to which row.

    A verb on many rows reads them before and after, so it holds them in memory.
    """

    def __init__(self, store: Store, hooked: HookedModels) -> None:
        self._store = store
        self._hooked = hooked
        self._recorders: dict[Model[object], StatementHook | None] = {}
        self._lock: RowLock | None = lock_of(store.capabilities)

    async def insert(
        self, model: Model[E], rows: Sequence[Row], *, atomic: bool
    ) -> list[Row | ConflictError]:
        """See `Writer`."""
        if not self._hooked.watched(model):
            return await self._beneath(model).insert(model, rows, atomic=atomic)

        async def work(session: Session) -> list[Row | ConflictError]:
            stored = await session.insert(model, rows, atomic=atomic)
            with self._must_be_told():
                made = [row for row in stored if isinstance(row, tuple)]
                await self._tell(_change(model, WriteVerb.ADD, None, row) for row in made)
            return stored

        return await self._whole(work)

    async def replace(self, model: Model[E], row: Row, expected: int | None) -> E | None:
        """See `Writer`."""
        if not self._hooked.watched(model):
            return await self._beneath(model).replace(model, row, expected)
        key = model.key_of(row)
        if (recorder := self._recorder(model)) is not None:
            record = recorder.record_of(self._store, _any(model), WriteVerb.UPDATE, key)
            return await self._recording.replace_recorded(model, row, expected, record)
        where = has_key(model, key)

        async def work(session: Session) -> E | None:
            before = await self._locked(session, model, where)
            stored: E | None = None
            if before:
                stored = await session.replace(model, row, expected)
            if stored is not None:
                with self._must_be_told():
                    after = await _row_of(session, model, stored)
                    await self._tell([_change(model, WriteVerb.UPDATE, before[0], after)])
            return stored

        return await self._whole(work)

    async def patch(self, update: Update[E]) -> E | None:
        """See `Writer`."""
        model = update.model
        if not self._hooked.watched(model):
            return await self._beneath(model).patch(update)
        key = key_asked_for(model, update.where)
        if key is not None and (recorder := self._recorder(model)) is not None:
            record = recorder.record_of(self._store, _any(model), WriteVerb.PATCH, key)
            return await self._recording.patch_recorded(update, record)

        async def work(session: Session) -> E | None:
            before = await self._locked(session, model, update.where)
            stored: E | None = None
            if before:
                stored = await session.patch(update)
            if stored is not None:
                with self._must_be_told():
                    after = await _row_of(session, model, stored)
                    await self._tell([_change(model, WriteVerb.PATCH, before[0], after)])
            return stored

        return await self._whole(work)

    async def update(self, update: Update[E]) -> int:
        """See `Writer`."""
        return await self._update(update, WriteVerb.UPDATE_WHERE)

    async def _update(self, update: Update[E], verb: WriteVerb) -> int:
        model = update.model
        if not self._hooked.watched(model):
            return await self._beneath(model).update(update)
        key_of = model.key_of

        async def work(session: Session) -> int:
            before = await self._locked(session, model, update.where)
            if not before:
                return 0
            # By key: a row that fits only now would be changed without having been read.
            these = has_key_among(model, map(key_of, before))
            count = await session.update(Update(model, these, update.changes))
            with self._must_be_told():
                after = {key_of(row): row for row in await _read(session, model, these)}
                await self._tell(_change(model, verb, row, after[key_of(row)]) for row in before)
            return count

        return await self._whole(work)

    async def upsert(
        self, model: Model[E], rows: Sequence[Row], on: tuple[str, ...]
    ) -> list[tuple[E, bool]]:
        """See `Writer`."""
        if not self._hooked.watched(model):
            return await self._beneath(model).upsert(model, rows, on)

        async def work(session: Session) -> list[tuple[E, bool]]:
            if self._lock is None:
                return await self._upserted(session, model, rows, on)
            for _ in range(_ATTEMPTS):
                try:
                    async with self._store.transaction():
                        return await self._upserted(self._session, model, rows, on)
                except _UnseenRowError:
                    continue  # it was added between the two statements; now it can be locked
            raise SerializationError(f"rows of {model.name} come and go beside the upsert of them")

        return await self._whole(work)

    async def _upserted(
        self, session: Session, model: Model[E], rows: Sequence[Row], on: tuple[str, ...]
    ) -> list[tuple[E, bool]]:
        key_of = model.key_of
        before = {
            key_of(row): row
            for same in _same(model, rows, on)
            for row in await self._locked(session, model, same)
        }
        stored = await session.upsert(model, rows, on)
        with self._must_be_told():
            added: dict[object, bool] = {}
            for entity, created in stored:
                added.setdefault(model.key_of_entity(entity), created)
            these = has_key_among(model, added)
            after = {key_of(row): row for row in await _read(session, model, these)}
            if any(not new and key not in before for key, new in added.items()):
                raise _UnseenRowError
            await self._tell(
                _change(model, WriteVerb.UPSERT, None if new else before[key], after[key])
                for key, new in added.items()
            )
        return stored

    async def delete(self, model: Model[E], where: Predicate) -> int:
        """See `Writer`."""
        key_of = model.key_of
        root = _any(model)

        async def work(session: Session) -> int:
            rows = await self._locked(session, model, where)
            if not rows:
                return 0
            keys = [key_of(row) for row in rows]
            found = _Found({(root, key): row for key, row in zip(keys, rows, strict=True)}, {})
            await self._follow(session, root, keys, found)
            these = has_key_among(model, keys)
            count = await session.delete(model, these)
            with self._must_be_told():
                changes = [
                    _change(
                        gone, WriteVerb.DELETE if gone is root else WriteVerb.CASCADE, row, None
                    )
                    for (gone, _), row in found.removed.items()
                ]
                await self._tell([*changes, *await self._nulled(session, found)])
            return count

        return await self._whole(work)

    async def _follow(
        self, session: Session, model: Model[object], keys: Sequence[object], found: _Found
    ) -> None:
        """Add to *found* what points at the rows under *keys* and goes or changes with them."""
        for pointer, spec in self._hooked.pointers.get(model, ()):
            if pointer not in self._hooked.reached:
                continue
            where = In(Column(pointer.name, spec), tuple(keys))
            key_of = pointer.key_of
            rows = await self._locked(session, pointer, where)
            assert spec.reference is not None
            if spec.reference.on_delete == "set null":
                found.nulled.update({((pointer, key_of(row))): row for row in rows})
                continue
            new = [row for row in rows if (pointer, key_of(row)) not in found.removed]
            found.removed.update({(pointer, key_of(row)): row for row in new})
            if new:
                await self._follow(session, pointer, [key_of(row) for row in new], found)

    async def _nulled(self, session: Session, found: _Found) -> list[RowChange]:
        by_model: dict[Model[object], list[object]] = defaultdict(list)
        for model, key in found.nulled:
            if (model, key) not in found.removed and self._hooked.watched(model):
                by_model[model].append(key)
        return [
            _change(model, WriteVerb.CASCADE, found.nulled[model, model.key_of(row)], row)
            for model, keys in by_model.items()
            for row in await _read(session, model, has_key_among(model, keys))
        ]

    def _recorder(self, model: Model[E]) -> StatementHook | None:
        """Return the hook whose record the store inserts by itself; None where it can't be."""
        known = self._recorders
        if model not in known:  # kept, for a look at a protocol takes as long as half a write
            known[_any(model)] = self._found_recorder(model)
        return known[_any(model)]

    def _found_recorder(self, model: Model[E]) -> StatementHook | None:
        driver = self._store.driver
        hooks = self._hooked.by_model[_any(model)]
        if len(hooks) != 1 or model.adapter is not None or not isinstance(driver, ChangeRecorder):
            return None
        if model.search is not None:  # its documents are written beside it
            return None
        (hook,) = hooks
        return hook if driver.records_changes and isinstance(hook, StatementHook) else None

    @property
    def _session(self) -> Session:
        """Inside of a transaction: several statements are one write there alone."""
        return indexed_session(self._store)

    @property
    def _recording(self) -> RecordingWriter:
        """Where models with a recorder are written: they have no documents beside them."""
        return cast("RecordingWriter", plain_session(self._store))

    def _beneath(self, model: Model[E]) -> Writer:
        """Return how rows of *model* are written where no hook is told of it."""
        return indexed_writes(self._store, model) or plain_session(self._store)

    async def _whole(self, work: Callable[[Session], Awaitable[T]]) -> T:
        """Do *work* in the transaction around it, or in one of its own, again after a clash."""
        return await whole_write(self._store, lambda: work(self._session))

    async def _locked(self, session: Session, model: Model[E], where: Predicate) -> list[Row]:
        """Return the rows that fit, in the order of their keys, held until the transaction ends."""
        return await _read(session, model, where, lock=self._lock)

    async def _tell(self, changes: Iterable[RowChange]) -> None:
        told = list(changes)
        for hook in self._hooked.hooks:
            mine = [each for each in told if hook in self._hooked.by_model[each.model]]
            if mine:
                await hook.changed(self._store, mine)

    @contextmanager
    def _must_be_told(self) -> Iterator[None]:
        """Let nothing but its end happen in the transaction when the block raises.

        The write has happened; kept without its telling, it would be one that nobody knows of.
        """
        try:
            yield
        except _UnseenRowError:
            raise  # the savepoint around undoes the write
        except Exception as error:
            scope = scope_of(self._store.driver)
            failure = (
                error
                if isinstance(error, HoldfastError)
                else TransactionError(f"a hook was not told of a write: {type(error).__name__}")
            )
            if scope is not None:
                scope.scopes.fail(scope, failure)
            raise


def hooked_writes(store: Store, model: Model[E]) -> HookedWrites | None:
    """Return how rows of *model* are written where hooks are told of it; None where none is."""
    return HookedWrites(store, store.hooked) if store.hooked.touches(model) else None


async def update_as(writes: HookedWrites, update: Update[E], verb: WriteVerb) -> int:
    """Do `Writer.update`; the hooks are told that *verb* did it."""
    return await writes._update(update, verb)  # noqa: SLF001 - for `SoftDeletion` alone


class _UnseenRowError(Exception):
    """An upsert overwrote a row that was not there when its rows were locked."""


def _change(model: Model[E], verb: WriteVerb, before: Row | None, after: Row | None) -> RowChange:
    return RowChange(_any(model), verb, before, after)


def _any(model: Model[E]) -> Model[object]:
    return cast("Model[object]", model)


def _same(model: Model[E], rows: Sequence[Row], on: tuple[str, ...]) -> Iterator[Predicate]:
    """Yield what the rows fit that have the same *on* fields as one of *rows*."""
    unique = model.unique_on(on)
    given = sorted({values for row in rows if (values := unique_values(unique, row))}, key=repr)
    for start in range(0, len(given), _TOGETHER):
        part = given[start : start + _TOGETHER]
        if unique.plain:
            yield InRows(unique.columns, tuple(part))
            continue
        found: Predicate = In(unique.columns[0], ())
        for values in part:
            found |= alike(unique, values)
        yield found


async def _read(
    session: Session, model: Model[E], where: Predicate, *, lock: RowLock | None = None
) -> list[Row]:
    columns = tuple(Column(model.name, spec) for spec in model.fields)
    select = Select(model, where, key_order(model), lock=lock)
    return await session.values(select, columns)


async def _row_of(session: Session, model: Model[E], entity: E) -> Row:
    """Return the row of an *entity* as a write returned it."""
    if model.adapter is None:
        return model.stored_row(entity)
    (row,) = await _read(session, model, has_key(model, model.key_of_entity(entity)))
    return row
