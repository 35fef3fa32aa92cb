"""Rows of values as something of the caller's own: what it is made of, and when it can't be."""

from dataclasses import dataclass
from typing import NamedTuple

import msgspec
import pytest
from pydantic import BaseModel

from holdfast import Entity, Field, Many, field, key, many, ref
from holdfast.errors import InvalidQueryError, InvalidValueError
from holdfast.sync import open_store


class Shop(Entity, table="shops"):
    id: Field[int] = key()
    name: Field[str] = field(default="")
    sales: Many["Sale"] = many(via="shop_id")


class Sale(Entity, table="sales"):
    id: Field[int] = key()
    shop_id: Field[int] = ref(Shop)
    price: Field[float] = field(default=0.0)


@dataclass
class Kept:
    name: str
    sales: int
    note: str = "none"


class Named(NamedTuple):
    name: str
    sales: int


class Packed(msgspec.Struct):
    name: str
    sales: int


class Checked(BaseModel):
    name: str
    sales: int
    note: str = "none"


class Strict(BaseModel):
    name: str
    sales: int
    note: str


@dataclass(kw_only=True)
class ByName:
    name: str
    sales: int


@pytest.fixture(scope="module")
def store():
    with open_store("memory://", [Shop, Sale]) as store:
        store.create_schema()
        store.repository(Shop).add_many([Shop(id=1, name="a"), Shop(id=2, name="b")])
        store.repository(Sale).add_many([Sale(id=each, shop_id=1, price=2.0) for each in (1, 2)])
        yield store


@pytest.fixture
def shops(store):
    return store.repository(Shop)


@pytest.mark.parametrize("into", [Kept, Named, Packed])
def test_a_class_is_made_of_the_values_in_their_order(shops, into):
    found = shops.select(Shop.name, Shop.sales.count(), into=into)
    assert found == [into("a", 2), into("b", 0)]
    assert type(found[0]) is into


def test_a_pydantic_model_is_given_them_by_the_names_of_its_fields(shops):
    found = shops.select(Shop.name, Shop.sales.count(), into=Checked)
    assert found == [Checked(name="a", sales=2), Checked(name="b", sales=0)]


def test_a_function_makes_what_it_likes_also_of_different_values(shops):
    found = shops.select(Shop.sales.count(), distinct=True, into=lambda sales: -sales)
    assert found == [0, -2]
    assert shops.select(Shop.id, into=str) == ["1", "2"]


@pytest.mark.parametrize("into", [Strict, ByName, Shop.name, len, lambda one: one, 5])
def test_what_can_not_be_made_of_them_is_refused_before_anything_is_read(shops, into):
    with pytest.raises(InvalidQueryError, match="into="):
        shops.select(Shop.name, Shop.sales.count(), into=into)
    with pytest.raises(InvalidQueryError, match="into="):
        shops.select(Shop.id, Shop.name, Shop.sales.count(), Shop.sales.max(Sale.id), into=Checked)


def test_a_sum_that_no_float_holds_is_refused(store, shops):
    large = [Sale(id=each, shop_id=2, price=1.7e308) for each in (8, 9)]
    store.repository(Sale).add_many(large)
    with pytest.raises(InvalidValueError, match="too large"):
        shops.select(Shop.sales.sum(Sale.price))
    store.repository(Sale).delete_where(Sale.shop_id == 2)
