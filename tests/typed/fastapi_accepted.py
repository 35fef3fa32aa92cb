"""What mypy and pyright take of an application, with postponed annotations."""

from __future__ import annotations

from typing import Annotated, assert_type
from uuid import UUID  # noqa: TC003 - FastAPI reads it

from fastapi import FastAPI, Query

import holdfast.fastapi as hf
from holdfast import (
    Bucket,
    Entity,
    Field,
    One,
    Page,
    Repository,
    Transaction,
    field,
    key,
    one,
    ref,
    uuid7,
    version,
)


class Project(Entity, table="projects"):
    id: Field[UUID] = key(default_factory=uuid7)
    name: Field[str] = field(max_length=50)


class Video(Entity, table="videos"):
    id: Field[UUID] = key(default_factory=uuid7)
    title: Field[str]
    owner: Field[str]
    duration: Field[float] = field(default=0.0)
    project_id: Field[UUID | None] = ref(Project, default=None)
    project: One[Project] = one(via="project_id")
    version: Field[int] = version()


class VideoCreate(hf.CreateModel[Video], hide=[Video.owner]): ...


class VideoPatch(hf.PatchModel[Video], only=[Video.title, Video.duration]): ...


class VideoOut(hf.OutModel[Video], hide=[Video.owner], include=[Video.project]):
    label: str = ""


class VideoQuery(
    hf.ListQuery[Video],
    filters=[Video.title.icontains, Video.duration.between, Video.owner],
    sorts=[Video.title, Video.duration.desc()],
): ...


app = FastAPI()
holdfast = hf.Holdfast(
    app, store="memory://", bucket="memory://", cache="memory://", entities=[Project, Video]
)


@app.post("/videos", status_code=201)
async def create(body: VideoCreate, videos: hf.Repo[Video], tx: hf.Writing) -> VideoOut:
    assert_type(videos, Repository[Video])
    assert_type(tx, Transaction)
    assert_type(body.entity(Video.owner.to("me")), Video)
    return VideoOut.of(await videos.add(body.entity(Video.owner.to("me"))))


@app.patch("/videos/{id}")
async def patch(
    id: UUID,  # noqa: A002
    body: VideoPatch,
    videos: hf.Repo[Video],
    tx: hf.Writing,
    match: hf.IfMatch,
) -> VideoOut:
    assert_type(match, int | None)
    shown = VideoOut.of(await videos.patch(id, *body.changes(), version=match))
    shown.label = "changed"
    return shown


@app.get("/videos")
async def find(q: Annotated[VideoQuery, Query()], videos: hf.Repo[Video]) -> Page[VideoOut]:
    assert_type(await q.page(videos), Page[Video])
    assert_type((await q.page(videos)).map(VideoOut.of), Page[VideoOut])
    return await q.page(videos, VideoOut)


@app.get("/videos/{id}")
async def get(video: hf.FromPath[Video]) -> VideoOut:
    assert_type(video, Video)
    return VideoOut.of(video)


@app.get("/videos/{id}/plain")
def plain(
    id: UUID,  # noqa: A002
    videos: hf.SyncRepo[Video],
    bucket: hf.Bucket,
    minimal: hf.Minimal,
) -> str:
    assert_type(bucket, Bucket)
    assert_type(minimal, bool)
    return videos.get_one(id).title


@app.get("/projects/{project}")
async def project(found: Annotated[Project, hf.entity_at("project", Project)]) -> str:
    return found.name


app.include_router(
    hf.crud_router(
        Video,
        models=hf.CrudModels(create=VideoCreate, patch=VideoPatch, out=VideoOut, query=VideoQuery),
        include=[Video.project],
    ),
    prefix="/crud",
)
