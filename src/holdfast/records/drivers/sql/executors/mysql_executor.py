"""The verbs on MySQL, whose writes return no rows: what was written is read back under its locks.

LAST_INSERT_ID() tells two things: the first number that an insertion gave, and, as the upsert sets
it to what no key can be, whether that found a row. Each write and the reading of its row are one
message, and one transaction, so that nobody comes between.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar, cast

import sqlalchemy as sa

from holdfast.records.drivers.sql.dialects.mysql import NUMBERED, WAS_CREATED
from holdfast.records.drivers.sql.executors.mysql_family_executor import MySQLFamilyExecutor
from holdfast.records.drivers.sql.failure import FailureKind
from holdfast.records.drivers.sql.statements.repeated_insert import repeated
from holdfast.records.drivers.sql.statements.returned_defaults import completed, read_back
from holdfast.records.drivers.sql.statements.statement import parameter
from holdfast.records.drivers.sql.statements.upsert import alike
from holdfast.records.rows.row_rules import identities

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.records.drivers.sql.connections.server_connection import Numbering
    from holdfast.records.drivers.sql.executors.server_executor import Part
    from holdfast.records.drivers.sql.statements.statement import Statement
    from holdfast.records.entities.model import Model, Row

E = TypeVar("E")

_NUMBERS = "SELECT LAST_INSERT_ID(), @@auto_increment_increment"
_UNSET = "SET last_insert_id = 0"


class MySQLExecutor(MySQLFamilyExecutor):
    """See `MySQLFamilyExecutor`."""

    upserts_by_one_statement = False
    hides_duplicates = (FailureKind.FOREIGN_KEY,)
    """It looks at references first, and the others last."""

    async def stored_one(self, model: Model[E], row: Row) -> Row:
        """See `ServerExecutor`."""
        prepared, at = self.of_model(model), model.keys[0].position
        sql, values = prepared.insert.sql, prepared.insert.bind(prepared.encode(row))
        if row[at] is not None:
            await self.execute_raw(sql, values)
            return (await self._read_back(model, (row,)))[0]
        self.check_size(values)
        numbering = cast("Numbering", self.connection)
        number = await self.watched(sql, numbering.insert(sql, values))
        return (await self._read_back(model, ((*row[:at], number, *row[at + 1 :]),)))[0]

    def reads_back(self, model: Model[E]) -> bool:
        """See `ServerExecutor`."""
        return bool(model.left_out)

    async def _read_back(self, model: Model[E], rows: Sequence[Row]) -> list[Row]:
        """Return *rows*, which were inserted, with what they left out."""
        if not model.left_out:
            return list(rows)
        found = await self.values(*read_back(model, rows))
        return completed(model, rows, found, numbered=False)

    async def insert_many(
        self, model: Model[E], rows: Sequence[Row], encoded: Sequence[Sequence[object]]
    ) -> list[Row]:
        """See `ServerExecutor`. The numbers of one insertion stand in a row: InnoDB takes them so.

        It knows how many rows there will be, and draws that many numbers at once.
        """
        at = model.keys[0].position
        sql, values = repeated(self.of_model(model).insert, encoded)
        if rows[0][at] is not None:
            await self.execute_raw(sql, values)
            return await self._read_back(model, rows)
        _, (_, ((first, step),)) = await self.several(f"{sql}; {_NUMBERS}", values)
        numbers = range(cast("int", first), 2**63, cast("int", step))
        made = [
            (*row[:at], number, *row[at + 1 :]) for row, number in zip(rows, numbers, strict=False)
        ]
        return await self._read_back(model, made)

    async def upsert_part(
        self, model: Model[E], part: Part, on: tuple[str, ...]
    ) -> list[tuple[E, bool]]:
        """See `MySQLFamilyExecutor`."""
        rows, encoded = part
        names = identities([[row[model.by_name[name].position] for row in rows] for name in on])
        # Rows that meet each other, or another row than theirs, are judged in their turn.
        in_turn = (
            len(rows) == 1
            or None in names
            or len({*names}) < len(rows)
            or any(each.fields != on or not each.plain for each in model.all_uniques)
        )
        if in_turn:
            return await self._upsert_in_turn(model, rows, encoded, on)
        return await self._upsert_at_once(model, rows, encoded, on)

    async def _upsert_in_turn(
        self,
        model: Model[E],
        rows: Sequence[Row],
        encoded: Sequence[Sequence[object]],
        on: tuple[str, ...],
    ) -> list[tuple[E, bool]]:
        """Upsert the rows one after the other, each by a statement of its own, in one message."""
        upsert = self.of_model(model).upsert(on)
        texts: list[str] = []
        values: list[object] = []
        for row, each in zip(rows, encoded, strict=True):
            search = self._search(model, row, on)
            texts += (_UNSET, upsert.sql, search.sql)
            values += (*upsert.bind(each), *search.bind(each))
        alone = not self.in_transaction
        if alone:
            texts = ["START TRANSACTION", *texts, "COMMIT"]
        try:
            found = await self.several("; ".join(texts), values)
        except Exception as error:
            self.note_failure(error)
            if alone and not self.lost:
                await self.rollback()
            raise
        answers = [answer[0] for _, answer in found[int(alone) :][2 : 3 * len(rows) : 3]]
        stored = self.hydrated(model, [answer[:-1] for answer in answers])
        return [(entity, answer[-1] == 1) for entity, answer in zip(stored, answers, strict=True)]

    def _search(self, model: Model[E], row: Row, on: tuple[str, ...]) -> Statement:
        """Return the search for what an upsert of *row* wrote, and whether it was created."""
        table = self.statements.tables[model.table]
        key, unique = model.keys[0], model.unique_on(on)
        names = on
        if any(row[model.by_name[name].position] is None for name in on):
            # It is the same as no other, so it was added.
            names = () if row[key.position] is None else model.key_names
            unique = model.key_unique

        def build() -> sa.ClauseElement:
            given = {name: parameter(model.by_name[name].position) for name in model.by_name}
            same = alike(self.statements.dialect, unique, (table, given)) if names else []
            found = sa.select(*table.c, WAS_CREATED)
            return found.where(*(same or [table.c[key.name] == NUMBERED])).with_for_update()

        return self.of_model(model).other(("upserted", names), build)

    async def _upsert_at_once(
        self,
        model: Model[E],
        rows: Sequence[Row],
        encoded: Sequence[Sequence[object]],
        on: tuple[str, ...],
    ) -> list[tuple[E, bool]]:
        """Upsert rows of which no two have the same *on* fields, in the transaction around.

        The rows that are there are locked, which tells them apart from the others. Those are added
        plainly: if somebody else was quicker, the insertion fails and the batch is done in turn.
        """
        prepared = self.of_model(model)
        places = [model.by_name[name].position for name in on]
        decoders = [self.statements.dialect.decoder(model.by_name[name]) for name in on]
        given = [each[place] for each in encoded for place in places]
        locking, reading = (
            self._locking(model, on, whole=False),
            self._locking(model, on, whole=True),
        )

        def named(columns: Sequence[Sequence[object]]) -> list[object]:
            return identities(
                [
                    column if decode is None else [decode(value) for value in column]
                    for column, decode in zip(columns, decoders, strict=True)
                ]
            )

        locked = await self.fetch_raw(_grouped(locking, len(rows)), given)
        there = {*named(list(zip(*locked, strict=True)))} if locked else set[object]()
        wanted = identities([[row[place] for row in rows] for place in places])
        texts: list[str] = []
        values: list[object] = []
        for statement, is_there in ((prepared.insert, False), (prepared.upsert(on), True)):
            mine = [
                e for e, name in zip(encoded, wanted, strict=True) if (name in there) is is_there
            ]
            if mine:
                sql, own = repeated(statement, mine)
                texts.append(sql)
                values += own
        texts.append(_grouped(reading, len(rows)))
        answers = await self.several("; ".join(texts), (*values, *given))
        found_rows = answers[-1][1]
        names = named([[row[place] for row in found_rows] for place in places])
        found = dict(zip(names, found_rows, strict=True))
        stored = self.hydrated(model, [found[name] for name in wanted])
        return [(entity, name not in there) for entity, name in zip(stored, wanted, strict=True)]

    def _locking(self, model: Model[E], on: tuple[str, ...], *, whole: bool) -> Statement:
        """Return the locking search for rows by *on*: the *whole* of them, or these fields."""
        table = self.statements.tables[model.table]

        def build() -> sa.ClauseElement:
            columns = [table.c[name] for name in on]
            group = sa.tuple_(*(parameter(at) for at in range(len(on))))
            found = sa.select(*(table.c if whole else columns))
            return found.where(sa.tuple_(*columns).op("IN")(sa.tuple_(group))).with_for_update()

        return self.of_model(model).other(("locked", on, whole), build)

    async def define(self, texts: Sequence[str]) -> None:
        """See `ServerExecutor`. Tables may point at ones that come later, or at each other.

        The session is told so for as long as this takes. An index that is there already is one
        that `CREATE INDEX IF NOT EXISTS`, which MySQL lacks, would have passed over.
        """
        await self.command("SET foreign_key_checks = 0, sql_notes = 0")
        try:
            await super().define(texts)
        finally:
            if not self.lost:
                await self.command("SET foreign_key_checks = 1, sql_notes = 1")

    async def define_one(self, text: str) -> None:
        """See `ServerExecutor`."""
        try:
            await self.watched(text, self.connection.command(text))
        except Exception as error:
            if self.note_failure(error).kind is not FailureKind.INDEX_EXISTS:
                raise self.error_of(error) from error


def _grouped(statement: Statement, count: int) -> str:
    """Return *statement*, which names one group of values, as one that names *count* of them."""
    head, _, rest = statement.sql.partition(" IN (")
    group, _, tail = rest.partition("))")
    return f"{head} IN ({', '.join([f'{group})'] * count)}){tail}"
