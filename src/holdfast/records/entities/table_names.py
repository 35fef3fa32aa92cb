"""Names of tables: `videos`, or `app.videos` where an entity names a schema."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from holdfast.errors import ConfigurationError
from holdfast.records.entities.identifiers import check_schema

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.records.entities.model import Model

E = TypeVar("E")


def in_schema(schema: str | None, table: str) -> str:
    """Return the name of *table*, which names no schema itself, in *schema*, if there is one."""
    return f"{schema}.{table}" if schema else table


def schema_of(table: str) -> str:
    """Return the schema that the name of a *table* begins with; empty where it names none."""
    return table.rpartition(".")[0]


def without_schema(table: str) -> str:
    """Return the name of *table* as it is inside its schema."""
    return table.rpartition(".")[2]


def stored_name(model: Model[E], schema: str) -> str:
    """Return where the table of *model* is in a store whose own schema is *schema*.

    Mapped classes say by themselves where theirs are.
    """
    if model.adapter is not None or schema_of(model.table):
        return model.table
    return in_schema(schema, model.table)


def stored_names(models: Sequence[Model[object]], schema: str) -> dict[str, str]:
    """Return the `stored_name` of each model, by its table.

    Raises ConfigurationError when two are in one place, and for a schema that no backend can keep.
    """
    if schema:
        check_schema("the store", schema)
    found: dict[str, str] = {}
    owners: dict[str, str] = {}
    for model in models:
        name = stored_name(model, schema)
        other = owners.setdefault(name.lower(), model.name)
        if other != model.name:
            raise ConfigurationError(
                f"{other} and {model.name} both live in the table {name!r} of a store with "
                f"schema={schema!r}"
            )
        found[model.table] = name
    return found
