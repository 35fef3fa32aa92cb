"""Defaults of the database's: what a field is that is left out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING
from uuid import UUID

from holdfast.errors import (
    DuplicateError,
    InvalidValueError,
    NotLoadedError,
    UnsupportedError,
)
from holdfast.records.conformance.case import case
from holdfast.records.conformance.sample_entities import MOMENT, Delivery, Parcel
from holdfast.records.driver import StoreCapability
from holdfast.records.entities.declaration import field
from holdfast.records.entities.declaration import key as declared_key
from holdfast.records.entities.entity import Entity
from holdfast.records.entities.field import Field
from holdfast.records.entities.server_default import server_text
from holdfast.records.store import Store

if TYPE_CHECKING:
    from holdfast.records.conformance.lab import Lab

_GIVEN: dict[str, object] = {
    "state": "it's 50% :new \\",
    "tries": 3,
    "ratio": 2.0,
    "price": Decimal("1.50"),
    "urgent": True,
    "token": UUID(int=7),
    "span": timedelta(seconds=1),
    "due": MOMENT,
    "day": MOMENT.date(),
    "data": b"\x00'\xff",
    "notes": {"a": [1, "it's"]},
}


def _given(delivery: Delivery) -> dict[str, object]:
    return {name: vars(delivery)[name] for name in _GIVEN}


def _is_of_now(lab: Lab, moment: datetime) -> bool:
    return any(abs(moment - now) < timedelta(hours=1) for now in (lab.clock.now, datetime.now(UTC)))


@case("DEFAULT-1", needs=(StoreCapability.GENERATED_KEYS,))
async def the_database_gives_what_is_left_out(lab: Lab) -> None:
    deliveries = lab.repository(Delivery)
    new = Delivery(name="a")
    try:
        raise AssertionError(f"it is {new.state!r} before it is stored")
    except NotLoadedError as error:
        assert error.name == "state"
    stored = await deliveries.add(new)
    assert _given(stored) == _GIVEN
    assert [type(each) for each in _given(stored).values()] == [
        type(each) for each in _GIVEN.values()
    ]
    assert stored.seen.utcoffset() == timedelta(0)
    assert _is_of_now(lab, stored.seen)
    assert await deliveries.get_one(stored.id) == stored
    assert await deliveries.count(Delivery.state == stored.state, Delivery.due == MOMENT) == 1
    said = await deliveries.add(Delivery(name="b", state="sent", tries=None, seen=MOMENT))
    assert (said.state, said.tries, said.seen, said.ratio) == ("sent", None, MOMENT, 2.0)
    async with lab.refused(InvalidValueError):
        await deliveries.add(Delivery(name="c", tries=10))
    fresh = Delivery(name="a")
    fresh.id, fresh.version = stored.id, stored.version
    async with lab.refused(InvalidValueError) as caught:
        await deliveries.update(fresh)  # which gives all of a row
    assert caught.error.field == "state"
    stored.state = "sent"
    assert (await deliveries.update(stored)).state == "sent"


@case("DEFAULT-1", needs=(StoreCapability.GENERATED_KEYS, StoreCapability.TRANSACTIONS))
async def a_batch_keeps_its_order_whatever_is_left_out(lab: Lab) -> None:
    deliveries = lab.repository(Delivery)
    batch = [Delivery(name=f"n{n}") for n in range(5)]
    batch[3:3] = [Delivery(name="said", state="sent"), Delivery(name="both", state="x", tries=1)]
    async with lab.store.transaction():
        stored = (await deliveries.add_many(batch)).entities
    assert [each.name for each in stored] == ["n0", "n1", "n2", "said", "both", "n3", "n4"]
    assert [each.id for each in stored] == sorted(each.id for each in stored)
    assert [each.tries for each in stored] == [3, 3, 3, 3, 1, 3, 3]
    assert await deliveries.find(order_by=Delivery.id) == list(stored)
    again = [
        Delivery(name="p"),
        Delivery(name="q", tries=1),
        Delivery(name="n1", tries=1),
        Delivery(name="n0"),
    ]
    async with lab.refused(DuplicateError) as caught:
        await deliveries.add_many(again)
    assert (caught.error.fields, caught.error.index) == (("name",), 2)
    results = (await deliveries.add_many(again, atomic=False)).results
    refused = [each for each in results if isinstance(each, DuplicateError)]
    assert [each.index for each in refused] == [2, 3]
    assert [each.tries for each in results if isinstance(each, Delivery)] == [3, 1]


@case("DEFAULT-1")
async def rows_under_given_keys_leave_fields_out(lab: Lab) -> None:
    parcels = lab.repository(Parcel)
    keys = [UUID(int=n) for n in (9, 2, 5)]
    first = Parcel(id=keys[0], parent_id=keys[2])
    batch = (await parcels.add_many([first, Parcel(id=keys[1]), Parcel(id=keys[2])])).entities
    assert [each.id for each in batch] == keys
    assert {(each.state, each.note) for each in batch} == {("new", "none")}
    one = await parcels.add(Parcel(id=UUID(int=1), note=None))
    assert (one.state, one.note) == ("new", None)
    async with lab.refused(DuplicateError) as caught:
        await parcels.add(Parcel(id=keys[1]))
    assert caught.error.fields == ("id",)
    assert await parcels.find(order_by=Parcel.id) == sorted(
        (one, *batch), key=lambda each: each.id.int
    )


@case("DEFAULT-2")
async def an_upsert_overwrites_with_the_defaults(lab: Lab) -> None:
    parcels = lab.repository(Parcel)
    key, other = UUID(int=1), UUID(int=2)
    made = await parcels.upsert(Parcel(id=key))
    assert (made.created, made.entity.state, made.entity.note) == (True, "new", "none")
    await parcels.patch(key, Parcel.state.to("sent"), Parcel.note.to(None))
    met = await parcels.upsert(Parcel(id=key, note="said"))
    assert (met.created, met.entity.state, met.entity.note) == (False, "new", "said")
    several = await parcels.upsert_many(
        [Parcel(id=other), Parcel(id=key), Parcel(id=key, state="sent")]
    )
    assert [each.created for each in several] == [True, False, False]
    assert [each.entity.note for each in several] == ["none", "none", "none"]
    assert (await parcels.get_one(key)).state == "sent"
    assert (await parcels.get_one(other)).state == "new"


@case("DEFAULT-2", needs=(StoreCapability.GENERATED_KEYS,))
async def an_upsert_goes_by_what_is_given(lab: Lab) -> None:
    deliveries = lab.repository(Delivery)
    first = await deliveries.upsert(Delivery(name="a", tries=5), on=Delivery.name)
    assert (first.created, first.entity.tries, first.entity.ratio) == (True, 5, 2.0)
    again = await deliveries.upsert_many([Delivery(name="b"), Delivery(name="a")], on=Delivery.name)
    assert [(each.created, each.entity.tries) for each in again] == [(True, 3), (False, 3)]
    met = again[1].entity
    assert (met.id, met.version, _given(met)) == (first.entity.id, 2, _GIVEN)


@case("DEFAULT-3")
async def a_default_in_other_words_is_refused(lab: Lab) -> None:
    class Elsewhere(Entity, table="conformance_elsewhere"):
        id: Field[int] = declared_key()
        token: Field[str] = (
            field(default=server_text(sqlite="'x'"))
            if lab.store.backend != "sqlite"
            else field(default=server_text(postgresql="'x'"))
        )

    async with lab.refused(UnsupportedError) as caught:
        Store(lab.store.driver, [Elsewhere])
    assert "Elsewhere.token" in caught.error.capability
