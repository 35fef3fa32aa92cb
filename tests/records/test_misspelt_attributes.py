"""An attribute that is no field is not left behind in silence by a write."""

from functools import cached_property
from typing import ClassVar

import pytest

from holdfast import Entity, Field, field, generated_key, server_default, version
from holdfast.errors import InvalidValueError
from holdfast.sync import open_store


class Noted:
    note: str


class Shelf(Noted, Entity, table="shelves"):
    id: Field[int] = generated_key()
    title: Field[str] = field(max_length=200)
    room: Field[int] = field(default=1)
    color: Field[str] = field(max_length=20, default=server_default("white"))
    version: Field[int] = version()
    seen: ClassVar[int] = 0
    hint: ClassVar[str]

    @property
    def heading(self):
        return self.title.upper()

    @heading.setter
    def heading(self, text):
        self.title = text.lower()

    @cached_property
    def letters(self):
        return len(self.title)

    def label(self):
        return self.title


@pytest.fixture
def shelves():
    with open_store("memory://", [Shelf]) as store:
        store.create_schema()
        yield store.repository(Shelf)


def refused(name, meant):
    return pytest.raises(
        InvalidValueError, match=rf"^Shelf\.{name}: there is no such field; {meant}"
    )


def test_a_misspelt_attribute_of_a_new_entity_is_refused_with_what_was_meant(shelves):
    shelf = Shelf(title="a")
    shelf.titel = "b"
    with refused("titel", r"did you mean 'title'\?$") as error:
        shelves.add(shelf)
    assert (error.value.entity, error.value.field) == ("Shelf", "titel")
    with refused("titel", "did you mean 'title'"):
        shelves.add_many([Shelf(title="b"), shelf])
    with refused("titel", "did you mean 'title'"):
        shelves.upsert(shelf, on=[Shelf.id])
    assert shelves.count() == 0


def test_a_misspelt_attribute_of_a_stored_entity_is_refused(shelves):
    shelf = shelves.add(Shelf(title="a"))
    shelf.Title = "b"
    with refused("Title", "did you mean 'title'"):
        shelves.update(shelf)
    assert shelves.get_one(shelf.id).title == "a"


def test_a_name_near_to_no_field_says_how_it_is_declared(shelves):
    shelf = shelves.add(Shelf(title="a"))
    shelf.zzz = 1
    with refused("zzz", r"what is not stored is declared zzz: ClassVar\[...\]"):
        shelves.update(shelf)


def test_of_several_the_first_that_was_set_is_named(shelves):
    for names in (("rom", "titel", "colour"), ("colour", "rom", "titel")):
        shelf = Shelf(title="a")
        for name in names:
            setattr(shelf, name, "x")
        with pytest.raises(InvalidValueError) as error:
            shelves.add(shelf)
        assert error.value.field == names[0]


def test_what_the_class_has_or_declares_and_private_names_are_left_alone(shelves):
    shelf = Shelf(title="a", color="red")
    shelf.heading = "TWO"
    shelf._loaded_from = "x"
    shelf.seen = 3
    shelf.hint = "h"
    shelf.note = "n"
    shelf.label = lambda: "own"
    assert (shelf.letters, shelf.label()) == (3, "own")
    stored = shelves.add(shelf)
    assert (stored.title, stored.color) == ("two", "red")
    stored._loaded_from = "y"
    assert (stored.letters, stored.seen) == (3, 0)
    stored.room = 2
    assert shelves.update(stored).room == 2
