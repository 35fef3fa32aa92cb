"""Uploads into a bucket: where what was sent goes, in parts or by a plain form."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from fastapi import HTTPException

from holdfast.console.buckets.bucket_places import find_bucket
from holdfast.console.uploads.upload_routes import takes_parts
from holdfast.fastapi.transfers.file_names import safe_file_name
from holdfast.objects import BucketCapability, PutOptions
from holdfast.platform.own_keys import check_may_write

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from starlette.requests import Request

    from holdfast.access import Caller
    from holdfast.console.console_site import ConsoleSite
    from holdfast.console.uploads.upload_routes import Destined, UploadDestination
    from holdfast.console.uploads.upload_sessions import UploadSession, UploadSessions
    from holdfast.console.visits.forgery_check import SentForm
    from holdfast.objects import Bucket, ObjectInfo


@dataclass(frozen=True, slots=True)
class FolderUpload:
    """Where *caller* puts files of the bucket called *name*; the form says below which prefix."""

    site: ConsoleSite
    name: str
    target: Bucket
    caller: Caller

    @property
    def place(self) -> str:
        """What tells it from other destinations."""
        return f"bucket {self.name}"

    @property
    def page(self) -> str:
        """The address of the bucket's page."""
        return self.site.url(f"buckets/{self.name}")

    @property
    def bucket(self) -> Bucket | None:
        """The bucket, where its server can take parts itself."""
        return self.target if takes_parts(self.target) else None

    async def admit(self, form: SentForm, size: int) -> str:  # noqa: ARG002 - any size will do
        """Return the key of the file. Raises HTTPException 409 where something is already."""
        key = form.text("prefix") + safe_file_name(form.text("name"))
        await self.check(key, replaces=form.has("replace"))
        return key

    async def check(self, key: str, *, replaces: bool) -> None:
        """Raise what says why nothing may be stored as *key*."""
        check_may_write(self.site.platform, self.target, self.caller, key)
        if not replaces and await self.target.exists(key):
            raise HTTPException(409, f"{key} is there already; say that it is to be replaced")

    async def store(self, session: UploadSession, sessions: UploadSessions) -> str:
        """Store the parts as one object, and return the address of its page."""
        await self.put(session.key, sessions.content(session), session.kind, session.replaces)
        return self.address(session)

    async def put(
        self, key: str, content: AsyncGenerator[bytes], kind: str, replaces: bool
    ) -> ObjectInfo:
        """Store *content* as *key*: over what is there when it *replaces* that."""
        conditional = BucketCapability.CONDITIONAL_CREATE in self.target.capabilities
        options = PutOptions(if_absent=not replaces and conditional)
        async with aclosing(content):
            return await self.target.put(key, content, content_type=kind or None, options=options)

    def address(self, session: UploadSession) -> str:
        """Return the address of the object's page."""
        return self.site.url(f"buckets/{self.name}/object", {"key": session.key})


def folder_uploads(site: ConsoleSite) -> Destined:
    """Return what finds the bucket that an upload goes to."""

    async def destined(request: Request, caller: Caller) -> UploadDestination:
        name = request.path_params["name"]
        return FolderUpload(site, name, find_bucket(site, name), caller)

    return destined


async def server_origin(bucket: Bucket) -> str:
    """Return the origin of the server that takes parts itself, '' where none does."""
    if not takes_parts(bucket):
        return ""
    place = urlsplit((await bucket.presign("x")).url)
    return f"{place.scheme}://{place.netloc}"
