"""Constraints of an entity: bounds, checks, uniques of some rows and without case."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, TypeAlias

from holdfast.errors import CheckError, DuplicateError, InvalidValueError
from holdfast.records.conformance.case import case
from holdfast.records.conformance.constraint_entities import Ticket
from holdfast.records.result_types import Upserted

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from holdfast.records.conformance.lab import Lab
    from holdfast.records.expressions.field_changes import Change

    Write: TypeAlias = Callable[[], Awaitable[object]]


@case("CONSTRAINT-1")
async def a_field_keeps_to_its_bounds_in_every_write(lab: Lab) -> None:
    tickets = lab.repository(Ticket)
    stored = await tickets.add(Ticket(id=1, name="a", priority=10, price=Decimal("0.5")))
    refused: list[tuple[str, Write]] = [
        ("priority", lambda: tickets.add(Ticket(id=2, name="b", priority=11))),
        ("priority", lambda: tickets.add_many([Ticket(id=2, name="b", priority=-1)])),
        ("priority", lambda: tickets.upsert(Ticket(id=1, name="a", priority=-1))),
        ("priority", lambda: tickets.patch(1, Ticket.priority.increment())),
        ("priority", lambda: tickets.update_where(Ticket.id == 1, changes=_more_urgent())),
        ("price", lambda: tickets.patch(1, Ticket.price.increment(Decimal("-0.01")))),
        ("spent", lambda: tickets.add(Ticket(id=2, name="b", spent=timedelta(hours=2)))),
    ]
    async with lab.unchanged():
        for field, write in refused:
            async with lab.refused(InvalidValueError) as caught:
                await write()
            assert (caught.error.entity, caught.error.field) == ("Ticket", field)
        async with lab.refused(InvalidValueError):
            stored.priority = 11
            await tickets.update(stored)
        async with lab.refused(InvalidValueError):
            await tickets.patch(1, Ticket.priority.to(11))
    assert await tickets.count(Ticket.priority < 1000, Ticket.priority > -1000) == 1
    assert (await tickets.patch(1, Ticket.priority.increment(-10))).priority == 0


def _more_urgent() -> list[Change]:
    return [Ticket.priority.increment(5)]


@case("ERR-2", "CONSTRAINT-1", "UNIQUE-1")
async def rows_that_break_different_rules_are_refused_by_one_of_them(lab: Lab) -> None:
    tickets = lab.repository(Ticket)
    await tickets.add_many(
        [Ticket(id=1, name="a"), Ticket(id=2, name="b", priority=10), Ticket(id=3, name="taken")]
    )
    changes: list[Change] = [Ticket.name.to("taken"), Ticket.priority.increment(1)]
    async with lab.unchanged():
        try:
            await tickets.update_where(Ticket.id < 3, changes=changes)
        except (DuplicateError, InvalidValueError) as error:
            assert error.entity == "Ticket"
        else:
            raise AssertionError("neither the taken name nor the priority of 11 was refused")


@case("CONSTRAINT-2")
async def a_check_refuses_a_row_by_its_name(lab: Lab) -> None:
    tickets = lab.repository(Ticket)
    await tickets.add_many([Ticket(id=1, name="a"), Ticket(id=2, name="b", size=3)])
    refused: list[tuple[str, tuple[str, ...], Write]] = [
        ("known_state", ("state",), lambda: tickets.add(Ticket(id=3, name="c", state="odd"))),
        ("known_state", ("state",), lambda: tickets.upsert(Ticket(id=1, name="c", state=""))),
        ("known_state", ("state",), lambda: tickets.patch(1, Ticket.state.to("odd"))),
        # A comparison with a null is false, so a check that asks for more than 0 refuses it.
        ("sized_when_ended", ("state", "size"), lambda: tickets.patch(1, Ticket.state.to("ended"))),
        (
            "sized_when_ended",
            ("state", "size"),
            lambda: tickets.update_where(Ticket.id < 3, changes=Ticket.state.to("ended")),
        ),
    ]
    async with lab.unchanged():
        for name, fields, write in refused:
            async with lab.refused(CheckError) as caught:
                await write()
            assert (caught.error.constraint, caught.error.fields) == (name, fields)
            assert caught.error.entity == "Ticket"
    assert (await tickets.patch(2, Ticket.state.to("ended"))).state == "ended"
    async with lab.refused(CheckError):
        await tickets.patch(2, Ticket.size.to(0))
    assert (await tickets.patch(1, Ticket.state.to("it's 50% \\ done"))).version == 2


@case("CONSTRAINT-3")
async def a_unique_of_some_rows_leaves_the_others_alone(lab: Lab) -> None:
    tickets = lab.repository(Ticket)
    await tickets.add(Ticket(id=1, name="a"))
    await tickets.add_many([Ticket(id=n, name="a", open=False) for n in (2, 3)])
    refused: list[Write] = [
        lambda: tickets.add(Ticket(id=4, name="a")),
        lambda: tickets.patch(2, Ticket.open.to(True)),
        lambda: tickets.update_where(Ticket.id.in_([2, 3]), changes=Ticket.open.to(True)),
    ]
    async with lab.unchanged():
        for write in refused:
            async with lab.refused(DuplicateError) as caught:
                await write()
            assert (caught.error.fields, caught.error.constraint) == (("name",), "open_name")
    await tickets.patch(1, Ticket.open.to(False))
    assert (await tickets.patch(2, Ticket.open.to(True))).open
    outcome = await tickets.add_many(
        [Ticket(id=5, name="b"), Ticket(id=6, name="b"), Ticket(id=7, name="b", open=False)],
        atomic=False,
    )
    (error,) = [each for each in outcome.results if isinstance(each, Exception)]
    assert isinstance(error, DuplicateError)
    assert (error.index, error.constraint) == (1, "open_name")


@case("CONSTRAINT-4")
async def a_unique_without_case_folds_as_the_rules_do(lab: Lab) -> None:
    tickets = lab.repository(Ticket)
    for number, (first, again) in enumerate((("Äpfel", "äPFEL"), ("ΣΊΣΥΦΟΣ", "σίσυφοσ"))):
        await tickets.add(Ticket(id=number * 10, name=f"{number}", email=first))
        async with lab.refused(DuplicateError) as caught:
            await tickets.add(Ticket(id=number * 10 + 1, name=f"{number}x", email=again))
        assert caught.error.fields == ("email",)
    different = ["strasse", "straße", "i", "\u0131", "\u00e9", "e\u0301", None, None, "", " "]
    await tickets.add_many(
        [Ticket(id=100 + n, name=f"d{n}", email=each) for n, each in enumerate(different)]
    )
    # In its own way of writing a row is never in its own way.
    assert (await tickets.patch(0, Ticket.email.to("ÄPFEL"))).email == "ÄPFEL"


@case("CONSTRAINT-5")
async def an_upsert_meets_the_row_of_such_a_unique(lab: Lab) -> None:
    tickets = lab.repository(Ticket)
    first = await tickets.upsert(Ticket(id=1, name="a", size=1), on=Ticket.name)
    assert first.created
    again = await tickets.upsert(Ticket(id=2, name="a", size=2), on=Ticket.name)
    assert (again.created, again.entity.id, again.entity.size) == (False, 1, 2)
    shut = await tickets.upsert(Ticket(id=3, name="a", open=False), on=Ticket.name)
    assert (shut.created, shut.entity.id) == (True, 3)
    made = await tickets.upsert_many(
        [
            Ticket(id=10, name="b", email="Ä"),
            Ticket(id=11, name="c", email="ä", size=5),
            Ticket(id=12, name="d", email="x"),
        ],
        on=Ticket.email,
    )
    assert [each.created for each in made] == [True, False, True]
    met = await tickets.get_one(10)
    assert (met.name, met.email, met.size, met.version) == ("c", "ä", 5, 2)
    async with lab.refused(DuplicateError) as caught:
        await tickets.upsert(Ticket(id=13, name="a", email="y"), on=Ticket.email)
    assert caught.error.constraint == "open_name"


@case("CONSTRAINT-3", "CONSTRAINT-5", "CONC-4")
async def of_several_at_once_one_takes_the_value_of_such_a_unique(lab: Lab) -> None:
    tickets = lab.repository(Ticket)

    def adding(number: int) -> Callable[[], Coroutine[object, None, Ticket]]:
        return lambda: tickets.add(Ticket(id=number, name="a", email="E" if number % 2 else "e"))

    outcomes = await lab.together([adding(number) for number in range(8)])
    refused = [each for each in outcomes if isinstance(each, Exception)]
    assert len(refused) == 7
    assert all(isinstance(each, DuplicateError) for each in refused)

    def upserting(number: int) -> Callable[[], Coroutine[object, None, Upserted[Ticket]]]:
        return lambda: tickets.upsert(Ticket(id=100 + number, name="b"), on=Ticket.name)

    made = await lab.together([upserting(number) for number in range(8)])
    created = [each.created for each in made if isinstance(each, Upserted)]
    assert (len(created), created.count(True)) == (8, 1)
    assert await tickets.count(Ticket.name == "b") == 1
