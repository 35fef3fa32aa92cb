"""The domain of media: projects, videos and clips, and the detection that workers run."""

from __future__ import annotations

import logging
from contextlib import nullcontext
from datetime import timedelta
from typing import TYPE_CHECKING

from holdfast.domain import Domain
from holdfast.errors import ConfigurationError, InvalidValueError
from holdfast.extras import check_extra
from holdfast.jobs import Jobs
from holdfast.media.decoding_limits import DecoderLimits
from holdfast.media.entities import MEDIA_ENTITIES, Project
from holdfast.media.library import MediaLibrary
from holdfast.media.review.review_entities import REVIEW_ENTITIES
from holdfast.media.review.saved_clips import SavedClips
from holdfast.media.uploads import remove_old_uploads

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractAsyncContextManager

    from fastapi import APIRouter

    from holdfast.domain import DomainParts
    from holdfast.jobs import Handler
    from holdfast.media.registered_detector import RegisteredDetector
    from holdfast.media.vision.detector import Detector

_log = logging.getLogger("holdfast.media")


def _service(parts: DomainParts) -> AbstractAsyncContextManager[object]:
    place = parts.buckets["video"]
    if place.prefix:  # the layout of its keys is its own: raw/, frames/, results/
        raise ConfigurationError(f"the bucket of videos has no prefix, got {place.prefix!r}")
    limits = DecoderLimits(
        memory=parts.limits.decoder_memory,
        analysis_cpu=parts.limits.decoder_cpu,
        silence=parts.limits.decoder_silence,
    )
    jobs = parts.service(Jobs)
    return nullcontext(MediaLibrary(parts.store, place.bucket, jobs, limits=limits))


def _handlers(parts: DomainParts) -> Mapping[str, Handler]:
    # The process that decodes imports them, once for each job.
    check_extra("media", "detection", ("av", "numpy", "cv2", "pyarrow", "zstandard"))
    from holdfast.media.detection_job import DetectionHandler  # noqa: PLC0415 - pydantic
    from holdfast.media.review.clip_export import ClipExport  # noqa: PLC0415 - the same

    library = parts.service(MediaLibrary)
    return {
        **DetectionHandler(library, _detector(parts), parts.folder).handlers,
        **ClipExport(library, parts.folder).handlers,
    }


def _detector(parts: DomainParts) -> Detector | RegisteredDetector:
    """Return what the setting *detector* names. Raises ConfigurationError."""
    from holdfast.media.vision import MotionDetector  # noqa: PLC0415 - the extra `media`

    reference = str(parts.section("media").get("detector", "motion"))
    if reference == "motion":
        return MotionDetector()
    from holdfast.media.registered_detector import RegisteredDetector  # noqa: PLC0415 - the same
    from holdfast.models import ModelRegistry  # noqa: PLC0415 - a domain that may be off
    from holdfast.models.model_reference import parse_reference  # noqa: PLC0415 - the same

    try:
        parse_reference(reference)
    except InvalidValueError as error:
        raise ConfigurationError(f"the setting detector: {error.reason}") from None
    check_extra("onnx", "detection by a network", ("onnxruntime",))
    return RegisteredDetector(parts.service(ModelRegistry), reference)


def _routes(parts: DomainParts) -> APIRouter:
    from holdfast.media.media_routes import media_routes  # noqa: PLC0415 - FastAPI is an extra
    from holdfast.media.review.case_archive import keeper_in  # noqa: PLC0415 - the same
    from holdfast.media.review.case_routes import case_routes  # noqa: PLC0415 - the same
    from holdfast.media.review.clip_routes import clip_routes  # noqa: PLC0415 - the same
    from holdfast.media.review.review_routes import review_routes  # noqa: PLC0415 - the same

    library = parts.service(MediaLibrary)
    router = media_routes(library, parts.folder, parts.limits)
    for routes in (review_routes(library), clip_routes(library)):
        router.include_router(routes)
    router.include_router(case_routes(library, keeper_in(parts)))
    return router


async def _upkeep(parts: DomainParts) -> None:
    age = timedelta(seconds=parts.limits.upload_age)
    bucket = parts.buckets["video"].bucket
    await SavedClips(parts.service(MediaLibrary)).remove_old_shares()
    removed = await remove_old_uploads(bucket, age=age, now=parts.store.now())
    if removed:
        _log.warning("removed %d uploads that were never ingested", removed)


MEDIA = Domain(
    name="media",
    requires=("jobs",),
    entities=(*MEDIA_ENTITIES, *REVIEW_ENTITIES),
    audited=(*MEDIA_ENTITIES, *REVIEW_ENTITIES),
    editable=(Project,),
    service=_service,
    handlers=_handlers,
    routes=_routes,
    upkeep=_upkeep,
)
"""Media: real video files in, what moves in them out. Its handlers need the extra `media`."""
