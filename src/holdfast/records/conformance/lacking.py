"""What a backend lacks it refuses, and leaves nothing of what came before the refusal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.errors import UnsupportedError
from holdfast.records.conformance.case import Capability, Case, case
from holdfast.records.conformance.entities import Author, Book, Setting

if TYPE_CHECKING:
    from holdfast.records.conformance.lab import Lab


@case("CAP-1")
async def transactions_are_refused(lab: Lab) -> None:
    async with lab.refused(UnsupportedError) as caught:
        async with lab.store.transaction():
            await lab.repository(Setting).add(Setting(name="a"))
    assert caught.error.capability


@case("CAP-1")
async def savepoints_are_refused(lab: Lab) -> None:
    async with lab.refused(UnsupportedError) as caught:
        async with lab.store.transaction() as tx:
            await lab.repository(Setting).add(Setting(name="a"))
            async with tx.savepoint():
                await lab.repository(Setting).add(Setting(name="b"))
    assert caught.error.capability


@case("CAP-1")
async def generated_keys_are_refused(lab: Lab) -> None:
    author = await lab.repository(Author).add(Author(name="a"))
    async with lab.refused(UnsupportedError) as caught:
        await lab.repository(Book).add(Book(title="b", author_id=author.id))
    assert caught.error.capability


REFUSALS: dict[Capability, Case] = {
    Capability.TRANSACTIONS: transactions_are_refused,
    Capability.SAVEPOINTS: savepoints_are_refused,
    Capability.GENERATED_KEYS: generated_keys_are_refused,
}
