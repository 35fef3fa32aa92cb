"""Paths into JSON, for MariaDB and MySQL: parameters, for their steps are text of others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson
import sqlalchemy as sa

from holdfast.records.drivers.sql.statements.statement import literal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from holdfast.records.drivers.sql.statements.dialect import Expression, Steps


def path_texts(steps: Steps) -> list[str]:
    """Return the path of *steps*, and the path of each list on it: see `extracted`."""
    lists = [at for at, step in enumerate(steps) if not isinstance(step, str)]
    return [path_text(steps), *(path_text(steps[:at]) for at in lists)]


def path_text(steps: Steps) -> str:
    """Return *steps* as a path of the database's own."""
    return "$" + "".join(
        f".{orjson.dumps(step).decode()}" if isinstance(step, str) else f"[{step}]"
        for step in steps
    )


def extracted(
    document: Expression, paths: Sequence[Expression], kind: Callable[[Expression], Expression]
) -> Expression:
    """Return the JSON in *document* where the first of *paths* leads, NULL for nowhere.

    *kind* tells what the database calls the type of JSON. A position in what is not a list would be
    the thing itself, so each list is asked for by type.
    """
    path, *lists = paths
    found: Expression = sa.func.json_extract(document, path)
    if not lists:
        return found
    kinds = [kind(sa.func.json_extract(document, each)) == literal("ARRAY") for each in lists]
    return sa.case((sa.and_(*kinds), found), else_=sa.null())
