"""An object held open, read from its first byte to its last."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.objects.sources import WINDOW
from holdfast.objects.transfer import Digest
from holdfast.objects.unpacking import plain

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from holdfast.objects.driver import ObjectInfo, Reading
    from holdfast.offload import Offload


class ObjectReader:
    """The bytes of one object, in order, the same also when it is replaced or deleted meanwhile.

    Reading up to the end checks them all against the stored checksum: IntegrityError.
    """

    def __init__(self, info: ObjectInfo, reading: Reading, offload: Offload) -> None:
        self.info = info
        self._reading = plain(info, reading, offload)
        self._digest = Digest(offload)
        if info.size == 0:
            self._digest.check(info)

    async def read(self, size: int = -1) -> bytes:
        """Return the next *size* bytes, fewer only at the end, all that are left when negative."""
        left = self.info.size - self._digest.size
        wanted = left if size < 0 else min(size, left)
        if wanted == 0:
            return b""
        chunk = await self._reading.read(self._digest.size, wanted)
        await self._digest.add(chunk)
        if self._digest.size == self.info.size:
            self._digest.check(self.info)
        return chunk

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield what is left, in windows of at most 256 KiB."""
        while chunk := await self.read(WINDOW):
            yield chunk
