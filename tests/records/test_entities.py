"""What an entity's declaration may say, and what its instances are."""

import dataclasses
import json
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError

from holdfast import (
    Entity,
    Field,
    created_at,
    field,
    generated_key,
    key,
    open_store,
    ref,
    server_default,
    server_now,
    server_text,
    uuid7,
    version,
)
from holdfast.errors import ConfigurationError, NotLoadedError
from holdfast.records.conformance.sample_entities import (
    ENTITIES,
    Author,
    Book,
    Following,
    Member,
    Parcel,
    Setting,
    Specimen,
)
from holdfast.records.entities.model import model_of
from holdfast.sync import open_store as open_blocking


def test_a_part_of_a_composite_key_is_not_numbered_by_the_store_and_never_null():
    with pytest.raises(ConfigurationError, match="the store numbers"):

        class Numbered(Entity, table="numbered"):
            a: Field[int] = generated_key()
            b: Field[int] = key()

    with pytest.raises(ConfigurationError, match="a key is a UUID, str or int"):

        class Nulled(Entity, table="nulled"):
            setting: Field[str | None] = ref(Setting, key=True)
            b: Field[int] = key()


def test_a_reference_to_a_composite_key_is_refused_with_the_way_out():
    class Remark(Entity, table="remarks"):
        id: Field[int] = key()
        following_id: Field[int] = ref(Following)

    with pytest.raises(ConfigurationError, match=r"composite \(follower_id, followed_id\).*unique"):
        open_blocking("memory://", [Member, Following, Remark])


def test_no_key_is_refused():
    with pytest.raises(ConfigurationError, match=r"expected a key\(\) field"):

        class Keyless(Entity, table="none"):
            a: Field[int]


def test_a_key_of_another_type_is_refused():
    with pytest.raises(ConfigurationError, match="UUID, str or int"):

        class Wrong(Entity, table="wrong"):
            id: Field[float] = key()


def test_a_decimal_without_digits_is_refused():
    with pytest.raises(ConfigurationError, match="precision and scale"):

        class Wrong(Entity, table="wrong"):
            id: Field[int] = key()
            price: Field[Decimal]


def test_an_unknown_type_is_refused_and_named():
    with pytest.raises(ConfigurationError, match=r"Wrong\.what"):

        class Wrong(Entity, table="wrong"):
            id: Field[int] = key()
            what: Field[complex]


def test_a_type_of_two_is_refused():
    with pytest.raises(ConfigurationError, match="one type"):

        class Wrong(Entity, table="wrong"):
            id: Field[int] = key()
            what: Field[int | str]


def test_an_unversioned_field_of_an_entity_without_a_version_is_refused():
    with pytest.raises(ConfigurationError, match="needs a version"):

        class Wrong(Entity, table="wrong"):
            id: Field[int] = key()
            views: Field[int] = field(default=0, unversioned=True)


def test_a_shared_default_is_refused():
    with pytest.raises(ConfigurationError, match="default_factory"):
        field(default=[])


def test_a_default_and_a_factory_are_refused():
    with pytest.raises(ConfigurationError, match="not both"):
        field(default=1, default_factory=int)


def test_a_specifier_without_annotation_is_refused():
    with pytest.raises(ConfigurationError, match="no annotation"):

        class Wrong(Entity, table="wrong"):
            id: Field[int] = key()
            name = field()


def test_an_index_on_no_field_is_refused():
    with pytest.raises(ConfigurationError, match="'nobody'"):

        class Wrong(Entity, table="wrong", indexes=[("nobody",)]):
            id: Field[int] = key()


def test_a_unique_json_field_is_refused():
    with pytest.raises(ConfigurationError, match="unique"):

        class Wrong(Entity, table="wrong"):
            id: Field[int] = key()
            data: Field[dict[str, object]] = field(unique=True)


def test_set_null_on_a_field_that_can_not_be_null_is_refused():
    with pytest.raises(ConfigurationError, match="may be None"):

        class Wrong(Entity, table="wrong"):
            id: Field[int] = key()
            author: Field[UUID] = ref(Author, on_delete="set null")


def declared(hint, specifier, **options):
    table = options.pop("table", "things")
    body = {"__annotations__": {"id": Field[int], "x": Field[hint]}, "id": generated_key()}
    body["x"] = specifier
    return type(Entity)("Thing", (Entity,), {**body, "__module__": __name__}, table=table)


@pytest.mark.parametrize(
    ("hint", "specifier", "reason"),
    [
        (int, field(default="7"), r"Thing\.x: default='7': expected int"),
        (int, field(default=None), r"default=None: expected int"),
        (str, field(default="four", max_length=3), "4 characters, at most 3"),
        (str, field(max_length=-1), r"max_length=-1: expected 1 or more"),
        (str, field(max_length=0), r"max_length=0: expected 1 or more"),
        (int, field(max_length=3), "max_length bounds str and bytes"),
        (float, field(digits=(3, 2)), "digits are for a Decimal"),
    ],
)
def test_a_specifier_that_does_not_fit_its_type_is_refused(hint, specifier, reason):
    with pytest.raises(ConfigurationError, match=reason):
        declared(hint, specifier)


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        ("", "expected a name"),
        ("a\0b", "expected a name"),
        ("ä" * 32, "64 bytes; PostgreSQL keeps 63"),
        ("SQLite_things", "to itself"),
        ("app.things", "without a schema"),
        ("50%", "has '%'"),
        ('a"b', "has '\"'"),
        ("it's", "expected letters"),
        ("a`b", "has '`'"),
        ("a\\b", "expected letters"),
        ("a\nb", "expected letters"),
        ("__[POSTCOMPILE_x]", "expected letters"),
        ("%(p0)s", "expected letters"),
        (" things", "a blank at its end"),
    ],
)
def test_a_table_that_not_every_backend_can_have_is_refused(table, reason):
    with pytest.raises(ConfigurationError, match=reason):
        declared(int, field(), table=table)


def test_fields_that_differ_by_case_alone_are_refused():
    with pytest.raises(ConfigurationError, match="'title' and 'Title' apart"):

        class Wrong(Entity, table="wrong"):
            id: Field[int] = generated_key()
            title: Field[str] = field()
            Title: Field[str] = field()


def test_a_field_may_be_called_self():
    class Odd(Entity, table="odd"):
        id: Field[int] = generated_key()
        self: Field[str] = field()

    assert Odd(self="x").self == "x"


def test_tables_that_differ_by_case_alone_do_not_live_in_one_store():
    class One(Entity, table="things"):
        id: Field[int] = generated_key()

    class Other(Entity, table="Things"):
        id: Field[int] = generated_key()

    with pytest.raises(ConfigurationError, match="Other and One both live"):
        open_store("memory://", [One, Other])


def test_reading_a_field_goes_through_no_descriptor():
    for spec in ("id", "name", "version", "created_at"):
        assert all(spec not in vars(cls) for cls in Author.__mro__)
    author = Author(name="a")
    assert author.name is vars(author)["name"]


def test_what_the_store_sets_is_not_there_before():
    author = Author(name="a")
    for name in ("version", "created_at", "updated_at", "books"):
        with pytest.raises(NotLoadedError):
            getattr(author, name)
    with pytest.raises(AttributeError, match="no attribute"):
        _ = author.misspelt
    with pytest.raises(AttributeError, match="no field"):
        _ = Author.misspelt


def test_what_is_left_to_the_database_is_not_there_before():
    adapter = TypeAdapter(Parcel)
    left = adapter.validate_python({"id": UUID(int=1)})
    assert vars(left) == {"id": UUID(int=1), "parent_id": None}
    given = adapter.validate_python({"id": UUID(int=1), "note": None})
    assert given == Parcel(id=UUID(int=1), note=None)
    assert given != left
    with pytest.raises(NotLoadedError, match="state"):
        _ = left.state
    assert adapter.json_schema()["required"] == ["id"]


@pytest.mark.parametrize(
    ("hint", "default", "words"),
    [
        (int, server_default("a"), "expected int"),
        (int, server_now(), "for a datetime"),
        (str, server_default("a" * 11), "10"),
    ],
)
def test_a_default_of_the_databases_has_to_fit_the_field(hint, default, words):
    with pytest.raises(ConfigurationError, match=words):

        class Wrong(Entity, table="wrong"):
            id: Field[int] = key()
            value: Field[hint] = field(default=default, max_length=10 if hint is str else None)


def test_a_text_for_no_database_is_no_default():
    for wrong in ({}, {"sqlite": " "}):
        with pytest.raises(ConfigurationError, match="at least one database"):
            server_text(**wrong)
    with pytest.raises(ConfigurationError, match="a value of the field"):
        server_default(None)


def test_the_constructor_takes_what_a_caller_may_set():
    with pytest.raises(TypeError, match="name"):
        Author()
    with pytest.raises(TypeError, match="version"):
        Author(name="a", version=1)


def test_an_entity_is_a_pydantic_type():
    adapter = TypeAdapter(Author)
    author = adapter.validate_python({"name": "a", "born": 1990})
    assert isinstance(author, Author)
    assert isinstance(author.id, UUID)
    assert adapter.validate_python(author) is author
    assert adapter.validate_json(adapter.dump_json(author)) == author
    schema = adapter.json_schema()
    assert schema["properties"]["name"]["maxLength"] == 50
    assert schema["required"] == ["name"]
    assert set(schema["properties"]) == {"id", "name", "email", "born"}


@pytest.mark.parametrize(
    ("given", "place", "words"),
    [
        ({"name": "x" * 51}, ("name",), "String should have at most 50 characters"),
        ({"name": "a", "unknown": 1}, ("unknown",), "Extra inputs are not permitted"),
        ({"name": "a", "version": 1}, ("version",), "Extra inputs are not permitted"),
        ({"name": "a", "created_at": None}, ("created_at",), "Extra inputs are not permitted"),
        ({"name": "a", "books": []}, ("books",), "Extra inputs are not permitted"),
        ({}, ("name",), "Field required"),
        (5, (), "Input should be a valid dictionary or instance of Author"),
    ],
)
def test_what_pydantic_says_of_bad_input_is_plain(given, place, words):
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(Author).validate_python(given)
    assert [(each["loc"], each["msg"]) for each in caught.value.errors()] == [(place, words)]


def test_a_generated_key_is_no_input():
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(Book).validate_python({"id": 1, "title": "t", "author_id": UUID(int=1)})
    assert [each["loc"] for each in caught.value.errors()] == [("id",)]


def test_the_schema_of_output_has_all_fields_and_relations():
    schema = TypeAdapter(Author).json_schema(mode="serialization")
    author = schema["$defs"][schema["$ref"].rpartition("/")[2]]
    fields = [spec.name for spec in model_of(Author).fields]
    assert set(author["properties"]) == {*fields, "books", "credited_in"}
    assert author["required"] == fields
    assert author["title"] == "Author"
    assert author["properties"]["created_at"]["format"] == "date-time"


def test_output_has_the_relations_that_were_loaded():
    with open_blocking("memory://", ENTITIES) as store:
        store.create_schema()
        author = store.repository(Author).add(Author(name="a"))
        store.repository(Book).add(Book(title="t", author_id=author.id))
        loaded = store.repository(Author).one(load=Author.books.then(Book.editor, Book.chapters))
    plain = TypeAdapter(Author).dump_python(author, mode="json")
    assert "books" not in plain
    (book,) = TypeAdapter(Author).dump_python(loaded, mode="json")["books"]
    assert (book["title"], book["editor"], book["chapters"]) == ("t", None, [])
    assert "author" not in book

    class Shelf(BaseModel):
        owner: Author
        books: list[Book]

    shelf = Shelf(owner=loaded, books=loaded.books)
    assert shelf.owner is loaded
    assert json.loads(shelf.model_dump_json())["owner"]["books"] == [book]
    assert {"AuthorOutput", "BookOutput"} <= Shelf.model_json_schema(mode="serialization")[
        "$defs"
    ].keys()


def test_others_find_the_fields_as_those_of_a_dataclass():
    """So FastAPI takes an entity for a request's body, and not for a parameter of its URL."""
    assert dataclasses.is_dataclass(Author)
    fields = {each.name: each for each in dataclasses.fields(Author)}
    assert [name for name, each in fields.items() if not each.init] == [
        "created_at",
        "updated_at",
        "version",
    ]
    assert dataclasses.replace(Setting(name="a"), value="b") == Setting(name="a", value="b")
    with pytest.raises(ConfigurationError, match=r"ref\(\)"):
        declared(Author, field())


def test_every_kind_of_value_goes_through_pydantic():
    adapter = TypeAdapter(Specimen)
    given = Specimen(attributes={"a": [1, None]})
    assert adapter.validate_json(adapter.dump_json(given)) == given


def test_entities_are_equal_by_their_fields():
    one = Author(name="a")
    other = Author(id=one.id, name="a")
    assert one == other
    other.name = "b"
    assert one != other
    with pytest.raises(TypeError, match="unhashable"):
        hash(one)


def test_a_mix_in_gives_its_fields():
    class Stamped(Entity):
        made: Field[datetime] = created_at()
        revision: Field[int] = version()

    class Thing(Stamped, table="things"):
        id: Field[int] = generated_key()

    @dataclass
    class Plain:
        id: int

    assert [spec.name for spec in Thing.__holdfast__.fields] == ["made", "revision", "id"]
    assert Plain(1) != Thing()
    assert uuid7() != uuid7()
