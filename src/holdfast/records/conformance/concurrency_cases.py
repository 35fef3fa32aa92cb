"""Many at once: increments add up, one of two versions wins, N upserts make one row."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from holdfast.errors import DuplicateError, StaleVersionError
from holdfast.records.conformance.case import case
from holdfast.records.conformance.sample_entities import Author, Setting, Tally
from holdfast.records.driver import StoreCapability
from holdfast.records.expressions.predicates import everything
from holdfast.records.result_types import Upserted

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from holdfast.records.conformance.lab import Lab

MANY = 100


@case("CONC-1", "WRITE-8")
async def concurrent_increments_add_up(lab: Lab) -> None:
    repository = lab.repository(Tally)
    await repository.add(Tally(id="t"))
    outcomes = await lab.together(
        [lambda: repository.patch("t", Tally.total.increment(1)) for _ in range(MANY)]
    )
    totals = sorted(each.total for each in outcomes if isinstance(each, Tally))
    assert totals == list(range(1, MANY + 1)), "each saw its own sum"
    stored = await repository.get_one("t")
    assert (stored.total, stored.version) == (MANY, MANY + 1)


@case("CONC-2", "UPSERT-2")
async def concurrent_upserts_make_one_row_and_no_error(lab: Lab) -> None:
    repository = lab.repository(Author)
    outcomes = await lab.together(
        [
            partial(repository.upsert, Author(name="one", born=number), on=[Author.name])
            for number in range(MANY)
        ]
    )
    assert all(isinstance(each, Upserted) for each in outcomes), outcomes
    done = [each for each in outcomes if isinstance(each, Upserted)]
    assert sum(each.created for each in done) == 1
    (stored,) = await repository.find()
    assert stored.version == MANY
    assert sorted(each.entity.version for each in done) == list(range(1, MANY + 1))
    assert {each.entity.id for each in done} == {stored.id}


@case("CONC-3", "WRITE-5")
async def of_two_writers_on_one_version_one_wins(lab: Lab) -> None:
    repository = lab.repository(Tally)
    await repository.add(Tally(id="t"))
    copies = [await repository.get_one("t") for _ in range(20)]
    for number, copy in enumerate(copies):
        copy.total = number + 1
    outcomes = await lab.together([partial(repository.update, copy) for copy in copies])
    winners = [each for each in outcomes if isinstance(each, Tally)]
    losers = [each for each in outcomes if isinstance(each, StaleVersionError)]
    assert (len(winners), len(losers)) == (1, len(copies) - 1)
    assert await repository.get_one("t") == winners[0]


@case("CONC-4", "UNIQUE-1")
async def of_many_who_add_one_name_one_does(lab: Lab) -> None:
    repository = lab.repository(Author)
    outcomes = await lab.together([lambda: repository.add(Author(name="one")) for _ in range(MANY)])
    assert sum(isinstance(each, Author) for each in outcomes) == 1
    assert sum(isinstance(each, DuplicateError) for each in outcomes) == MANY - 1
    assert await repository.count() == 1


@case("CONC-5", needs=(StoreCapability.TRANSACTIONS,))
async def concurrent_transactions_lose_no_update(lab: Lab) -> None:
    repository = lab.repository(Tally)
    await repository.add_many([Tally(id="a", total=1000), Tally(id="b")])

    async def transfer() -> None:
        giver, taker = await repository.get_one("a"), await repository.get_one("b")
        giver.total -= 7
        taker.total += 7
        await repository.update(giver)
        await repository.update(taker)

    async def move() -> None:
        # A backend may undo a transaction that clashed, and says so; never may it lose an update.
        await lab.store.retrying(transfer, attempts=200, isolation="serializable")

    async def look() -> None:
        async with lab.store.transaction(read_only=True):
            seen = [each.total for each in await repository.find()]
            assert sum(seen) == 1000, "a half of a move was seen"
            again = await repository.count(Tally.total >= 0)
            assert again == 2

    kinds = (move, look) if lab.has_snapshots else (move,)
    work: list[Callable[[], Coroutine[object, None, None]]] = [
        kinds[each % len(kinds)] for each in range(30 * len(kinds))
    ]
    outcomes = await lab.together(work)
    assert outcomes == [None] * len(work)
    assert [each.total for each in await repository.find()] == [1000 - 210, 210]


@case("CONC-5", needs=(StoreCapability.SNAPSHOTS,))
async def readers_and_writers_do_not_disturb_one_another(lab: Lab) -> None:
    repository = lab.repository(Setting)

    async def write(number: int) -> int:
        await repository.add_many([Setting(name=f"{number}-{each}") for each in range(5)])
        return await repository.delete_where(Setting.name.startswith(f"{number}-"))

    async def read(_number: int) -> int:
        found = await repository.find()
        assert len(found) % 5 == 0, "a half of a batch was seen"
        return 5

    work = (write, read)
    outcomes = await lab.together([partial(work[number % 2], number) for number in range(MANY)])
    assert outcomes == [5] * MANY
    assert await repository.count(everything()) == 0
