"""Holdfast for applications of FastAPI: lifespan, transactions, errors, models, lists, routes."""

from holdfast.extras import needs_extra

with needs_extra("fastapi", "holdfast.fastapi"):
    import fastapi as _fastapi  # noqa: F401 - says what to install before anything else fails

from holdfast.fastapi.application import Holdfast
from holdfast.fastapi.background_jobs import BackgroundJobs
from holdfast.fastapi.crud.crud_router import crud_router
from holdfast.fastapi.crud.crud_rules import CrudModels, CrudRules
from holdfast.fastapi.crud.list_query import ListQuery, list_query
from holdfast.fastapi.crud.preconditions import IfMatch, Minimal, RequiredMatch
from holdfast.fastapi.dependencies import Bucket, Cache, FromPath, Repo, RequestID, Store, entity_at
from holdfast.fastapi.entity_tag import entity_tag
from holdfast.fastapi.exchange import lift_deadline
from holdfast.fastapi.http_options import HTTPOptions
from holdfast.fastapi.idempotency import Idempotency, IdempotentRoute, idempotency
from holdfast.fastapi.idempotency_record import IdempotencyRecord, purge_idempotency_records
from holdfast.fastapi.problems.problem import ProblemError
from holdfast.fastapi.problems.problem_schema import problem_responses
from holdfast.fastapi.request_limits import body_limit
from holdfast.fastapi.request_transaction import Reading, Writing
from holdfast.fastapi.streams.event_stream import (
    EventStreamOptions,
    ServerSentEvent,
    end_event_streams,
    event_stream,
)
from holdfast.fastapi.streams.job_events import job_event_stream, job_events
from holdfast.fastapi.thread_repository import SyncRepo
from holdfast.fastapi.transfers.object_response import DownloadOptions, object_response
from holdfast.fastapi.transfers.presigned_transfer import (
    UploadForm,
    confirm_upload,
    presigned_redirect,
    upload_form,
)
from holdfast.fastapi.transfers.request_body import UploadLimits
from holdfast.fastapi.transfers.upload_dependency import upload_to
from holdfast.fastapi.transfers.upload_request import ReceivedUpload, receive_upload
from holdfast.fastapi.wire.wire_model import (
    CreateModel,
    OutModel,
    PatchModel,
    create_model,
    out_model,
    patch_model,
)

__all__ = [
    "BackgroundJobs",
    "Bucket",
    "Cache",
    "CreateModel",
    "CrudModels",
    "CrudRules",
    "DownloadOptions",
    "EventStreamOptions",
    "FromPath",
    "HTTPOptions",
    "Holdfast",
    "Idempotency",
    "IdempotencyRecord",
    "IdempotentRoute",
    "IfMatch",
    "ListQuery",
    "Minimal",
    "OutModel",
    "PatchModel",
    "ProblemError",
    "Reading",
    "ReceivedUpload",
    "Repo",
    "RequestID",
    "RequiredMatch",
    "ServerSentEvent",
    "Store",
    "SyncRepo",
    "UploadForm",
    "UploadLimits",
    "Writing",
    "body_limit",
    "confirm_upload",
    "create_model",
    "crud_router",
    "end_event_streams",
    "entity_at",
    "entity_tag",
    "event_stream",
    "idempotency",
    "job_event_stream",
    "job_events",
    "lift_deadline",
    "list_query",
    "object_response",
    "out_model",
    "patch_model",
    "presigned_redirect",
    "problem_responses",
    "purge_idempotency_records",
    "receive_upload",
    "upload_form",
    "upload_to",
]
