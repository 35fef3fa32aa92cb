"""Which projects and videos a caller may know of: others are as if they were not there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.errors import NotFoundError

if TYPE_CHECKING:
    from uuid import UUID

    from holdfast.access import Caller
    from holdfast.media.entities import Project, Video
    from holdfast.media.library import MediaLibrary
    from holdfast.records import Field as FieldOf
    from holdfast.records import Predicate


async def reached_project(library: MediaLibrary, project_id: UUID, caller: Caller) -> Project:
    """Return the project. Raises NotFoundError for none, and for one out of the caller's reach."""
    check_reach(caller, project_id, "Project", project_id)
    return await library.projects.get_one(project_id)


async def reached_video(library: MediaLibrary, video_id: UUID, caller: Caller) -> Video:
    """Return the video. Raises NotFoundError for none, and for one out of the caller's reach."""
    video = await library.videos.get_one(video_id)
    check_reach(caller, video.project_id, "Video", video_id)
    return video


def check_reach(caller: Caller, project_id: UUID, entity: str, key: UUID) -> None:
    """Raise NotFoundError for what the caller may not know of, as for what is not there."""
    if not caller.may_reach(project_id):
        raise NotFoundError(entity, key)


def reached(caller: Caller, field: FieldOf[UUID]) -> list[Predicate]:
    """Return the conditions by which *field*, the id of a project, is within the caller's reach."""
    return [] if caller.projects is None else [field.in_(sorted(caller.projects))]
