"""Names of tables and fields that are no plain words of SQL work, or are refused when declared."""

from decimal import Decimal

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from holdfast import Entity, Field, field, generated_key
from holdfast.errors import ConfigurationError
from holdfast.sync import open_store


def entity(table):
    class Thing(Entity, table=table, indexes=[("group",)]):
        id: Field[int] = generated_key()
        order: Field[float] = field(default=0.0)
        group: Field[Decimal] = field(default=Decimal(0), digits=(6, 2), unique=True)
        select: Field[str] = field(default="")
        prix_été: Field[float] = field(default=0.0)  # noqa: PLC2401 - that is what is tried
        values: Field[dict[str, object]] = field(default_factory=dict)

    return Thing


@pytest.fixture(params=["sqlite", "postgresql", "mariadb", "mysql"])
def url(request, tmp_path):
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/names.db"
    return request.getfixturevalue(f"{request.param}_url")


@pytest.mark.parametrize("table", ["order", "Two words-and 1", "Größe", "таблица"])
def test_words_of_sql_are_names_like_others(url, table):
    thing = entity(table)
    with open_store(url, [thing]) as store:
        store.create_schema()
        try:
            things = store.repository(thing)
            made = things.add(
                thing(order=1.5, group=Decimal("2.5"), values={"values": ") VALUES ("})
            )
            given = [thing(group=Decimal(n)) for n in range(3)]
            assert [each.id for each in things.add_many(given).entities] == [2, 3, 4]
            assert (
                things.upsert(thing(group=Decimal("2.5"), select="x"), on=[thing.group]).entity.id
                == made.id
            )
            assert len(things.upsert_many(given, on=[thing.group])) == 3
            assert things.patch(made.id, thing.order.increment(1.0)).order == 1.0
            assert things.find(thing.order > 0, order_by=thing.select.asc())[0].id == made.id
            assert things.delete_where(thing.values["values"].is_null()) == 4
        finally:
            store.drop_schema()


@pytest.mark.parametrize(
    "name", ["%(p0)s", "a%b", 'a"b', "__[POSTCOMPILE_x]", "a\nb", "a`b", "a'b"]
)
def test_a_mapped_column_that_statements_can_not_hold_is_refused(name, tmp_path):
    class Base(DeclarativeBase):
        pass

    class Thing(Base):
        __tablename__ = "things"
        id: Mapped[int] = mapped_column(primary_key=True)
        value: Mapped[int] = mapped_column(name, sa.Integer)

    with (
        pytest.raises(ConfigurationError, match="in its name"),
        open_store(f"sqlite:///{tmp_path}/a.db", [Thing]),
    ):
        pass


def test_a_mapped_column_of_several_words_works(tmp_path):
    class Base(DeclarativeBase):
        pass

    class Thing(Base):
        __tablename__ = "my things"
        id: Mapped[int] = mapped_column(primary_key=True)
        value: Mapped[int] = mapped_column("Price (in €), each.", sa.Integer)

    with open_store(f"sqlite:///{tmp_path}/a.db", [Thing]) as store:
        store.create_schema()
        store.repository(Thing).add(Thing(value=3))
        assert store.repository(Thing).one(Thing.value == 3).value == 3
