"""All rows that fit a condition, deleted or changed by a job, under the name of who asked.

The condition stands in the job. Each piece of rows is looked for again and written in a transaction
with the step that records it, where the backend has transactions of any size: so a job that is
taken over goes on behind the last piece, and what no longer fits is left alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import msgspec

from holdfast.acting import acting_as
from holdfast.errors import (
    DuplicateError,
    ForeignKeyError,
    InvalidQueryError,
    InvalidValueError,
    NotFoundError,
    PermanentError,
)
from holdfast.jobs import LogLevel
from holdfast.records import StoreCapability, text_matches
from holdfast.records.entities.model import model_of
from holdfast.records.record_filters import parse_filters
from holdfast.records.record_values import parsed_value
from holdfast.records.rows.row_key import has_key_among
from holdfast.records.values.value import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from holdfast.jobs import Context, Handler, Job, Jobs
    from holdfast.records import Change, Field, Predicate, Repository, Store
    from holdfast.records.entities.model import Model
    from holdfast.records.values.field_spec import FieldSpec

DELETE_TASK = "records.delete"
CHANGE_TASK = "records.change"
_PIECE = 200  # rows that are written in one transaction
_SMALL_PIECE = 20  # where a transaction has few items, the audit's entries among them
_REFUSALS = (ForeignKeyError, DuplicateError, InvalidValueError)


@dataclass(frozen=True, slots=True, kw_only=True)
class RowsAsked:
    """What a job does to which rows of *table*, as its payload has it.

    *filters* are in the grammar of the API, `duration__gte=60`, *words* a search, '' for none.
    *field* is set to what the text *value* stands for, a null for none; without one the rows are
    deleted. *rows* is how many there were when *actor* asked: if there are more once the job
    begins, it changes nothing. None is for more than were counted: it changes as many as there are.
    """

    table: str
    filters: tuple[str, ...] = ()
    words: str = ""
    field: str | None = None
    value: str | None = None
    rows: int | None
    actor: str


@dataclass(frozen=True, slots=True)
class PieceDone:
    """What became of a piece of the rows; *next* is the cursor of the one behind it."""

    seen: int
    changed: int
    refused: int
    next: str | None


def changeable_fields(entity: type) -> list[FieldSpec]:
    """Return the fields that may be set alike in many rows: no key, none unique, hidden or JSON."""
    model: Model[object] = model_of(entity)
    unique = {name for each in model.further_uniques for name in each.fields}
    return [
        spec
        for spec in model.fields
        if spec.role == "plain"
        and not spec.unique
        and spec.name not in unique
        and spec.declaration.audit != "redact"
        and spec.type.kind not in (Kind.JSON, Kind.BYTES)
    ]


class MatchingRows:
    """Rows of the *editable* entities of *store*, changed as many as fit."""

    def __init__(self, store: Store, editable: Iterable[type]) -> None:
        self._store = store
        self._entities = {model_of(each).table: each for each in editable}

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """What a worker does with these jobs, by task."""
        return {DELETE_TASK: self._run, CHANGE_TASK: self._run}

    async def count(self, asked: RowsAsked) -> int:
        """Return how many rows fit, and would be changed. Raises what `where` does."""
        return await self._repository(asked).count(*self.where(asked))

    def where(self, asked: RowsAsked) -> list[Predicate]:
        """Return the conditions of the rows that fit and are not yet as they are to be.

        Raises InvalidQueryError and InvalidValueError, also for a value that the field can't have.
        """
        entity = self._entity(asked)
        found = parse_filters(entity, asked.filters)
        if asked.words:
            found.append(text_matches(entity, asked.words))
        if asked.field is not None:
            field, value = self._setting(asked)
            found.append(~field.is_null() if value is None else field != value)
        return found

    async def enqueue(self, jobs: Jobs, asked: RowsAsked) -> Job:
        """Put the job in, and into the audit who asked for what. Raises what `where` does."""
        self.where(asked)
        task = DELETE_TASK if asked.field is None else CHANGE_TASK
        payload = {**msgspec.to_builtins(asked), "filters": list(asked.filters)}
        async with self._store.transaction():
            made = await jobs.enqueue(task, payload)
            await self._store.record_event(
                f"{task}_asked",
                entity=model_of(self._entity(asked)).name,
                key=str(made.job.id),
                details=payload,
            )
        return made.job

    # --- the job ----------------------------------------------------------------------------

    async def _run(self, context: Context) -> object:
        try:
            asked = msgspec.convert(context.payload, RowsAsked)
            where = self.where(asked)
        except (msgspec.ValidationError, InvalidQueryError, InvalidValueError) as error:
            raise PermanentError(str(error)) from error
        with acting_as(asked.actor, reason=f"{context.job.task} by job {context.job.id}"):
            fitting = await context.step("count", self._repository(asked).count, *where)
            most = fitting if asked.rows is None else asked.rows
            if fitting > most:
                raise PermanentError(
                    f"{fitting:,} rows fit now, and {most:,} did when it was asked for; "
                    "nothing was changed"
                )
            done = PieceDone(0, 0, 0, None)
            while done.seen < most:
                context.raise_if_cancelled()
                size = min(self._piece_size, most - done.seen)
                piece = await self._recorded(context, asked, done, size)
                done = PieceDone(
                    done.seen + piece.seen,
                    done.changed + piece.changed,
                    done.refused + piece.refused,
                    piece.next,
                )
                told = f"{done.changed:,} of {fitting:,} rows"
                context.progress(min(1.0, done.seen / max(1, fitting)), told)
                if piece.next is None:
                    break
        left = done.seen - done.changed - done.refused
        return {"changed": done.changed, "refused": done.refused, "left": left}

    @property
    def _is_large(self) -> bool:
        return StoreCapability.LARGE_WRITES in self._store.capabilities

    @property
    def _piece_size(self) -> int:
        return _PIECE if self._is_large else _SMALL_PIECE

    async def _recorded(
        self, context: Context, asked: RowsAsked, done: PieceDone, size: int
    ) -> PieceDone:
        async def piece() -> PieceDone:  # a step is read back as what its function returns
            return await self._piece(context, asked, done.next, size)

        if not self._is_large:  # the step is recorded behind the writes: done again, they find less
            return await context.step("piece", piece)
        async with self._store.transaction():
            return await context.step("piece", piece)

    async def _piece(
        self, context: Context, asked: RowsAsked, cursor: str | None, size: int
    ) -> PieceDone:
        repository, where = self._repository(asked), self.where(asked)
        found = await repository.page(*where, size=size, cursor=cursor)
        keys = [repository.model.key_of_entity(each) for each in found]
        changed, refused = await self._written(context, asked, keys) if keys else (0, 0)
        return PieceDone(len(keys), changed, refused, found.next)

    async def _written(
        self, context: Context, asked: RowsAsked, keys: Sequence[object]
    ) -> tuple[int, int]:
        """Change those under *keys* that fit still; return how many, and how many are refused.

        They are written at once; where one is refused, in halves, down to the one.
        """
        still = (has_key_among(self._repository(asked).model, keys), *self.where(asked))
        try:
            if not self._is_large:
                return await self._change(asked, still), 0
            async with self._store.transaction():  # in a transaction: a savepoint
                return await self._change(asked, still), 0
        except _REFUSALS as error:
            if len(keys) == 1:
                context.log(f"{keys[0]}: {error}", level=LogLevel.WARNING)
                return 0, 1
        middle = len(keys) // 2
        first = await self._written(context, asked, keys[:middle])
        rest = await self._written(context, asked, keys[middle:])
        return first[0] + rest[0], first[1] + rest[1]

    async def _change(self, asked: RowsAsked, where: Sequence[Predicate]) -> int:
        repository = self._repository(asked)
        if asked.field is None:
            return await repository.delete_where(*where)
        field, value = self._setting(asked)
        change: Change = field.to(value)
        return await repository.update_where(*where, changes=[change])

    # --- what is asked ----------------------------------------------------------------------

    def _entity(self, asked: RowsAsked) -> type:
        found = self._entities.get(asked.table)
        if found is None:
            raise NotFoundError("an editable entity", asked.table)
        return found

    def _repository(self, asked: RowsAsked) -> Repository[object]:
        return self._store.repository(self._entity(asked))

    def _setting(self, asked: RowsAsked) -> tuple[Field[object], object]:
        """Return the field that is set, and to which value; both checked."""
        entity = self._entity(asked)
        fields = {spec.name: spec for spec in changeable_fields(entity)}
        spec = fields.get(asked.field or "")
        if spec is None:
            raise InvalidQueryError(
                f"{asked.field}: can't be set in many rows; fields that can: {', '.join(fields)}"
            )
        value = None if asked.value is None else parsed_value(entity, spec, asked.value)
        name = model_of(entity).name
        spec.bounded(name, spec.to_row(name, value))
        return cast("Field[object]", getattr(entity, spec.name)), value
