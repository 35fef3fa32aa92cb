"""Classes of SQLAlchemy that hooks watch: told through repositories, refused past them."""

import pytest
import sqlalchemy as sa
from sqlalchemy import orm

from holdfast import open_store
from holdfast.audit import AuditHook, AuditLog
from holdfast.errors import UnsupportedError
from holdfast.integrations.sqlalchemy import execute, orm_session

pytestmark = pytest.mark.anyio


class Base(orm.DeclarativeBase):
    pass


class Customer(Base):
    __tablename__ = "watched_customers"
    id: orm.Mapped[int] = orm.mapped_column(sa.BigInteger, primary_key=True, autoincrement=False)
    name: orm.Mapped[str] = orm.mapped_column(sa.String(50))


class Note(Base):
    __tablename__ = "unwatched_notes"
    id: orm.Mapped[int] = orm.mapped_column(sa.BigInteger, primary_key=True, autoincrement=False)


@pytest.fixture
async def store(tmp_path):
    hook = AuditHook(also=[Customer])
    async with open_store(f"sqlite:///{tmp_path}/a.db", [Customer, Note], hooks=[hook]) as store:
        await store.create_schema()
        yield store


async def test_a_mapped_class_is_audited_through_its_repository(store):
    customers, log = store.repository(Customer), AuditLog(store)
    made = await customers.add(Customer(id=7, name="Ada"))
    made.name = "Grace"
    await customers.update(made)
    await customers.patch(7, {Customer.name: "Hedy"})
    verbs = [(each.verb, each.changes["name"]) for each in (await log.history(Customer, 7)).items]
    assert verbs == [
        ("patch", ["Grace", "Hedy"]),
        ("update", ["Ada", "Grace"]),
        ("add", [None, "Ada"]),
    ]


async def test_what_would_write_it_past_the_repository_is_refused_by_name(store):
    await store.repository(Customer).add(Customer(id=7, name="Ada"))
    async with store.transaction() as tx:
        for statement in (
            sa.insert(Customer).values(id=8, name="x"),
            sa.update(Customer).values(name="x"),
            sa.delete(Customer),
        ):
            with pytest.raises(UnsupportedError, match="watched_customers"):
                await execute(tx, statement)
        found = await execute(tx, sa.select(Customer.name))
        assert found.scalars().all() == ["Ada"]
        await execute(tx, sa.insert(Note).values(id=1))
        with pytest.raises(UnsupportedError, match="watched_customers"):
            async with orm_session(tx) as session:
                session.add(Customer(id=9, name="x"))
    assert await store.repository(Customer).count() == 1
    assert await store.repository(Note).count() == 1
