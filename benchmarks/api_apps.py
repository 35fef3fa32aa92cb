"""The sides of `api.py`: one service of videos, written for each framework as its docs say.

`GET /videos/{id}`, `GET /videos` (50 newest first) and `POST /videos`, over the same table of 1,000
rows in PostgreSQL and a pool of 10. Each answers with the same JSON and commits before it answers.
A statement alone commits itself; two sides have a route with a transaction around it beside.
"""

import os
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

import asyncpg
import sqlalchemy as sa
from fastapi import Depends, FastAPI, HTTPException, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from holdfast import Entity, created_at, field, key, uuid7, version
from holdfast import Field as HoldfastField
from holdfast import sync as blocking

URL = os.environ.get("BENCH_URL", "")
CONNECTIONS = 10


class VideoIn(BaseModel):
    title: str = Field(max_length=200)
    filename: str = Field(max_length=255)
    duration: float
    width: int
    height: int


class VideoOut(VideoIn):
    model_config = ConfigDict(from_attributes=True)
    id: UUID
    created_at: datetime
    version: int


class VideoPage(BaseModel):
    items: list[VideoOut]


class Base(DeclarativeBase):
    pass


class VideoRow(Base):
    __tablename__ = "videos"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    title: Mapped[str] = mapped_column(sa.String(200))
    filename: Mapped[str] = mapped_column(sa.String(255))
    duration: Mapped[float]
    width: Mapped[int]
    height: Mapped[int]
    created_at: Mapped[datetime] = mapped_column(
        sa.DateTime(timezone=True), default=lambda: datetime.now(UTC)
    )
    version: Mapped[int] = mapped_column(default=1)


class Video(Entity, table="videos"):
    id: HoldfastField[UUID] = key(default_factory=uuid7)
    title: HoldfastField[str] = field(max_length=200)
    filename: HoldfastField[str] = field(max_length=255)
    duration: HoldfastField[float]
    width: HoldfastField[int]
    height: HoldfastField[int]
    created_at: HoldfastField[datetime] = created_at()
    version: HoldfastField[int] = version()


COLUMNS = "id, title, filename, duration, width, height, created_at, version"


def engine():
    return create_async_engine(
        URL.replace("postgresql://", "postgresql+asyncpg://"),
        pool_size=CONNECTIONS,
        max_overflow=0,
    )


def by_hand() -> FastAPI:
    """FastAPI and asyncpg, with the routes written out: the least that such a service can be."""

    @asynccontextmanager
    async def lifespan(app):
        async with asyncpg.create_pool(URL, min_size=CONNECTIONS, max_size=CONNECTIONS) as pool:
            app.state.pool = pool
            yield

    app = FastAPI(lifespan=lifespan)

    @app.get("/videos/{id}")
    async def get(id: UUID, request: Request) -> VideoOut:  # noqa: A002
        row = await request.app.state.pool.fetchrow(
            f"SELECT {COLUMNS} FROM videos WHERE id = $1", id
        )
        if row is None:
            raise HTTPException(404)
        return VideoOut(**row)

    @app.get("/videos")
    async def find(request: Request, size: Annotated[int, Query(le=100)] = 50) -> VideoPage:
        rows = await request.app.state.pool.fetch(
            f"SELECT {COLUMNS} FROM videos ORDER BY created_at DESC, id DESC LIMIT $1", size
        )
        return VideoPage(items=[VideoOut(**row) for row in rows])

    @app.post("/videos", status_code=201)
    async def create(body: VideoIn, request: Request) -> VideoOut:
        row = await request.app.state.pool.fetchrow(
            f"INSERT INTO videos ({COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, 1) "
            f"RETURNING {COLUMNS}",
            uuid7(), body.title, body.filename, body.duration, body.width, body.height,
            datetime.now(UTC),
        )  # fmt: skip
        return VideoOut(**row)

    @app.post("/videos/in-transaction", status_code=201)
    async def create_in_transaction(body: VideoIn, request: Request) -> VideoOut:
        pool = request.app.state.pool
        async with pool.acquire() as connection, connection.transaction():
            row = await connection.fetchrow(
                f"INSERT INTO videos ({COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, 1) "
                f"RETURNING {COLUMNS}",
                uuid7(), body.title, body.filename, body.duration, body.width, body.height,
                datetime.now(UTC),
            )  # fmt: skip
        return VideoOut(**row)

    return app


def with_sqlalchemy() -> FastAPI:
    """FastAPI with a session for each request, as both projects' documentation has it."""
    made = engine()
    sessions = async_sessionmaker(made, expire_on_commit=False)

    async def session():
        async with sessions() as opened:
            yield opened

    app = FastAPI()
    Opened = Annotated[AsyncSession, Depends(session)]  # noqa: N806 - a type

    @app.get("/videos/{id}")
    async def get(id: UUID, session: Opened) -> VideoOut:  # noqa: A002
        video = await session.get(VideoRow, id)
        if video is None:
            raise HTTPException(404)
        return VideoOut.model_validate(video)

    @app.get("/videos")
    async def find(session: Opened, size: Annotated[int, Query(le=100)] = 50) -> VideoPage:
        found = await session.scalars(
            sa.select(VideoRow).order_by(VideoRow.created_at.desc(), VideoRow.id.desc()).limit(size)
        )
        return VideoPage(items=[VideoOut.model_validate(video) for video in found])

    @app.post("/videos", status_code=201)
    async def create(body: VideoIn, session: Opened) -> VideoOut:
        video = VideoRow(**body.model_dump())
        session.add(video)
        await session.commit()
        return VideoOut.model_validate(video)

    return app


def with_fastcrud() -> FastAPI:
    """FastAPI with fastcrud's methods."""
    from fastcrud import FastCRUD

    made = engine()
    sessions = async_sessionmaker(made, expire_on_commit=False)
    videos = FastCRUD(VideoRow)

    async def session():
        async with sessions() as opened:
            yield opened

    app = FastAPI()
    Opened = Annotated[AsyncSession, Depends(session)]  # noqa: N806 - a type

    @app.get("/videos/{id}")
    async def get(id: UUID, session: Opened) -> VideoOut:  # noqa: A002
        video = await videos.get(session, id=id, schema_to_select=VideoOut)
        if video is None:
            raise HTTPException(404)
        return VideoOut(**video)

    @app.get("/videos")
    async def find(session: Opened, size: Annotated[int, Query(le=100)] = 50) -> VideoPage:
        found = await videos.get_multi(
            session, limit=size, schema_to_select=VideoOut,
            sort_columns=["created_at", "id"], sort_orders=["desc", "desc"],
        )  # fmt: skip
        return VideoPage(items=[VideoOut(**video) for video in found["data"]])

    @app.post("/videos", status_code=201)
    async def create(body: VideoIn, session: Opened) -> VideoOut:
        return await videos.create(session, body, schema_to_select=VideoOut, return_as_model=True)

    return app


def with_advanced_alchemy():
    """Litestar with Advanced Alchemy's plugin and its service."""
    from advanced_alchemy.extensions.litestar import (
        AsyncSessionConfig,
        SQLAlchemyAsyncConfig,
        SQLAlchemyPlugin,
        repository,
        service,
    )
    from advanced_alchemy.filters import LimitOffset, OrderBy
    from litestar import Litestar
    from litestar import get as read
    from litestar import post as write
    from litestar.di import Provide

    class Videos(service.SQLAlchemyAsyncRepositoryService[VideoRow]):
        class Repo(repository.SQLAlchemyAsyncRepository[VideoRow]):
            model_type = VideoRow

        repository_type = Repo

    async def provide(db_session: AsyncSession) -> Videos:
        return Videos(session=db_session)

    @read("/videos/{id:uuid}")
    async def get(videos: Videos, id: UUID) -> VideoOut:  # noqa: A002
        return videos.to_schema(await videos.get(id), schema_type=VideoOut)

    @read("/videos")
    async def find(videos: Videos, size: int = 50) -> VideoPage:
        found = await videos.list(
            OrderBy("created_at", "desc"), OrderBy("id", "desc"), LimitOffset(size, 0)
        )
        return VideoPage(items=[VideoOut.model_validate(video) for video in found])

    @write("/videos")
    async def create(videos: Videos, data: VideoIn) -> VideoOut:
        made = await videos.create(data.model_dump(), auto_commit=True)
        return videos.to_schema(made, schema_type=VideoOut)

    config = SQLAlchemyAsyncConfig(
        engine_instance=engine(),
        session_config=AsyncSessionConfig(expire_on_commit=False),
        create_all=False,
    )
    return Litestar(
        [get, find, create],
        dependencies={"videos": Provide(provide)},
        plugins=[SQLAlchemyPlugin(config=config)],
        type_decoders=[],
    )


def with_holdfast() -> FastAPI:
    """FastAPI on Holdfast, with the models and the list that it derives."""
    from holdfast.fastapi import CreateModel, Holdfast, ListQuery, OutModel, Repo, Writing
    from holdfast.records import Page

    class NewVideo(CreateModel[Video]):
        pass

    class ShownVideo(OutModel[Video]):
        pass

    class VideoQuery(ListQuery[Video], sorts=[Video.created_at.desc()]):
        pass

    app = FastAPI()
    Holdfast(app, store=f"{URL}?pool_size={CONNECTIONS}&max_overflow=0", entities=[Video])

    @app.get("/videos/{id}")
    async def get(id: UUID, videos: Repo[Video]) -> ShownVideo:  # noqa: A002
        return ShownVideo.of(await videos.get_one(id))

    @app.get("/videos")
    async def find(asked: Annotated[VideoQuery, Query()], videos: Repo[Video]) -> Page[ShownVideo]:
        return await asked.page(videos, ShownVideo)

    @app.post("/videos", status_code=201)
    async def create(body: NewVideo, videos: Repo[Video]) -> ShownVideo:
        return ShownVideo.of(await videos.add(body.entity()))

    @app.post("/videos/in-transaction", status_code=201)
    async def create_in_transaction(
        body: NewVideo, videos: Repo[Video], _tx: Writing
    ) -> ShownVideo:
        return ShownVideo.of(await videos.add(body.entity()))

    return app


def with_crud_router() -> FastAPI:
    """FastAPI with the routes that Holdfast makes of an entity in a line."""
    from holdfast.fastapi import Holdfast, crud_router

    app = FastAPI()
    Holdfast(app, store=f"{URL}?pool_size={CONNECTIONS}&max_overflow=0", entities=[Video])
    app.include_router(crud_router(Video), prefix="/videos")
    return app


OURS = ("**Holdfast**", "**Holdfast**, `crud_router`")
BY_HAND = "FastAPI, asyncpg by hand"
WITH_TRANSACTION = ("**Holdfast**", BY_HAND)
TARGETS = {  # by the side that is compared, of what, how far
    BY_HAND: ("cpu", "CPU of ours, {} = 1", "at most 1.25"),
    "FastAPI, SQLAlchemy": ("rate", "requests/s of ours, {} = 1", "at least 2"),
    "FastAPI, fastcrud": ("rate", "requests/s of ours, {} = 1", "at least 2"),
}
SIDES = {
    "**Holdfast**": "with_holdfast",
    "**Holdfast**, `crud_router`": "with_crud_router",
    BY_HAND: "by_hand",
    "FastAPI, SQLAlchemy": "with_sqlalchemy",
    "FastAPI, fastcrud": "with_fastcrud",
    "Litestar, Advanced Alchemy": "with_advanced_alchemy",
}


def prepare(url: str, rows: int) -> UUID:
    """Make the table and *rows* rows in it; return the id of one of them."""
    made = sa.create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    ids = [uuid7() for _ in range(rows)]
    with made.begin() as connection:
        Base.metadata.drop_all(connection)
    with blocking.open_store(url, [Video]) as store:
        store.create_schema()
    with made.begin() as connection:
        connection.execute(sa.text("CREATE INDEX ON videos (created_at DESC, id DESC)"))
        connection.execute(
            sa.insert(VideoRow),
            [
                {
                    "id": id_, "title": f"Video {place}", "filename": f"{place}.mp4",
                    "duration": 60.0 + place, "width": 1920, "height": 1080,
                }
                for place, id_ in enumerate(ids)
            ],
        )  # fmt: skip
    made.dispose()
    return ids[rows // 2]
