"""Routes."""

from typing import Annotated, cast
from uuid import UUID

from fastapi import APIRouter, HTTPException, Query, Request, Response

import holdfast.fastapi as hf
from holdfast import Page, Predicate, Transaction, count, uuid7
from holdfast.jobs import EnqueueOptions, Job, Jobs
from vidsvc.history import Recorded
from vidsvc.models import Project, Revision, Tag, Video, VideoTag, ViewCount
from vidsvc.wire import (
    Details,
    Popular,
    ProjectIn,
    ProjectOut,
    ProjectStatistics,
    TagsIn,
    Uploaded,
    VideoOut,
    VideoPatch,
    VideoQuery,
)

router = APIRouter()
WITH_TAGS = [Video.labels.then(VideoTag.tag)]
ProjectAt = Annotated[Project, hf.entity_at("project_id", Project)]
Upload = Annotated[hf.ReceivedUpload, hf.upload_to(lambda _: f"videos/{uuid7()}/original")]


def forget_popular(cache: hf.Cache, tx: Transaction) -> None:
    async def forget() -> None:
        await cache.invalidate(tags=["popular"])

    tx.after_commit(forget)


@router.post("/projects", status_code=201, response_model=ProjectOut)
async def add_project(
    body: ProjectIn, projects: hf.Repo[Project], tx: hf.Writing, history: Recorded
) -> Project:
    project = await projects.add(body.entity())
    await history.record("create", None, project)
    return project


@router.get("/projects")
async def list_projects(
    projects: hf.Repo[Project], size: int = 50, cursor: str | None = None
) -> Page[ProjectOut]:
    page = await projects.page(order_by=Project.name, size=size, cursor=cursor, total=True)
    return Page(list(map(ProjectOut.of, page.items)), page.next, page.previous, page.total)


@router.delete("/projects/{project_id}", status_code=204)
async def delete_project(
    project: ProjectAt, store: hf.Store, cache: hf.Cache, tx: hf.Writing, history: Recorded
) -> None:
    videos = store.repository(Video)
    keys = await videos.select(Video.object_key, where=Video.project_id == project.id)
    await store.repository(Project).delete(project.id)
    await history.record("delete", project, None)
    await Jobs(store).enqueue("erase", {"keys": [key for (key,) in keys]})
    forget_popular(cache, tx)


@router.get("/statistics")
async def statistics(
    projects: hf.Repo[Project], videos: hf.Repo[Video], tx: hf.Reading
) -> list[ProjectStatistics]:
    rows = await videos.aggregate(
        count(), Video.duration.sum(), Video.size.sum(), by=Video.project_id
    )
    found = {row[0]: row[1:] for row in rows}
    return [
        ProjectStatistics.of(project, *found.get(project.id, (0, 0, 0)))
        for project in await projects.find(order_by=Project.name)
    ]


@router.post("/projects/{project_id}/videos", status_code=201)
async def upload(
    upload: Upload,
    project: ProjectAt,
    store: hf.Store,
    cache: hf.Cache,
    tx: hf.Writing,
    history: Recorded,
) -> Uploaded:
    video = await store.repository(Video).add(
        Video(
            project_id=project.id,
            filename=upload.filename or "unnamed",
            object_key=upload.key,
            content_type=upload.info.content_type or "application/octet-stream",
            size=upload.info.size,
            **upload.form(Details).model_dump(),
        )
    )
    await store.repository(ViewCount).add(ViewCount(video_id=video.id, project_id=project.id))
    await history.record("create", None, video)
    queued = await Jobs(store).enqueue(
        "checksum",
        {"video": str(video.id)},
        options=EnqueueOptions(unique_key=f"checksum:{video.id}"),
    )
    forget_popular(cache, tx)
    shown = await store.repository(Video).get_one(video.id, load=WITH_TAGS)
    return Uploaded(video=VideoOut.of(shown), job_id=queued.job.id)


@router.get("/videos")
async def list_videos(
    q: Annotated[VideoQuery, Query()],
    videos: hf.Repo[Video],
    labels: hf.Repo[VideoTag],
    tags: hf.Repo[Tag],
    tx: hf.Reading,
) -> Page[VideoOut]:
    where: list[Predicate] = []
    if q.title is not None:
        where.append(Video.title.icontains(q.title))
    if q.min_duration is not None:
        where.append(Video.duration >= q.min_duration)
    if q.max_duration is not None:
        where.append(Video.duration <= q.max_duration)
    for name in q.tag:
        tag = await tags.first(Tag.name == name)
        wanted = VideoTag.tag_id == (uuid7() if tag is None else tag.id)
        found = await labels.select(VideoTag.video_id, where=wanted)
        where.append(Video.id.in_([key for (key,) in cast("list[tuple[UUID]]", found)]))
    return await q.page(videos, VideoOut, where=where, load=WITH_TAGS)


@router.get("/videos/popular")
async def popular(
    views: hf.Repo[ViewCount], cache: hf.Cache, project_id: UUID | None = None, size: int = 10
) -> list[Popular]:
    async def load() -> list[Popular]:
        where = [] if project_id is None else [ViewCount.project_id == project_id]
        rows = await views.find(
            *where, order_by=ViewCount.views.desc(), limit=size, load=[ViewCount.video]
        )
        return [Popular(video_id=r.video.id, title=r.video.title, views=r.views) for r in rows]

    return await cache.typed(list[Popular]).get_or_set(
        f"popular:{project_id}:{size}", load, ttl=60, stale=30, tags=["popular"]
    )


@router.get("/videos/{id}")
async def get_video(id: UUID, videos: hf.Repo[Video], response: Response) -> VideoOut:
    video = await videos.get_one(id, load=WITH_TAGS)
    response.headers["ETag"] = hf.entity_tag(video)
    return VideoOut.of(video)


@router.patch("/videos/{id}")
async def patch_video(
    before: hf.One[Video],
    body: VideoPatch,
    videos: hf.Repo[Video],
    cache: hf.Cache,
    tx: hf.Writing,
    history: Recorded,
) -> VideoOut:
    after = await videos.patch(before.id, *body.changes(), when=Video.version == body.expected)
    await history.record("update", before, after)
    forget_popular(cache, tx)
    return VideoOut.of(await videos.get_one(before.id, load=WITH_TAGS))


@router.delete("/videos/{id}", status_code=204)
async def delete_video(
    video: hf.One[Video],
    store: hf.Store,
    cache: hf.Cache,
    tx: hf.Writing,
    history: Recorded,
    version: int | None = None,
) -> None:
    await store.repository(Video).delete(video.id, version=version)
    await history.record("delete", video, None)
    await Jobs(store).enqueue("erase", {"keys": [video.object_key]})
    forget_popular(cache, tx)


@router.put("/videos/{id}/tags")
async def set_tags(
    id: UUID, body: TagsIn, store: hf.Store, tx: hf.Writing, history: Recorded
) -> VideoOut:
    videos, labels = store.repository(Video), store.repository(VideoTag)
    before = await videos.get_one(id, load=WITH_TAGS)
    names = sorted({name.strip().lower() for name in body.names})
    tags = await store.repository(Tag).upsert_many([Tag(name=n) for n in names], on=[Tag.name])
    wanted = {upserted.entity.id for upserted in tags}
    present = {label.tag_id for label in before.labels}
    await labels.delete_where(VideoTag.video_id == id, VideoTag.tag_id.in_(present - wanted))
    await labels.add_many(VideoTag(video_id=id, tag_id=tag) for tag in wanted - present)
    await history.note("Video", id, "tags", {"tags": [VideoOut.of(before).tags, names]})
    return VideoOut.of(await videos.get_one(id, load=WITH_TAGS))


@router.post("/videos/{id}/views", status_code=204)
async def view(id: UUID, views: hf.Repo[ViewCount]) -> None:
    one_more = ViewCount.views.increment()
    if not await views.update_where(ViewCount.video_id == id, changes=one_more):
        raise HTTPException(404)


@router.get("/videos/{id}/content")
async def content(
    video: hf.One[Video], request: Request, bucket: hf.Bucket, redirect: bool = False
) -> Response:
    if redirect:
        return await hf.presigned_redirect(bucket, video.object_key)
    return await hf.object_response(request, bucket, video.object_key)


@router.get("/jobs/{id}")
async def job(job: hf.One[Job]) -> Job:
    return job


@router.get("/jobs/{id}/events")
async def job_events(id: UUID, request: Request, store: hf.Store) -> Response:
    return await hf.job_event_stream(request, Jobs(store), id)


@router.get("/history/{entity}/{entity_id}")
async def history(
    entity: str,
    entity_id: UUID,
    revisions: hf.Repo[Revision],
    size: int = 50,
    cursor: str | None = None,
) -> Page[Revision]:
    where = (Revision.entity == entity) & (Revision.entity_id == entity_id)
    return await revisions.page(where, order_by=Revision.at.desc(), size=size, cursor=cursor)
