"""The dialect of a server for a store that has mapped classes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from holdfast.errors import UnsupportedError
from holdfast.records.drivers.sql.dialects.postgresql import PostgreSQLDialect
from holdfast.records.drivers.sql.mapped_tables.postgresql import MappedPostgreSQL

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.records.drivers.sql.dialect import Dialect
    from holdfast.records.model import Model


def mapped_dialect(dialect: Dialect, models: Sequence[Model[Any]]) -> Dialect:
    """Return *dialect*, or where some of *models* are mapped classes one that knows them.

    Raises UnsupportedError for a server on which their rules are not held yet, and
    ConfigurationError for a column that is not kept there as the rules want it.
    """
    theirs = [model.name for model in models if model.adapter is not None]
    if not theirs:
        return dialect
    if not isinstance(dialect, PostgreSQLDialect):
        raise UnsupportedError(
            f"the mapped classes {', '.join(theirs)}, whose text it compares but for case",
            dialect.name,
        )
    adapted = MappedPostgreSQL.over(dialect)
    adapted.check(models)
    return adapted
