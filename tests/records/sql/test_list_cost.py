"""A list of values is one parameter of a statement: its length is no part of what is compiled."""

import pytest

from holdfast import Entity, Field, Many, One, field, generated_key, many, one, ref
from holdfast.records.driver_requests import Select, Taking, Update
from holdfast.records.drivers.sql.dialects.mariadb import MariaDBDialect
from holdfast.records.drivers.sql.dialects.mysql import MySQLDialect
from holdfast.records.drivers.sql.dialects.postgresql import PostgreSQLDialect
from holdfast.records.drivers.sql.dialects.sqlite import SQLiteDialect
from holdfast.records.drivers.sql.statements.store_statements import StoreStatements
from holdfast.records.entities.model import model_of
from holdfast.records.expressions.predicates import Or
from holdfast.sync import open_store

MANY = 40_000


class Parent(Entity, table="list_parents"):
    id: Field[int] = generated_key()
    ratio: Field[float] = field(default=0.0)
    data: Field[bytes] = field(default=b"")
    document: Field[dict[str, object]] = field(default_factory=dict)
    children: Many["Child"] = many(via="parent_id")


class Child(Entity, table="list_children"):
    id: Field[int] = generated_key()
    parent_id: Field[int] = ref(Parent)
    parent: One[Parent] = one(via="parent_id")


PLACES = (
    (Parent.id, lambda n: n),
    (Parent.ratio, float),
    (Parent.data, lambda n: n.to_bytes(4, "big")),
    (Parent.document["-a"], lambda n: n),
    (Parent.document["a"], str),
)


DIALECTS = [SQLiteDialect(), PostgreSQLDialect(), MariaDBDialect(), MySQLDialect()]


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(("place", "value"), PLACES)
def test_lists_of_any_length_have_one_statement(dialect, place, value):
    statements = StoreStatements((model_of(Parent), model_of(Child)), dialect)
    compiled = []

    def compile_once(built):
        compiled.append(built)
        return StoreStatements.compile(statements, built)

    statements.compile = compile_once
    for count in (1, 2, 3, 100, 50_000):
        wanted = place.in_([value(number) for number in range(count)])
        sql, values = statements.select(Select(model_of(Parent), wanted))
        if dialect.repeats_lists:
            assert sql.count("%s") == len(values)
    assert len(compiled) == 1


@pytest.mark.parametrize("dialect", DIALECTS)
def test_an_or_of_many_values_is_a_list(dialect):
    statements = StoreStatements((model_of(Parent), model_of(Child)), dialect)
    lengths = set()
    for count in (100, 4_000):
        parts = [Parent.id == number for number in range(count)]
        parts += [Parent.document["a"] == number for number in range(count)]
        where = Or((*parts, Parent.ratio > 5, Parent.id.in_([-1])))
        sql, _ = statements.select(Select(model_of(Parent), ~where))
        lengths.add(len(sql.replace(", %s", "")))
    assert len(lengths) == 1


@pytest.mark.parametrize("dialect", [SQLiteDialect(), PostgreSQLDialect()])
def test_what_is_taken_in_parts_has_a_statement_for_each_power_of_two(dialect):
    statements, model = StoreStatements((model_of(Parent),), dialect), model_of(Parent)
    update = Update(model, Parent.ratio > 1, (Parent.ratio.to(2.0),))
    texts = set()
    for count in range(1, 65):
        parts = tuple((Parent.data == bytes([each]), 3) for each in range(count))
        taking = Taking(update, (Parent.id.asc(),), 3 * count, parts)
        sql, values = statements.take(taking, locks=dialect.name == "postgresql")
        texts.add(sql)
        limits = [value for value in values if value in (0, 3)]
        assert limits.count(3) == count
    assert len(texts) == 7


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def url(request, tmp_path):
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/lists.db"
    return request.getfixturevalue(f"{request.param}_url")


def test_relations_of_many_parents_are_one_query_whose_list_has_any_length(url):
    with open_store(url, [Parent, Child]) as store:
        store.create_schema()
        try:
            parents = store.repository(Parent)
            made = parents.add_many(
                Parent(ratio=n / 3, data=n.to_bytes(4, "big")) for n in range(MANY)
            ).entities
            store.repository(Child).add_many(Child(parent_id=each.id) for each in made[::400])
            loaded = parents.find(load=[Parent.children])
            assert sum(len(each.children) for each in loaded) == MANY // 400
            assert parents.count(Parent.id.in_([each.id for each in made])) == MANY
            assert parents.count(Parent.ratio.in_([each.ratio for each in made])) == MANY
            assert parents.count(Parent.data.in_([each.data for each in made])) == MANY
            assert parents.count(Parent.data.not_in([each.data for each in made[1:]])) == 1
        finally:
            store.drop_schema()
