"""What others wrote into the tables of mapped classes and these can't hold."""

import enum
from decimal import Decimal
from uuid import UUID

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from holdfast.errors import StoredValueError
from holdfast.sync import open_store
from servers import execute


class Rank(enum.Enum):
    LOW = "low"
    HIGH = "high"


class Doubled(sa.TypeDecorator[int]):
    impl = sa.Integer
    cache_ok = True

    def process_bind_param(self, value, dialect):
        return value * 2

    def process_result_value(self, value, dialect):
        if value is not None and value % 2:
            raise ValueError(f"{value} is odd")
        return None if value is None else value // 2


class Base(DeclarativeBase):
    pass


class Thing(Base):
    __tablename__ = "mapped_things"
    id: Mapped[int] = mapped_column(primary_key=True)
    rank: Mapped[Rank] = mapped_column(sa.Enum(Rank, native_enum=False, length=20))
    number: Mapped[int | None]
    text: Mapped[str | None] = mapped_column(sa.String(20))
    data: Mapped[bytes | None]
    flag: Mapped[bool | None]
    price: Mapped[Decimal | None] = mapped_column(sa.Numeric(8, 2))
    token: Mapped[UUID | None]
    twice: Mapped[int | None] = mapped_column(Doubled)


EVERYWHERE = [("rank", "'MIDDLE'"), ("twice", "3")]
ON_SQLITE = [
    ("number", "'abc'"),
    ("number", "1.5"),
    ("text", "X'00'"),
    ("data", "'text'"),
    ("flag", "'yes'"),
    ("price", "'x'"),
    ("token", "'xyz'"),
]
CASES = [("sqlite", *case) for case in (*EVERYWHERE, *ON_SQLITE)]
CASES += [(kind, *case) for kind in ("mariadb", "mysql") for case in EVERYWHERE]
CASES += [("postgresql", *case) for case in (*EVERYWHERE, ("price", "'NaN'"))]


@pytest.mark.parametrize(("kind", "name", "sql"), CASES)
def test_it_is_named(request, tmp_path, kind, name, sql):
    url = f"sqlite:///{tmp_path}/a.db"
    if kind != "sqlite":
        url = request.getfixturevalue(f"{kind}_url")
    with open_store(url, [Thing]) as store:
        store.create_schema()
        try:
            things = store.repository(Thing)
            made = things.add(Thing(rank=Rank.LOW))
            quoted = f"`{name}`" if kind == "mysql" else name  # RANK is a word of its SQL
            execute(url, f"UPDATE mapped_things SET {quoted} = {sql}")
            for work in (
                things.find,
                lambda: things.get(made.id),
                lambda: things.select(getattr(Thing, name)),
            ):
                with pytest.raises(StoredValueError) as caught:
                    work()
                assert (caught.value.entity, caught.value.field) == ("Thing", name)
        finally:
            store.drop_schema()
