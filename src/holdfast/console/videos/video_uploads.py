"""Uploads of videos into a project, in parts: ingested once all of them are there."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from fastapi import HTTPException

from holdfast.errors import InvalidValueError, MediaError
from holdfast.fastapi.transfers.file_names import safe_file_name
from holdfast.fastapi.transfers.request_body import too_large
from holdfast.media.project_reach import reached_project
from holdfast.workspace import open_workspace

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from starlette.requests import Request

    from holdfast.access import Caller
    from holdfast.console.console_site import ConsoleSite
    from holdfast.console.uploads.upload_routes import Destined, UploadDestination
    from holdfast.console.uploads.upload_sessions import UploadSession, UploadSessions
    from holdfast.console.visits.forgery_check import SentForm
    from holdfast.media import MediaLibrary
    from holdfast.media.entities import Project
    from holdfast.media.library import Ingested
    from holdfast.media.upload_quota import UploadQuota


@dataclass(frozen=True, slots=True)
class ProjectUpload:
    """Brings files in to *project*. A file is looked at here, so its parts come here too."""

    site: ConsoleSite
    library: MediaLibrary
    quota: UploadQuota
    project: Project

    @property
    def bucket(self) -> None:
        """None: no server of a bucket takes parts."""

    @property
    def place(self) -> str:
        """What tells it from other destinations."""
        return f"project {self.project.id}"

    @property
    def page(self) -> str:
        """The address of the project's videos."""
        return self.site.url("videos", {"project": self.project.id})

    async def admit(self, form: SentForm, size: int) -> str:
        """Return the name of the file. Raises HTTPException for one that the project can't hold."""
        limits = await self.quota.room(self.project.id, size)
        if size > limits.most:
            raise too_large(limits)
        if size < limits.least:
            raise HTTPException(400, "the file is empty")
        return safe_file_name(form.text("name") or "video")

    async def check(self, key: str, *, replaces: bool) -> None:
        """Do nothing: a project has as many videos of one name as there are."""

    async def store(self, session: UploadSession, sessions: UploadSessions) -> str:
        """Ingest the parts as one file, and return the address of the video's page.

        What is no video is not kept: MediaError.
        """
        try:
            brought = await self.bring_in(session.key, sessions.content(session), session.size)
        except MediaError:
            await sessions.drop(session, None)
            raise
        return self.site.url(f"videos/{brought.video.id}")

    async def bring_in(self, name: str, content: AsyncGenerator[bytes], most: int) -> Ingested:
        """Ingest *content* as a file of that name, of at most *most* bytes.

        Raises InvalidValueError for more, and what `MediaLibrary.ingest` raises.
        """
        size = 0
        async with open_workspace(self.site.platform.settings.work_folder) as folder:
            path = folder / safe_file_name(name or "video")
            async with aclosing(content):
                with path.open("wb") as file:
                    async for piece in content:
                        size += len(piece)
                        if size > most:
                            raise InvalidValueError("Video", "size", f"is more than {most} bytes")
                        await asyncio.to_thread(file.write, piece)
            return await self.library.ingest(path, project=self.project.name)

    def address(self, session: UploadSession) -> str:
        """Return the address of what came; no server of a bucket takes it itself."""
        return session.done


def project_uploads(site: ConsoleSite, library: MediaLibrary, quota: UploadQuota) -> Destined:
    """Return what finds the project that an upload goes to."""

    async def destined(request: Request, caller: Caller) -> UploadDestination:
        try:
            project_id = UUID(request.path_params["project_id"])
        except ValueError:
            raise HTTPException(404) from None
        project = await reached_project(library, project_id, caller)
        return ProjectUpload(site, library, quota, project)

    return destined
