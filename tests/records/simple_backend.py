"""A whole backend in one small file: rows in one dict, one lock, and a copy for each write.

The state is a value that nobody changes: a write makes a new one and puts it in place of the old
one. So a failed write leaves nothing, a savepoint is the state of then, and a snapshot is free.
"""

from typing import NamedTuple

from holdfast.errors import (
    ConfigurationError,
    ConflictError,
    ForeignKeyError,
    TransactionError,
)
from holdfast.records.driver import StoreCapability
from holdfast.records.entities.joins import remote_field
from holdfast.records.entities.model import model_of
from holdfast.records.rows.evaluate import changed, first_of_groups, fits, reader, sort
from holdfast.records.rows.grouped_rows import grouped
from holdfast.records.rows.hydration import copied_row, from_rows
from holdfast.records.rows.row_rules import check_row, duplicate, unique_values
from holdfast.records.transactions.session import VerbSession
from holdfast.records.values.json_values import copy_json
from holdfast.records.values.value import Kind
from holdfast.stats import Stats


class State(NamedTuple):
    """Rows by table and key, and the last number that each table gave."""

    tables: dict
    numbers: dict

    def copy(self):
        return State({name: dict(rows) for name, rows in self.tables.items()}, dict(self.numbers))


class Shelf:
    """The verbs on one state, as plain functions. Reads and writes work on it in place."""

    def __init__(self, models, state):
        self.models = models
        self.state = state

    def rows(self, model):
        if model.table not in self.state.tables:
            raise ConfigurationError(f"{model.name} has no table: call store.create_schema()")
        return self.state.tables[model.table]

    # --- reading ----------------------------------------------------------------------------

    def get(self, model, key):
        row = self.rows(model).get(key)
        return None if row is None else from_rows(model)((row,))[0]

    def related(self, join, value):
        rows, at = self.rows(model_of(join.target)), remote_field(join).position
        return [row for row in rows.values() if row[at] == value]

    def fitting(self, model, where):
        holds = fits(where, self.related)
        return [row for row in self.rows(model).values() if holds(row)]

    def selected(self, select):
        rows = sort(self.fitting(select.model, select.where), select.order, self.related)
        if select.groups is not None:
            return first_of_groups(rows, select.groups, select.limit)
        return rows[select.offset : None if select.limit is None else select.offset + select.limit]

    def find(self, select):
        return from_rows(select.model)(self.selected(select))

    def values(self, select, columns):
        readers = [(reader(column, self.related), column.spec) for column in columns]
        return [
            tuple(copied(read(row), spec) for read, spec in readers)
            for row in self.selected(select)
        ]

    def aggregate(self, query):
        return grouped(query, self.fitting(query.model, query.where), self.related)

    # --- writing ----------------------------------------------------------------------------

    def insert(self, model, rows, *, atomic):
        results = []
        for index, row in enumerate(rows):
            try:
                added = self.add(model, row, index if len(rows) > 1 else None)
                results.append(copied_row(model, added))
            except ConflictError as conflict:
                if atomic:
                    raise
                results.append(conflict)
        return results

    def add(self, model, row, index):
        key = model.key_of(row)
        if model.keys[0].role == "generated":
            last = self.state.numbers.get(model.table, 0)
            key = last + 1 if key is None else key
            self.state.numbers[model.table] = max(last, key)
            row = with_value(row, model.key, key)
        if key in self.rows(model):
            raise duplicate(model, model.key_unique, index)
        return self.put(model, row, index)

    def put(self, model, row, index=None):
        key = model.key_of(row)
        check_row(model, row)
        for unique in model.all_uniques:
            for other in self.alike(model, unique, row):
                if model.key_of(other) != key:
                    raise duplicate(model, unique, index)
        for spec in model.references:
            value, target = row[spec.position], model_of(spec.reference.target())
            itself = target is model and value == key
            if value is not None and not itself and value not in self.rows(target):
                raise ForeignKeyError(model.name, (spec.name,), index)
        self.rows(model)[key] = row
        return row

    def alike(self, model, unique, row):
        wanted = unique_values(unique, row)
        rows = () if wanted is None else self.rows(model).values()
        if not unique.ignore_case:  # most rows differ in the first value already
            at = unique.columns[0].spec.position
            rows = [each for each in rows if each[at] == row[at]]
        return [each for each in rows if unique_values(unique, each) == wanted]

    def replace(self, model, row, expected):
        stored = self.rows(model).get(model.key_of(row))
        if stored is None or (model.version and stored[model.version.position] != expected):
            return None
        if model.deleted_at and stored[model.deleted_at.position] is not None:
            return None
        return from_rows(model)((self.put(model, keeping(model, row, stored)),))[0]

    def patch(self, update):
        for row in self.fitting(update.model, update.where):
            return from_rows(update.model)((self.put(update.model, changed(row, update.changes)),))[
                0
            ]
        return None

    def update(self, update):
        rows = self.fitting(update.model, update.where)
        for row in rows:
            self.put(update.model, changed(row, update.changes))
        return len(rows)

    def upsert(self, model, rows, on):
        results = []
        for index, row in enumerate(rows):
            stored = next(iter(self.alike(model, model.unique_on(on), row)), None)
            place = index if len(rows) > 1 else None
            if stored is None:
                written = self.add(model, row, place)
            else:
                new = keeping(model, row, stored)
                if model.version:
                    new = with_value(new, model.version, stored[model.version.position] + 1)
                written = self.put(model, new, place)
            results.append((from_rows(model)((written,))[0], stored is None))
        return results

    def delete(self, model, where):
        rows = self.fitting(model, where)
        gone = [each for row in rows for each in self.remove(model, model.key_of(row))]
        for target, key in gone:
            for child, spec, _row in self.pointing_at(target, key):
                raise ForeignKeyError(child.name, (spec.name,))
        return len(rows)

    def remove(self, model, key):
        """Delete the row and what cascades; yield what is gone."""
        if self.rows(model).pop(key, None) is None:
            return
        yield model, key
        for child, spec, row in list(self.pointing_at(model, key)):
            of_child = child.key_of(row)
            if spec.reference.on_delete == "cascade":
                yield from self.remove(child, of_child)
            elif spec.reference.on_delete == "set null" and of_child in self.rows(child):
                now = self.rows(child)[of_child]
                self.rows(child)[of_child] = with_value(now, spec, None)

    def pointing_at(self, model, key):
        for child in self.models:
            for spec in child.references:
                if model_of(spec.reference.target()) is model:
                    for row in list(self.rows(child).values()):
                        if row[spec.position] == key:
                            yield child, spec, row


class ShelfDriver(VerbSession):
    """The backend, and the session in which each call is a transaction of its own."""

    name = "shelf"
    capabilities = frozenset(StoreCapability) - {
        StoreCapability.SQL_STATEMENTS,
        StoreCapability.ROW_LOCKS,
        StoreCapability.SEQUENCES,
        StoreCapability.VIEWS,
    }
    executor = Shelf

    def __init__(self, lock):
        self.state = State({}, {})
        self.writing = lock(60.0)

    async def open(self, models):
        self.models = tuple(models)

    async def close(self):
        self.state = State({}, {})

    async def create_schema(self):
        tables = {model.table: {} for model in self.models}
        self.state = State({**tables, **self.state.tables}, self.state.numbers)

    async def drop_schema(self):
        self.state = State({}, {})

    def session(self):
        return self

    async def read(self, verb, *args, **kwargs):
        return verb(self.executor(self.models, self.state), *args, **kwargs)

    async def write(self, verb, *args, **kwargs):
        await self.writing.acquire()
        try:
            state = self.state.copy()
            result = verb(self.executor(self.models, state), *args, **kwargs)
            self.state = state
            return result
        finally:
            self.writing.release()

    async def begin(self, options):
        if not options.read_only:
            await self.writing.acquire()
        return ShelfTransaction(self, options.read_only)

    async def probe(self):
        self.session()

    def stats(self):
        return Stats(gauges={"rows": sum(map(len, self.state.tables.values()))})


class ShelfTransaction(VerbSession):
    def __init__(self, driver, read_only):
        self.driver = driver
        self.executor = driver.executor
        self.read_only = read_only
        self.state = driver.state
        self.marks = []

    async def read(self, verb, *args, **kwargs):
        return verb(self.executor(self.driver.models, self.state), *args, **kwargs)

    async def write(self, verb, *args, **kwargs):
        if self.read_only:
            raise TransactionError("a write in a read-only transaction")
        state = self.state.copy()
        result = verb(self.executor(self.driver.models, state), *args, **kwargs)
        self.state = state
        return result

    async def commit(self):
        if not self.read_only:
            self.driver.state = self.state
            self.driver.writing.release()

    async def rollback(self):
        if not self.read_only:
            self.driver.writing.release()

    async def savepoint(self):
        self.marks.append(self.state)

    async def release(self):
        self.marks.pop()

    async def rollback_to(self):
        self.state = self.marks.pop()


def with_value(row, spec, value):
    return (*row[: spec.position], value, *row[spec.position + 1 :])


def keeping(model, row, stored):
    specs = model.fields
    return tuple(stored[spec.position] if spec.kept else row[spec.position] for spec in specs)


def copied(value, spec):
    return copy_json(value) if spec.type.kind is Kind.JSON else value
