"""The domain of models: its entities and its service, as the platform plugs them in."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from holdfast.domain import Domain
from holdfast.jobs import Jobs
from holdfast.models.model_entities import MODEL_ENTITIES
from holdfast.models.registry import ModelRegistry
from holdfast.models.signatures.manifest_signing import TrustedKeys

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from fastapi import APIRouter

    from holdfast.domain import DomainParts


def _service(parts: DomainParts) -> AbstractAsyncContextManager[object]:
    cache = parts.folder.parent / "model-cache"
    place, jobs = parts.buckets["models"], parts.service(Jobs)
    keys = parts.section("models").get("keys")
    trusted = TrustedKeys.from_pem(keys) if isinstance(keys, Path) else None
    return nullcontext(ModelRegistry(parts.store, place, cache, jobs=jobs, trusted=trusted))


def _routes(parts: DomainParts) -> APIRouter:
    from holdfast.models.model_routes import model_routes  # noqa: PLC0415 - FastAPI is an extra

    return model_routes(parts.service(ModelRegistry), parts.folder)


MODELS = Domain(
    name="models",
    requires=("jobs",),
    entities=MODEL_ENTITIES,
    service=_service,
    routes=_routes,
)
"""Models: registered with their files, found by metrics, promoted by aliases."""
