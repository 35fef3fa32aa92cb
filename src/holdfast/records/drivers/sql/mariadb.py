"""MariaDB as a server: what its sessions are set to, and how its tables are made."""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING

import sqlalchemy as sa

from holdfast.records.drivers.sql.connections.mysql_connection import MARIADB
from holdfast.records.drivers.sql.dialects.mariadb import LOWERED, MariaDBDialect, index_by_columns
from holdfast.records.drivers.sql.dialects.mariadb_json import COLLATION
from holdfast.records.drivers.sql.executors.mariadb_executor import MariaDBExecutor
from holdfast.records.drivers.sql.mysql_family_server import (
    MySQLFamilyServer,
    database_creation,
    databases_of,
)
from holdfast.records.drivers.sql.statements.constraint_ddl import constraint_of
from holdfast.records.drivers.sql.statements.sequence_ddl import creation as sequence_creation
from holdfast.records.drivers.sql.statements.sequence_ddl import quoted, sequences_in
from holdfast.records.entities.constraint import Unique

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from holdfast.records.drivers.sql.connections.server_connection import ServerConnection
    from holdfast.records.drivers.sql.executors.server_executor import ServerExecutor
    from holdfast.records.drivers.sql.statements.store_statements import StoreStatements

_QUIETLY = "SET STATEMENT sql_notes = 0"
"""Begins a statement that makes no note of what is there, or gone, already: asyncmy logs notes."""
_dialect = cache(MariaDBDialect)


class MariaDBServer(MySQLFamilyServer):
    """See `Server`."""

    name = "mariadb"
    product = MARIADB
    executor: type[ServerExecutor] = MariaDBExecutor

    def settings(self) -> Mapping[str, str]:
        """See `MySQLFamilyServer`."""
        wait = str(math.ceil(self.options.lock_timeout))
        return {
            "collation_connection": COLLATION,
            "tx_isolation": "'READ-COMMITTED'",
            "innodb_lock_wait_timeout": wait,
            "lock_wait_timeout": wait,  # of tables
            "max_statement_time": str(self.options.statement_timeout),
            "group_concat_max_len": str(2**30),  # what is written must not be cut off
            "@holdfast_created": "1",
        }

    async def dialect(self, connection: ServerConnection) -> MariaDBDialect:
        """See `Server`."""
        return _dialect(await self.misfolded(connection))

    async def lowered(self, connection: ServerConnection, text: str) -> object:
        """See `MySQLFamilyServer`."""
        found = await connection.fetch(LOWERED, (text,))
        return found[0][0]

    def creation(self, statements: StoreStatements) -> Sequence[str]:
        """See `Server`."""
        wanted = [
            f"{_QUIETLY} FOR {database_creation(each, COLLATION)}"
            for each in databases_of(statements)
        ]
        wanted += [
            f"{_QUIETLY} FOR {sequence_creation(place, source, statements.dialect)}"
            for place, source in sequences_in(statements.tables.values()).items()
        ]
        for table in statements.tables.values():
            made = statements.compile(sa.schema.CreateTable(table, if_not_exists=True)).sql
            # Tables may point at ones that come later, or at each other.
            wanted.append(f"{_QUIETLY}, foreign_key_checks = 0 FOR {made.strip()}")
            for index in sorted(table.indexes, key=lambda index: str(index.name)):
                if isinstance(constraint_of(index), Unique):
                    made = index_by_columns(index, statements.dialect.compiler, if_not_exists=True)
                else:
                    create = sa.schema.CreateIndex(index, if_not_exists=True)
                    made = statements.compile(create).sql.strip()
                wanted.append(f"{_QUIETLY} FOR {made}")
        return [text.replace("%%", "%") for text in wanted]  # it is sent as it is

    def removal(self, statements: StoreStatements) -> Sequence[str]:
        """See `Server`."""
        quote = statements.dialect.compiler.identifier_preparer.format_table
        names = ", ".join(quote(table) for table in statements.tables.values())
        return (
            f"{_QUIETLY}, foreign_key_checks = 0 FOR DROP TABLE IF EXISTS {names}",
            *(
                f"{_QUIETLY} FOR DROP SEQUENCE IF EXISTS {quoted(place, statements.dialect)}"
                for place in sequences_in(statements.tables.values())
            ),
        )
