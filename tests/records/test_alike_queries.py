"""Queries that differ in one thing, asked of one store: what was compiled for one is not another's.

A statement is kept under the shape of its query. Each query has its like here, and each is asked
for the rows that memory finds by looking at every one.
"""

import itertools
import operator
from datetime import UTC, datetime, timedelta
from functools import reduce

import pytest

from holdfast import (
    Entity,
    Field,
    Many,
    One,
    coalesce,
    everything,
    field,
    key,
    length,
    lower,
    many,
    one,
    ref,
    subquery,
)
from holdfast.records import StoreCapability
from holdfast.sync import open_store
from servers import empty_store


class Owner(Entity, table="alike_owners"):
    id: Field[int] = key()
    town: Field[str | None] = field(default=None, max_length=10)
    things: Many["Thing"] = many(via="owner_id")


class Thing(Entity, table="alike_things"):
    id: Field[int] = key()
    label: Field[str | None] = field(default=None, max_length=10)
    name: Field[str] = field(default="", max_length=10)
    n: Field[int | None] = field(default=None)
    m: Field[int] = field(default=0)
    at: Field[datetime]
    items: Field[list[object]] = field(default_factory=list)
    notes: Field[dict[str, object]] = field(default_factory=dict)
    owner_id: Field[int | None] = ref(Owner, default=None)
    keeper_id: Field[int | None] = ref(Owner, default=None)
    owner: One[Owner | None] = one(via="owner_id")
    keeper: One[Owner | None] = one(via="keeper_id")


BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
OWNERS = [(1, "t"), (2, "u"), (3, None), (4, "t")]
THINGS = [
    {"label": "a", "name": "b", "n": 1, "m": 1, "items": ["a", 1], "notes": {"a": 1, "b": "1"}},
    {"label": "A", "name": "a", "n": 2, "m": 1, "items": [None], "notes": {"a": "1", "b": 1}},
    {"label": "ab", "name": "a", "n": 1, "m": 2, "items": ["1"], "notes": {"a": {"b": 1}}},
    {"label": "ba", "name": "ab", "n": 3, "m": 3, "notes": {"a": True, "l": ["a"]}},
    {"label": "", "name": "", "n": None, "m": 1, "items": ["b"], "notes": {"a": None}},
    {"label": None, "name": "c", "n": 0, "m": 4, "items": [True], "notes": {"a": 2, "l": [1]}},
    {"label": "c", "name": "c", "n": None, "m": 0, "notes": {"a": [1]}},
]
PLACES = [(1, 2), (2, 1), (3, None), (None, 3), (1, 1), (4, 4), (None, None)]


def of_things():
    label, name, n, m = Thing.label, Thing.name, Thing.n, Thing.m
    orders = (operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge)
    yield from (compare(label, "a") for compare in orders)
    yield from (compare(name, "a") for compare in orders)
    yield from (compare(n, 1) for compare in orders)
    yield from (compare(n, m) for compare in orders)
    yield from (compare(m, n) for compare in orders)
    yield from (compare(label, name) for compare in orders)
    yield from (compare(n + m, 3) for compare in orders)
    yield from (n - m == 0, m - n == 0, n * m == 2, n + m == m + 1, m + n == n + 1, m * 2 == 2)
    yield from (each.in_(given) for each in (label, name) for given in ([], ["a"], ["a", "b"]))
    yield from (each.not_in(given) for each in (label, name) for given in ([], ["a"], ["a", "b"]))
    yield from (each.is_null() for each in (label, n, Thing.owner_id, Thing.keeper_id))
    for each in (label, name, Thing.notes["b"]):
        for text in ("a", "A", "", "b", "1"):
            yield from (each.contains(text), each.startswith(text), each.endswith(text))
            yield from (each.icontains(text), each.iequals(text))
    for at in (Thing.notes["a"], Thing.notes["b"], Thing.notes["a"]["b"], Thing.notes["l"][0]):
        yield at.is_null()
        yield from (at == given for given in (1, "1", True, "a", {"b": 1}, [1]))
        yield from (compare(at, 1) for compare in orders)
        yield from (compare(at, "1") for compare in orders)
        yield from (at.in_(given) for given in ([], [1], ["1"], [1, "1"], [True], [1, True, "a"]))
    for at in (Thing.items, Thing.notes["l"], Thing.notes["a"]):
        yield from (at.has_item(given) for given in ("a", "b", 1, "1", True, None))
    for to in (Thing.owner, Thing.keeper):
        yield from (to.has(), to.has(Owner.town == "t"), to.has(Owner.town == "u"))
        yield from (to.has(Owner.town.is_null()), to.has(~Owner.town.is_null()))
        yield from (to.has(Owner.things.any()), to.has(Owner.things.any(m == 1)))
        yield from (to[Owner.town] == "t", to[Owner.town].is_null(), to[Owner.town] < "u")
    for each in (n, m, Thing.owner_id):
        yield from (each.in_(subquery(by)) for by in (Owner.id, Thing.m, Thing.keeper_id))
        yield from (each.in_(subquery(Owner.id, Owner.town == town)) for town in ("t", "u"))
        yield each.in_(subquery(Owner.id, Owner.town.is_null()))
        yield each.in_(subquery(Owner.id, Owner.town.in_([])))
    yield from (length(label) == 1, length(name) == 1, length(label) < 2, lower(label) == "a")
    yield from (coalesce(label, "c") == "c", coalesce(label, "a") == "a", coalesce(n, 1) == 1)
    one_of = [n == 1, n == 2, label == "a", name == "a", m == 1, Thing.owner.has()]
    for left, right in itertools.pairwise(one_of):
        yield from (left & right, left | right, left & ~right, left | ~right, (left & right) | left)
    yield from (everything(), everything() & (n == 1), ~everything() | (n == 1))
    yield reduce(operator.and_, [n == number for number in range(1, 30)])
    yield reduce(operator.and_, [*(m < number for number in range(3, 30)), n == 1, label == "a"])
    many_of = [n == number for number in range(2, 30)]
    for other in (label == "c", label.in_(["c", "b"]), n.in_([0, 1]), m > 3, label.is_null()):
        yield from (reduce(operator.or_, [*many_of, other]), reduce(operator.or_, [other] * 30))
    for to in (Thing.owner, Thing.keeper):
        yield reduce(operator.or_, [*many_of, to.has(Owner.town == "t"), label.startswith("a")])


def of_times():
    for zone in ("UTC", "Europe/Berlin", "Asia/Tokyo"):
        yield from (Thing.at.truncated("hour", zone=zone) == at for at in (BEGIN, BEGIN - HOUR))
        for unit in ("day", "week", "month", "year"):
            begun = Thing.at.truncated(unit, zone=zone)
            for day in (BEGIN.date(), BEGIN.date() - timedelta(days=1)):
                yield from (begun == day, begun <= day)


def of_owners():
    yield from (Owner.things.any(), Owner.things.none())
    for where in (Thing.m == 1, Thing.m == 2, Thing.n.is_null(), Thing.keeper.has()):
        yield from (Owner.things.any(where), Owner.things.none(where))
        yield from (Owner.things.where(where).count() == number for number in (0, 1, 2))
    yield from (Owner.things.count() == number for number in (0, 1, 2))
    for first in (0, 1, 2, 3):
        many_of = [Owner.things.count() == number for number in range(first, first + 30)]
        yield from (reduce(operator.or_, many_of), reduce(operator.or_, [*many_of, Owner.id == 1]))
    for of in (Thing.m, Thing.n):
        yield from (Owner.things.sum(of) == 2, Owner.things.sum(of) == 1, Owner.things.sum(of) > 1)
        yield from (Owner.things.min(of) == 1, Owner.things.max(of) == 1, Owner.things.max(of) < 2)


def filled(url):
    with open_store(url, [Owner, Thing]) as store:
        store.create_schema()
        owners = [Owner(id=number, town=town) for number, town in OWNERS]
        store.repository(Owner).add_many(owners)
        store.repository(Thing).add_many(
            [
                Thing(
                    id=number,
                    at=BEGIN + HOUR * 5 * (number - 4),
                    owner_id=owner,
                    keeper_id=keeper,
                    **values,
                )
                for number, (values, (owner, keeper)) in enumerate(
                    zip(THINGS, PLACES, strict=True), 1
                )
            ]
        )
        yield store


@pytest.fixture(scope="module")
def plain():
    yield from filled("memory://")


@pytest.fixture(scope="module", params=["sqlite", "postgresql", "mariadb", "mysql"])
def store(request, tmp_path_factory):
    with empty_store(request.param, tmp_path_factory.mktemp("alike")) as url:
        yield from filled(url)


def check(store, plain, entity, queries):
    all_of_them = {each.id for each in plain.repository(entity).find()}
    different = set()
    for where in queries():
        found = [
            [each.id for each in opened.repository(entity).find(condition)]
            for condition in (where, ~where)
            for opened in (plain, store)
        ]
        assert found[0] == found[1], where
        assert found[2] == found[3], ~where
        assert sorted(found[0] + found[2]) == sorted(all_of_them), where
        different.add(tuple(found[0]))
    assert len(different) > len(all_of_them), "the rows tell queries apart"


@pytest.mark.parametrize(("entity", "queries"), [(Thing, of_things), (Owner, of_owners)])
def test_each_query_finds_what_it_asks_for_beside_its_like(store, plain, entity, queries):
    check(store, plain, entity, queries)


def test_each_query_by_parts_of_times_too(store, plain):
    if StoreCapability.TIME_ZONES in store.capabilities:
        check(store, plain, Thing, of_times)


def test_each_order_by_aggregates_beside_conditions_on_others(store, plain):
    things = Owner.things
    some = things.where(Thing.m == 1), things.where(Thing.m == 2)
    figures = [things.count(), things.sum(Thing.m), things.sum(Thing.n), things.max(Thing.n)]
    figures += [each.count() for each in some]
    orders = set()
    for first, second, third in itertools.product(figures, repeat=3):
        for where in (third == 1, third > 0):
            order = (first.desc(), second.asc(), Owner.id)
            found = [
                [each.id for each in opened.repository(Owner).find(where, order_by=order)]
                for opened in (plain, store)
            ]
            assert found[0] == found[1], (where, order)
            orders.add(tuple(found[0]))
    assert len(orders) > len(figures), "the rows tell orders apart"
