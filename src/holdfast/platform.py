"""The composition root: assembles, opens and closes everything that the settings name."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from holdfast.errors import ConfigurationError, StorageError
from holdfast.extras import needs_extra
from holdfast.jobs import Job, Jobs
from holdfast.media import ENTITIES, MediaLibrary
from holdfast.objects import Bucket, open_bucket
from holdfast.records import Entity, Store, open_store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from holdfast.jobs import Handler
    from holdfast.settings import Settings


PLATFORM_ENTITIES: tuple[type[Entity], ...] = (*ENTITIES, Job)
"""The entities of a platform's store."""


@dataclass(frozen=True, slots=True)
class Platform:
    """One open installation: records, objects, and the domains over them."""

    settings: Settings
    store: Store
    bucket: Bucket
    jobs: Jobs
    library: MediaLibrary

    @property
    def handlers(self) -> dict[str, Handler]:
        """What a worker of this platform can do, by task."""
        # Half of all start-up is OpenCV and NumPy, which only workers need.
        with needs_extra("media", "detection"):
            from holdfast.media.detection_job import DetectionHandler  # noqa: PLC0415
            from holdfast.media.vision import MotionDetector  # noqa: PLC0415
        detection = DetectionHandler(self.library, MotionDetector(), self.settings.work_folder)
        return dict(detection.handlers)


@asynccontextmanager
async def open_platform(settings: Settings) -> AsyncIterator[Platform]:
    """Open what *settings* name, records first, and close it in the reverse order.

    The data folder and the schema of the records are made if need be. Raises ConfigurationError,
    StorageError and UnavailableError.
    """
    try:
        settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    except FileExistsError:
        raise ConfigurationError(
            f"the data folder {str(settings.data)!r} is a file; expected a folder, or none yet"
        ) from None
    except OSError as error:
        raise StorageError(
            f"the data folder {str(settings.data)!r} can't be made: {error.strerror}"
        ) from error
    async with open_store(settings.store_url, PLATFORM_ENTITIES) as store:
        await store.create_schema()
        async with open_bucket(settings.bucket_url) as bucket:
            jobs = Jobs(store)
            yield Platform(settings, store, bucket, jobs, MediaLibrary(store, bucket, jobs))
