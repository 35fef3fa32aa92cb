"""Deletion that only marks: rows that go out of sight with what goes with them, and come back.

It stands above the driver contract, so that every backend has it. A row is deleted when its
`deleted_at()` field has a time. Rows are locked before they are looked at and marked, and who adds
a row that points at one holds that one too: so nothing that lives points at what is deleted, but by
a reference that would become null.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from holdfast.errors import ForeignKeyError
from holdfast.records.driver import StoreCapability
from holdfast.records.driver_requests import Select, Update
from holdfast.records.entities.model import model_of
from holdfast.records.expressions.field_changes import Increment, SetTo
from holdfast.records.expressions.operands import Column
from holdfast.records.expressions.predicates import Compare, In, Not, Operator, Order, all_of
from holdfast.records.hooked_writes import hooked_writes, update_as
from holdfast.records.rows.row_key import has_key, has_key_among, key_order
from holdfast.records.transactions.row_lock import lock_of
from holdfast.records.transactions.transaction import current, session_of
from holdfast.records.write_hook import WriteVerb

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
    from datetime import datetime

    from holdfast.records.driver import Session
    from holdfast.records.driver_requests import RowLock
    from holdfast.records.entities.model import Model, Row
    from holdfast.records.expressions.field_changes import Change
    from holdfast.records.expressions.predicates import Predicate
    from holdfast.records.store import Store
    from holdfast.records.values.field_spec import FieldSpec

E = TypeVar("E")
T = TypeVar("T")

_ATTEMPTS = 20  # of a call that is a transaction of its own and was undone by a clash


class SoftDeletion(Generic[E]):
    """Marks rows of *model*, of *store*, as deleted, restores and purges them."""

    def __init__(self, store: Store, model: Model[E]) -> None:
        self._store = store
        self._model = _any(model)
        self._lock: RowLock | None = lock_of(store.capabilities)

    async def delete(self, where: Predicate) -> int:
        """Mark the living rows that fit *where*, and what goes with them; return how many fitted.

        Raises ForeignKeyError while a living row holds one of them.
        """
        model, store = self._model, self._store
        now = store.now()
        alone = not any(True for _ in _pointers(store, model)) and not store.hooked.touches(model)
        if alone:
            living = all_of((where, _living(model)))
            return await self._session.update(Update(model, living, _marks(model, now, now)))

        async def work() -> int:
            rows = await self._held(model, all_of((where, _living(model))))
            if not rows:
                return 0
            gone = {model: [key for key, _ in rows]}
            await self._follow(gone, _living)
            await self._check_held(gone)
            for each, keys in gone.items():
                verb = WriteVerb.SOFT_DELETE if each is model else WriteVerb.CASCADE
                await self._mark(each, keys, now, verb)
            return len(rows)

        return await self._whole(work)

    async def restore(self, key: object) -> bool:
        """Let the row under the row value *key* live again; tell whether it was deleted.

        With it comes back what went with it, at the same moment. Raises DuplicateError where a
        unique value was taken meanwhile, ForeignKeyError where what it points at is still deleted.
        """
        model = self._model
        by_key = has_key(model, key)

        async def work() -> bool:
            rows = await self._held(model, all_of((by_key, Not(_living(model)))))
            if not rows:
                return False
            ((_, at),) = rows

            def gone_with_it(each: Model[object]) -> Predicate:
                assert each.deleted_at is not None
                return Compare(Column(each.name, each.deleted_at), Operator.EQ, at)

            back = {model: [key]}
            await self._follow(back, gone_with_it)
            for each, keys in back.items():
                for spec in await self._dangling(each, keys, back):
                    raise ForeignKeyError(each.name, (spec.name,))
            for each, keys in back.items():
                verb = WriteVerb.RESTORE if each is model else WriteVerb.CASCADE
                await self._mark(each, keys, None, verb)
            return True

        return await self._whole(work)

    async def purge(self, until: datetime) -> int:
        """Delete for good the rows that were deleted *until* then; return how many there were."""
        assert self._model.deleted_at is not None
        marked = Column(self._model.name, self._model.deleted_at)
        return await self.erase(Compare(marked, Operator.LE, until))

    async def erase(self, where: Predicate) -> int:
        """Delete the rows that fit *where* for good, living or not."""
        model = self._model
        return await (hooked_writes(self._store, model) or self._session).delete(model, where)

    async def _follow(
        self,
        found: dict[Model[object], list[object]],
        which: Callable[[Model[object]], Predicate],
    ) -> None:
        """Add to *found* the keys of rows that go with those there, of each model *which* fit."""
        waiting = [(model, list(keys)) for model, keys in found.items()]
        while waiting:
            model, keys = waiting.pop()
            for child, spec in _pointers(self._store, model, "cascade"):
                pointing = In(Column(child.name, spec), tuple(keys))
                rows = await self._held(child, all_of((pointing, which(child))))
                known = set(found.setdefault(child, []))
                new = [key for key, _ in rows if key not in known]
                found[child] += new
                if new:
                    waiting.append((child, new))
        for model in [model for model, keys in found.items() if not keys]:
            del found[model]

    async def _check_held(self, gone: dict[Model[object], list[object]]) -> None:
        for model, keys in gone.items():
            for child, spec in _pointers(self._store, model, "restrict"):
                pointing: Predicate = In(Column(child.name, spec), tuple(keys))
                if child.deleted_at is not None:
                    pointing &= _living(child)
                if child in gone:
                    pointing &= Not(has_key_among(child, gone[child]))
                held = Select(child, pointing, (), 1)
                if await self._session.values(held, child.key_columns):
                    raise ForeignKeyError(child.name, (spec.name,))

    async def _dangling(
        self,
        model: Model[object],
        keys: Sequence[object],
        back: dict[Model[object], list[object]],
    ) -> list[FieldSpec]:
        """Return references of rows, by *keys*, to what is deleted and does not come *back*."""
        found: list[FieldSpec] = []
        for spec, target in soft_references(model):
            these = has_key_among(model, keys)
            rows = await self._session.values(Select(model, these), (Column(model.name, spec),))
            wanted = {row[0] for row in rows} - {None} - set(back.get(target, ()))
            if wanted and await deleted_among(self._store, target, wanted):
                found.append(spec)
        return found

    async def _held(self, model: Model[object], where: Predicate) -> list[tuple[object, object]]:
        """Return key and time of deletion of the rows that fit, held until the transaction ends."""
        assert model.deleted_at is not None
        columns = (*model.key_columns, Column(model.name, model.deleted_at))
        select = Select(model, where, key_order(model), lock=self._lock)
        found = await self._session.values(select, columns)
        return [(key[0] if len(key) == 1 else tuple(key), at) for *key, at in found]

    async def _mark(
        self, model: Model[object], keys: Sequence[object], at: datetime | None, verb: WriteVerb
    ) -> None:
        these = has_key_among(model, keys)
        update = Update(model, these, _marks(model, at, self._store.now()))
        hooked = hooked_writes(self._store, model)
        if hooked is None:
            await self._session.update(update)
        else:
            await update_as(hooked, update, verb)

    @property
    def _session(self) -> Session:
        return session_of(self._store.driver, self._store.affinity, self._store.recorder)

    async def _whole(self, work: Callable[[], Awaitable[T]]) -> T:
        return await whole(self._store, work)


async def whole(store: Store, work: Callable[[], Awaitable[T]]) -> T:
    """Do *work* in a part of the transaction around it, or in one of its own, again on a clash."""
    if current(store.driver) is not None:
        async with store.transaction():
            return await work()
    return await store.retrying(work, attempts=_ATTEMPTS)


def soft_references(model: Model[E]) -> Iterator[tuple[FieldSpec, Model[object]]]:
    """Yield the references by which a row must not point at what is deleted, and their targets."""
    for spec in model.references:
        assert spec.reference is not None
        target = _any(model_of(spec.reference.target()))
        if target.deleted_at is not None and spec.reference.on_delete != "set null":
            yield spec, target


async def deleted_among(store: Store, target: Model[object], keys: Iterable[object]) -> bool:
    """Return whether one of the rows of *target* under *keys* is deleted.

    The living ones stay so until the transaction ends.
    """
    assert target.deleted_at is not None
    columns = (Column(target.name, target.key), Column(target.name, target.deleted_at))
    these = In(columns[0], tuple(sorted(keys, key=repr)))
    lock = "share" if StoreCapability.ROW_LOCKS in store.capabilities else None
    session = session_of(store.driver, store.affinity, store.recorder)
    select = Select(target, these, (Order(columns[0]),), lock=cast("Any", lock))
    return any(at is not None for _, at in await session.values(select, columns))


async def check_targets(store: Store, model: Model[E], rows: Sequence[Row]) -> None:
    """Raise ForeignKeyError when one of *rows*, which are to be written, points at what is deleted.

    To be called in the transaction of the write.
    """
    for spec, target in soft_references(model):
        keys = {row[spec.position] for row in rows} - {None}
        if keys and await deleted_among(store, target, keys):
            raise ForeignKeyError(model.name, (spec.name,))


async def check_changes(store: Store, model: Model[E], changes: Iterable[Change]) -> None:
    """Raise ForeignKeyError when *changes* make rows point at what is deleted.

    To be called in the transaction of the write.
    """
    told = {change.column.name: change.value for change in changes if isinstance(change, SetTo)}
    for spec, target in soft_references(model):
        value = told.get(spec.name)
        if value is not None and await deleted_among(store, target, (value,)):
            raise ForeignKeyError(model.name, (spec.name,))


def _living(model: Model[object]) -> Predicate:
    assert model.living is not None
    return model.living


def _marks(model: Model[object], at: datetime | None, now: datetime) -> tuple[Change, ...]:
    """Return the changes that mark a row as deleted *at* a time, or let it live: a write as any."""
    assert model.deleted_at is not None
    made: list[Change] = [SetTo(Column(model.name, model.deleted_at), at)]
    if model.version is not None:
        made.append(Increment(Column(model.name, model.version), 1))
    if model.updated_at is not None:
        made.append(SetTo(Column(model.name, model.updated_at), now))
    return tuple(made)


def _pointers(
    store: Store, target: Model[object], on_delete: str | None = None
) -> Iterator[tuple[Model[object], FieldSpec]]:
    """Yield the references that hold rows of *target* or go with them; None: both."""
    wanted = ("cascade", "restrict") if on_delete is None else (on_delete,)
    for model in store.models:
        for spec in model.references:
            reference = spec.reference
            assert reference is not None
            if reference.on_delete not in wanted or model_of(reference.target()) is not target:
                continue
            # The words of what is deleted stay, for its restoration.
            if not model.view and not model.indexed_words:
                yield model, spec


def _any(model: Model[Any]) -> Model[object]:
    return cast("Model[object]", model)
