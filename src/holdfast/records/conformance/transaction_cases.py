"""Transactions: all of it or nothing, and nobody sees the half."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from holdfast.errors import DuplicateError, StaleVersionError, TransactionError
from holdfast.records.conformance.case import case
from holdfast.records.conformance.sample_entities import Author, Setting, Tally
from holdfast.records.driver import StoreCapability
from holdfast.records.expressions.predicates import everything
from holdfast.records.transactions.transaction import Transaction

if TYPE_CHECKING:
    from holdfast.records.conformance.lab import Lab

TRANSACTIONS = (StoreCapability.TRANSACTIONS,)
SAVEPOINTS = (StoreCapability.TRANSACTIONS, StoreCapability.SAVEPOINTS)
SNAPSHOTS = (StoreCapability.TRANSACTIONS, StoreCapability.SNAPSHOTS)


class Oops(Exception):  # noqa: N818 - the name says that it is nobody's error
    """What a block raises when it changes its mind."""


async def _names(lab: Lab) -> str:
    return "".join(each.name for each in await lab.repository(Setting).find())


@case("SCHEMA-1")
async def the_schema_is_made_once_and_dropped_whole(lab: Lab) -> None:
    repository = lab.repository(Setting)
    await repository.add(Setting(name="a"))
    await lab.store.create_schema()
    assert await _names(lab) == "a"
    await lab.store.drop_schema()
    await lab.store.drop_schema()
    await lab.store.create_schema()
    assert await _names(lab) == ""
    await repository.add(Setting(name="b"))
    assert await _names(lab) == "b"


@case("TX-1", needs=TRANSACTIONS)
async def a_transaction_that_ends_well_keeps_all(lab: Lab) -> None:
    settings, tallies = lab.repository(Setting), lab.repository(Tally)
    async with lab.store.transaction():
        await settings.add(Setting(name="a"))
        await tallies.add(Tally(id="t"))
        await tallies.patch("t", Tally.total.increment(5))
    assert await _names(lab) == "a"
    assert (await tallies.get_one("t")).total == 5


@case("TX-1", needs=TRANSACTIONS)
async def a_transaction_that_raises_undoes_all(lab: Lab) -> None:
    settings, authors = lab.repository(Setting), lab.repository(Author)
    await settings.add_many([Setting(name=each) for each in "abc"])
    author = await authors.add(Author(name="x", email="e"))
    before = await lab.contents()
    try:
        async with lab.store.transaction():
            await settings.add(Setting(name="d"))
            await settings.update(Setting(name="a", value="changed"))
            await settings.delete("b")
            await settings.upsert(Setting(name="c", value="changed"))
            await settings.patch("c", Setting.value.to("again"))
            await authors.patch(author.id, Author.name.to("y"), Author.email.to(None))
            await authors.add(Author(name="x", email="e"))
            await settings.delete_where(everything())
            raise Oops
    except Oops:
        pass
    assert await lab.contents() == before
    await authors.add(Author(name="y"))
    try:
        await authors.add(Author(name="z", email="e"))
    except DuplicateError as error:
        assert error.fields == ("email",)
    else:
        raise AssertionError("the rollback forgot that the email is taken")


@case("TX-2", needs=TRANSACTIONS)
async def a_transaction_sees_its_own_writes(lab: Lab) -> None:
    repository = lab.repository(Author)
    old = await repository.add(Author(name="old"))
    async with lab.store.transaction():
        new = await repository.add(Author(name="new"))
        assert await repository.get(new.id) == new
        await repository.patch(old.id, Author.name.to("renamed"))
        assert [each.name for each in await repository.find(order_by=Author.name.asc())] == [
            "new", "renamed",
        ]  # fmt: skip
        assert await repository.count(Author.name == "old") == 0
        again = await repository.add(Author(name="old"))
        try:
            await repository.add(Author(name="new"))
        except DuplicateError:
            pass
        else:
            raise AssertionError("a unique value was given twice in one transaction")
        await repository.delete(again.id)
        page = await repository.page(size=1, total=True)
        assert page.total == 2
        assert [each.id async for each in repository.stream(batch=1)] == sorted([old.id, new.id])


@case("TX-9", "WRITE-1", needs=TRANSACTIONS)
async def a_failed_write_leaves_nothing_in_its_transaction_either(lab: Lab) -> None:
    repository = lab.repository(Author)
    await repository.add(Author(name="taken"))
    async with lab.store.transaction():
        mine = await repository.add(Author(name="mine"))
        before = await repository.find()
        try:
            await repository.add_many([Author(name="a"), Author(name="taken")])
        except DuplicateError:
            pass
        else:
            raise AssertionError("a taken name was taken again")
        vars(mine)["version"] = 7
        try:
            await repository.update(mine)
        except StaleVersionError:
            pass
        else:
            raise AssertionError("a stale version was written")
        assert await repository.find() == before
        result = await repository.add_many([Author(name="taken"), Author(name="b")], atomic=False)
        assert set(result.errors) == {0}
    assert {each.name for each in await repository.find()} == {"taken", "mine", "b"}


@case("TX-3", needs=SAVEPOINTS)
async def a_savepoint_undoes_its_part_and_nothing_else(lab: Lab) -> None:
    settings, authors = lab.repository(Setting), lab.repository(Author)
    async with lab.store.transaction() as tx:
        await settings.add(Setting(name="a", value="before"))
        try:
            async with tx.savepoint():
                await settings.add(Setting(name="b"))
                await settings.update(Setting(name="a", value="inside"))
                await authors.add(Author(name="x"))
                raise Oops
        except Oops:
            pass
        assert await _names(lab) == "a"
        assert (await settings.get_one("a")).value == "before"
        await authors.add(Author(name="x"))
        async with tx.savepoint():
            await settings.add(Setting(name="c"))
        await settings.add(Setting(name="d"))
    assert await _names(lab) == "acd"
    assert await authors.count() == 1


@case("TX-3", "TX-4", needs=SAVEPOINTS)
async def savepoints_nest(lab: Lab) -> None:
    settings = lab.repository(Setting)
    async with lab.store.transaction() as tx:
        await settings.add(Setting(name="a"))
        try:
            async with tx.savepoint():
                await settings.add(Setting(name="b"))
                async with tx.savepoint():
                    await settings.add(Setting(name="c"))
                try:
                    async with tx.savepoint():
                        await settings.delete("a")
                        raise Oops
                except Oops:
                    pass
                assert await _names(lab) == "abc"
                raise Oops
        except Oops:
            pass
        assert await _names(lab) == "a"
        async with tx.savepoint():
            async with tx.savepoint():
                await settings.add(Setting(name="d"))
    assert await _names(lab) == "ad"


@case("TX-4", needs=SAVEPOINTS)
async def a_transaction_inside_another_is_a_part_of_it(lab: Lab) -> None:
    settings = lab.repository(Setting)

    async def pay(name: str, *, fails: bool) -> None:
        async with lab.store.transaction():
            await settings.add(Setting(name=name))
            if fails:
                raise Oops

    async with lab.store.transaction():
        await pay("a", fails=False)
        try:
            await pay("b", fails=True)
        except Oops:
            pass
    assert await _names(lab) == "a"
    try:
        async with lab.store.transaction():
            await pay("c", fails=False)
            raise Oops
    except Oops:
        pass
    assert await _names(lab) == "a", "the outer one decides"


@case("TX-5", needs=TRANSACTIONS)
async def nobody_sees_a_transaction_before_its_end(lab: Lab) -> None:
    settings = lab.repository(Setting)
    await settings.add_many([Setting(name="a", value="old"), Setting(name="b")])

    async def look() -> tuple[str, str | None, int]:
        names = await _names(lab)
        return names, (await settings.get_one("a")).value, await settings.count()

    transaction = lab.store.transaction()
    assert isinstance(transaction, Transaction)
    outside = lab.outside(look)
    async with transaction:
        await settings.add(Setting(name="c"))
        await settings.patch("a", Setting.value.to("new"))
        await settings.delete("b")
        assert await look() == ("ac", "new", 2)
        assert await outside() == ("ab", "old", 2)
    assert await outside() == ("ac", "new", 2)


@case("TX-6", needs=SNAPSHOTS)
async def a_read_only_transaction_keeps_its_view(lab: Lab) -> None:
    settings = lab.repository(Setting)
    await settings.add_many([Setting(name=each, value="old") for each in "abc"])

    async def meddle(step: int) -> None:
        await settings.add(Setting(name=f"new{step}"))
        await settings.upsert(Setting(name="a", value=f"new{step}"))
        await settings.delete("b" if step == 0 else "c")

    outside = [lab.outside(partial(meddle, step)) for step in range(2)]
    async with lab.store.transaction(read_only=True):
        seen = await settings.find()
        await outside[0]()
        assert await settings.find() == seen
        await outside[1]()
        assert await settings.find() == seen
        assert await settings.count() == 3
        assert (await settings.get_one("b")).value == "old"
        assert await settings.count(Setting.value == "old") == 3
        assert await settings.get("new0") is None
    assert await _names(lab) == "anew0new1"


@case("TX-6", needs=SNAPSHOTS)
async def a_view_begins_where_its_transaction_begins(lab: Lab) -> None:
    settings = lab.repository(Setting)
    await settings.add(Setting(name="a"))
    outside = lab.outside(lambda: settings.add(Setting(name="b")))
    async with lab.store.transaction(read_only=True):
        await outside()
        assert await _names(lab) == "a", "what was committed after the start is not seen"


@case("TX-7", needs=SNAPSHOTS)
async def a_read_only_transaction_writes_nothing(lab: Lab) -> None:
    settings = lab.repository(Setting)
    await settings.add(Setting(name="a"))
    for write in (
        lambda: settings.add(Setting(name="b")),
        lambda: settings.update(Setting(name="a", value="x")),
        lambda: settings.upsert(Setting(name="a", value="x")),
        lambda: settings.patch("a", Setting.value.to("x")),
        lambda: settings.delete("a"),
        lambda: settings.delete_where(everything()),
        lambda: settings.update_where(everything(), changes=[Setting.value.to("x")]),
        lambda: settings.add_many([Setting(name="b")], atomic=False),
    ):
        async with lab.refused(TransactionError):
            async with lab.store.transaction(read_only=True):
                await write()
    async with lab.refused(TransactionError):
        async with lab.store.transaction(read_only=True):
            async with lab.store.transaction():
                await settings.add(Setting(name="b"))
    async with lab.store.transaction(read_only=True):
        async with lab.store.transaction(read_only=True):
            assert await _names(lab) == "a"


@case("TX-8", needs=SAVEPOINTS)
async def a_transaction_is_used_inside_its_life(lab: Lab) -> None:
    settings = lab.repository(Setting)
    transaction = lab.store.transaction()
    assert isinstance(transaction, Transaction)
    async with lab.refused(TransactionError):
        async with transaction.savepoint():
            pass
    async with transaction as tx:
        await settings.add(Setting(name="a"))
    async with lab.refused(TransactionError):
        async with tx.savepoint():
            pass
    async with lab.refused(TransactionError):
        async with transaction:
            pass
    await settings.add(Setting(name="b"))
    assert await _names(lab) == "ab"


@case("TX-8", needs=TRANSACTIONS)
async def many_transactions_follow_one_another(lab: Lab) -> None:
    tallies = lab.repository(Tally)
    await tallies.add(Tally(id="t"))
    for number in range(30):
        read_only = lab.has_snapshots and number % 3 == 0
        try:
            async with lab.store.transaction(read_only=read_only):
                if number % 3:
                    await tallies.patch("t", Tally.total.increment(1))
                if number % 2:
                    raise Oops
        except Oops:
            pass
    assert (await tallies.get_one("t")).total == 10


@case("TX-10", needs=TRANSACTIONS)
async def an_isolation_is_kept_or_refused(lab: Lab) -> None:
    tallies = lab.repository(Tally)
    await tallies.add(Tally(id="t"))
    async with lab.store.transaction(isolation="serializable"):
        await tallies.patch("t", Tally.total.increment(1))
        try:
            async with lab.store.transaction(isolation="read committed"):
                pass
        except TransactionError:
            pass
        else:
            raise AssertionError("an isolation was asked for that the outer one does not give")
    assert (await tallies.get_one("t")).total == 1
