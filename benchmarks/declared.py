"""A mapped class through a repository, beside the same as an entity and SQLAlchemy's own session.

All three read one row by its key from one SQLite file, decode it and hand out an object; the
session's identity map is emptied before each. Microseconds an operation, the best of several
rounds, single task.
"""

import asyncio
import sys
import tempfile
import time
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy import orm

from holdfast import Entity, Field, generated_key, open_store

ROUNDS, CALLS = 7, 400


class Base(orm.DeclarativeBase):
    pass


class Mapped(Base):
    __tablename__ = "mapped"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    name: orm.Mapped[str]
    age: orm.Mapped[int]
    score: orm.Mapped[float] = orm.mapped_column(sa.Double)


class Own(Entity, table="own"):
    id: Field[int] = generated_key()
    name: Field[str]
    age: Field[int]
    score: Field[float]


async def best(call, calls=CALLS):
    rounds = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        for _ in range(calls):
            await call()
        rounds.append((time.perf_counter() - start) / calls * 1e6)
    return min(rounds)


async def main():
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "store.db"
        async with open_store(f"sqlite:///{path}", [Own, Mapped]) as store:
            await store.create_schema()
            own, mapped = store.repository(Own), store.repository(Mapped)
            for number in range(1000):
                await own.add(Own(name=f"n{number}", age=number, score=0.5))
                await mapped.add(Mapped(name=f"n{number}", age=number, score=0.5))
            engine = sa.create_engine(f"sqlite:///{path}")
            session = orm.Session(engine)

            async def by_session():
                session.expunge_all()
                return session.get(Mapped, 500)

            async def all_by_session():
                session.expunge_all()
                return session.scalars(sa.select(Mapped).where(Mapped.age >= 0)).all()

            one = {
                "entity, repository": await best(lambda: own.get(500)),
                "mapped class, repository": await best(lambda: mapped.get(500)),
                "mapped class, ORM session (blocking, inline)": await best(by_session),
            }
            many = {
                "entity, repository": await best(lambda: own.find(Own.age >= 0), 5),
                "mapped class, repository": await best(lambda: mapped.find(Mapped.age >= 0), 5),
                "mapped class, ORM session (blocking, inline)": await best(all_by_session, 5),
            }
            session.close()
            engine.dispose()
    print(f"SQLAlchemy {sa.__version__}, Python {sys.version.split()[0]}, SQLite")
    print(f"{'':46} {'get':>9} {'find 1000':>10}")
    for name, figure in one.items():
        print(f"{name:46} {figure:9.1f} {many[name]:10.1f}")


if __name__ == "__main__":
    asyncio.run(main())
