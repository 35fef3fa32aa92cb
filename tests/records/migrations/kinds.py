"""Entities with a field of every kind, those of the conformance suite."""

from holdfast import Entity
from holdfast.records.conformance import sample_entities

EVERY_KIND = [
    each
    for each in vars(sample_entities).values()
    if isinstance(each, type) and issubclass(each, Entity) and each is not Entity
]
