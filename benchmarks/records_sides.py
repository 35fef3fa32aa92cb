"""The sides of `records.py`: one API over Holdfast, raw drivers, SQLAlchemy, Advanced Alchemy.

Each has its own file of the same rows, the same index and the same pragmas. Each decodes a row
into an object with UUIDs, aware datetimes and a dict, and commits each write.
"""

from __future__ import annotations

import asyncio
import copy
import sqlite3
import threading
from datetime import UTC, datetime
from queue import SimpleQueue
from uuid import UUID  # noqa: TC003 - the annotations of columns are read at run time

import aiosqlite
import orjson
import records_raw as raw
import sqlalchemy as sa
from advanced_alchemy.base import CommonTableAttributes
from advanced_alchemy.filters import LimitOffset
from advanced_alchemy.repository import SQLAlchemyAsyncRepository
from sqlalchemy.dialects import mysql
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, declared_attr, mapped_column

from holdfast import Entity, Field, created_at, field, key, open_store, updated_at, uuid7, version
from holdfast import sync as blocking


class Video(Entity, table="videos", indexes=[("project_id", "created_at")]):
    id: Field[UUID] = key(default_factory=uuid7)
    project_id: Field[UUID]
    filename: Field[str] = field(max_length=255)
    title: Field[str]
    duration: Field[float]
    width: Field[int]
    height: Field[int]
    size: Field[int]
    attributes: Field[dict[str, object]] = field(default_factory=dict)
    created_at: Field[datetime] = created_at()
    updated_at: Field[datetime] = updated_at()
    version: Field[int] = version()


class Holdfast:
    """Holdfast, async: values checked, copies returned, its own thread for reads and for writes."""

    name = "**Holdfast**"

    async def open(self, path, synchronous):
        self.opening = open_store(f"sqlite:///{path}?synchronous={synchronous}", [Video])
        self.store = await self.opening.__aenter__()
        await self.store.create_schema()
        self.videos = self.store.repository(Video)

    async def close(self):
        await self.opening.__aexit__(None, None, None)

    def make(self, values):
        return Video(**values)

    def renamed(self, video, title):
        changed = copy.copy(video)
        changed.title = title
        return changed

    async def get(self, key):
        return await self.videos.get(key)

    async def find(self, project, shortest, limit):
        return await self.videos.find(
            Video.project_id == project,
            Video.duration >= shortest,
            order_by=Video.created_at.asc(),
            limit=limit,
        )

    async def cursor(self, project, depth):
        found = await self.videos.page(
            Video.project_id == project, order_by=Video.created_at.asc(), size=depth
        )
        return found.next

    async def page(self, project, after, size):
        found = await self.videos.page(
            Video.project_id == project, order_by=Video.created_at.asc(), size=size, cursor=after
        )
        return found.items

    async def count(self, project):
        return await self.videos.count(Video.project_id == project)

    async def add(self, video):
        return await self.videos.add(video)

    async def add_many(self, videos):
        return await self.videos.add_many(videos)

    async def update(self, video):
        return await self.videos.update(video)

    async def upsert_many(self, videos):
        return await self.videos.upsert_many(videos)


class HoldfastSync(Holdfast):
    """Holdfast's blocking API, called on the loop's own thread."""

    name = "**Holdfast, sync**"

    async def open(self, path, synchronous):
        self.opening = blocking.open_store(f"sqlite:///{path}?synchronous={synchronous}", [Video])
        self.store = self.opening.__enter__()
        self.store.create_schema()
        self.videos = Awaited(self.store.repository(Video))

    async def close(self):
        self.opening.__exit__(None, None, None)

    async def get(self, key):
        return self.videos.blocking.get(key)


class Awaited:
    """A blocking repository whose methods can be awaited, for what is shared above."""

    def __init__(self, repository):
        self.blocking = repository

    def __getattr__(self, name):
        method = getattr(self.blocking, name)

        async def call(*args, **options):
            return method(*args, **options)

        return call


class Raw:
    """sqlite3 on the loop's own thread: the limit of a blocking call."""

    name = "sqlite3 inline"

    async def open(self, path, synchronous):
        self.connection = sqlite3.connect(
            path, isolation_level=None, check_same_thread=False, cached_statements=512
        )
        for statement in (*raw.pragmas(synchronous), *raw.SCHEMA):
            self.connection.execute(statement)

    async def close(self):
        self.connection.close()

    def make(self, values):
        return raw.RawVideo(**values, created_at=None, updated_at=None, version=0)

    def renamed(self, video, title):
        changed = copy.copy(video)
        changed.title = title
        return changed

    async def call(self, function, *args):
        return function(self.connection, *args)

    async def get(self, key):
        return await self.call(raw.get, key)

    async def find(self, project, shortest, limit):
        return await self.call(raw.find, project, shortest, limit)

    async def cursor(self, project, depth):
        last = (await self.find(project, 0.0, depth))[-1]
        return last.created_at, last.id

    async def page(self, project, after, size):
        return (await self.call(raw.page, project, after, size))[:size]

    async def count(self, project):
        return await self.call(raw.count, project)

    async def add(self, video):
        return await self.call(raw.add, video)

    async def add_many(self, videos):
        return await self.call(raw.add_many, videos)

    async def update(self, video):
        return await self.call(raw.update, video)

    async def upsert_many(self, videos):
        return await self.call(raw.upsert_many, videos)


class OneHop(Raw):
    """sqlite3 on one thread, a SimpleQueue there and call_soon_threadsafe back."""

    name = "sqlite3, one hop"

    async def open(self, path, synchronous):
        await super().open(path, synchronous)
        self.loop = asyncio.get_running_loop()
        self.calls = SimpleQueue()
        self.thread = threading.Thread(target=self.work, daemon=True)
        self.thread.start()

    async def close(self):
        self.calls.put(None)
        self.thread.join()
        await super().close()

    async def call(self, function, *args):
        future = self.loop.create_future()
        self.calls.put((future, function, args))
        return await future

    def work(self):
        back, connection = self.loop.call_soon_threadsafe, self.connection
        while (call := self.calls.get()) is not None:
            future, function, args = call
            try:
                result = function(connection, *args)
            except Exception as error:  # noqa: BLE001 - handed to the caller
                back(future.set_exception, error)
            else:
                back(future.set_result, result)


class Aiosqlite(Raw):
    """aiosqlite, one connection held, the same statements and codecs as the raw sides."""

    name = "aiosqlite, raw"

    async def open(self, path, synchronous):
        self.connection = await aiosqlite.connect(path, isolation_level=None, cached_statements=512)
        for statement in (*raw.pragmas(synchronous), *raw.SCHEMA):
            await self.connection.execute(statement)

    async def close(self):
        await self.connection.close()

    async def rows(self, statement, values):
        async with self.connection.execute(statement, values) as cursor:
            return await cursor.fetchall()

    async def get(self, key):
        found = raw.decode(await self.rows(raw.GET, (str(key),)))
        return found[0] if found else None

    async def find(self, project, shortest, limit):
        return raw.decode(await self.rows(raw.FIND, (str(project), shortest, limit)))

    async def page(self, project, after, size):
        values = (str(project), raw.text(after[0]), str(after[1]), size + 1)
        return raw.decode(await self.rows(raw.PAGE, values))[:size]

    async def count(self, project):
        return next(iter(await self.rows(raw.COUNT, (str(project),))))[0]

    async def add(self, video):
        now = datetime.now(UTC)
        await self.connection.execute(raw.INSERT, raw.encode(video, now, 1))
        return raw.stored(video, now)

    async def add_many(self, videos):
        now = datetime.now(UTC)
        await self.connection.execute("BEGIN IMMEDIATE")
        await self.connection.executemany(
            raw.INSERT, [raw.encode(video, now, 1) for video in videos]
        )
        await self.connection.execute("COMMIT")
        return [raw.stored(video, now) for video in videos]

    async def update(self, video):
        encoded = raw.encode(video, datetime.now(UTC), video.version + 1)
        values = (*encoded[1:9], *encoded[10:], encoded[0], video.version)
        return raw.decode(await self.rows(raw.UPDATE, values))[0]

    async def upsert_many(self, videos):
        now = datetime.now(UTC)
        await self.connection.execute("BEGIN IMMEDIATE")
        rows = []
        for video in videos:
            rows += await self.rows(raw.UPSERT, raw.encode(video, now, 1))
        await self.connection.execute("COMMIT")
        return raw.decode(rows)


class Moment(sa.types.TypeDecorator):
    """Aware datetimes, kept as UTC."""

    impl = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
    cache_ok = True

    def process_bind_param(self, value, _dialect):
        return None if value is None else value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value, _dialect):
        return None if value is None else value.replace(tzinfo=UTC)


def now():
    return datetime.now(UTC)


class Columns:
    """The columns of the mapped classes."""

    id: Mapped[UUID] = mapped_column(sa.Uuid, primary_key=True, default=uuid7)
    project_id: Mapped[UUID] = mapped_column(sa.Uuid)
    filename: Mapped[str] = mapped_column(sa.String(255))
    title: Mapped[str] = mapped_column(sa.Text)
    duration: Mapped[float] = mapped_column(sa.Double)
    width: Mapped[int]
    height: Mapped[int]
    size: Mapped[int] = mapped_column(sa.BigInteger)
    attributes: Mapped[dict] = mapped_column(sa.JSON)
    created_at: Mapped[datetime] = mapped_column(Moment, default=now)
    updated_at: Mapped[datetime] = mapped_column(Moment, default=now, onupdate=now)
    version: Mapped[int] = mapped_column(default=1)

    __tablename__ = "videos"

    @declared_attr.directive
    def __table_args__(cls):  # noqa: N805
        return (sa.Index("ix_videos", "project_id", "created_at", "id"),)

    @declared_attr.directive
    def __mapper_args__(cls):  # noqa: N805
        return {"version_id_col": cls.__table__.c.version}


class OrmBase(DeclarativeBase):
    pass


class OrmVideo(Columns, OrmBase):
    pass


class AlchemyBase(CommonTableAttributes, DeclarativeBase):
    pass


class AlchemyVideo(Columns, AlchemyBase):
    pass


class AlchemyRepository(SQLAlchemyAsyncRepository[AlchemyVideo]):
    model_type = AlchemyVideo


class Orm:
    """SQLAlchemy's ORM over aiosqlite: a session and a pooled connection for each call."""

    name = "SQLAlchemy ORM"
    mapped = OrmVideo

    async def open(self, path, synchronous):
        self.engine = create_async_engine(
            f"sqlite+aiosqlite:///{path}",
            json_serializer=lambda value: orjson.dumps(value).decode(),
            json_deserializer=orjson.loads,
        )

        @sa.event.listens_for(self.engine.sync_engine, "connect")
        def set_up(connection, _record):
            cursor = connection.cursor()
            for statement in raw.pragmas(synchronous):
                cursor.execute(statement)
            cursor.close()

        async with self.engine.begin() as connection:
            await connection.run_sync(self.mapped.metadata.create_all)
        self.sessions = async_sessionmaker(self.engine, expire_on_commit=False)

    async def close(self):
        await self.engine.dispose()

    def make(self, values):
        return self.mapped(**values)

    def renamed(self, video, title):
        video.title = title
        return video

    def wanted(self, project):
        mapped = self.mapped
        return sa.select(mapped).where(mapped.project_id == project)

    def ordered(self, statement, limit):
        return statement.order_by(self.mapped.created_at, self.mapped.id).limit(limit)

    def beyond(self, after):
        return sa.tuple_(self.mapped.created_at, self.mapped.id) > sa.tuple_(
            sa.literal(after[0], Moment), sa.literal(after[1], sa.Uuid)
        )

    async def get(self, key):
        async with self.sessions() as session:
            return await session.get(self.mapped, key)

    async def all(self, statement):
        async with self.sessions() as session:
            return list((await session.scalars(statement)).all())

    async def find(self, project, shortest, limit):
        statement = self.wanted(project).where(self.mapped.duration >= shortest)
        return await self.all(self.ordered(statement, limit))

    async def cursor(self, project, depth):
        last = (await self.find(project, 0.0, depth))[-1]
        return last.created_at, last.id

    async def page(self, project, after, size):
        statement = self.wanted(project).where(self.beyond(after))
        return (await self.all(self.ordered(statement, size + 1)))[:size]

    async def count(self, project):
        statement = sa.select(sa.func.count()).select_from(self.mapped)
        async with self.sessions() as session:
            return await session.scalar(statement.where(self.mapped.project_id == project))

    async def add(self, video):
        async with self.sessions() as session:
            session.add(video)
            await session.commit()
        return video

    async def add_many(self, videos):
        async with self.sessions() as session:
            session.add_all(videos)
            await session.commit()
        return videos

    async def update(self, video):
        async with self.sessions() as session:
            merged = await session.merge(video)
            await session.commit()
        return merged

    async def upsert_many(self, videos):
        statement = _upsert(self.mapped.__table__).returning(self.mapped)
        async with self.sessions() as session:
            found = await session.scalars(statement, [new_values(video) for video in videos])
            stored = list(found.all())
            await session.commit()
        return stored


def _upsert(table):
    insert = sqlite_insert(table)
    changes = {
        name: insert.excluded[name]
        for name in raw.NAMES
        if name not in ("id", "created_at", "version")
    }
    return insert.on_conflict_do_update(
        index_elements=["id"], set_={**changes, "version": table.c.version + 1}
    )


def new_values(video):
    """Return the column values of a new video, with what the other sides set themselves."""
    moment = now()
    values = {name: getattr(video, name) for name in raw.NAMES[:9]}
    return {**values, "created_at": moment, "updated_at": moment, "version": 1}


class Core(Orm):
    """SQLAlchemy Core over aiosqlite: a pooled connection for each call; rows made into objects."""

    name = "SQLAlchemy Core"
    table = OrmVideo.__table__

    def make(self, values):
        return raw.RawVideo(**values, created_at=None, updated_at=None, version=0)

    def renamed(self, video, title):
        changed = copy.copy(video)
        changed.title = title
        return changed

    def wanted(self, project):
        return sa.select(self.table).where(self.table.c.project_id == project)

    async def all(self, statement):
        async with self.engine.connect() as connection:
            return [raw.RawVideo(*row) for row in await connection.execute(statement)]

    async def get(self, key):
        found = await self.all(sa.select(self.table).where(self.table.c.id == key))
        return found[0] if found else None

    async def count(self, project):
        statement = sa.select(sa.func.count()).select_from(self.table)
        async with self.engine.connect() as connection:
            return await connection.scalar(statement.where(self.table.c.project_id == project))

    async def add(self, video):
        values = new_values(video)
        async with self.engine.begin() as connection:
            await connection.execute(sa.insert(self.table), values)
        return raw.RawVideo(**values)

    async def add_many(self, videos):
        values = [new_values(video) for video in videos]
        async with self.engine.begin() as connection:
            await connection.execute(sa.insert(self.table), values)
        return [raw.RawVideo(**each) for each in values]

    async def update(self, video):
        columns = self.table.c
        values = new_values(video)
        del values["id"], values["created_at"]
        statement = sa.update(self.table).where(
            columns.id == video.id, columns.version == video.version
        )
        statement = statement.values({**values, "version": video.version + 1})
        async with self.engine.begin() as connection:
            found = await connection.execute(statement.returning(*columns))
            return raw.RawVideo(*found.one())

    async def upsert_many(self, videos):
        statement = _upsert(self.table).returning(*self.table.c)
        async with self.engine.begin() as connection:
            found = await connection.execute(statement, [new_values(video) for video in videos])
            return [raw.RawVideo(*row) for row in found]


class AdvancedAlchemy(Orm):
    """Advanced Alchemy's repository over aiosqlite: a session for each call, auto_commit."""

    name = "Advanced Alchemy"
    mapped = AlchemyVideo

    async def get(self, key):
        async with self.sessions() as session:
            return await AlchemyRepository(session=session).get(key)

    async def find(self, project, shortest, limit):
        mapped = self.mapped
        async with self.sessions() as session:
            return await AlchemyRepository(session=session).list(
                mapped.project_id == project,
                mapped.duration >= shortest,
                LimitOffset(limit, 0),
                order_by=[(mapped.created_at, False), (mapped.id, False)],
            )

    async def page(self, project, after, size):
        mapped = self.mapped
        async with self.sessions() as session:
            found = await AlchemyRepository(session=session).list(
                mapped.project_id == project,
                self.beyond(after),
                LimitOffset(size + 1, 0),
                order_by=[(mapped.created_at, False), (mapped.id, False)],
            )
        return found[:size]

    async def count(self, project):
        async with self.sessions() as session:
            return await AlchemyRepository(session=session).count(self.mapped.project_id == project)

    async def add(self, video):
        async with self.sessions() as session:
            return await AlchemyRepository(session=session).add(video, auto_commit=True)

    async def add_many(self, videos):
        async with self.sessions() as session:
            return await AlchemyRepository(session=session).add_many(videos, auto_commit=True)

    async def update(self, video):
        async with self.sessions() as session:
            return await AlchemyRepository(session=session).update(video, auto_commit=True)

    async def upsert_many(self, videos):
        async with self.sessions() as session:
            return await AlchemyRepository(session=session).upsert_many(videos, auto_commit=True)


SIDES = (Holdfast, OneHop, Aiosqlite, Core, Orm, AdvancedAlchemy, HoldfastSync, Raw)
