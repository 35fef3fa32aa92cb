"""Sequences: numbers that the database counts, for keys and other fields."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.errors import DuplicateError, InvalidValueError, NotLoadedError, TransactionError
from holdfast.records.conformance.case import case
from holdfast.records.conformance.sample_entities import Docket, Invoice, Receipt, Seat
from holdfast.records.driver import StoreCapability
from holdfast.records.expressions.predicates import everything

if TYPE_CHECKING:
    from holdfast.records.conformance.lab import Lab

_NEEDS = (StoreCapability.SEQUENCES,)
_LAST = 2**63 - 2


async def _next(lab: Lab) -> tuple[int, int]:
    """Return the numbers that come next, of papers and of places; nobody else takes any."""
    invoice = await lab.repository(Invoice).add(Invoice(name="to see where they are"))
    await lab.repository(Invoice).delete(invoice.number)
    return invoice.number + 5, invoice.place - 2


@case("SEQUENCE-1", needs=_NEEDS)
async def what_is_left_out_is_numbered(lab: Lab) -> None:
    invoices = lab.repository(Invoice)
    number, place = await _next(lab)
    new = Invoice(name="a")
    try:
        raise AssertionError(f"it is {new.number} before it is stored")
    except NotLoadedError as error:
        assert error.name == "number"
    one = await invoices.add(new)
    assert (one.number, one.place) == (number, place)
    assert await invoices.get_one(number) == one
    assert await invoices.count(Invoice.place == place) == 1
    said = await invoices.add(Invoice(number=7, name="b"))
    assert (said.number, said.place) == (7, place - 2)
    both = await invoices.add(Invoice(number=8, name="c", place=9))
    assert (both.number, both.place) == (8, 9)
    assert (await invoices.add(Invoice(name="d"))).number == number + 5  # none was taken for b, c
    async with lab.refused(DuplicateError) as caught:
        await invoices.add(Invoice(number=7, name="e"))
    assert caught.error.fields == ("number",)
    async with lab.refused(InvalidValueError):
        await invoices.update(Invoice(name="a"))


@case("SEQUENCE-1", needs=_NEEDS)
async def a_batch_is_numbered_along_its_rows(lab: Lab) -> None:
    invoices, receipts = lab.repository(Invoice), lab.repository(Receipt)
    number, place = await _next(lab)
    batch = [Invoice(name=name) for name in "zxayb"]
    batch[2:2] = [Invoice(number=1, name="said")]
    stored = (await invoices.add_many(batch)).entities
    assert [each.name for each in stored] == ["z", "x", "said", "a", "y", "b"]
    numbers = [each.number for each in stored]
    assert numbers == [number, number + 5, 1, number + 10, number + 15, number + 20]
    assert [each.place for each in stored] == [place - 2 * each for each in range(6)]
    assert await invoices.find(order_by=Invoice.place.desc()) == list(stored)
    left = (await receipts.add_many([Receipt(id="z"), Receipt(id="a", number=None)])).entities
    assert [(each.number, each.state) for each in left] == [(number + 25, "new"), (None, "new")]
    many = await invoices.add_many([Invoice(name=f"n{each}") for each in range(1_100)])
    first = number + 30
    assert [each.number for each in many.entities] == [first + 5 * each for each in range(1_100)]


@case("SEQUENCE-2", needs=_NEEDS)
async def upserts_are_numbered_in_the_order_given(lab: Lab) -> None:
    invoices, receipts = lab.repository(Invoice), lab.repository(Receipt)
    number, place = await _next(lab)
    made = await invoices.upsert(Invoice(name="m"), on=Invoice.name)
    assert (made.created, made.entity.number, made.entity.place) == (True, number, place)
    met = await invoices.upsert(Invoice(name="m"), on=Invoice.name)
    assert (met.created, met.entity.number, met.entity.place) == (False, number, place - 2)
    several = await invoices.upsert_many([Invoice(name=n) for n in "zma"], on=Invoice.name)
    assert [each.created for each in several] == [True, False, True]
    assert [each.entity.number for each in several] == [number + 10, number, number + 20]
    assert [each.entity.place for each in several] == [place - 4, place - 6, place - 8]
    by_key = await receipts.upsert_many([Receipt(id="b"), Receipt(id="a"), Receipt(id="b")])
    numbers = [each.entity.number for each in by_key]
    assert numbers[1] == number + 30
    assert (await receipts.get_one("b")).number == number + 35  # of two, the later
    async with lab.refused(InvalidValueError) as caught:
        await invoices.upsert(Invoice(name="q"))
    assert caught.error.field == "number"
    async with lab.refused(InvalidValueError):
        await receipts.upsert_many([Receipt(id="q")], on=Receipt.number)


@case("SEQUENCE-3", needs=(*_NEEDS, StoreCapability.TRANSACTIONS))
async def no_number_is_given_twice(lab: Lab) -> None:
    invoices = lab.repository(Invoice)
    number, _ = await _next(lab)
    try:
        async with lab.store.transaction():
            assert (await invoices.add(Invoice(name="gone"))).number == number
            raise LookupError
    except LookupError:
        pass
    kept = await invoices.add(Invoice(name="kept"))
    assert kept.number == number + 5
    async with lab.refused(DuplicateError):
        await invoices.add(Invoice(name="kept"))
    async with lab.store.transaction():
        assert (await invoices.add(Invoice(name="after"))).number == number + 15
    await invoices.delete_where(everything())
    assert (await invoices.add(Invoice(name="again"))).number == number + 20
    if lab.has_snapshots:
        async with lab.refused(TransactionError):
            async with lab.store.transaction(read_only=True):
                await invoices.add(Invoice(name="never"))


@case("SEQUENCE-3", needs=_NEEDS)
async def a_sequence_is_of_its_schema(lab: Lab) -> None:
    number, _ = await _next(lab)
    dockets = lab.repository(Docket)
    first = await dockets.add(Docket())
    second, third = (await dockets.add_many([Docket(), Docket()])).entities
    assert (second.number, third.number) == (first.number + 1, first.number + 2)
    assert (await lab.repository(Receipt).add(Receipt(id="a"))).number == number


@case("SEQUENCE-4", needs=_NEEDS)
async def a_sequence_that_has_run_out_is_told(lab: Lab) -> None:
    seats, invoices = lab.repository(Seat), lab.repository(Invoice)
    taken: list[int] = []
    try:
        while True:
            taken.append((await seats.add(Seat(row="a"))).number)
    except InvalidValueError as error:
        assert (error.entity, error.field) == ("Seat", "number")
    assert taken in ([], [_LAST], [_LAST - 1, _LAST])  # or another case took them
    async with lab.refused(InvalidValueError):
        await seats.add_many([Seat(row="b"), Seat(row="c", number=1)])
    if StoreCapability.TRANSACTIONS in lab.store.capabilities:
        async with lab.store.transaction():
            async with lab.refused(InvalidValueError):
                await seats.add(Seat(row="b"))
            await invoices.add(Invoice(name="goes on"))
        assert await invoices.count() == 1
    assert (await seats.add(Seat(row="b", number=2))).number == 2
