"""Resumable uploads: they go on where another process left them.

Parts that reached the service stay there until the upload is completed or aborted, so all that
another process needs is the upload's id. A local resume file has it, with what shows whether going
on is right: the bucket and key, and a hash of the content's size and of all headers, the SHA-256 of
the whole among them. When they differ, the old upload is aborted and a new one begins. When they
agree, the service lists its parts, and only those missing or of another size are sent. The service
checked each part against its CRC-32 when it took it, and completing names the CRC-32 of every part,
computed again from the local content, so no part of another content gets in.

The resume file also has the write id of the first try: when the answer to its last request was
lost, the object already carries that id, and another try recognises the object as its own.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from holdfast.errors import IntegrityError, ServiceError
from holdfast.objects.drivers.s3.headers import WRITE
from holdfast.objects.drivers.s3.listing_pages import list_parts
from holdfast.objects.drivers.s3.multipart import (
    MultipartUpload,
    complete_upload,
    create_upload,
    part_element,
)
from holdfast.objects.localfile import read_own, refusals, write_own

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from holdfast.objects.drivers.s3.service import S3Response
    from holdfast.objects.drivers.s3.spool import SpoolPart

_GONE = "NoSuchUpload"


@dataclass(frozen=True, slots=True)
class ResumeFile:
    """What a resume file says of one upload; its names are those in the JSON.

    *place* is server, bucket and key, *content* a hash of size and headers, *part* the bytes of a
    part, *upload* the service's id, *mark* the write id.
    """

    place: str
    content: str
    part: int
    upload: str
    mark: str


class ResumableUpload(MultipartUpload):
    """One upload whose parts stay when it breaks off. *write_id* is that of its first try."""

    async def resume(
        self, parts: Sequence[SpoolPart], condition: Mapping[str, str], path: Path
    ) -> S3Response:
        """Send what is missing of *parts*, and complete it under *condition*.

        *path* is the resume file; it is removed when the upload is complete, and when going on is
        useless.
        """
        size, total = parts[0].size, sum(part.size for part in parts)
        headers = {**self._headers, "x-amz-checksum-algorithm": "CRC32"}
        created, upload, there = await self._begin_or_go_on(headers, total, size, path)
        try:
            calls = [
                partial(self._part_once, upload, number, content, there)
                for number, content in enumerate(parts, 1)
            ]
            named = await self._service.network.all_of(calls, at_once=self._options.parallel)
            done = await complete_upload(self._service, self._key, upload, named, condition)
        except IntegrityError:
            await self._service.network.shielded(self._abort(upload))
            await self._forget(path)
            raise
        except ServiceError as error:
            if error.code == _GONE:
                await self._forget(path)
            raise
        await self._forget(path)
        return replace(done, headers={**created, **done.headers})

    async def _begin_or_go_on(
        self, headers: Mapping[str, str], total: int, size: int, path: Path
    ) -> tuple[Mapping[str, str], str, dict[int, tuple[int, str]]]:
        """Return the upload to go on with, and the size and etag of its parts by number."""
        place = f"{self._service.address}/{self._key}"
        content = _content_of(headers, total)
        found = await self._service.offload.run(_read, path)
        if found is not None and found.place == place:
            if (found.content, found.part) == (content, size):
                self.write_id = found.mark
                try:
                    return {}, found.upload, await self._parts_there(found.upload)
                except ServiceError as error:
                    if error.status == 404:
                        await self._forget(path)
                        raise ServiceError(
                            error.operation, 404, _GONE, "it was completed or aborted"
                        ) from error
                    raise
            await self._abort(found.upload)
        created, upload = await create_upload(self._service, self._key, headers)
        kept = ResumeFile(place, content, size, upload, self.write_id)
        with refusals(path):
            await self._service.offload.run(_keep, path, kept)
        return created.headers, upload, {}

    async def _parts_there(self, upload: str) -> dict[int, tuple[int, str]]:
        found = await list_parts(self._service, self._key, upload)
        return {each.number: (each.size, each.etag) for each in found}

    async def _part_once(
        self, upload: str, number: int, content: SpoolPart, there: Mapping[int, tuple[int, str]]
    ) -> str:
        size, etag = there.get(number, (-1, ""))
        if size != content.size:
            return await self._send_part(upload, number, content)
        # The service checked it when it took it, and the content is the same by its SHA-256.
        sums = await self.sums(content)
        await content.skip()
        return part_element(number, etag, sums.crc32)

    async def _forget(self, path: Path) -> None:
        with refusals(path):
            await self._service.offload.run(partial(path.unlink, missing_ok=True))


def _content_of(headers: Mapping[str, str], size: int) -> str:
    """Return what is the same only for equal uploads: a hash of size and headers, but the id."""
    told = sorted((name, text) for name, text in headers.items() if name != WRITE)
    return hashlib.sha256(json.dumps([size, told]).encode()).hexdigest()


def _read(path: Path) -> ResumeFile | None:
    """Return what *path* says, None when there is nothing of use."""
    try:
        found = json.loads(read_own(path) or b"")
        return ResumeFile(**found) if isinstance(found, dict) else None
    except (ValueError, TypeError):
        return None


def _keep(path: Path, content: ResumeFile) -> None:
    """Write *content* to *path* in one step."""
    write_own(path, json.dumps(asdict(content)).encode())
