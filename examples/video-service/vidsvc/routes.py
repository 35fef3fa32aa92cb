"""Routes."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Header, HTTPException, Query, Request, Response

import holdfast.fastapi as hf
from holdfast import Page, count, uuid7
from holdfast.audit import AuditLog, become
from holdfast.jobs import EnqueueOptions, Job, Jobs
from vidsvc.models import Project, Tag, Video, VideoTag, ViewCount
from vidsvc.wire import (
    Details,
    Popular,
    ProjectQuery,
    ProjectStatistics,
    Revision,
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


async def acts(x_user: Annotated[str, Header()] = "anonymous") -> None:
    become(x_user)


async def forget_popular(cache: hf.Cache, tx: hf.Writing) -> None:
    async def forget() -> None:
        await cache.invalidate(tags=["popular"])

    tx.after_commit(forget)


FORGETS_POPULAR = [Depends(forget_popular)]

projects = hf.crud_router(
    Project, models=hf.CrudModels(query=ProjectQuery), verbs=["create", "list"]
)
router.include_router(projects, prefix="/projects")


@router.delete("/projects/{project_id}", status_code=204, dependencies=FORGETS_POPULAR)
async def delete_project(project: ProjectAt, store: hf.Store, tx: hf.Writing) -> None:
    videos = store.repository(Video)
    keys = await videos.select(Video.object_key, where=Video.project_id == project.id)
    await store.repository(Project).delete(project.id)
    await Jobs(store).enqueue("erase", {"keys": [key for (key,) in keys]})


@router.get("/statistics")
async def statistics(
    projects: hf.Repo[Project], videos: hf.Repo[Video], tx: hf.Reading
) -> list[ProjectStatistics]:
    rows = await videos.aggregate(
        count(), Video.duration.sum(), Video.size.sum(), by=Video.project_id
    )
    figures = {row[0]: row[1:] for row in rows}
    return [
        ProjectStatistics.of(project, *figures.get(project.id, (0, 0, 0)))
        for project in await projects.find(order_by=Project.name)
    ]


@router.post("/projects/{project_id}/videos", status_code=201, dependencies=FORGETS_POPULAR)
async def upload(upload: Upload, project: ProjectAt, store: hf.Store, tx: hf.Writing) -> Uploaded:
    videos = store.repository(Video)
    video = await videos.add(
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
    once = EnqueueOptions(unique_key=f"checksum:{video.id}")
    queued = await Jobs(store).enqueue("checksum", {"video": str(video.id)}, options=once)
    shown = await videos.get_one(video.id, load=WITH_TAGS)
    return Uploaded(video=VideoOut.of(shown), job_id=queued.job.id)


@router.get("/videos")
async def list_videos(
    q: Annotated[VideoQuery, Query()], videos: hf.Repo[Video], tx: hf.Reading
) -> Page[VideoOut]:
    return await q.page(videos, VideoOut, load=WITH_TAGS)


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


@router.patch("/videos/{id}", dependencies=FORGETS_POPULAR)
async def patch_video(
    id: UUID, body: VideoPatch, videos: hf.Repo[Video], tx: hf.Writing
) -> VideoOut:
    await videos.patch(id, *body.changes(), version=body.expected)
    return VideoOut.of(await videos.get_one(id, load=WITH_TAGS))


@router.delete("/videos/{id}", status_code=204, dependencies=FORGETS_POPULAR)
async def delete_video(
    video: hf.FromPath[Video], store: hf.Store, tx: hf.Writing, version: int | None = None
) -> None:
    await store.repository(Video).delete(video.id, version=version)
    await Jobs(store).enqueue("erase", {"keys": [video.object_key]})


@router.put("/videos/{id}/tags")
async def set_tags(id: UUID, body: TagsIn, store: hf.Store, tx: hf.Writing) -> VideoOut:
    videos, labels = store.repository(Video), store.repository(VideoTag)
    before = await videos.get_one(id, load=WITH_TAGS)
    names = sorted({name.strip().lower() for name in body.names})
    tags = await store.repository(Tag).upsert_many([Tag(name=n) for n in names], on=[Tag.name])
    wanted = {upserted.entity.id for upserted in tags}
    present = {label.tag_id for label in before.labels}
    await labels.delete_where(VideoTag.video_id == id, VideoTag.tag_id.in_(present - wanted))
    await labels.add_many(VideoTag(video_id=id, tag_id=tag) for tag in wanted - present)
    changes = {"tags": [VideoOut.of(before).tags, names]}
    await store.record_event("video.tags", entity="Video", key=str(id), details=changes)
    return VideoOut.of(await videos.get_one(id, load=WITH_TAGS))


@router.post("/videos/{id}/views", status_code=204)
async def view(id: UUID, views: hf.Repo[ViewCount]) -> None:
    one_more = ViewCount.views.increment()
    if not await views.update_where(ViewCount.video_id == id, changes=one_more):
        raise HTTPException(404)


@router.get("/videos/{id}/content")
async def content(
    video: hf.FromPath[Video], request: Request, bucket: hf.Bucket, redirect: bool = False
) -> Response:
    if redirect:
        return await hf.presigned_redirect(bucket, video.object_key)
    return await hf.object_response(request, bucket, video.object_key)


@router.get("/jobs/{id}")
async def job(job: hf.FromPath[Job]) -> Job:
    return job


@router.get("/jobs/{id}/events")
async def job_events(id: UUID, request: Request, store: hf.Store) -> Response:
    return await hf.job_event_stream(request, Jobs(store), id)


@router.get("/history/{entity}/{key}")
async def history(
    entity: str, key: UUID, store: hf.Store, size: int = 50, cursor: str | None = None
) -> Page[Revision]:
    found = await AuditLog(store).history(entity, key, size=size, cursor=cursor)
    return found.map(Revision.of)
