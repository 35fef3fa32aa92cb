"""Questions across entities: Holdfast beside SQL by hand, SQLAlchemy and Advanced Alchemy.

    python benchmarks/records_relations.py [--quick] [--url postgresql://...] [--rounds N]

100 projects have 100 videos each. What each side does is said in `NOTES` and in its docstring.
SQLite is measured always; PostgreSQL with --url, or on a server of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import sqlite3
import sys
import tempfile
import threading
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from queue import SimpleQueue
from uuid import UUID

import asyncpg
import sqlalchemy as sa
from advanced_alchemy.base import CommonTableAttributes
from advanced_alchemy.filters import LimitOffset
from advanced_alchemy.repository import SQLAlchemyAsyncRepository
from database_admin import new_database
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, aliased, mapped_column, relationship
from timing import Work, interleave, machine, median, ratio, table

from holdfast import Entity, Field, Many, One, field, key, many, one, open_store, ref

sys.path.insert(0, str(Path(__file__).parents[1]))

from tools.services import lifecycle
from tools.services.postgresql import POSTGRESQL

PROJECTS, EACH, NEWEST, SIZE = 100, 100, 3, 50
START = datetime(2026, 1, 1, tzinfo=UTC)
QUESTIONS = {
    "100 projects with counts": 20,
    "filter by relation": 40,
    "newest 3 of each": 10,
    "page by a related field": 20,
}
TARGETS = [("Holdfast", "by hand", "at most", 1.3), ("ORM", "Holdfast", "at least", 3.0)]
NOTES = """\
100 projects, 10,000 videos, an index over (project_id, created_at). *With counts*: id, name and
number of videos of all projects. *Filter by relation*: the videos of more than 30 s whose project
has a name. *Newest 3 of each*: all projects, and of each the last three videos, in two statements.
*Page*: the 50 videos behind a place in the order of their projects' names, then of their keys.
Every side makes an object of each row, with UUIDs and aware datetimes. By hand: sqlite3 on a thread
of its own, one hop a call, and asyncpg's own pool; the SQL is what an index serves best. The ORM
asks for the newest by a window function, as selectinload takes no limit; Core gives rows, and no
objects. Advanced Alchemy's repository is asked for what it has a verb for, the rest is the ORM's.
Medians over interleaved rounds; a ratio is taken within a round."""


class Project(Entity, table="projects"):
    id: Field[UUID] = key()
    name: Field[str] = field(max_length=100)
    videos: Many[Video] = many(via="project_id")


class Video(Entity, table="videos", indexes=[("project_id", "created_at")]):
    id: Field[UUID] = key()
    project_id: Field[UUID] = ref(Project)
    title: Field[str]
    duration: Field[float]
    created_at: Field[datetime]
    project: One[Project] = one(via="project_id")


def project_rows():
    return [
        {"id": UUID(int=number + 1), "name": f"project {number * 37 % PROJECTS:03}"}
        for number in range(PROJECTS)
    ]


def video_rows():
    return [
        {
            "id": UUID(int=(number * 7919 % (PROJECTS * EACH)) + 1000),
            "project_id": UUID(int=number % PROJECTS + 1),
            "title": f"Crossing {number}, north",
            "duration": number // PROJECTS % 60 + 0.5,
            "created_at": START + timedelta(seconds=number),
        }
        for number in range(PROJECTS * EACH)
    ]


@dataclass(slots=True)
class Made:
    id: UUID
    project_id: UUID
    title: str
    duration: float
    created_at: datetime


class ByHand:
    """SQL written out, and values turned by hand."""

    name = "by hand"
    VIDEO = "v.id, v.project_id, v.title, v.duration, v.created_at"
    COUNTS = (
        "SELECT p.id, p.name, (SELECT count(*) FROM videos v WHERE v.project_id = p.id) "
        "FROM projects p ORDER BY p.id"
    )
    FILTER = (
        f"SELECT {VIDEO} FROM projects p JOIN videos v ON v.project_id = p.id "
        "WHERE p.name = $1 AND v.duration > $2 ORDER BY v.id"
    )
    ALL = "SELECT id, name FROM projects ORDER BY id"
    PAGE = (
        f"SELECT {VIDEO}, p.name FROM videos v JOIN projects p ON p.id = v.project_id "
        "WHERE (p.name, v.id) > ($1, $2) ORDER BY p.name, v.id LIMIT $3"
    )
    NEWEST: str

    async def counts(self):
        return self.named(await self.fetch(self.COUNTS))

    async def filter(self, name):
        return self.made(await self.fetch(self.FILTER, name, 30.0))

    async def newest(self):
        projects = self.named(await self.fetch(self.ALL))
        videos = {key: [] for key, _ in projects}
        for video in self.made(await self.fetch(self.NEWEST, NEWEST)):
            videos[video.project_id].append(video)
        return [(key, name, videos[key]) for key, name in projects]

    async def page(self, place):
        return self.made(await self.fetch(self.PAGE, *self.given(place), SIZE + 1))[:SIZE]


class ByHandSQLite(ByHand):
    FILTER = (
        f"SELECT {ByHand.VIDEO} FROM videos v WHERE v.project_id IN "
        "(SELECT id FROM projects WHERE name = $1) AND v.duration > $2 ORDER BY v.id"
    )
    NEWEST = (
        f"SELECT {ByHand.VIDEO} FROM projects p JOIN videos v ON v.id IN (SELECT x.id "
        "FROM videos x WHERE x.project_id = p.id ORDER BY x.created_at DESC, x.id LIMIT $1) "
        "ORDER BY p.id, v.created_at DESC, v.id"
    )

    async def open(self, url):
        path = url.removeprefix("sqlite:///")
        async with open_store(url, [Project, Video]) as store:
            await store.create_schema()
            await filled(store)
        self.connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self.loop, self.calls = asyncio.get_running_loop(), SimpleQueue()
        threading.Thread(target=self.work, daemon=True).start()

    async def close(self):
        self.calls.put(None)

    def work(self):
        while (call := self.calls.get()) is not None:
            future, sql, values = call
            found = self.connection.execute(sql, values).fetchall()
            self.loop.call_soon_threadsafe(future.set_result, found)
        self.connection.close()

    async def fetch(self, sql, *values):
        future = self.loop.create_future()
        self.calls.put((future, sql, values))
        return await future

    def given(self, place):
        name, key = place
        return name, str(key)

    def named(self, rows):
        return [(UUID(key), *rest) for key, *rest in rows]

    def made(self, rows):
        return [
            Made(UUID(row[0]), UUID(row[1]), row[2], row[3],
                 datetime.fromisoformat(row[4] + "+00:00"))
            for row in rows
        ]  # fmt: skip


class ByHandPostgreSQL(ByHand):
    NEWEST = (
        f"SELECT {ByHand.VIDEO} FROM projects p CROSS JOIN LATERAL (SELECT * FROM videos x WHERE "
        "x.project_id = p.id ORDER BY x.created_at DESC, x.id LIMIT $1) v "
        "ORDER BY p.id, v.created_at DESC, v.id"
    )

    async def open(self, url):
        async with open_store(url, [Project, Video]) as store:
            await store.create_schema()
            await filled(store)
        self.pool = await asyncpg.create_pool(url, min_size=1, max_size=5)

    async def close(self):
        await self.pool.close()

    async def fetch(self, sql, *values):
        async with self.pool.acquire() as connection:
            return await connection.fetch(sql, *values)

    def given(self, place):
        return place

    def named(self, rows):
        return [tuple(row) for row in rows]

    def made(self, rows):
        return [Made(row[0], row[1], row[2], row[3], row[4]) for row in rows]


async def filled(store):
    await store.repository(Project).add_many([Project(**row) for row in project_rows()])
    await store.repository(Video).add_many([Video(**row) for row in video_rows()])


class Holdfast:
    name = "Holdfast"

    async def open(self, url):
        self.stack = AsyncExitStack()
        store = await self.stack.enter_async_context(open_store(url, [Project, Video]))
        await store.create_schema()
        await filled(store)
        self.projects, self.videos = store.repository(Project), store.repository(Video)
        self.order = Video.project[Project.name].asc()
        self.cursors = {}

    async def close(self):
        await self.stack.aclose()

    async def counts(self):
        return await self.projects.select(Project.id, Project.name, Project.videos.count())

    async def filter(self, name):
        return await self.videos.find(
            Video.project.has(Project.name == name), Video.duration > 30.0
        )

    async def newest(self):
        newest = Project.videos.order_by(Video.created_at.desc()).limit(NEWEST)
        found = await self.projects.find(load=[newest])
        return [(each.id, each.name, each.videos) for each in found]

    async def page(self, place):
        return (
            await self.videos.page(order_by=self.order, size=SIZE, cursor=self.cursors[place])
        ).items

    async def place(self, number):
        """Return the cursor *number* pages in, which the other sides know by its values."""
        cursor = None
        for _ in range(number):
            found = await self.videos.page(order_by=self.order, size=SIZE, cursor=cursor)
            cursor = found.next
        last = found.items[-1]
        (name,) = [row["name"] for row in project_rows() if row["id"] == last.project_id]
        self.cursors[name, last.id] = cursor
        return name, last.id


class Moment(sa.types.TypeDecorator):
    """An aware datetime, on SQLite too."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_result_value(self, value, _dialect):
        return value if value.tzinfo is not None else value.replace(tzinfo=UTC)


class Base(CommonTableAttributes, DeclarativeBase): ...


class OrmProject(Base):
    __tablename__ = "projects"
    id: Mapped[UUID] = mapped_column(sa.Uuid(), primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(100))
    videos: Mapped[list[OrmVideo]] = relationship(back_populates="project")


class OrmVideo(Base):
    __tablename__ = "videos"
    __table_args__ = (sa.Index("ix_videos_project", "project_id", "created_at"),)
    id: Mapped[UUID] = mapped_column(sa.Uuid(), primary_key=True)
    project_id: Mapped[UUID] = mapped_column(sa.ForeignKey(OrmProject.id))
    title: Mapped[str]
    duration: Mapped[float]
    created_at: Mapped[datetime] = mapped_column(Moment())
    project: Mapped[OrmProject] = relationship(back_populates="videos")


P, V = OrmProject.__table__.c, OrmVideo.__table__.c
COUNT = sa.select(sa.func.count()).where(V.project_id == P.id).correlate(OrmProject.__table__)
RANKED = sa.select(
    OrmVideo,
    sa.func.row_number()
    .over(partition_by=V.project_id, order_by=(V.created_at.desc(), V.id))
    .label("n"),
).subquery()


class Core:
    """Core's tables and rows, one engine; statements are built for each call, as programs do."""

    name = "Core"

    async def open(self, url):
        scheme, rest = url.split("://", 1)
        driver = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg"}[scheme]
        self.engine = create_async_engine(f"{driver}://{rest}")
        async with self.engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
            await connection.execute(sa.insert(OrmProject.__table__), project_rows())
            await connection.execute(sa.insert(OrmVideo.__table__), video_rows())

    async def close(self):
        await self.engine.dispose()

    async def all(self, statement):
        async with self.engine.connect() as connection:
            return (await connection.execute(statement)).all()

    async def counts(self):
        return await self.all(sa.select(P.id, P.name, COUNT.scalar_subquery()).order_by(P.id))

    async def filter(self, name):
        joined = sa.select(OrmVideo.__table__).join(OrmProject.__table__)
        return await self.all(joined.where(P.name == name, V.duration > 30.0).order_by(V.id))

    async def newest(self):
        projects = await self.all(sa.select(P.id, P.name).order_by(P.id))
        found = {row.id: (row.id, row.name, []) for row in projects}
        newest = (
            sa.select(RANKED).where(RANKED.c.n <= NEWEST).order_by(RANKED.c.project_id, RANKED.c.n)
        )
        for row in await self.all(newest):
            found[row.project_id][2].append(row)
        return list(found.values())

    async def page(self, place):
        return (await self.all(self.paged(OrmVideo.__table__, place)))[:SIZE]

    def paged(self, what, place):
        name, last = place
        joined = sa.select(what).join(OrmProject.__table__)
        behind = sa.tuple_(P.name, V.id) > sa.tuple_(sa.literal(name), sa.literal(last, sa.Uuid()))
        return joined.where(behind).order_by(P.name, V.id).limit(SIZE + 1)


class Orm(Core):
    """A session for each call."""

    name = "ORM"

    async def scalars(self, statement):
        async with AsyncSession(self.engine) as session:
            return (await session.scalars(statement)).all()

    async def counts(self):
        async with AsyncSession(self.engine) as session:
            counted = sa.select(OrmProject, COUNT.scalar_subquery()).order_by(P.id)
            found = (await session.execute(counted)).all()
        return [(project.id, project.name, count) for project, count in found]

    async def filter(self, name):
        has = OrmVideo.project.has(OrmProject.name == name)
        return await self.scalars(
            sa.select(OrmVideo).where(has, OrmVideo.duration > 30.0).order_by(OrmVideo.id)
        )

    async def newest(self):
        newest = aliased(OrmVideo, RANKED)
        async with AsyncSession(self.engine) as session:
            projects = (await session.scalars(sa.select(OrmProject).order_by(OrmProject.id))).all()
            found = {each.id: (each.id, each.name, []) for each in projects}
            chosen = sa.select(newest).where(RANKED.c.n <= NEWEST)
            chosen = chosen.order_by(RANKED.c.project_id, RANKED.c.n)
            for video in (await session.scalars(chosen)).all():
                found[video.project_id][2].append(video)
        return list(found.values())

    async def page(self, place):
        return (await self.scalars(self.paged(OrmVideo, place)))[:SIZE]


class Repository(SQLAlchemyAsyncRepository[OrmVideo]):
    model_type = OrmVideo


class AdvancedAlchemy(Orm):
    """Its repository, made for each call, where it has a verb."""

    name = "AdvancedAlchemy"

    async def filter(self, name):
        async with AsyncSession(self.engine) as session:
            has = OrmVideo.project.has(OrmProject.name == name)
            videos = Repository(session=session)
            return await videos.list(has, OrmVideo.duration > 30.0, order_by=[(OrmVideo.id, False)])

    async def page(self, place):
        async with AsyncSession(self.engine) as session:
            statement = self.paged(OrmVideo, place).limit(None)
            videos = Repository(session=session, statement=statement)
            return list(await videos.list(LimitOffset(SIZE + 1, 0)))[:SIZE]


SIDES = {
    "sqlite": (Holdfast, ByHandSQLite, Core, Orm, AdvancedAlchemy),
    "postgresql": (Holdfast, ByHandPostgreSQL, Core, Orm, AdvancedAlchemy),
}


def works(side, place):
    """Return the work of each question, by its name."""
    name = project_rows()[7]["name"]
    asked = (side.counts, lambda: side.filter(name), side.newest, lambda: side.page(place))

    def work(ask, count):
        async def run(_):
            for _ in range(count):
                await ask()

        return Work(nothing, run, count)

    return {
        question: work(ask, count)
        for (question, count), ask in zip(QUESTIONS.items(), asked, strict=True)
    }


async def nothing():
    return None


def plain(found):
    """Return what was *found* so that all sides' can be compared."""
    if hasattr(found, "duration"):
        return [found.id, found.project_id, found.title, found.duration, found.created_at]
    if isinstance(found, (list, tuple)) or hasattr(found, "_fields"):
        return [plain(each) for each in found]
    return found


async def verify(sides, place):
    """Stop unless all sides find the same."""
    name = project_rows()[7]["name"]
    for ask in (
        lambda side: side.counts(),
        lambda side: side.filter(name),
        lambda side: side.newest(),
        lambda side: side.page(place),
    ):
        first, *others = [(side.name, plain(list(await ask(side)))) for side in sides]
        for name_of, found in others:
            if found != first[1] or not found:
                sys.exit(f"{name_of} does not do the same work: {found[:2]} {first[1][:2]}")


@asynccontextmanager
async def opened(scheme, urls):
    async with AsyncExitStack() as stack:
        sides = []
        for kind in SIDES[scheme]:
            side = kind()
            await side.open(urls())
            stack.push_async_callback(side.close)
            sides.append(side)
        place = await sides[0].place(PROJECTS * EACH // SIZE // 2)
        await verify(sides, place)
        yield {side.name: works(side, place) for side in sides}


async def compare(scheme, urls, rounds):
    async with opened(scheme, urls) as by_side:
        return {
            question: await interleave(
                {name: each[question] for name, each in by_side.items()}, rounds
            )
            for question in QUESTIONS
        }


def report(title, results):
    names = list(next(iter(results.values())))
    print(f"### {title}\n")
    rows = [
        [question]
        + [f"{median(of.wall) * 1e6:,.0f} ({median(of.cpu) * 1e6:,.0f})" for of in by.values()]
        for question, by in results.items()
    ]
    print(table(["µs, wall (CPU)", *names], rows), "\n")
    pairs = [("Holdfast", "by hand"), *((name, "Holdfast") for name in names[2:])]
    rows = [
        [f"{above} / {below}"]
        + [
            f"{ratio(by[above].wall, by[below].wall):.2f} "
            f"({ratio(by[above].cpu, by[below].cpu):.2f})"
            for by in results.values()
        ]
        for above, below in pairs
    ]
    print(table(["wall (CPU)", *results], rows), "\n")
    rows = []
    for above, below, how, bound in TARGETS:
        for question, by in results.items():
            found = ratio(by[above].cpu, by[below].cpu)
            kept = found <= bound if how == "at most" else found >= bound
            rows.append([f"{question}: {above} / {below}", f"{how} {bound}", f"{found:.2f}",
                         "kept" if kept else "**missed**"])  # fmt: skip
    print(table(["target (CPU)", "", "measured", ""], rows), "\n")


def on_postgresql(url, asked):
    with ExitStack() as databases:
        urls = iter([databases.enter_context(new_database(url)) for _ in SIDES["postgresql"]])
        found = asyncio.run(compare("postgresql", lambda: next(urls), asked.rounds))
    report("On PostgreSQL", found)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few rounds: a trial")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--url", help="of a PostgreSQL server on which databases may be made")
    asked = parser.parse_args()
    asked.rounds = asked.rounds or (3 if asked.quick else 15)
    print("## Questions across entities\n")
    print(f"{machine()}, SQLite {sqlite3.sqlite_version}, SQLAlchemy {sa.__version__}\n\n{NOTES}\n")
    with tempfile.TemporaryDirectory() as folder:
        numbers = iter(range(len(SIDES["sqlite"])))
        urls = lambda: f"sqlite:///{folder}/{next(numbers)}.db"  # noqa: E731
        report("On SQLite", asyncio.run(compare("sqlite", urls, asked.rounds)))
    if asked.url:
        on_postgresql(asked.url, asked)
        return
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        try:
            for outcome in lifecycle.start((POSTGRESQL,), Path(folder), fast=True, say=print):
                if outcome.failure is not None:
                    print(f"Skipped: {outcome.failure}\n")
                else:
                    on_postgresql(outcome.urls["postgresql"], asked)
        finally:
            lifecycle.reset((POSTGRESQL,), Path(folder))


if __name__ == "__main__":
    main()
