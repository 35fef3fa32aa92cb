"""Holdfast for applications of FastAPI: lifespan, transactions, errors, models, lists, routes."""

from holdfast.extras import needs_extra

with needs_extra("fastapi", "holdfast.fastapi"):
    import fastapi as _fastapi  # noqa: F401 - says what to install before anything else fails

from holdfast.fastapi.application import Holdfast
from holdfast.fastapi.background_jobs import BackgroundJobs
from holdfast.fastapi.dependencies import Bucket, Cache, One, Repo, RequestID, Store, entity_at
from holdfast.fastapi.entity_tag import entity_tag
from holdfast.fastapi.http_options import HTTPOptions
from holdfast.fastapi.problem import ProblemError
from holdfast.fastapi.problem_schema import problem_responses
from holdfast.fastapi.request_limits import body_limit
from holdfast.fastapi.request_transaction import Reading, Writing
from holdfast.fastapi.thread_repository import SyncRepo

__all__ = [
    "BackgroundJobs",
    "Bucket",
    "Cache",
    "HTTPOptions",
    "Holdfast",
    "One",
    "ProblemError",
    "Reading",
    "Repo",
    "RequestID",
    "Store",
    "SyncRepo",
    "Writing",
    "body_limit",
    "entity_at",
    "entity_tag",
    "problem_responses",
]
