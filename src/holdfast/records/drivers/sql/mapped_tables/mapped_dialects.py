"""The dialect of a server that knows mapped columns too."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.errors import UnsupportedError
from holdfast.records.drivers.sql.dialects.mysql_family import MySQLFamilyDialect
from holdfast.records.drivers.sql.dialects.postgresql import PostgreSQLDialect
from holdfast.records.drivers.sql.mapped_tables.mapped_mysql_family import mapped_mysql_family
from holdfast.records.drivers.sql.mapped_tables.postgresql import mapped_postgresql

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.records.drivers.sql.dialect import Dialect
    from holdfast.records.model import Model


def mapped_dialect(dialect: Dialect, models: Sequence[Model[object]]) -> Dialect:
    """Return *dialect*, or where some of *models* are mapped classes one that knows them.

    Raises UnsupportedError for a server on which their rules are not held yet, and
    ConfigurationError for a column that is not kept there as the rules want it.
    """
    theirs = [model.name for model in models if model.adapter is not None]
    if not theirs:
        return dialect
    match dialect:
        case PostgreSQLDialect():
            return mapped_postgresql(dialect, tuple(models))
        case MySQLFamilyDialect():
            return mapped_mysql_family(dialect)
        case _:
            raise UnsupportedError(f"the mapped classes {', '.join(theirs)}", dialect.name)
