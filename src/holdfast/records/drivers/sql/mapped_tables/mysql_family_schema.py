"""The tables of mapped classes on MariaDB and MySQL: made, dropped, and looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.errors import SchemaMismatchError
from holdfast.records.drivers.sql.mapped_tables.column_misfits import misfits
from holdfast.records.drivers.sql.mapped_tables.column_remedies import misfit_differences
from holdfast.records.drivers.sql.mapped_tables.mapped_columns import declared_tables
from holdfast.records.drivers.sql.mapped_tables.mapped_mysql_family import MappedMySQLFamily
from holdfast.records.drivers.sql.statements.schema_inspection import found_tables, inspection_query
from holdfast.records.drivers.sql.statements.store_statements import StoreStatements

if TYPE_CHECKING:
    import sqlalchemy as sa

    from holdfast.records.drivers.sql.server import Ask, Define, Server
    from holdfast.records.drivers.sql.statements.dialect import Dialect
    from holdfast.records.drivers.sql.statements.schema_inspection import FoundTables
    from holdfast.records.schema_diff import Difference


async def differences(
    ask: Ask, statements: StoreStatements, found: FoundTables
) -> list[Difference]:
    """Return which columns of mapped classes would not keep values to the rules, and the cure.

    There are none for a store of other databases, or without mapped classes.
    """
    dialect = statements.dialect
    if not isinstance(dialect, MappedMySQLFamily):
        return []
    wrong = misfits(statements, dialect, found)
    if not wrong:
        return []
    preparer = dialect.compiler.identifier_preparer
    definitions: dict[sa.Table, str] = {}
    for model in statements.models:
        table = statements.tables[model.table]
        if model.adapter is not None and table.key in found:
            query = f"SHOW CREATE TABLE {preparer.format_table(table)}"
            ((_, text, *_more),) = await ask(query)
            definitions[table] = str(text)
    return list(misfit_differences(preparer, wrong, definitions))


async def create(server: Server, define: Define, ask: Ask, statements: StoreStatements) -> None:
    """Create what is missing of the tables of mapped classes, as their metadata says it.

    Raises SchemaMismatchError where one then does not keep values to the rules.
    """
    dialect = statements.dialect
    assert isinstance(dialect, MappedMySQLFamily)
    made = _definitions(statements, dialect.making_tables())
    await define(server.creation(made))
    query = inspection_query(dialect.name, [statements.tables[each] for each in made.tables])
    found = found_tables(await ask(query))
    wrong = await differences(ask, statements, found)
    if wrong:
        raise SchemaMismatchError(f"the {dialect.name} database", tuple(map(str, wrong)))


async def drop(server: Server, define: Define, statements: StoreStatements) -> None:
    """Drop the tables of mapped classes, with their rows."""
    gone = _definitions(statements, statements.dialect)
    await define(server.removal(gone))


def _definitions(statements: StoreStatements, dialect: Dialect) -> StoreStatements:
    """Return statements of no models, about the tables that mapped classes declare."""
    made = StoreStatements((), dialect)
    made.tables = {
        model.table: table
        for model in statements.models
        if model.adapter is not None
        for table in declared_tables([model])
    }
    return made
