"""Which sequences the entities of a store name, and where they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from holdfast.errors import ConfigurationError
from holdfast.records.entities.table_names import in_schema, schema_of, stored_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.records.entities.model import Model
    from holdfast.records.entities.server_default import SequenceDefault

E = TypeVar("E")


def sequence_place(model: Model[E], source: SequenceDefault, schema: str) -> str:
    """Return the name of a sequence that *model* names, `app.order_numbers` in a schema.

    *schema* is that of entities which name none.
    """
    return in_schema(schema_of(stored_name(model, schema)), source.name)


def sequences_of(models: Sequence[Model[object]], schema: str) -> dict[str, SequenceDefault]:
    """Return the sequences of *models* by their places; see `sequence_place`.

    Raises ConfigurationError for two ways in which one is to count, and for one that is called as a
    table is, which databases keep under the same names.
    """
    tables = {stored_name(model, schema).lower(): model.name for model in models}
    found: dict[str, SequenceDefault] = {}
    owners: dict[str, tuple[str, str, SequenceDefault]] = {}
    for model in models:
        for spec, source in model.sequences:
            of, place = f"{model.name}.{spec.name}", sequence_place(model, source, schema)
            if place.lower() in tables:
                other = tables[place.lower()]
                raise ConfigurationError(f"{of}: {place!r} is the table of {other}")
            first, name, known = owners.setdefault(place.lower(), (of, place, source))
            if (name, known) != (place, source):
                raise ConfigurationError(
                    f"{first} and {of} share the sequence {name!r}: expected the same name, start "
                    "and increment"
                )
            found[place] = source
    return found
