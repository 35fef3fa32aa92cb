"""An upload in parts that goes on where another process left it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from holdfast.errors import IntegrityError, ServiceError
from holdfast.objects.drivers.s3 import notes
from holdfast.objects.drivers.s3.document import write, write_text
from holdfast.objects.drivers.s3.facts import WRITE
from holdfast.objects.drivers.s3.listing import size_in
from holdfast.objects.drivers.s3.multipart import Multipart
from holdfast.objects.drivers.s3.service import Ask
from holdfast.objects.localfile import refusals

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from holdfast.objects.drivers.s3.service import Reply
    from holdfast.objects.drivers.s3.spool import Slice

# What makes going on useless: the upload is gone, or the content is another by now.
_GONE = "NoSuchUpload"


class ResumableUpload(Multipart):
    """One upload whose parts stay when it breaks off. *mark* is that of its first beginning."""

    async def resume(
        self, parts: Sequence[Slice], condition: Mapping[str, str], path: Path
    ) -> Reply:
        """Send what is missing of *parts*, and complete it under *condition*.

        *path* holds the notes; they go when it is done, and when going on is useless.
        """
        size, total = parts[0].size, sum(part.size for part in parts)
        headers = {**self._headers, "x-amz-checksum-algorithm": "CRC32"}
        created, upload, there = await self._begun(headers, total, size, path)
        try:
            calls = [
                partial(self._part_once, upload, number, content, there)
                for number, content in enumerate(parts, 1)
            ]
            named = await self._service.network.all_of(calls, at_once=self._options.parallel)
            done = await self._complete(upload, named, condition)
        except IntegrityError:
            await self._service.network.shielded(self._abort(upload))
            await self._forget(path)
            raise
        except ServiceError as error:
            if error.code == _GONE:
                await self._forget(path)
            raise
        await self._forget(path)
        return type(done)({**created, **done.headers}, done.body)

    async def _begun(
        self, headers: Mapping[str, str], total: int, size: int, path: Path
    ) -> tuple[Mapping[str, str], str, dict[int, tuple[int, str]]]:
        """Return the upload to go on with, and the size and etag of its parts by number."""
        place = f"{self._service.address}/{self._key}"
        content = notes.content_of(headers, total, WRITE)
        found = await self._service.offload.run(notes.read, path)
        if found is not None and found.place == place:
            if (found.content, found.part) == (content, size):
                self.mark = found.mark
                try:
                    return {}, found.upload, await self._parts(found.upload)
                except ServiceError as error:
                    if error.status == 404:
                        await self._forget(path)
                        raise ServiceError(
                            error.operation, 404, _GONE, "it was completed or aborted"
                        ) from error
                    raise
            await self._abort(found.upload)
        created = await self._service.call(
            Ask("CreateMultipartUpload", "POST", self._key, (("uploads", ""),), headers)
        )
        upload = created.document("InitiateMultipartUploadResult").need("UploadId")
        kept = notes.Notes(place, content, size, upload, self.mark)
        with refusals(path):
            await self._service.offload.run(notes.keep, path, kept)
        return created.headers, upload, {}

    async def _parts(self, upload: str) -> dict[int, tuple[int, str]]:
        there: dict[int, tuple[int, str]] = {}
        marker = "0"
        while True:
            query = (("part-number-marker", marker), ("uploadId", upload))
            reply = await self._service.call(Ask("ListParts", "GET", self._key, query))
            page = reply.document("ListPartsResult")
            for item in page.all("Part"):
                there[int(item.need("PartNumber"))] = (size_in(item), item.need("ETag"))
            if page.get("IsTruncated") != "true":
                return there
            marker = page.need("NextPartNumberMarker")

    async def _part_once(
        self, upload: str, number: int, content: Slice, there: Mapping[int, tuple[int, str]]
    ) -> str:
        size, etag = there.get(number, (-1, ""))
        if size != content.size:
            return await self._part(upload, number, content)
        # The service checked it when it took it, and the content is the same by its SHA-256.
        sums = await self.sums(content)
        await content.skip()
        return write(
            "Part",
            write_text("PartNumber", str(number)),
            write_text("ETag", etag),
            write_text("ChecksumCRC32", sums.crc32),
        )

    async def _forget(self, path: Path) -> None:
        with refusals(path):
            await self._service.offload.run(partial(path.unlink, missing_ok=True))
