"""How many bytes a project may have, and what is left of them for an upload."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.fastapi.problems.problem import ProblemError
from holdfast.fastapi.transfers.request_body import UploadLimits
from holdfast.media.entities import Video

if TYPE_CHECKING:
    from uuid import UUID

    from holdfast.domain import DomainLimits
    from holdfast.media.library import MediaLibrary

_LARGEST_FORM = 5 << 30  # bytes that S3 takes by a form


class UploadQuota:
    """What projects may have, as *limits* say; counted are the videos as they came in.

    Two uploads at once may each find room for itself, and both come in.
    """

    def __init__(self, library: MediaLibrary, limits: DomainLimits) -> None:
        self._videos = library.videos
        self._upload = limits.upload
        self._project = limits.project_bytes

    async def room(
        self, project_id: UUID, declared: int = 0, *, form: bool = False
    ) -> UploadLimits:
        """Return what an upload of *declared* bytes, 0 when nobody knows, may be.

        By a *form* straight to the bucket it is 5 GiB at most. Raises ProblemError: 507.
        """
        most = min(self._upload, _LARGEST_FORM) if form else self._upload
        if not self._project:
            return UploadLimits(most=most, least=1)
        ((used,),) = await self._videos.aggregate(
            Video.size.sum(), where=Video.project_id == project_id
        )
        taken = used or 0
        left = self._project - taken
        if left < max(declared, 1):
            raise ProblemError(
                507,
                f"the project has {taken} bytes of the {self._project} that it may have",
                kind="quota-exceeded",
                title="The project is full",
                members={"used": taken, "limit": self._project},
            )
        return UploadLimits(most=min(most, left), least=1)
