"""What an audit costs an update on PostgreSQL: Holdfast beside SQLAlchemy-Continuum.

    python benchmarks/audit.py [--quick] [--url URL] [--rounds N]

Each side updates the same rows, one at a time, each in a transaction of its own, plain and audited.
Without --url it starts servers of its own: one that syncs to disk, and one that does not.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import uuid  # noqa: TC003 - what is mapped is read when the classes are made
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from importlib.metadata import version as version_of
from pathlib import Path

import psycopg
import sqlalchemy as sa
import sqlalchemy_continuum
from database_admin import new_database
from sqlalchemy import orm
from timing import Work, interleave, machine, median, ratio, table

from holdfast import (
    Entity,
    Field,
    created_at,
    field,
    key,
    open_store,
    updated_at,
    uuid7,
    version,
)
from holdfast.audit import AuditEntry, AuditHook, acting_as

sys.path.insert(0, str(Path(__file__).parents[1]))

from tools.services import lifecycle
from tools.services.failure import ServicesError
from tools.services.postgresql import POSTGRESQL

ROWS = 200
NOTES = """\
One row of eight fields is overwritten, two of its fields with new values, and read back as stored;
each write is a transaction of its own. *audited* keeps who did it and the fields from what to what
in the same transaction. Continuum keeps a row of the new values, one of the transaction, and reads
the row before it closes its version. *overhead* is the audited time less the plain one, of the same
side. Where the server syncs, as PostgreSQL does unless told otherwise, the disk is most of a write;
where it does not, what is left is the cost of all else. It runs on the same machine."""


class Fields(Entity):
    id: Field[uuid.UUID] = key(default_factory=uuid7)
    title: Field[str] = field(max_length=200)
    note: Field[str]
    views: Field[int] = field(default=0)
    score: Field[float] = field(default=0.5)
    created_at: Field[datetime] = created_at()
    updated_at: Field[datetime] = updated_at()
    version: Field[int] = version()


class Plain(Fields, table="plain"):
    pass


class Audited(Fields, table="audited", audited=True):
    pass


class Holdfast:
    """A side of Holdfast, with entities of one kind."""

    def __init__(self, store, entity):
        self._repository = store.repository(entity)
        self._made = [entity(title=f"t{n}", note=f"n{n}") for n in range(ROWS)]
        self._turn = 0

    async def fill(self):
        self._made = (await self._repository.add_many(self._made)).entities

    async def update(self, count):
        with acting_as("alice", request="r-1"):
            for number in range(count):
                self._turn += 1
                row = self._made[number % ROWS]
                row.title, row.note = f"title {self._turn}", f"note {self._turn}"
                self._made[number % ROWS] = await self._repository.update(row)


sqlalchemy_continuum.make_versioned(user_cls=None)


class Base(orm.DeclarativeBase):
    pass


class _Columns:
    id: orm.Mapped[uuid.UUID] = orm.mapped_column(primary_key=True, default=uuid7)
    title: orm.Mapped[str] = orm.mapped_column(sa.String(200))
    note: orm.Mapped[str]
    views: orm.Mapped[int] = orm.mapped_column(default=0)
    score: orm.Mapped[float] = orm.mapped_column(default=0.5)
    created_at: orm.Mapped[datetime] = orm.mapped_column(
        sa.DateTime(timezone=True), default=lambda: datetime.now(UTC)
    )
    updated_at: orm.Mapped[datetime] = orm.mapped_column(
        sa.DateTime(timezone=True),
        default=lambda: datetime.now(UTC),
        onupdate=lambda: datetime.now(UTC),
    )


class Unversioned(_Columns, Base):
    __tablename__ = "orm_plain"


class Versioned(_Columns, Base):
    __tablename__ = "orm_audited"
    __versioned__: dict = {}  # noqa: RUF012


orm.configure_mappers()


class Continuum:
    """A side of SQLAlchemy's ORM, blocking, on psycopg: one session for each write."""

    def __init__(self, engine, entity):
        self._sessions = orm.sessionmaker(engine, expire_on_commit=False)
        self._entity = entity
        self._keys = []
        self._turn = 0

    async def fill(self):
        with self._sessions() as session:
            made = [self._entity(title=f"t{n}", note=f"n{n}") for n in range(ROWS)]
            session.add_all(made)
            session.commit()
            self._rows = made
            for row in made:
                session.expunge(row)

    async def update(self, count):
        for number in range(count):
            self._turn += 1
            row = self._rows[number % ROWS]
            with self._sessions() as session:
                session.add(row)
                row.title, row.note = f"title {self._turn}", f"note {self._turn}"
                session.commit()
                session.expunge(row)


@asynccontextmanager
async def sides(url):
    """Yield the sides by name, on a database of their own, and its URL."""
    with new_database(url) as own:
        async with AsyncExitStack() as stack:
            store = await stack.enter_async_context(
                open_store(own, [Plain, Audited], hooks=[AuditHook()])
            )
            await store.create_schema()
            engine = sa.create_engine(own.replace("postgresql://", "postgresql+psycopg://"))
            stack.callback(engine.dispose)
            Base.metadata.create_all(engine)
            made = {
                "Holdfast, plain": Holdfast(store, Plain),
                "Holdfast, audited": Holdfast(store, Audited),
                "SQLAlchemy, plain": Continuum(engine, Unversioned),
                "SQLAlchemy, Continuum": Continuum(engine, Versioned),
            }
            for side in made.values():
                await side.fill()
            yield made, own, store


async def measured(url, asked):
    async with sides(url) as (made, own, store):
        count = ROWS

        def work(side):
            async def prepare():
                return None

            async def run(_):
                await side.update(count)

            return Work(prepare, run, count)

        taken = await interleave({name: work(side) for name, side in made.items()}, asked.rounds)
        entries = await store.repository(AuditEntry).count()
        writes = (asked.rounds + 1) * count
        with psycopg.connect(own, autocommit=True) as connection:

            def size(*tables):
                names = [f"pg_total_relation_size('{name}')" for name in tables]
                return connection.execute(f"SELECT {' + '.join(names)}").fetchone()[0]

            ours = size("audit_entries") / entries
            theirs = size("orm_audited_version", "transaction") / (writes + ROWS)
        return taken, ours, theirs


def report(url, asked, syncs="is the one given"):
    taken, ours, theirs = asyncio.run(measured(url, asked))
    print(f"## Audit on PostgreSQL, a server that {syncs}: {asked.rounds} rounds of {ROWS}\n")
    peers = ", ".join(
        f"{name} {version_of(name)}"
        for name in ("asyncpg", "psycopg", "sqlalchemy", "sqlalchemy-continuum")
    )
    print(f"{machine()}, {peers}\n\n{NOTES}\n")
    rows = [
        [name, f"{median(each.wall) * 1e6:.0f}", f"{median(each.cpu) * 1e6:.0f}"]
        for name, each in taken.items()
    ]
    print(table(["update", "wall µs", "client CPU µs"], rows), "\n")
    plain, audited, theirs_plain, versioned = taken.values()

    def overhead(one, other, kind):
        pairs = zip(getattr(one, kind), getattr(other, kind), strict=True)
        return median([(above - below) * 1e6 for above, below in pairs])

    figures = []
    for kind, name in (("wall", "wall time"), ("cpu", "client CPU")):
        ours_more, theirs_more = (
            overhead(audited, plain, kind),
            overhead(versioned, theirs_plain, kind),
        )
        ours_ratio = ratio(getattr(audited, kind), getattr(plain, kind))
        theirs_ratio = ratio(getattr(versioned, kind), getattr(theirs_plain, kind))
        times = f"{theirs_more / max(ours_more, 1):.1f}"
        more = [f"{ours_more:.0f}", f"{theirs_more:.0f}", times]
        figures.append([name, f"{ours_ratio:.2f}", f"{theirs_ratio:.2f}", *more])
    head = [
        "", "Holdfast, audited / plain (at most 1.25)", "Continuum / plain",
        "overhead of Holdfast, µs", "of Continuum, µs", "times less (at least 5)",
    ]  # fmt: skip
    print(table(head, figures), "\n")
    storage = [
        ["Holdfast", f"{ours:.0f}"],
        ["SQLAlchemy-Continuum", f"{theirs:.0f}"],
    ]
    print(table(["bytes on disk for a change, indexes included", ""], storage), "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few rounds: a trial")
    parser.add_argument("--url", help="a server to measure on")
    parser.add_argument("--rounds", type=int)
    asked = parser.parse_args()
    asked.rounds = asked.rounds or (2 if asked.quick else 15)
    if asked.url:
        report(asked.url, asked)
        return
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        try:
            for fast in (False, True):
                (outcome,) = lifecycle.start((POSTGRESQL,), Path(folder), fast=fast, say=print)
                if outcome.failure is not None:
                    print(f"## Audit\n\nSkipped: {outcome.failure}\n")
                    return
                syncs = "does not sync to disk" if fast else "syncs each commit to disk"
                report(outcome.urls["postgresql"], asked, syncs)
                lifecycle.reset((POSTGRESQL,), Path(folder))
        except ServicesError as error:
            sys.exit(str(error))
        finally:
            lifecycle.reset((POSTGRESQL,), Path(folder))


if __name__ == "__main__":
    main()
