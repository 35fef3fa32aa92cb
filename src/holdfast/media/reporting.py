"""A video's report, from what its detection left in the library."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from holdfast.media.entities import Video
    from holdfast.media.library import MediaLibrary


async def report_video(library: MediaLibrary, video: Video, output: Path, root: Path) -> None:
    raise NotImplementedError
