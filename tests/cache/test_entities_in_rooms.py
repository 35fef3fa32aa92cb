"""Entities in a cache of a type: they come back with what the store set."""

import pytest

from holdfast.cache.codec import codec_of
from holdfast.records.conformance.sample_entities import Author, Book, Specimen, entities_for
from holdfast.records.driver import StoreCapability
from holdfast.sync import open_store

ENTITIES = entities_for(frozenset(StoreCapability) - {StoreCapability.SEQUENCES})


@pytest.fixture
def stored():
    with open_store("memory://", ENTITIES) as store:
        store.create_schema()
        author = store.repository(Author).add(Author(name="a"))
        store.repository(Book).add(Book(title="t", author_id=author.id))
        yield (
            store.repository(Author).one(load=Author.books),
            store.repository(Specimen).add(Specimen(attributes={"a": 1})),
        )


def test_an_entity_comes_back_as_it_was_stored(stored):
    for entity in stored:
        codec = codec_of(type(entity))
        again = codec.decode(codec.encode("key", entity))
        assert again == entity
        assert again.version == 1
        several = codec_of(list[type(entity)] | None)
        assert several.decode(several.encode("key", [entity])) == [entity]
