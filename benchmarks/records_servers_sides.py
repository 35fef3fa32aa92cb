"""The sides of `records_servers.py`: one API over Holdfast, raw drivers, SQLAlchemy and others.

Each has a database of its own with the same rows and the same index, and a pool of the same size.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from urllib.parse import urlsplit

import asyncmy
import asyncpg
import orjson
import records_raw as raw
import records_sides as sides
import sqlalchemy as sa
from asyncmy.constants import CLIENT
from sqlalchemy.dialects import mysql, postgresql
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine

from holdfast import open_store
from holdfast import sync as blocking
from holdfast.uuid7 import uuid_from_int

CONNECTIONS = 15
_COLUMNS = raw.NAMES
_WRITTEN = tuple(name for name in _COLUMNS if name not in ("id", "created_at"))


class Holdfast(sides.Holdfast):
    async def open(self, url, _):
        options = f"pool_size={CONNECTIONS}&max_overflow=0"
        self.opening = open_store(f"{url}?{options}", [sides.Video])
        self.store = await self.opening.__aenter__()
        await self.store.create_schema()
        self.videos = self.store.repository(sides.Video)


class HoldfastSync(sides.HoldfastSync):
    async def open(self, url, _):
        self.opening = blocking.open_store(url, [sides.Video])
        self.store = self.opening.__enter__()
        self.store.create_schema()
        self.videos = sides.Awaited(self.store.repository(sides.Video))


class Thin(sides.Raw):
    """A driver's connections in a stack behind a semaphore: the least that a pool can be."""

    async def open(self, url, _):
        self.place = urlsplit(url)
        self.free = asyncio.Semaphore(CONNECTIONS)
        self.idle = []
        await self.set_up()

    async def take(self):
        await self.free.acquire()
        return self.idle.pop() if self.idle else await self.connect()

    def give(self, connection):
        self.idle.append(connection)
        self.free.release()

    async def call(self, function, *args):
        connection = await self.take()
        try:
            return await function(connection, *args)
        finally:
            self.give(connection)

    async def get(self, key):
        found = await self.call(self.rows, self.GET, self.key(key))
        return found[0] if found else None

    async def find(self, project, shortest, limit):
        return await self.call(self.rows, self.FIND, self.key(project), shortest, limit)

    async def page(self, project, after, size):
        moment, key = after
        values = (self.key(project), self.moment(moment), self.key(key), size + 1)
        return (await self.call(self.rows, self.PAGE, *values))[:size]

    async def add(self, video):
        now = datetime.now(UTC)
        await self.call(self.run, self.INSERT, *self.encode(video, now, 1))
        return raw.stored(video, now)

    def changed(self, video):
        values = dict(zip(_COLUMNS, self.encode(video, datetime.now(UTC), 0), strict=True))
        values["version"] = video.version + 1
        return [*(values[name] for name in _WRITTEN), self.key(video.id), video.version]


class Asyncpg(Thin):
    """asyncpg: prepared statements, UUIDs and JSON by the fastest codecs known."""

    name = "asyncpg, thin pool"
    GET = f"SELECT {raw.COLUMNS} FROM videos WHERE id = $1"
    FIND = (
        f"SELECT {raw.COLUMNS} FROM videos WHERE project_id = $1 AND duration >= $2 "
        "ORDER BY created_at, id LIMIT $3"
    )
    PAGE = (
        f"SELECT {raw.COLUMNS} FROM videos WHERE project_id = $1 AND (created_at, id) > ($2, $3) "
        "ORDER BY created_at, id LIMIT $4"
    )
    COUNT = "SELECT count(*) FROM videos WHERE project_id = $1"
    INSERT = (
        f"INSERT INTO videos ({raw.COLUMNS}) "
        f"VALUES ({', '.join(f'${n}' for n in range(1, len(_COLUMNS) + 1))})"
    )
    UPDATE = (
        f"UPDATE videos SET {', '.join(f'{n} = ${i}' for i, n in enumerate(_WRITTEN, 1))} "
        f"WHERE id = ${len(_WRITTEN) + 1} AND version = ${len(_WRITTEN) + 2} "
        f"RETURNING {raw.COLUMNS}"
    )
    UPSERT = (
        f"INSERT INTO videos ({raw.COLUMNS}) SELECT * FROM unnest($1::uuid[], $2::uuid[], "
        "$3::text[], $4::text[], $5::float8[], $6::int8[], $7::int8[], $8::int8[], $9::json[], "
        "$10::timestamptz[], $11::timestamptz[], $12::int8[]) ON CONFLICT (id) DO UPDATE SET "
        + ", ".join(f"{n} = excluded.{n}" for n in _WRITTEN if n != "version")
        + f", version = videos.version + 1 RETURNING {', '.join(f'videos.{n}' for n in _COLUMNS)}"
    )

    async def connect(self):
        connection = await asyncpg.connect(
            host=self.place.hostname, port=self.place.port, user=self.place.username,
            database=self.place.path[1:], statement_cache_size=500,
        )  # fmt: skip
        await self.prepare(connection)
        return connection

    async def prepare(self, connection):
        await connection.set_type_codec(
            "json", schema="pg_catalog", format="binary", encoder=str.encode, decoder=orjson.loads
        )
        await connection.set_type_codec(
            "uuid", schema="pg_catalog", format="binary", encoder=lambda value: value.bytes,
            decoder=lambda data: uuid_from_int(int.from_bytes(data, "big")),
        )  # fmt: skip

    async def set_up(self):
        connection = await self.connect()
        await connection.execute(
            "CREATE TABLE videos (id uuid PRIMARY KEY, project_id uuid NOT NULL, "
            'filename text COLLATE "C" NOT NULL, title text COLLATE "C" NOT NULL, '
            "duration float8 NOT NULL, width bigint NOT NULL, height bigint NOT NULL, "
            "size bigint NOT NULL, attributes json NOT NULL, created_at timestamptz NOT NULL, "
            "updated_at timestamptz NOT NULL, version bigint NOT NULL);"
            "CREATE INDEX ON videos (project_id, created_at, id)"
        )
        self.idle.append(connection)

    async def close(self):
        for each in self.idle:
            await each.close()

    key = moment = staticmethod(lambda value: value)

    async def rows(self, connection, sql, *values):
        return [raw.RawVideo(*row) for row in await connection.fetch(sql, *values)]

    async def run(self, connection, sql, *values):
        await connection.execute(sql, *values)

    async def count(self, project):
        return await self.call(lambda connection: connection.fetchval(self.COUNT, project))

    def encode(self, video, now, version):
        return (
            video.id, video.project_id, video.filename, video.title, video.duration, video.width,
            video.height, video.size, orjson.dumps(video.attributes).decode(), now, now, version,
        )  # fmt: skip

    async def update(self, video):
        return (await self.call(self.rows, self.UPDATE, *self.changed(video)))[0]

    async def add_many(self, videos):
        now = datetime.now(UTC)
        records = [self.encode(video, now, 1) for video in videos]

        async def copy(connection):
            await connection.copy_records_to_table("videos", records=records, columns=_COLUMNS)

        await self.call(copy)
        return [raw.stored(video, now) for video in videos]

    async def upsert_many(self, videos):
        now = datetime.now(UTC)
        columns = zip(*(self.encode(video, now, 1) for video in videos), strict=True)
        return await self.call(self.rows, self.UPSERT, *columns)


class AsyncpgPool(Asyncpg):
    """asyncpg's own pool, which resets a session each time it comes back."""

    name = "asyncpg, its pool"

    async def set_up(self):
        await super().set_up()
        self.pool = await asyncpg.create_pool(
            host=self.place.hostname, port=self.place.port, user=self.place.username,
            database=self.place.path[1:], statement_cache_size=500,
            min_size=1, max_size=CONNECTIONS, init=self.prepare,
        )  # fmt: skip

    async def call(self, function, *args):
        async with self.pool.acquire() as connection:
            return await function(connection, *args)

    async def close(self):
        await self.pool.close()
        await super().close()


class Asyncmy(Thin):
    """asyncmy: one message for an update and the row it leaves."""

    name = "asyncmy, thin pool"
    GET = f"SELECT {raw.COLUMNS} FROM videos WHERE id = %s"
    FIND = (
        f"SELECT {raw.COLUMNS} FROM videos WHERE project_id = %s AND duration >= %s "
        "ORDER BY created_at, id LIMIT %s"
    )
    PAGE = (
        f"SELECT {raw.COLUMNS} FROM videos WHERE project_id = %s AND "
        "(created_at > %s OR created_at = %s AND id > %s) ORDER BY created_at, id LIMIT %s"
    )
    COUNT = "SELECT count(*) FROM videos WHERE project_id = %s"
    ROW = f"({', '.join(['%s'] * len(_COLUMNS))})"
    INSERT = f"INSERT INTO videos ({raw.COLUMNS}) VALUES {ROW}"
    UPDATE = (
        f"START TRANSACTION; UPDATE videos SET {', '.join(f'{n} = %s' for n in _WRITTEN)} "
        f"WHERE id = %s AND version = %s; {GET}; COMMIT"
    )
    UPSERT = (
        " ON DUPLICATE KEY UPDATE "
        + ", ".join(f"{n} = VALUES({n})" for n in _WRITTEN if n != "version")
        + f", version = version + 1 RETURNING {raw.COLUMNS}"
    )

    DOCUMENT, COLLATION = "LONGTEXT", "utf8mb4_nopad_bin"

    async def connect(self):
        return await asyncmy.connect(
            host=self.place.hostname, port=self.place.port, user=self.place.username,
            db=self.place.path[1:], charset="utf8mb4", autocommit=True,
            client_flag=CLIENT.FOUND_ROWS,
        )  # fmt: skip

    async def set_up(self):
        connection = await self.connect()
        cursor = connection.cursor()
        table = (
            "CREATE TABLE videos (id BINARY(16) PRIMARY KEY, project_id BINARY(16) NOT NULL, "
            "filename VARCHAR(255) NOT NULL, title LONGTEXT NOT NULL, duration DOUBLE NOT NULL, "
            "width BIGINT NOT NULL, height BIGINT NOT NULL, size BIGINT NOT NULL, "
            f"attributes {self.DOCUMENT} NOT NULL, created_at DATETIME(6) NOT NULL, "
            "updated_at DATETIME(6) NOT NULL, version BIGINT NOT NULL) "
            f"CHARACTER SET utf8mb4 COLLATE {self.COLLATION}"
        )
        index = "CREATE INDEX ix_videos ON videos (project_id, created_at, id)"
        await cursor.execute(f"{table}; {index}")
        await cursor.nextset()
        self.idle.append(connection)

    async def close(self):
        for each in self.idle:
            await each.ensure_closed()

    def key(self, value):
        return value.bytes

    def moment(self, value):
        return value.replace(tzinfo=None)

    def decode(self, rows):
        uuid, number, load = uuid_from_int, int.from_bytes, orjson.loads
        return [
            raw.RawVideo(
                uuid(number(a, "big")), uuid(number(b, "big")), c, d, e, f, g, h, load(i),
                j.replace(tzinfo=UTC), k.replace(tzinfo=UTC), m,
            )
            for a, b, c, d, e, f, g, h, i, j, k, m in rows
        ]  # fmt: skip

    async def rows(self, connection, sql, *values):
        cursor = connection.cursor()
        await cursor.execute(sql, values)
        return self.decode(await cursor.fetchall())

    async def run(self, connection, sql, *values):
        await connection.cursor().execute(sql, values)

    async def page(self, project, after, size):
        moment, key = self.moment(after[0]), self.key(after[1])
        values = (self.key(project), moment, moment, key, size + 1)
        return (await self.call(self.rows, self.PAGE, *values))[:size]

    async def count(self, project):
        async def counted(connection):
            cursor = connection.cursor()
            await cursor.execute(self.COUNT, (project.bytes,))
            return (await cursor.fetchall())[0][0]

        return await self.call(counted)

    def encode(self, video, now, version):
        now = now.replace(tzinfo=None)
        return (
            video.id.bytes, video.project_id.bytes, video.filename, video.title, video.duration,
            video.width, video.height, video.size, orjson.dumps(video.attributes).decode(),
            now, now, version,
        )  # fmt: skip

    async def update(self, video):
        async def changed(connection):
            cursor = connection.cursor()
            await cursor.execute(self.UPDATE, (*self.changed(video), video.id.bytes))
            await cursor.nextset()
            assert cursor.rowcount == 1
            await cursor.nextset()
            rows = await cursor.fetchall()
            await cursor.nextset()
            return self.decode(rows)[0]

        return await self.call(changed)

    def many(self, videos, now):
        rows = [self.encode(video, now, 1) for video in videos]
        groups = ", ".join([self.ROW] * len(rows))
        sql = f"INSERT INTO videos ({raw.COLUMNS}) VALUES {groups}"
        return sql, [value for row in rows for value in row]

    async def add_many(self, videos):
        now = datetime.now(UTC)
        sql, values = self.many(videos, now)
        await self.call(self.run, sql, *values)
        return [raw.stored(video, now) for video in videos]

    async def upsert_many(self, videos):
        sql, values = self.many(videos, datetime.now(UTC))
        return await self.call(self.rows, sql + self.UPSERT, *values)


class AsyncmyPool(Asyncmy):
    name = "asyncmy, its pool"

    async def set_up(self):
        await super().set_up()
        self.pool = await asyncmy.create_pool(
            host=self.place.hostname, port=self.place.port, user=self.place.username,
            db=self.place.path[1:], charset="utf8mb4", autocommit=True,
            client_flag=CLIENT.FOUND_ROWS, minsize=1, maxsize=CONNECTIONS,
        )  # fmt: skip

    async def call(self, function, *args):
        async with self.pool.acquire() as connection:
            return await function(connection, *args)

    async def close(self):
        self.pool.close()
        await self.pool.wait_closed()
        await super().close()


class AsyncmyOnMySQL(Asyncmy):
    """asyncmy on MySQL, which returns no rows: an upsert and the reading of its rows in one."""

    UPSERT = " AS new ON DUPLICATE KEY UPDATE " + ", ".join(
        "version = videos.version + 1" if n == "version" else f"{n} = new.{n}" for n in _WRITTEN
    )
    DOCUMENT, COLLATION = "JSON", "utf8mb4_0900_bin"

    async def upsert_many(self, videos):
        sql, values = self.many(videos, datetime.now(UTC))
        keys = [video.id.bytes for video in videos]
        marks = ", ".join(["%s"] * len(keys))
        read = f"SELECT {raw.COLUMNS} FROM videos WHERE id IN ({marks})"

        async def written(connection):
            cursor = connection.cursor()
            texts = f"START TRANSACTION; {sql}{self.UPSERT}; {read}; COMMIT"
            await cursor.execute(texts, (*values, *keys))
            await cursor.nextset()
            await cursor.nextset()
            rows = await cursor.fetchall()
            await cursor.nextset()
            return self.decode(rows)

        return await self.call(written)


class AsyncmyPoolOnMySQL(AsyncmyOnMySQL, AsyncmyPool):
    name = AsyncmyPool.name


class OnServer:
    """SQLAlchemy's engine over asyncpg or asyncmy."""

    async def open(self, url, _):
        driver = "asyncpg" if url.startswith("postgresql") else "asyncmy"
        self.engine = create_async_engine(
            url.replace("://", f"+{driver}://", 1),
            pool_size=CONNECTIONS,
            max_overflow=0,
            json_serializer=lambda value: orjson.dumps(value).decode(),
            json_deserializer=orjson.loads,
        )
        async with self.engine.begin() as connection:
            await connection.run_sync(self.mapped.metadata.create_all)
        self.sessions = async_sessionmaker(self.engine, expire_on_commit=False)

    def upsert(self, table):
        kept = ("id", "created_at", "version")
        if self.engine.dialect.name == "postgresql":
            insert = postgresql.insert(table)
            changes = {n: insert.excluded[n] for n in _COLUMNS if n not in kept}
            changes["version"] = table.c.version + 1
            return insert.on_conflict_do_update(index_elements=["id"], set_=changes)
        insert = mysql.insert(table)
        changes = {n: insert.inserted[n] for n in _COLUMNS if n not in kept}
        return insert.on_duplicate_key_update(**changes, version=table.c.version + 1)


class Orm(OnServer, sides.Orm):
    async def upsert_many(self, videos):
        statement = self.upsert(self.mapped.__table__)
        async with self.sessions() as session:
            values = [sides.new_values(video) for video in videos]
            if self.engine.dialect.name == "mysql":
                await session.execute(statement.values(values))
                written = sa.select(self.mapped).where(self.mapped.id.in_([v.id for v in videos]))
                stored = list((await session.scalars(written)).all())
                await session.commit()
                return stored
            statement = statement.returning(self.mapped)
            stored = list((await session.scalars(statement, values)).all())
            await session.commit()
        return stored


class Core(OnServer, sides.Core):
    async def upsert_many(self, videos):
        statement = self.upsert(self.table)
        async with self.engine.begin() as connection:
            values = [sides.new_values(video) for video in videos]
            if self.engine.dialect.name == "mysql":
                # asyncmy splits no text that says AS new, so the rows are a part of it.
                await connection.execute(statement.values(values))
                keys = [video.id for video in videos]
                found = await connection.execute(
                    sa.select(self.table).where(self.table.c.id.in_(keys))
                )
            else:
                found = await connection.execute(statement.returning(*self.table.c), values)
            return [raw.RawVideo(*row) for row in found]

    async def update(self, video):
        if self.engine.dialect.name == "postgresql":
            return await super().update(video)
        columns, values = self.table.c, sides.new_values(video)
        del values["id"], values["created_at"]
        change = sa.update(self.table).where(
            columns.id == video.id, columns.version == video.version
        )
        async with self.engine.begin() as connection:
            found = await connection.execute(
                change.values({**values, "version": video.version + 1})
            )
            assert found.rowcount == 1
            stored = await connection.execute(sa.select(self.table).where(columns.id == video.id))
            return raw.RawVideo(*stored.one())


class AdvancedAlchemy(OnServer, sides.AdvancedAlchemy):
    pass


SERVERS = {
    "postgresql": (Holdfast, Asyncpg, AsyncpgPool, Core, Orm, AdvancedAlchemy, HoldfastSync),
    "mariadb": (Holdfast, Asyncmy, AsyncmyPool, Core, Orm, AdvancedAlchemy, HoldfastSync),
    "mysql": (
        Holdfast,
        AsyncmyOnMySQL,
        AsyncmyPoolOnMySQL,
        Core,
        Orm,
        AdvancedAlchemy,
        HoldfastSync,
    ),
}
