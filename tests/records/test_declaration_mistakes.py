"""What a newcomer declares or opens by mistake, and what he is told."""

from typing import ClassVar
from uuid import UUID

import pytest

from holdfast import (
    Entity,
    Field,
    Many,
    Migrations,
    field,
    generated_key,
    key,
    open_store,
    ref,
    uuid7,
)
from holdfast.errors import ConfigurationError, InvalidQueryError
from holdfast.records.options import MemoryOptions, SQLiteOptions
from holdfast.sync import open_store as open_blocking


class Camera(Entity, table="cameras"):
    id: Field[int] = generated_key()


def test_an_annotation_that_is_no_field_is_refused():
    with pytest.raises(ConfigurationError, match=r"Wrong\.name: annotated as str, expected Field"):

        class Wrong(Entity, table="wrong"):
            id: Field[int] = generated_key()
            name: str

    with pytest.raises(ConfigurationError, match=r"Texts\.name: annotated as str \| None"):

        class Texts(Entity, table="texts"):
            id: Field[int] = generated_key()
            name: "str | None" = None

    with pytest.raises(ConfigurationError, match=r"Related\.cameras"):

        class Related(Entity, table="related"):
            id: Field[int] = generated_key()
            cameras: Many[Camera]


def test_what_is_not_stored_is_a_class_variable():
    class Labelled(Entity, table="labelled"):
        id: Field[int] = generated_key()
        label: ClassVar[str] = "gate"
        other: "ClassVar" = 7

    assert (Labelled.label, Labelled.other, Labelled().label) == ("gate", 7, "gate")


def test_a_default_stands_in_field():
    with pytest.raises(ConfigurationError, match=r"Wrong\.x = 7: a default is written field"):

        class Wrong(Entity, table="wrong"):
            id: Field[int] = generated_key()
            x: Field[int] = 7


@pytest.mark.parametrize("name", ["__init__", "__post_init__"])
def test_a_constructor_of_its_own_is_refused_and_not_dropped(name):
    body = {"__annotations__": {"id": Field[int]}, "id": generated_key(), name: lambda _: None}
    with pytest.raises(ConfigurationError, match=f"Wrong.{name}: .* classmethod"):
        type(Entity)("Wrong", (Entity,), body, table="wrong")


@pytest.mark.parametrize("word", ["indexes", "uniques"])
def test_a_name_where_a_tuple_of_names_belongs_is_refused_with_the_tuple(word):
    with pytest.raises(ConfigurationError, match=rf"{word}=\['ab'\]: .* {word}=\[\('ab',\)\]"):

        class Wrong(Entity, table="wrong", **{word: ["ab"]}):
            id: Field[int] = generated_key()
            a: Field[int]
            b: Field[int]
            ab: Field[int]

    with pytest.raises(ConfigurationError, match=f"{word}='a': expected a list"):

        class Text(Entity, table="text", **{word: "a"}):
            id: Field[int] = generated_key()
            a: Field[int]


def test_a_generated_key_is_an_int():
    with pytest.raises(ConfigurationError, match=r"generated_key\(\) is for Field\[int\]"):

        class Wrong(Entity, table="wrong"):
            id: Field[UUID] = generated_key()


def test_a_table_is_named_by_text():
    with pytest.raises(ConfigurationError, match="table=5: expected a name"):

        class Wrong(Entity, table=5):
            id: Field[int] = generated_key()


@pytest.mark.parametrize(
    ("specify", "reason"),
    [
        (lambda: ref(Camera, on_delete="CASCADE"), "on_delete='CASCADE': .*'cascade'"),
        (lambda: ref(Camera, on_delete="set_null"), "on_delete='set_null': .*'set null'"),
        (lambda: ref(None), r"ref\(None\): expected an entity's class"),
        (lambda: key(default_factory=uuid7()), "default_factory=.*: expected a function"),
        (lambda: field(digits=5), r"digits=5: expected precision and scale, as in \(12, 2\)"),
        (lambda: field(digits=(1, 2, 3)), "digits="),
    ],
)
def test_a_word_that_no_declaration_knows_is_refused(specify, reason):
    with pytest.raises(ConfigurationError, match=reason):
        specify()


def test_a_length_is_a_number():
    with pytest.raises(ConfigurationError, match=r"Wrong\.x: max_length='3'"):

        class Wrong(Entity, table="wrong"):
            id: Field[int] = generated_key()
            x: Field[str] = field(max_length="3")


def test_a_class_of_a_module_that_nobody_knows_is_an_entity():
    source = """
from holdfast import Entity, Field, generated_key
class Reel(Entity, table="reels"):
    id: "Field[int]" = generated_key()
    frames: "Field[int]"
"""
    known = {"__name__": "of_no_module"}
    exec(source, known)
    assert known["Reel"](frames=7).frames == 7


@pytest.mark.parametrize("entities", [Camera, None, 5])
def test_entities_are_a_list(entities):
    for make in (open_store, open_blocking, Migrations):
        with pytest.raises(ConfigurationError, match=r"entities=.*: expected a list of classes"):
            make("sqlite:///never.db", entities)


def test_an_instance_is_no_entity():
    with pytest.raises(ConfigurationError, match="is not an entity"):
        open_store("memory://", [Camera()])


@pytest.mark.parametrize("url", ["memory://", "sqlite:///{}/store.db"])
def test_an_isolation_that_is_none_is_refused(url, tmp_path):
    with open_blocking(url.format(tmp_path), [Camera]) as store:
        for isolation in ("snapshot", "SERIALIZABLE", "serializable; DROP TABLE cameras"):
            with pytest.raises(InvalidQueryError, match="expected one of 'read committed'"):
                store.transaction(isolation=isolation)
        with pytest.raises(InvalidQueryError, match="isolation='snapshot'"):
            store.retrying(lambda: None, isolation="snapshot")


@pytest.mark.parametrize("seconds", [-1, "5", float("nan"), None])
def test_a_wait_is_a_number_of_seconds(seconds):
    for options in (MemoryOptions, SQLiteOptions):
        with pytest.raises(ConfigurationError, match=r"lock_timeout=.*: expected a number, 0 or"):
            options(lock_timeout=seconds)
    with pytest.raises(ConfigurationError, match="lock_timeout=-1"):
        open_store("sqlite:///never.db?lock_timeout=-1", [Camera])
