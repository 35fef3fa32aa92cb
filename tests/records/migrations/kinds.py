"""Entities with a field of every kind, those of the conformance suite."""

from holdfast import Entity
from holdfast.records.conformance import sample_entities
from holdfast.records.entities.model import model_of

EVERY_KIND = [
    each
    for each in vars(sample_entities).values()
    if isinstance(each, type)
    and issubclass(each, Entity)
    # Of a schema, which on MariaDB is a database of the server, so the same one for all tests.
    and each not in (Entity, sample_entities.Preset, sample_entities.Choice)
    and not model_of(each).sequences  # which are of two databases alone
]
