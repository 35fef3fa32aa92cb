"""How a server folds case, asked over a connection of SQLAlchemy's, as migrations have one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from holdfast.records.drivers.sql.dialects.mariadb import LOWERED as LOWERED_BY_MARIADB
from holdfast.records.drivers.sql.dialects.mariadb import MariaDBDialect
from holdfast.records.drivers.sql.dialects.mysql import LOWERED as LOWERED_BY_MYSQL
from holdfast.records.drivers.sql.dialects.mysql import MySQLDialect, without_growing
from holdfast.records.drivers.sql.dialects.postgresql import FOLDS, LOWERED, PostgreSQLDialect
from holdfast.records.drivers.sql.statements.case_folding import learned

if TYPE_CHECKING:
    from collections.abc import Callable

    import sqlalchemy as sa

    from holdfast.records.drivers.sql.statements.dialect import Dialect


async def folding_dialect(name: str, connection: sa.Connection) -> Dialect:
    """Return the dialect *name* of the server behind *connection*, which folds as that does.

    Nothing in it is awaited.
    """
    place = f"{connection.engine.url} {connection.exec_driver_sql('SELECT VERSION()').scalar()}"

    def asking(sql: str, prepare: Callable[[str], str] = str) -> Any:
        async def lower(text: str) -> object:
            return connection.exec_driver_sql(sql, (prepare(text),)).scalar()

        return lower

    match name:
        case "postgresql":
            if not connection.exec_driver_sql(FOLDS).scalar():
                return PostgreSQLDialect(None)
            return PostgreSQLDialect(await learned(place, asking(LOWERED.format("%s"))))
        case "mysql":
            return MySQLDialect(await learned(place, asking(LOWERED_BY_MYSQL, without_growing)))
        case _:
            return MariaDBDialect(await learned(place, asking(LOWERED_BY_MARIADB)))
