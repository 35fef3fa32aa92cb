"""Checks that only the database knows: those of mapped classes, and those that others added."""

from decimal import Decimal

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from holdfast import Entity, Field, field, generated_key, open_store
from holdfast.errors import CheckError, InvalidValueError
from holdfast.integrations.sqlalchemy import field_of
from servers import execute


class Base(DeclarativeBase):
    pass


class Sale(Base):
    __tablename__ = "checked_sales"
    __table_args__ = (sa.CheckConstraint("total >= 0", name="never_below_nothing"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(50), unique=True)
    total: Mapped[Decimal] = mapped_column(sa.Numeric(8, 2))


class Plain(Entity, table="checked_plain"):
    """Has a check of its own too, which is not to be blamed for another's."""

    id: Field[int] = generated_key()
    total: Field[int] = field(le=1000)


@pytest.fixture(params=["sqlite", "postgresql", "mariadb", "mysql"])
def url(request, tmp_path):
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/store.db?synchronous=normal"
    return request.getfixturevalue(f"{request.param}_url")


async def test_a_check_of_a_mapped_class_is_told_by_its_name(url):
    async with open_store(url, [Sale]) as store:
        await store.drop_schema()
        await store.create_schema()
        sales = store.repository(Sale)
        sold = await sales.add(Sale(name="a", total=Decimal(5)))
        below = {Sale.total: Decimal(-1)}
        writes = {
            "add": sales.add(Sale(name="b", total=Decimal(-1))),
            "add_many": sales.add_many([Sale(name=n, total=Decimal(-1)) for n in "cd"]),
            "upsert": sales.upsert(Sale(name="a", total=Decimal(-1)), on=Sale.name),
            "patch": sales.patch(sold.id, below),
            "increment": sales.patch(sold.id, field_of(Sale.total).increment(Decimal(-6))),
            "update": sales.update(Sale(id=sold.id, name="a", total=Decimal(-1))),
            "update_where": sales.update_where(Sale.name == "a", changes=below),
        }
        for verb, write in writes.items():
            with pytest.raises(CheckError) as refused:
                await write
            assert (refused.value.constraint, refused.value.fields) == (
                "never_below_nothing",
                (),
            ), verb
        assert str(refused.value) == "Sale: the check 'never_below_nothing' does not hold"
        assert [each.total for each in await sales.find()] == [Decimal(5)]


async def test_a_check_that_others_added_is_told_beside_those_of_the_entity(url):
    async with open_store(url, [Plain]) as store:
        await store.drop_schema()
        await store.create_schema()
        rows = store.repository(Plain)
        if url.startswith("sqlite"):
            (made,) = execute(url, "SELECT sql FROM sqlite_master WHERE name = 'checked_plain'")
            execute(url, "DROP TABLE checked_plain", _with_check(made[0]))
        else:
            execute(url, "ALTER TABLE checked_plain ADD CONSTRAINT even CHECK (total % 2 = 0)")
    async with open_store(url, [Plain]) as store:
        rows = store.repository(Plain)
        kept = await rows.add(Plain(total=2))
        for write in (
            rows.add(Plain(total=3)),
            rows.patch(kept.id, Plain.total.to(3)),
            rows.patch(kept.id, Plain.total.increment(1)),
        ):
            with pytest.raises(CheckError) as refused:
                await write
            assert refused.value.constraint == "even"
        with pytest.raises(InvalidValueError) as refused:
            await rows.patch(kept.id, Plain.total.increment(2000))
        assert refused.value.field == "total"


def _with_check(made):
    """The statement *made* of a table, with one check more."""
    head, _, end = made.rpartition(")")
    return f"{head}, CONSTRAINT even CHECK (total % 2 = 0)){end}"
