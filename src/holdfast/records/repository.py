"""Repositories: everything that can be asked of, and done to, the entities of one kind."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar, cast

from holdfast.errors import (
    ConflictError,
    InvalidQueryError,
    InvalidValueError,
    NotFoundError,
    PreconditionFailedError,
    StaleVersionError,
)
from holdfast.records import validation
from holdfast.records.driver import DefaultGiver, RowTaker
from holdfast.records.driver_requests import Select, Taking, Update
from holdfast.records.expressions.operands import Column
from holdfast.records.expressions.predicates import Compare, Operator, Predicate, all_of
from holdfast.records.foreign_words import REPOSITORY_WORDS, not_there
from holdfast.records.repository_reads import RepositoryReads
from holdfast.records.result_types import BatchResult, Upserted
from holdfast.records.rows.hydration import from_own_rows
from holdfast.records.rows.row_key import has_key, has_key_among
from holdfast.records.rows.row_rules import check_row
from holdfast.records.rows.server_values import filled, numbered
from holdfast.records.search.indexed_session import whole_write
from holdfast.records.soft_deletion import (
    SoftDeletion,
    check_changes,
    check_targets,
    soft_references,
    whole,
)
from holdfast.records.transactions.row_lock import lock_of
from holdfast.records.values.field_spec import LEFT_OUT
from holdfast.records.write_order import at_its_place, in_turn, insert_order, upsert_order

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence
    from datetime import datetime

    from holdfast.records.argument_types import (
        AnyField,
        ChangeArgument,
        Condition,
        Ordering,
    )
    from holdfast.records.driver import NumberGiver, TakingWriter
    from holdfast.records.entities.model import Row

E = TypeVar("E")
T = TypeVar("T")


class Repository(RepositoryReads[E]):
    """The entities of one kind in a store: `Repository(Video, store)`.

    Each call is a transaction of its own, or part of the one that it is called inside of. What is
    returned is a copy: changing it changes nothing until it is written. A domain's repository is a
    subclass with queries of its own.
    """

    if not TYPE_CHECKING:

        def __getattr__(self, name):  # noqa: ANN001, ANN204 - hidden from type checkers
            not_there(self, "a repository", name, REPOSITORY_WORDS)

    async def add(self, entity: E) -> E:
        """Store a new *entity* and return it as stored, with version 1.

        Raises DuplicateError, ForeignKeyError and InvalidValueError.
        """
        (row,) = await self._numbered([self._new_row(entity)])

        async def work() -> list[Row | ConflictError]:
            return await self._writing.insert(self.model, (row,), atomic=True)

        stored = await self._pointing((row,), work)
        return self._hydrate(cast("list[Row]", stored))[0]

    async def add_many(self, entities: Iterable[E], *, atomic: bool = True) -> BatchResult[E]:
        """Store new *entities*; their results stand at their positions.

        When *atomic*, the first conflict is raised, with its index, and nothing was stored. Else
        each is stored or refused by itself. A value that can't be stored is an error either way.
        They may point at one another in any order, but not in a circle.
        """
        rows = await self._numbered(self._new_rows("add_many", entities))
        if not rows:
            return BatchResult([])
        order = insert_order(self.model, rows)
        ordered = [rows[place] for place in order]

        async def work() -> list[Row | ConflictError]:
            return await self._writing.insert(self.model, ordered, atomic=atomic)

        try:
            found = await self._pointing(rows, work)
        except ConflictError as conflict:
            raise at_its_place(conflict, order) from conflict
        stored = in_turn(order, found)
        if atomic:
            return BatchResult(list(self._hydrate(cast("list[Row]", stored))))
        results: list[E | ConflictError] = [
            at_its_place(outcome, order)
            if isinstance(outcome, Exception)
            else self._hydrate((outcome,))[0]
            for outcome in stored
        ]
        return BatchResult(results)

    async def update(self, entity: E) -> E:
        """Overwrite the stored row of *entity* and return it as stored, one version up.

        The version it was read with must still be the stored one, else StaleVersionError; an
        entity without a version field overwrites what is there. Raises NotFoundError too.
        """
        values = vars(self._own(entity))
        version = self.model.version
        expected: int | None = None
        if version is not None:
            known = values.get(version.name)
            if known is None:
                raise InvalidValueError(
                    self.model.name,
                    version.name,
                    "is missing: update what a repository returned, or patch by key",
                )
            expected = cast("int", version.to_row(self.model.name, known))
        row = self.model.row(entity, version=(expected or 0) + 1, now=self.store.now(), fresh=False)
        for spec in self.model.server_defaults:
            if row[spec.position] is LEFT_OUT:
                raise InvalidValueError(self.model.name, spec.name, "the value is missing")
        check_row(self.model, row)
        key = self.model.key_of(row)
        if key is None:
            raise InvalidValueError(self.model.name, self.model.key.name, "the value is missing")

        async def work() -> E | None:
            return await self._writing.replace(self.model, row, expected)

        stored = await self._pointing((row,), work)
        if stored is None:
            raise await self._why_not(key, expected)
        return stored

    async def patch(
        self,
        key: object,
        *changes: ChangeArgument[E],
        when: Condition[E] | None = None,
        version: int | None = None,
    ) -> E:
        """Make *changes* to the row under *key* and return it as stored, one version up.

        What they compute is of the row as it was before, all alike.
        With *version*, only if that is the stored one, else StaleVersionError; with *when*, only
        if the row fits it, else PreconditionFailedError. Raises NotFoundError.
        """
        wanted = self._key(key)
        where: Predicate = self._there(has_key(self.model, wanted))
        if version is not None:
            where &= self._at_version(version)
        if when is not None:
            where = all_of((where, self._condition((when,))))
        update = Update(
            self.model, where, validation.changes(self.model, changes, now=self.store.now())
        )

        async def work() -> E | None:
            return await self._writing.patch(update)

        stored = await self._changing(update, work)
        if stored is not None:
            return stored
        if version is not None:
            error = await self._why_not(wanted, version)
            if isinstance(error, StaleVersionError):
                raise error
        if when is not None and await self.get(key) is not None:
            raise PreconditionFailedError(self.model.name, key)
        raise NotFoundError(self.model.name, key)

    async def upsert(
        self, entity: E, *, on: AnyField[E] | Sequence[AnyField[E]] = ()
    ) -> Upserted[E]:
        """Add *entity*, or overwrite the row with the same *on* fields (the key, by default).

        The overwritten row keeps its key and its time of creation, and goes one version up. *on*
        is a field or fields declared unique. Any number may do this at once: there is one row, and
        no error. A clash in another unique field is a DuplicateError.
        """
        fields = validation.conflict_fields(self.model, on)
        row = self._new_row(entity)
        validation.check_given(self.model, (entity,), fields)
        (row,) = await self._numbered([row])

        async def work() -> list[tuple[E, bool]]:
            return await self._writing.upsert(self.model, (row,), fields)

        ((stored, created),) = await self._pointing((row,), work)
        return Upserted(stored, created)

    async def upsert_many(
        self, entities: Iterable[E], *, on: AnyField[E] | Sequence[AnyField[E]] = ()
    ) -> list[Upserted[E]]:
        """Upsert all of *entities*, or none; see `upsert`. Results stand at their positions.

        Of two with the same *on* fields the later overwrites the earlier. They are written in the
        order of these fields, so that callers who name the same rows wait for one another and
        never for each other; entities may point at one another, but not in a circle of new ones.
        """
        fields = validation.conflict_fields(self.model, on)
        entities = validation.several("upsert_many", entities)
        rows = self._new_rows("upsert_many", entities)
        if not rows:
            return []
        validation.check_given(self.model, entities, fields)
        rows = await self._numbered(rows)
        order = upsert_order(self.model, rows, fields)
        ordered = [rows[place] for place in order]

        async def work() -> list[tuple[E, bool]]:
            return await self._writing.upsert(self.model, ordered, fields)

        try:
            stored = await self._pointing(rows, work)
        except ConflictError as conflict:
            raise at_its_place(conflict, order) from conflict
        return [Upserted(entity, created) for entity, created in in_turn(order, stored)]

    async def update_where(
        self, *where: Condition[E], changes: ChangeArgument[E] | Sequence[ChangeArgument[E]]
    ) -> int:
        """Make *changes* to all rows that fit and return how many did.

        What they compute is of each row as it was before. Without a predicate it is refused: say
        `everything()`.
        """
        validation.require_predicate(where, "update_where")
        update = self._update_of(where, changes)

        async def work() -> int:
            return await self._writing.update(update)

        return await self._changing(update, work)

    async def take(
        self,
        *where: Condition[E],
        changes: ChangeArgument[E] | Sequence[ChangeArgument[E]],
        order_by: Ordering[E] | Sequence[Ordering[E]] = (),
        limit: int | Sequence[tuple[Condition[E], int]],
    ) -> list[E]:
        """Make *changes* to the first *limit* rows that fit, and return them as stored.

        The first along *order_by*, then by key; they are returned in no order. Rows that another
        transaction is writing or holds are passed over, not waited for, where the backend has row
        locks. So when any number take at once what their changes make unfit, each row is taken
        once. All rows are written or none, except outside of a transaction on a backend without
        LARGE_WRITES: there each row is a write of its own.

        Where *limit* is pairs of a condition and a number, the first so many are taken of those
        that fit each of these conditions too. No row is to fit two of them.
        """
        validation.require_predicate(where, "take")
        most, parts = self._most_of(limit)
        if not most:
            return []
        update = self._update_of(where, changes)
        taking = Taking(update, validation.total_order(self.model, order_by), most, parts)

        async def work() -> list[E]:
            if self._takes_rows:
                return await cast("TakingWriter", self._writing).take(taking)
            return await whole_write(self.store, lambda: self._take_by_steps(taking))

        return await self._changing(update, work)

    def _update_of(
        self,
        where: tuple[Condition[E], ...],
        wanted: ChangeArgument[E] | Sequence[ChangeArgument[E]],
    ) -> Update[E]:
        """Return the update of all rows that fit *where* by the changes *wanted*."""
        changes = validation.set_changes(self.model, wanted, now=self.store.now())
        fitting = validation.with_a_value(self._condition(where), changes)
        return Update(self.model, fitting, changes)

    def _most_of(
        self, limit: int | Sequence[tuple[Condition[E], int]]
    ) -> tuple[int, tuple[tuple[Predicate, int], ...]]:
        """Return how many rows may be taken in all, and the parts that *limit* has."""
        if isinstance(limit, list | tuple):
            checked = [(self._condition((where,)), _rows(most)) for where, most in limit]
            parts = tuple((where, most) for where, most in checked if most)
            return sum(most for _, most in parts), parts
        return _rows(limit), ()

    @cached_property
    def _takes_rows(self) -> bool:
        """Whether the driver does it all; not where hooks or documents go along."""
        driver = self._driver
        return self._beside is None and isinstance(driver, RowTaker) and driver.takes_rows

    async def _take_by_steps(self, taking: Taking[E]) -> list[E]:
        """Do *taking* inside of a transaction."""
        lock = lock_of(self.store.capabilities)
        found: dict[object, None] = {}
        for each in taking.each():
            rows = await self._session.values(each.select(lock), self.model.key_columns)
            found |= dict.fromkeys(key[0] if len(key) == 1 else tuple(key) for key in rows)
        if not found:
            return []
        these = has_key_among(self.model, found)
        await self._writing.update(replace(taking.update, where=these))
        return await self._session.find(Select(self.model, these))

    async def delete(self, key: object, *, version: int | None = None) -> bool:
        """Delete the row under *key* and tell whether there was one.

        With *version*, only if that is the stored one, else StaleVersionError. An entity with a
        `deleted_at()` field is marked, and what goes with it too: see `restore` and `purge`.
        """
        wanted = self._key(key)
        where: Predicate = has_key(self.model, wanted)
        if version is not None:
            where &= self._at_version(version)
        if await self._delete(where):
            return True
        if version is not None:
            error = await self._why_not(wanted, version)
            if isinstance(error, StaleVersionError):
                raise error
        return False

    async def delete_many(self, keys: Iterable[object]) -> int:
        """Delete the rows under *keys*, all in one step, and return how many there were."""
        wanted = tuple(
            dict.fromkeys(self._key(key) for key in validation.several("delete_many", keys))
        )
        if not wanted:
            return 0
        return await self._delete(has_key_among(self.model, wanted))

    async def delete_where(self, *where: Condition[E]) -> int:
        """Delete all rows that fit and return how many did; refused without a predicate."""
        validation.require_predicate(where, "delete_where")
        return await self._delete(self._condition(where))

    async def restore(self, key: object) -> E:
        """Let the deleted row under *key* live again, and return it, one version up.

        With it comes back what went with it. Raises NotFoundError when no deleted row is there,
        DuplicateError where a unique value was taken meanwhile, ForeignKeyError while what it
        belongs to is deleted.
        """
        validation.check_deletable(self.model)
        if not await self._soft_deletion.restore(self._key(key)):
            raise NotFoundError(self.model.name, key, hint="nothing deleted is there")
        return await self.get_one(key)

    async def purge(self, *, older_than: timedelta) -> int:
        """Delete for good what was deleted at least *older_than* ago; return how many rows.

        What the database deletes with a row, or sets to null, is as in any deletion. Raises
        ForeignKeyError while a row holds one of them, deleted or not: purge that one's kind first.
        """
        if not isinstance(older_than, timedelta) or older_than < timedelta(0):
            raise InvalidQueryError(f"older_than={older_than!r}: expected a timedelta from 0 on")
        validation.check_deletable(self.model)
        return await self._soft_deletion.purge(self.store.now() - older_than)

    async def _delete(self, where: Predicate) -> int:
        if self._living is not None:
            return await self._soft_deletion.delete(where)
        return await self._writing.delete(self.model, where)

    @cached_property
    def _soft_deletion(self) -> SoftDeletion[E]:
        return SoftDeletion(self.store, self.model)

    @cached_property
    def _points_at_soft(self) -> bool:
        return any(True for _ in soft_references(self.model))

    async def _pointing(self, rows: Sequence[Row], work: Callable[[], Awaitable[T]]) -> T:
        """Do *work*, which writes *rows*, and hold what they point at among the living."""
        if not self._points_at_soft:
            return await work()

        async def checked() -> T:
            await check_targets(self.store, self.model, rows)
            return await work()

        return await whole(self.store, checked)

    async def _changing(self, update: Update[E], work: Callable[[], Awaitable[T]]) -> T:
        """Do *work*, which makes *update*; see `_pointing`.

        It looks for where to write when it is called: in here a transaction may begin.
        """
        names = {change.column.name for change in update.changes}
        if not self._points_at_soft or not any(
            spec.name in names for spec, _ in soft_references(self.model)
        ):
            return await work()

        async def checked() -> T:
            await check_changes(self.store, self.model, update.changes)
            return await work()

        return await whole(self.store, checked)

    @cached_property
    def _hydrate(self) -> Callable[[Iterable[Row]], list[E]]:
        return from_own_rows(self.model)

    def _own(self, entity: E) -> E:
        if type(entity) is not self.model.entity:
            raise InvalidQueryError(
                f"expected a {self.model.name}, got {type(entity).__name__}: {entity!r}"
            )
        return entity

    def _new_row(self, entity: E) -> Row:
        now = self.store.now()
        row = self.model.row(self._own(entity), version=1, now=now)
        return self._left_to_database(check_row(self.model, row), now)

    def _new_rows(self, verb: str, entities: Iterable[E]) -> list[Row]:
        now, several = self.store.now(), validation.several(verb, entities)
        for entity in several if {*map(type, several)} != {self.model.entity} else ():
            self._own(entity)
        rows = self.model.rows(several, version=1, now=now)
        for row in rows if self.model.checks else ():
            check_row(self.model, row)
        if self.model.server_defaults:
            return [self._left_to_database(row, now) for row in rows]
        return rows

    def _left_to_database(self, row: Row, now: datetime) -> Row:
        """Return *row* as the driver takes it, with its defaults where no database gives them."""
        model = self.model
        if not model.server_defaults or LEFT_OUT not in row:
            return row
        known = check_row(model, filled(model, row, now))
        driver = self._driver
        return row if isinstance(driver, DefaultGiver) and driver.gives_defaults else known

    async def _numbered(self, rows: list[Row]) -> list[Row]:
        """Return *rows* with the numbers of sequences that they leave out."""
        if not self.model.sequences:
            return rows
        self.store.affinity.check()
        return await numbered(cast("NumberGiver", self._session), self.model, rows)

    def _at_version(self, version: int) -> Predicate:
        spec = self.model.version
        if spec is None:
            raise InvalidQueryError(f"{self.model.name} has no version field")
        expected = spec.to_row(self.model.name, version)
        return Compare(Column(self.model.name, spec), Operator.EQ, expected)

    async def _why_not(self, key: object, expected: int | None) -> Exception:
        """Return why a conditional write found no row."""
        found: E | None = await self._session.get(self.model, key)
        stored = self._seen(found)
        if stored is None or self.model.version is None or expected is None:
            return NotFoundError(self.model.name, key)
        actual = vars(stored)[self.model.version.name]
        if actual == expected:
            return NotFoundError(self.model.name, key, hint=_THERE_NOW)
        return StaleVersionError(self.model.name, key, expected=expected, actual=actual)


_THERE_NOW = "one is there now: it was added at this moment, or a trigger leaves changes out"


def _rows(limit: object) -> int:
    """Return *limit*, the number of rows to take. Raises InvalidQueryError."""
    most = validation.count("limit", cast("int | None", limit))
    if most is None:
        raise InvalidQueryError("take: limit says how many rows")
    return most
