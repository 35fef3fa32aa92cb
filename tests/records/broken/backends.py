"""Backends that are wrong in one way each: a working one with a few lines bent.

A `Bent` stands before a session or a transaction of the memory backend and hands every call on;
a backend with another fault inside is a `Shelf` of the small backend.
"""

import asyncio
import unicodedata
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from functools import reduce

from holdfast.errors import ConflictError, DuplicateError, InvalidValueError
from holdfast.records.driver_requests import Select, Update
from holdfast.records.entities.joins import local_field
from holdfast.records.entities.table_names import without_schema
from holdfast.records.expressions.field_changes import EditJson, Increment, SetBy, SetTo
from holdfast.records.expressions.operands import (
    Calculation,
    Column,
    Path,
    RelatedAggregate,
    RelatedColumn,
    Truncated,
)
from holdfast.records.expressions.predicates import (
    And,
    Compare,
    CompareOperands,
    Everything,
    HasItem,
    HasWords,
    In,
    InRows,
    InSubquery,
    IsNull,
    Match,
    Not,
    Operator,
    Or,
    Order,
    Part,
    Related,
)
from holdfast.records.rows.hydration import from_rows
from holdfast.records.rows.row_key import has_key, key_order
from holdfast.records.values.json_edit import EditAction, edited
from holdfast.records.values.value import Kind
from records.simple_backend import Shelf, ShelfDriver


class Bent:
    """A session or transaction that hands everything on to *inner*."""

    def __init__(self, inner, driver):
        self.inner = inner
        self.driver = driver

    def __getattr__(self, name):
        return getattr(self.inner, name)


class BentDriver:
    """A driver whose sessions and transactions are *bent*."""

    def __init__(self, driver, bent):
        self.driver = driver
        self.bent = bent
        self.open_writer = None

    def __getattr__(self, name):
        return getattr(self.driver, name)

    def session(self):
        return self.bent(self.driver.session(), self)

    async def begin(self, options):
        return self.bent(await self.driver.begin(options), self)


def rewritten(predicate, change):
    """Return *predicate* with each leaf and negation replaced by what *change* makes of it."""
    match predicate:
        case And(parts):
            return And(tuple(rewritten(part, change) for part in parts))
        case Or(parts):
            return Or(tuple(rewritten(part, change) for part in parts))
        case Not(part):
            return change(Not(rewritten(part, change)))
    return change(predicate)


class BentQueries(Bent):
    """One whose predicates are read wrongly, by `change`."""

    def change(self, leaf):
        raise NotImplementedError

    def bend(self, query):
        return replace(query, where=rewritten(query.where, self.change))

    async def find(self, select):
        return await self.inner.find(self.bend(select))

    async def values(self, select, columns):
        return await self.inner.values(self.bend(select), columns)

    async def aggregate(self, query):
        return await self.inner.aggregate(self.bend(query))


class BentValues(Bent):
    """One that keeps values wrongly, as `keep` makes them on their way in."""

    def keep(self, value):
        raise NotImplementedError

    async def insert(self, model, rows, *, atomic):
        bent = [tuple(self.keep(value) for value in row) for row in rows]
        return await self.inner.insert(model, bent, atomic=atomic)


# --- reads --------------------------------------------------------------------------------------


class LimitIsAnEndIndex(Bent):
    async def find(self, select):
        if select.limit is not None:
            select = replace(select, limit=max(select.limit - select.offset, 0))
        return await self.inner.find(select)


class OffsetIsIgnored(Bent):
    async def find(self, select):
        return await self.inner.find(replace(select, offset=0))


class CountHonoursALimit(Bent):
    async def aggregate(self, query):
        return [(min(row[0], 5), *row[1:]) for row in await self.inner.aggregate(query)]


class LimitsOfGroupsCountAllRows(Bent):
    async def find(self, select):
        found = await self.inner.find(select)
        return found if select.groups is None else found[: select.limit]


def without_conditions(operand):
    if isinstance(operand, RelatedAggregate):
        return replace(operand, where=Everything())
    return operand


class AggregatesOfRelationsCountAllRows(Bent):
    async def values(self, select, columns):
        return await self.inner.values(select, tuple(map(without_conditions, columns)))


class NoRowsAreANullCount(Bent):
    async def values(self, select, columns):
        rows = await self.inner.values(select, columns)
        counts = [isinstance(each, RelatedAggregate) for each in columns]
        return [
            tuple(None if c and v == 0 else v for c, v in zip(counts, row, strict=True))
            for row in rows
        ]


class OrdersByAggregatesLeaveNullsOut(Bent):
    async def find(self, select):
        for by in select.order:
            if isinstance(by.operand, RelatedAggregate):
                known = And((select.where, Not(IsNull(by.operand))))
                select = replace(select, where=known)
        return await self.inner.find(select)

    async def values(self, select, columns):
        for by in select.order:
            if isinstance(by.operand, RelatedAggregate):
                select = replace(select, where=And((select.where, Not(IsNull(by.operand)))))
        return await self.inner.values(select, columns)


class ConditionsOnAggregatesAreIgnored(BentQueries):
    def change(self, leaf):
        if isinstance(getattr(leaf, "operand", None), RelatedAggregate):
            return Everything()
        return leaf


class HavingIsIgnored(Bent):
    async def aggregate(self, query):
        return await self.inner.aggregate(replace(query, having=Everything()))


class GroupsComeAlongTheirValuesAlone(Bent):
    async def aggregate(self, query):
        order = tuple(by for by in query.order if by.operand.position < len(query.by))
        return await self.inner.aggregate(replace(query, order=order))


class DistinctCountsCountAll(Bent):
    async def aggregate(self, query):
        bent = tuple(
            replace(each, function="count") if each.function == "count_distinct" else each
            for each in query.aggregates
        )
        return await self.inner.aggregate(replace(query, aggregates=bent))


class DaysAreThoseOfUTC(Bent):
    async def aggregate(self, query):
        by = tuple(
            replace(each, zone="UTC") if isinstance(each, Truncated) else each for each in query.by
        )
        return await self.inner.aggregate(replace(query, by=by))


class DistinctValuesAreCutFirst(Bent):
    async def aggregate(self, query):
        if query.aggregates or query.limit is None:
            return await self.inner.aggregate(query)
        rows = await self.inner.aggregate(replace(query, limit=None, offset=0))
        return rows[: query.limit]


class NullsComeFirst(Bent):
    async def find(self, select):
        order = tuple(Order(by.operand, by.descending, not by.first) for by in select.order)
        return await self.inner.find(replace(select, order=order))


class TheOrderHasNoKey(Bent):
    async def find(self, select):
        return await self.inner.find(replace(select, order=select.order[:-1]))


class TextIsOrderedByUTF16(Bent):
    async def find(self, select):
        found = await self.inner.find(select)
        (by, *_rest) = select.order or (None,)
        if by is None or by.operand.spec.type.kind is not Kind.STR:
            return found
        name = by.operand.spec.name
        return sorted(
            found,
            key=lambda each: (getattr(each, name) or "").encode("utf-16-be"),
            reverse=by.descending,
        )


class LiveObjectsAreReturned(Bent):
    async def get(self, model, key):
        kept = self.driver.__dict__.setdefault("kept", {})
        found = await self.inner.get(model, key)
        return kept.setdefault((model.table, key), found)


class GetManyByQueryLosesRows(Bent):
    async def find(self, select):
        if isinstance(select.where, In) and len(select.where.values) > 999:
            select = replace(select, where=In(select.where.operand, select.where.values[:999]))
        return await self.inner.find(select)


class MomentsAreNaive(Bent):
    async def get(self, model, key):
        found = await self.inner.get(model, key)
        for name, value in vars(found).items() if found is not None else ():
            if isinstance(value, datetime):
                found.__dict__[name] = value.replace(tzinfo=None)
        return found


class MomentsAreLocal(Bent):
    async def get(self, model, key):
        found = await self.inner.get(model, key)
        for name, value in vars(found).items() if found is not None else ():
            if isinstance(value, datetime):
                with suppress(OverflowError):
                    found.__dict__[name] = value.astimezone(timezone(timedelta(hours=1)))
        return found


# --- predicates ---------------------------------------------------------------------------------


class NotEqualSkipsNulls(BentQueries):
    def change(self, leaf):
        match leaf:
            case Not(Compare(operand) | In(operand)):
                return And((leaf, Not(IsNull(operand))))
        return leaf


def local(join):
    return Column(join.source.__name__, local_field(join))


class ExclusionsAreIgnored(BentQueries):
    def change(self, leaf):
        match leaf:
            case Related(join, HasWords(columns, terms)):
                return Related(join, HasWords(columns, replace(terms, unwanted=())))
        return leaf


class WordsAreFoundWithinWords(BentQueries):
    def change(self, leaf):
        match leaf:
            case Related(join, HasWords(columns, terms)):
                wanted = tuple(piece.strip() for piece in terms.wanted)
                return Related(join, HasWords(columns, replace(terms, wanted=wanted)))
        return leaf


class KeysGoByHalves(BentQueries):
    def change(self, leaf):
        match leaf:
            case InRows(columns, rows) if rows:
                halves = zip(*rows, strict=True)
                return And(tuple(map(In, columns, halves)))
        return leaf

    async def delete(self, model, where):
        return await self.inner.delete(model, rewritten(where, self.change))


class NegatedRelationsSkipNulls(BentQueries):
    def change(self, leaf):
        match leaf:
            case Not(Related(join)):
                return And((leaf, Not(IsNull(local(join)))))
        return leaf


class OneOfManyNeedNotFitAll(BentQueries):
    def change(self, leaf):
        match leaf:
            case Related(join, And(parts)):
                return And(tuple(Related(join, part) for part in parts))
        return leaf


class RelatedOrdersLeaveNullsOut(Bent):
    def bend(self, select):
        where = select.where
        for by in select.order:
            if isinstance(by.operand, RelatedColumn):
                where = where & Not(IsNull(local(by.operand.joins[0])))
        return replace(select, where=where)

    async def find(self, select):
        return await self.inner.find(self.bend(select))

    async def values(self, select, columns):
        return await self.inner.values(self.bend(select), columns)


class UpdatesSeeTheirOwnWrites(Shelf):
    def update(self, update):
        keys = [update.model.key_of(row) for row in self.rows(update.model).values()]
        return sum(self.updated(update, key) for key in keys)

    def updated(self, update, key):
        of_key = has_key(update.model, key)
        return super().update(replace(update, where=of_key & update.where))


class UnequalFieldsSkipNulls(BentQueries):
    def change(self, leaf):
        match leaf:
            case Not(CompareOperands(left, _, right)):
                return And((leaf, Not(IsNull(left)), Not(IsNull(right))))
        return leaf


class SubqueriesGiveNullsToo(BentQueries):
    def change(self, leaf):
        match leaf:
            case InSubquery(operand):
                return Or((leaf, IsNull(operand)))
        return leaf


class TrueIsAnItemOne(BentQueries):
    def change(self, leaf):
        match leaf:
            case HasItem(operand, bool(value)):
                return Or((leaf, HasItem(operand, int(value))))
        return leaf


class ChangesSeeOneAnother(Shelf):
    def patch(self, update):
        found = None
        for change in update.changes:
            found = super().patch(replace(update, changes=(change,)))
        return found


class ExpressionsAreFloats(Shelf):
    def values(self, select, columns):
        whole = [isinstance(each, Calculation) for each in columns]
        return [
            tuple(
                float(value) if made and type(value) is int else value
                for value, made in zip(row, whole, strict=True)
            )
            for row in super().values(select, columns)
        ]


class AnEmptyListIsEverything(BentQueries):
    def change(self, leaf):
        return Everything() if isinstance(leaf, In) and not leaf.values else leaf


class WildcardsInContains(BentQueries):
    def change(self, leaf):
        if isinstance(leaf, Match) and not leaf.ignore_case and leaf.part is Part.ANYWHERE:
            return replace(leaf, text=leaf.text.replace("%", ""))
        return leaf


class TextIgnoresCase(BentQueries):
    def change(self, leaf):
        match leaf:
            case Compare(Column(_, spec) as operand, Operator.EQ, str(text)):
                if spec.type.kind is Kind.STR:
                    return Match(operand, Part.WHOLE, text, ignore_case=True)
        return leaf


class CaseIsFoldedForASCIIOnly(BentQueries):
    def change(self, leaf):
        if isinstance(leaf, Match) and leaf.ignore_case and not leaf.text.isascii():
            return replace(leaf, ignore_case=False)
        return leaf


class TrueIsOneInJSON(BentQueries):
    def change(self, leaf):
        match leaf:
            case Compare(Path() as operand, Operator.EQ, bool(value)):
                return Or((leaf, Compare(operand, Operator.EQ, int(value))))
        return leaf


class AMissingPathIsNotNull(BentQueries):
    def change(self, leaf):
        match leaf:
            case IsNull(Path()):
                return Not(Everything())
        return leaf


# --- values -------------------------------------------------------------------------------------


class MicrosecondsAreLost(BentValues):
    def keep(self, value):
        return value.replace(microsecond=0) if isinstance(value, datetime) else value


class DecimalsGoThroughFloat(BentValues):
    def keep(self, value):
        if isinstance(value, Decimal):
            return Decimal(float(value)).quantize(Decimal(1).scaleb(value.as_tuple().exponent))
        return value


class TextIsPadded(BentValues):
    def keep(self, value):
        return value.rstrip(" ") if isinstance(value, str) and value.strip() else value


class TextIsComposed(BentValues):
    def keep(self, value):
        return unicodedata.normalize("NFC", value) if isinstance(value, str) else value


class EmptyTextIsNull(BentValues):
    def keep(self, value):
        return None if value == b"" else value


class IntsInJSONBecomeFloats(BentValues):
    def keep(self, value):
        if isinstance(value, dict):
            return {name: self.keep(each) for name, each in value.items()}
        if isinstance(value, list):
            return [self.keep(each) for each in value]
        return value

    async def insert(self, model, rows, *, atomic):
        def json(value):
            if isinstance(value, dict):
                return {name: json(each) for name, each in value.items()}
            if isinstance(value, list):
                return [json(each) for each in value]
            return float(value) if type(value) is int else value

        bent = [
            tuple(json(each) if isinstance(each, (dict, list)) else each for each in row)
            for row in rows
        ]
        return await self.inner.insert(model, bent, atomic=atomic)


# --- writes -------------------------------------------------------------------------------------


class BatchesAreNotAtomic(Bent):
    async def insert(self, model, rows, *, atomic):
        stored = []
        for index, row in enumerate(rows):
            try:
                stored += await self.inner.insert(model, [row], atomic=True)
            except ConflictError as conflict:
                conflict.index = index
                if atomic:
                    raise
                stored.append(conflict)
        return stored


class BatchesDoNotTellTheIndex(Bent):
    async def insert(self, model, rows, *, atomic):
        try:
            return await self.inner.insert(model, rows, atomic=atomic)
        except DuplicateError as error:
            error.index = None
            raise


class DuplicatesDoNotTellTheField(Bent):
    async def insert(self, model, rows, *, atomic):
        try:
            return await self.inner.insert(model, rows, atomic=atomic)
        except DuplicateError as error:
            raise DuplicateError(model.name, (), error.index) from None


class UpsertReadsThenWrites(Bent):
    async def upsert(self, model, rows, on):
        results = []
        for row in rows:
            where = And(
                tuple(
                    Compare(
                        Column(model.name, model.by_name[name]),
                        Operator.EQ,
                        row[model.by_name[name].position],
                    )
                    for name in on
                )
            )
            found = await self.inner.find(Select(model, where))
            await asyncio.sleep(0)
            if not found:
                (stored,) = await self.inner.insert(model, [row], atomic=True)
                found = [await self.inner.get(model, model.key_of(stored))]
                results.append((found[0], True))
            else:
                results += await self.inner.upsert(model, [row], on)
        return results


class UpsertDeletesAndInserts(Bent):
    async def upsert(self, model, rows, on):
        results = []
        for row in rows:
            key = has_key(model, model.key_of(row))
            gone = await self.inner.delete(model, key) if on == model.key_names else 0
            ((entity, created),) = await self.inner.upsert(model, [row], on)
            results.append((entity, created and not gone))
        return results


class StaleVersionsAreIgnored(Bent):
    async def replace(self, model, row, expected):
        stored = await self.inner.get(model, model.key_of(row))
        if stored is not None and model.version is not None:
            expected = vars(stored)[model.version.name]
        return await self.inner.replace(model, row, expected)


class TheSameValuesAreNotFound(Bent):
    async def replace(self, model, row, expected):
        stored = await self.inner.get(model, model.key_of(row))
        if stored is not None and all(
            vars(stored)[spec.name] == row[spec.position]
            for spec in model.fields
            if spec.role in ("plain", "key")
        ):
            return None
        return await self.inner.replace(model, row, expected)


class IncrementsReadThenWrite(Bent):
    async def patch(self, update):
        found = await self.inner.find(Select(update.model, update.where))
        await asyncio.sleep(0)
        changes = tuple(
            SetTo(each.column, vars(found[0])[each.column.name] + each.amount)
            if found and isinstance(each, Increment) and each.column.spec.role == "plain"
            else each
            for each in update.changes
        )
        return await self.inner.patch(Update(update.model, update.where, changes))


class JSONIsReadThenWritten(Bent):
    async def patch(self, update):
        found = await self.inner.find(Select(update.model, update.where))
        await asyncio.sleep(0)
        changes = tuple(
            SetTo(each.column, reduce(edited, each.edits, vars(found[0])[each.column.name]))
            if found and isinstance(each, EditJson)
            else each
            for each in update.changes
        )
        return await self.inner.patch(replace(update, changes=changes))


class EditsOfJSON(Bent):
    async def patch(self, update):
        changes = tuple(
            EditJson(each.column, self.bent(each.edits)) if isinstance(each, EditJson) else each
            for each in update.changes
        )
        return await self.inner.patch(replace(update, changes=changes))


class WhatIsThereIsAppendedAgain(EditsOfJSON):
    def bent(self, edits):
        twice = EditAction.APPEND_ABSENT
        return tuple(
            replace(each, action=EditAction.APPEND) if each.action is twice else each
            for each in edits
        )


class ChangesInJSONGoBackwards(EditsOfJSON):
    def bent(self, edits):
        return edits[::-1]


class IntsWrapAround(Bent):
    async def patch(self, update):
        try:
            return await self.inner.patch(update)
        except InvalidValueError:
            (stored,) = await self.inner.find(Select(update.model, update.where))
            wrapped = tuple(
                SetTo(
                    each.column,
                    (vars(stored)[each.column.name] + each.amount + 2**63) % 2**64 - 2**63,
                )
                if isinstance(each, Increment) and isinstance(each.amount, int)
                else each
                for each in update.changes
            )
            return await self.inner.patch(Update(update.model, update.where, wrapped))


class ConditionsOfPatchesAreIgnored(Bent):
    async def patch(self, update):
        if isinstance(update.where, And):
            update = replace(update, where=update.where.parts[0])
        return await self.inner.patch(update)


class DeleteIgnoresItsFilter(Bent):
    async def delete(self, model, where):
        return await self.inner.delete(model, Everything())


class OneOfManyValuesIsGivenToAll(Bent):
    async def update(self, update):
        changes = tuple(
            SetTo(each.column, next(iter(each.values.values())))
            if isinstance(each, SetBy)
            else each
            for each in update.changes
        )
        return await self.inner.update(replace(update, changes=changes))


class UpdatesAreMadeRowByRow(Bent):
    async def update(self, update):
        model = update.model
        found = await self.inner.find(Select(model, update.where, key_order(model)))
        for each in found:
            key = has_key(model, model.key_of_entity(each))
            await self.inner.patch(Update(model, key, update.changes))
        return len(found)


class CountsOfUpdatesAreOfTheChangedAlone(Bent):
    async def update(self, update):
        before = await self.inner.find(Select(update.model, update.where))
        await self.inner.update(update)
        names = [each.column.name for each in update.changes if isinstance(each, SetTo)]
        values = [each.value for each in update.changes if isinstance(each, SetTo)]
        return sum([vars(each)[name] for name in names] != values for each in before)


# --- transactions -------------------------------------------------------------------------------


class RollbackKeepsAll(Bent):
    async def rollback(self):
        await self.inner.commit()


class ASavepointUndoesAll(Bent):
    async def savepoint(self):
        if not hasattr(self, "started"):
            self.started = True
            await self.inner.savepoint()

    async def release(self):
        pass

    async def rollback_to(self):
        await self.inner.rollback_to()
        await self.inner.savepoint()

    async def commit(self):
        await self.inner.commit()

    async def insert(self, model, rows, *, atomic):
        if not hasattr(self, "started") and hasattr(self.inner, "savepoint"):
            await self.savepoint()
        return await self.inner.insert(model, rows, atomic=atomic)


class SavepointsDoNothing(Bent):
    async def savepoint(self):
        pass

    async def release(self):
        pass

    async def rollback_to(self):
        pass


class ReadersSeeWhatIsNotCommitted(BentDriver):
    async def begin(self, options):
        self.open_writer = await self.driver.begin(options)
        return self.open_writer

    def session(self):
        return _Dirty(self.driver.session(), self)


class _Dirty(Bent):
    async def find(self, select):
        with suppress(AttributeError):
            return await self.driver.open_writer.find(select)
        return await self.inner.find(select)


class SnapshotsMove(BentDriver):
    def session(self):
        return self.driver.session()

    async def begin(self, options):
        inner = await self.driver.begin(options)
        return _Moving(inner, self) if options.read_only else inner


class _Moving(Bent):
    async def find(self, select):
        return await self.driver.driver.session().find(select)


class ReadOnlyIsAHint(BentDriver):
    def session(self):
        return self.driver.session()

    async def begin(self, options):
        return await self.driver.begin(replace(options, read_only=False))


class CancellationLeaksALock(Bent):
    async def insert(self, model, rows, *, atomic):
        lock = self.driver.__dict__.setdefault("leaky", asyncio.Lock())
        await lock.acquire()
        await asyncio.sleep(0)
        stored = await self.inner.insert(model, rows, atomic=atomic)
        lock.release()
        return stored

    async def upsert(self, model, rows, on):
        lock = self.driver.__dict__.setdefault("leaky", asyncio.Lock())
        if lock.locked():
            await asyncio.sleep(3600)
        return await self.inner.upsert(model, rows, on)


class CancellationLeavesAHalf(Bent):
    async def insert(self, model, rows, *, atomic):
        stored = []
        for row in rows:
            stored += await self.inner.insert(model, [row], atomic=atomic)
            await asyncio.sleep(0)
        return stored


# --- faults inside ------------------------------------------------------------------------------


class ReferencesAreUnchecked(Shelf):
    def put(self, model, row, index=None):
        with suppress(ConflictError):
            return super().put(model, row, index)
        self.rows(model)[model.key_of(row)] = row
        return row


class NothingCascades(Shelf):
    def remove(self, model, key):
        if self.rows(model).pop(key, None) is not None:
            yield model, key


class NumbersAreReused(Shelf):
    def add(self, model, row, index):
        if model.keys[0].role == "generated":
            self.state.numbers[model.table] = max(self.rows(model), default=0)
        return super().add(model, row, index)


class UniqueValuesAreNeverFree(Shelf):
    def put(self, model, row, index=None):
        taken = self.state.numbers.setdefault("taken", {})
        for unique in model.uniques:
            values = (model.table, *(row[model.by_name[name].position] for name in unique))
            if None not in values and taken.get(values, row[0]) != row[0]:
                raise DuplicateError(model.name, unique, index)
            taken[values] = row[0]
        return super().put(model, row, index)


class UniquesAreOfAllRows(Shelf):
    def alike(self, model, unique, row):
        return super().alike(model, replace(unique, where=None), row)


class UniquesMindCase(Shelf):
    def alike(self, model, unique, row):
        return super().alike(model, replace(unique, ignore_case=False), row)


class ChecksAreSkipped(Shelf):
    def put(self, model, row, index=None):
        return super().put(model, row, index) if model.checks == () else self.unchecked(model, row)

    def unchecked(self, model, row):
        self.rows(model)[row[model.key.position]] = row
        return row


class WhatIsLeftOutIsNotReturned(Bent):
    async def insert(self, model, rows, *, atomic):
        left = {spec.position for spec in model.server_defaults}
        return [
            tuple(None if at in left else value for at, value in enumerate(row))
            if isinstance(row, tuple)
            else row
            for row in await self.inner.insert(model, rows, atomic=atomic)
        ]


class UpsertsKeepWhatHasADefault(Bent):
    async def upsert(self, model, rows, on):
        kept = []
        for row in rows:
            there = (
                await self.inner.get(model, model.key_of(row)) if model.server_defaults else None
            )
            values = list(row)
            for spec in model.server_defaults if there is not None else ():
                values[spec.position] = vars(there)[spec.name]
            kept.append(tuple(values))
        return await self.inner.upsert(model, kept, on)


class NumbersComeBackwards(Bent):
    async def numbers(self, model, spec, count):
        return (await self.inner.numbers(model, spec, count))[::-1]


class NumbersComeWithTheRowsAlone(Bent):
    """Undone, they are given again."""

    def __init__(self, inner, driver):
        super().__init__(inner, driver)
        self.before = dict(driver.driver._sequences)

    async def rollback(self):
        self.driver.driver._sequences.update(self.before)
        await self.inner.rollback()


class SequencesWrapAround(Bent):
    async def numbers(self, model, spec, count):
        try:
            return await self.inner.numbers(model, spec, count)
        except InvalidValueError:
            return list(range(1, count + 1))


class UpsertsTakeNoNumbers(Bent):
    async def upsert(self, model, rows, on):
        kept = []
        for row in rows:
            columns = [Column(model.name, model.by_name[name]) for name in on]
            same = [Compare(each, Operator.EQ, row[each.spec.position]) for each in columns]
            where = And(tuple(same))
            there = await self.inner.find(Select(model, where)) if model.sequences else []
            values = list(row)
            for spec, _ in model.sequences if there else ():
                values[spec.position] = vars(there[0])[spec.name]
            kept.append(tuple(values))
        return await self.inner.upsert(model, kept, on)


class SchemasAreForgotten(Shelf):
    def rows(self, model):
        return self.state.tables[without_schema(model.table)]


class WhatIsDeletedIsOverwritten(Shelf):
    def replace(self, model, row, expected):
        stored = self.rows(model).get(row[model.key.position])
        if stored is not None and model.deleted_at and not model.version:
            return from_rows(model)((self.put(model, row),))[0]
        return super().replace(model, row, expected)


class UniqueValuesAreUnchecked(Shelf):
    def put(self, model, row, index=None):
        with suppress(DuplicateError):
            return super().put(model, row, index)
        self.rows(model)[model.key_of(row)] = row
        return row


class TheTimeOfCreationMoves(Shelf):
    def upsert(self, model, rows, on):
        results = super().upsert(model, rows, on)
        for entity, _created in results:
            if model.created_at is not None:
                entity.__dict__[model.created_at.name] += timedelta(seconds=1)
        return results


class CountersAreOverwritten(Shelf):
    def replace(self, model, row, expected):
        found = super().replace(model, row, expected)
        for spec in model.fields:
            if found is not None and spec.declaration.unversioned:
                at = Compare(Column(model.name, model.key), Operator.EQ, row[model.key.position])
                change = SetTo(Column(model.name, spec), row[spec.position])
                found = self.patch(Update(model, at, (change,)))
        return found


class PatchesWriteAll(Shelf):
    def patch(self, update):
        for row in self.fitting(update.model, update.where):
            for spec in update.model.fields:
                if spec.type.kind is Kind.JSON and not spec.type.nullable:
                    empty = [] if isinstance(row[spec.position], list) else {}
                    changes = (*update.changes, SetTo(Column(update.model.name, spec), empty))
                    if isinstance(row[spec.position], dict) and spec.name == "attributes":
                        return super().patch(replace(update, changes=changes))
        return super().patch(update)


class AFailedWriteStays(ShelfDriver):
    async def write(self, verb, *args, **kwargs):
        return verb(self.executor(self.models, self.state), *args, **kwargs)
