"""Uploads in parts that go on after a lost connection: what is known of each, and its parts.

A session is a folder of its own below the work folder: a small file that says what comes, and a
file for each part that is there. Where the bucket's server takes the parts itself, only the former.
Sessions are this server's alone; one that another knows nothing of is begun again.
"""

from __future__ import annotations

import asyncio
import os
import re
import secrets
import shutil
from base64 import b64decode
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256
from typing import TYPE_CHECKING

import msgspec
from fastapi import HTTPException

from holdfast.errors import NotFoundError
from holdfast.objects import Upload

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Iterator
    from datetime import timedelta
    from pathlib import Path

    from holdfast.objects import Bucket

_ID = re.compile(r"[0-9a-f]{32}")
_PART = re.compile(r"part-(\d{5})")
_DIGEST = re.compile(r"sha-256=:([A-Za-z0-9+/]{43}=):")
_WINDOW = 256 * 1024
_LEAST_PART = 8 << 20
_MOST_PARTS = 9000  # S3 takes 10,000
MOST_WAITING = 50
"""How many unfinished uploads one caller may have in one place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadSession:
    """One upload. *place* and *key* say where to, *owner* who sends it, *kind* its content type.

    *size* and *part*, the bytes of each part but the last, are fixed when it *began*. With an
    *upload* the parts go straight to the bucket's server. *done* is the address of what it became.
    """

    id: str
    owner: str
    place: str
    key: str
    size: int
    part: int
    kind: str
    replaces: bool
    began: datetime
    upload: Upload | None = None
    done: str = ""

    @property
    def count(self) -> int:
        """How many parts it has; an empty file has one."""
        return max(1, -(-self.size // self.part))

    def part_size(self, number: int) -> int:
        """Return the bytes of part *number*, from 1 on. Raises NotFoundError for no such part."""
        if not 1 <= number <= self.count:
            raise NotFoundError("a part", number)
        return min(self.part, self.size - (number - 1) * self.part)


def part_bytes(size: int) -> int:
    """Return into parts of how many bytes an upload of *size* is cut: whole MiB, 8 or more."""
    mib = 1 << 20
    return max(_LEAST_PART, -(-size // _MOST_PARTS // mib) * mib)


class UploadSessions:
    """The sessions below the folder *root*; those that began longer than *age* ago are swept."""

    def __init__(self, root: Path, *, age: timedelta) -> None:
        self._root = root
        self._age = age
        self._ending: set[str] = set()

    async def begin(self, session: UploadSession, straight: Bucket | None) -> UploadSession:
        """Keep *session* under a new id, and return it. Raises HTTPException 409 for too many.

        Its parts come here, or *straight* to the server of that bucket.
        """
        waiting = await self.waiting(session.owner, session.place)
        if len(waiting) >= MOST_WAITING:
            raise HTTPException(409, f"{MOST_WAITING} uploads are not finished; cancel some first")
        made = replace(session, id=secrets.token_hex(16))
        if straight is not None:
            kind = session.kind or None
            upload = await straight.admin.begin_upload(session.key, content_type=kind)
            made = replace(made, upload=upload)
        await asyncio.to_thread(self._keep, made)
        return made

    async def find(self, identity: str, owner: str, place: str) -> UploadSession:
        """Return the session that *owner* began there. Raises NotFoundError for none."""
        found = await asyncio.to_thread(self._read, identity) if _ID.fullmatch(identity) else None
        if found is None or (found.owner, found.place) != (owner, place):
            raise NotFoundError("an upload", identity)
        return found

    async def waiting(self, owner: str, place: str) -> list[UploadSession]:
        """Return the sessions of *owner* there that are not finished, the oldest first."""
        return [
            each
            for each in await asyncio.to_thread(self._all)
            if (each.owner, each.place) == (owner, place) and not each.done
        ]

    async def sweep(self, now: datetime, place: str, bucket: Bucket | None) -> None:
        """Remove what is too old at *now*: sessions whose parts are here, and those of *place*.

        The latter have their uploads in *bucket*.
        """
        for each in await asyncio.to_thread(self._all):
            mine = each.upload is None or each.place == place
            if mine and now - each.began > self._age and each.id not in self._ending:
                await self.drop(each, bucket)

    async def there(self, session: UploadSession) -> list[int]:
        """Return the numbers of the parts that are here as wholes, in order."""
        return await asyncio.to_thread(self._there, session)

    async def take(
        self, session: UploadSession, number: int, chunks: AsyncIterator[bytes], digest: str
    ) -> None:
        """Keep *chunks* as part *number*, whole and durable, or nothing of them.

        *digest* is a Content-Digest by RFC 9530, '' for none. Raises HTTPException 400 for bytes
        that are more or fewer than the part has, or not those of the digest.
        """
        asked = _DIGEST.fullmatch(digest)
        if digest and asked is None:
            raise HTTPException(400, "expected a Content-Digest such as sha-256=:...:")
        size, summed = 0, sha256()
        coming = self._folder(session) / f"coming-{secrets.token_hex(8)}"
        try:
            with coming.open("xb") as file:
                async for chunk in chunks:
                    size += len(chunk)
                    summed.update(chunk)
                    await asyncio.to_thread(file.write, chunk)
                if size != session.part_size(number):
                    raise HTTPException(400, f"part {number} came with {size} bytes")
                if asked is not None and b64decode(asked[1]) != summed.digest():
                    raise HTTPException(400, f"part {number} was changed on its way")
                file.flush()
                await asyncio.to_thread(os.fsync, file.fileno())
            coming.rename(self._folder(session) / f"part-{number:05}")
        except FileNotFoundError:  # cancelled meanwhile
            raise NotFoundError("an upload", session.id) from None
        finally:
            coming.unlink(missing_ok=True)

    async def content(self, session: UploadSession) -> AsyncGenerator[bytes, None]:
        """Yield the bytes of all parts. They have to be there."""
        for number in range(1, session.count + 1):
            with (self._folder(session) / f"part-{number:05}").open("rb") as file:
                while window := await asyncio.to_thread(file.read, _WINDOW):
                    yield window

    @contextmanager
    def ending(self, session: UploadSession) -> Iterator[None]:
        """Let nobody else end *session* meanwhile. Raises HTTPException 409 where one does."""
        if session.id in self._ending:
            raise HTTPException(409, "the upload is being ended already")
        self._ending.add(session.id)
        try:
            yield
        finally:
            self._ending.discard(session.id)

    async def finish(self, session: UploadSession, address: str) -> None:
        """Remember that *session* became what is at *address*, and remove its parts."""
        await asyncio.to_thread(self._keep, replace(session, done=address))
        await asyncio.to_thread(self._remove_parts, session)

    async def drop(self, session: UploadSession, bucket: Bucket | None) -> None:
        """Remove *session* with its parts, here or in *bucket*."""
        if session.upload is not None and bucket is not None:
            await bucket.admin.abort(session.upload)
        await asyncio.to_thread(shutil.rmtree, self._folder(session), ignore_errors=True)

    def _folder(self, session: UploadSession) -> Path:
        return self._root / session.id

    def _keep(self, session: UploadSession) -> None:
        folder = self._folder(session)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        whole = folder / "session.json"
        coming = folder / f"coming-{secrets.token_hex(8)}"
        coming.write_bytes(msgspec.json.encode(session))
        coming.replace(whole)

    def _read(self, identity: str) -> UploadSession | None:
        with suppress(FileNotFoundError, msgspec.MsgspecError):  # dropped, or of another version
            content = (self._root / identity / "session.json").read_bytes()
            return msgspec.json.decode(content, type=UploadSession)
        return None

    def _all(self) -> list[UploadSession]:
        if not self._root.is_dir():
            return []
        found = (self._read(each.name) for each in self._root.iterdir() if _ID.fullmatch(each.name))
        return sorted((each for each in found if each is not None), key=lambda each: each.began)

    def _there(self, session: UploadSession) -> list[int]:
        folder = self._folder(session)
        named = ((_PART.fullmatch(each.name), each) for each in folder.iterdir())
        sizes = {int(name[1]): each.stat().st_size for name, each in named if name}
        return [
            number
            for number in range(1, session.count + 1)
            if sizes.get(number) == session.part_size(number)
        ]

    def _remove_parts(self, session: UploadSession) -> None:
        for each in self._folder(session).iterdir():
            if _PART.fullmatch(each.name):
                each.unlink(missing_ok=True)
