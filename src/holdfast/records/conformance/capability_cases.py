"""What a backend lacks it refuses, and leaves nothing of what came before the refusal."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from holdfast.errors import UnsupportedError
from holdfast.records.conformance.case import Case, case
from holdfast.records.conformance.sample_entities import (
    MOMENT,
    Article,
    Author,
    Book,
    Invoice,
    Receipt,
    Setting,
    Specimen,
    Tally,
)
from holdfast.records.driver import StoreCapability
from holdfast.records.entities.class_adapter import (
    ArgumentTranslator,
    ClassAdapter,
    InstanceAdapter,
)
from holdfast.records.entities.declaration import key as declared_key
from holdfast.records.entities.entity import Entity
from holdfast.records.entities.field import Field, count
from holdfast.records.entities.model import Model
from holdfast.records.expressions.predicates import everything
from holdfast.records.store import Store
from holdfast.records.values.field_spec import Declaration, FieldSpec
from holdfast.records.values.value import Bounds, value_type

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


def _mapped_class() -> type:
    """Return a class with a model as an adapter makes it; nothing of it is asked but that."""

    class Mapped:
        pass

    key = FieldSpec("id", 0, value_type(int, Bounds()), Declaration("key"), None)
    unused = ClassAdapter(cast("InstanceAdapter", None), cast("ArgumentTranslator", None))
    model = Model(Mapped, "Mapped", "mapped", (key,), (), (), {}, unused)
    type.__setattr__(Mapped, "__holdfast__", model)
    return Mapped


@case("CAP-1")
async def mapped_classes_are_refused(lab: Lab) -> None:
    async with lab.refused(UnsupportedError) as caught:
        Store(lab.store.driver, [_mapped_class()])
    assert caught.error.capability


@case("CAP-1")
async def another_librarys_statements_are_refused(lab: Lab) -> None:
    async with lab.refused(UnsupportedError) as caught:
        async with lab.store.transaction() as tx:
            await lab.repository(Setting).add(Setting(name="a"))
            assert tx.lender
    assert caught.error.capability


@case("CAP-1", "VIEW-1")
async def views_are_refused(lab: Lab) -> None:
    class Seen(Entity, table="conformance_seen", view=True):
        id: Field[int] = declared_key()

    async with lab.refused(UnsupportedError) as caught:
        Store(lab.store.driver, [Seen])
    assert caught.error.capability


@case("CAP-1", "SEQUENCE-1")
async def sequences_are_refused(lab: Lab) -> None:
    for entity in (Invoice, Receipt):
        async with lab.refused(UnsupportedError) as caught:
            Store(lab.store.driver, [entity])
        assert caught.error.capability


@case("CAP-1", "LOCK-1")
async def row_locks_are_refused(lab: Lab) -> None:
    await lab.repository(Setting).add(Setting(name="a"))
    for read in (
        lambda: lab.repository(Setting).get("a", lock="update"),
        lambda: lab.repository(Setting).find(lock="update", skip_locked=True),
    ):
        async with lab.refused(UnsupportedError) as caught:
            async with lab.store.transaction():
                await lab.repository(Setting).add(Setting(name="b"))
                await read()
        assert caught.error.capability


@case("CAP-1")
async def full_text_search_is_refused(lab: Lab) -> None:
    async with lab.refused(UnsupportedError) as caught:
        Store(lab.store.driver, [Article])
    assert caught.error.capability


@case("CAP-1", "EXPR-1")
async def expressions_are_refused(lab: Lab) -> None:
    try:
        await lab.repository(Tally).find(Tally.total < Tally.maybe)
    except UnsupportedError as error:  # or what says it of classes that a library maps
        assert error.capability
    else:
        raise AssertionError("expressions were not refused")


@case("CAP-1", "GROUP-3")
async def percentiles_are_refused(lab: Lab) -> None:
    await lab.repository(Tally).add(Tally(id="a", ratio=1.0))
    async with lab.refused(UnsupportedError) as caught:
        await lab.repository(Tally).aggregate(Tally.ratio.percentile(0.5))
    assert caught.error.capability


@case("CAP-1", "GROUP-4")
async def zones_are_refused(lab: Lab) -> None:
    specimens = lab.repository(Specimen)
    await specimens.add(Specimen())
    day = Specimen.moment.truncated("day", zone="Europe/Athens")
    for read in (
        lambda: specimens.aggregate(count(), by=day),
        lambda: specimens.find(day == MOMENT.date()),
        lambda: specimens.select(day),
    ):
        async with lab.refused(UnsupportedError) as caught:
            await read()
        assert caught.error.capability


@case("CAP-1")
async def read_only_transactions_are_refused(lab: Lab) -> None:
    await lab.repository(Setting).add(Setting(name="a"))
    async with lab.refused(UnsupportedError) as caught:
        async with lab.store.transaction(read_only=True):
            await lab.repository(Setting).find()
    assert caught.error.capability


@case("CAP-1")
async def queries_in_serializable_transactions_are_refused(lab: Lab) -> None:
    await lab.repository(Setting).add(Setting(name="a"))
    async with lab.refused(UnsupportedError) as caught:
        async with lab.store.transaction(isolation="serializable"):
            await lab.repository(Setting).patch("a", Setting.value.to("b"))
            await lab.repository(Setting).count(Setting.value == "b")
    assert caught.error.capability


@case("CAP-1", "WRITE-1")
async def writes_of_many_rows_are_refused(lab: Lab) -> None:
    repository = lab.repository(Author)
    await repository.add_many([Author(name=f"n{each}") for each in range(150)], atomic=False)
    for write in (
        lambda: repository.add_many([Author(name=f"m{each}") for each in range(2600)]),
        lambda: repository.upsert_many([Author(name=f"m{each}") for each in range(2600)]),
        lambda: repository.update_where(everything(), changes=[Author.born.to(1)]),
        lambda: repository.delete_where(everything()),
    ):
        async with lab.refused(UnsupportedError) as caught:
            await write()
        assert caught.error.capability


REFUSALS: dict[StoreCapability, Case] = {
    StoreCapability.TRANSACTIONS: transactions_are_refused,
    StoreCapability.SAVEPOINTS: savepoints_are_refused,
    StoreCapability.GENERATED_KEYS: generated_keys_are_refused,
    StoreCapability.MAPPED_CLASSES: mapped_classes_are_refused,
    StoreCapability.SQL_STATEMENTS: another_librarys_statements_are_refused,
    StoreCapability.VIEWS: views_are_refused,
    StoreCapability.SEQUENCES: sequences_are_refused,
    StoreCapability.ROW_LOCKS: row_locks_are_refused,
    StoreCapability.EXPRESSIONS: expressions_are_refused,
    StoreCapability.FULL_TEXT: full_text_search_is_refused,
    StoreCapability.PERCENTILES: percentiles_are_refused,
    StoreCapability.TIME_ZONES: zones_are_refused,
    StoreCapability.SNAPSHOTS: read_only_transactions_are_refused,
    StoreCapability.SERIALIZABLE_QUERIES: queries_in_serializable_transactions_are_refused,
    StoreCapability.LARGE_WRITES: writes_of_many_rows_are_refused,
}
