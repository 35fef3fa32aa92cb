"""Where options are expected, something else is refused with the name of what was expected."""

import inspect
from typing import Any

import pytest

from holdfast.audit import AuditLog
from holdfast.cache import open_cache
from holdfast.console import add_console
from holdfast.errors import ConfigurationError, InvalidValueError
from holdfast.fastapi import (
    Holdfast,
    confirm_upload,
    event_stream,
    object_response,
    receive_upload,
    upload_form,
    upload_to,
)
from holdfast.hosts import Autoscaler, HostPool
from holdfast.jobs import NewJob, Task, Worker, task
from holdfast.jobs.history.job_streams import change_events
from holdfast.jobs.new_job import job_of
from holdfast.media import MediaLibrary
from holdfast.media.report import write_report
from holdfast.media.vision import MotionDetector, OnnxDetector, analyse
from holdfast.models import import_layout
from holdfast.models.alias_history import AliasHistory
from holdfast.objects import Bucket, open_bucket
from holdfast.records import open_store
from holdfast.sync import open_bucket as open_blocking_bucket
from holdfast.web.platform_application import create_application

pytestmark = pytest.mark.anyio

NONE: Any = None  # what is not looked at before the options are
WRONG: Any = {"most": 1}

CALLS = {
    "Holdfast": ("HTTPOptions", lambda: Holdfast(NONE, store="memory://", options=WRONG)),
    "event_stream": ("EventStreamOptions", lambda: event_stream(NONE, NONE, options=WRONG)),
    "object_response": (
        "DownloadOptions",
        lambda: object_response(NONE, NONE, "a", options=WRONG),
    ),
    "upload_form": (
        "UploadLimits",
        lambda: upload_form(NONE, "a", content_type="text/plain", limits=WRONG),
    ),
    "confirm_upload": ("UploadLimits", lambda: confirm_upload(NONE, "a", limits=WRONG)),
    "receive_upload": (
        "UploadLimits",
        lambda: receive_upload(NONE, NONE, "a", limits=WRONG).__aenter__(),
    ),
    "receive_upload's put": (
        "PutOptions",
        lambda: receive_upload(NONE, NONE, "a", options=WRONG).__aenter__(),
    ),
    "upload_to": ("UploadLimits", lambda: upload_to(NONE, limits=WRONG)),
    "upload_to's put": ("PutOptions", lambda: upload_to(NONE, options=WRONG)),
    "add_console": ("ConsoleOptions", lambda: add_console(NONE, NONE, options=WRONG)),
    "create_application": ("ServeOptions", lambda: create_application(NONE, WRONG)),
    "HostPool": ("HostPoolOptions", lambda: HostPool(NONE, [], options=WRONG)),
    "Autoscaler": ("ScalingPolicy", lambda: Autoscaler(NONE, NONE, WRONG)),
    "enqueue": ("EnqueueOptions", lambda: job_of(NewJob("a", {}, WRONG), NONE)),
    "Worker": ("WorkerOptions", lambda: Worker(NONE, {}, options=WRONG)),
    "task's retry": ("RetryPolicy", lambda: task(retry=WRONG)),
    "task's enqueue": ("EnqueueOptions", lambda: task(enqueue=WRONG)),
    "task's handler": ("HandlerOptions", lambda: task(handler=WRONG)),
    "using": ("EnqueueOptions", lambda: Task.using(NONE, WRONG)),
    "change_events": ("JobFilter", lambda: change_events(NONE, WRONG)),
    "AuditLog.search": ("AuditFilter", lambda: AuditLog.search(NONE, WRONG)),
    "alias moved": ("MoveOptions", lambda: AliasHistory.move(NONE, NONE, "prod", NONE, WRONG)),
    "alias back": ("MoveOptions", lambda: AliasHistory.roll_back(NONE, NONE, "prod", WRONG)),
    "import_layout": ("UnpackLimits", lambda: import_layout(NONE, "a", NONE, WRONG)),
    "MediaLibrary": (
        "DecoderLimits",
        lambda: MediaLibrary(type("", (), {"repository": id})(), NONE, NONE, limits=WRONG),
    ),
    "ingest": (
        "AnalysisOptions",
        lambda: MediaLibrary.ingest(NONE, NONE, project="a", options=WRONG),
    ),
    "detect": ("AnalysisOptions", lambda: MediaLibrary.detect(NONE, NONE, WRONG)),
    "analyse": ("AnalysisOptions", lambda: analyse("a", "b", NONE, options=WRONG)),
    "write_report": ("ReportOptions", lambda: write_report("a", NONE, options=WRONG)),
    "MotionDetector": ("MotionOptions", lambda: MotionDetector(WRONG)),
    "OnnxDetector": ("OnnxOptions", lambda: OnnxDetector("a", WRONG)),
    "put": ("PutOptions", lambda: Bucket.put(NONE, "a", b"", options=WRONG)),
    "upload": ("PutOptions", lambda: Bucket.upload(NONE, "a", "a", options=WRONG)),
    "list": ("Filter", lambda: Bucket.list(NONE, where=WRONG)),
    "presign": ("PresignOptions", lambda: Bucket.presign(NONE, "a", WRONG)),
    "open_bucket": ("DiskOptions", lambda: open_bucket("file:///tmp/a", options=WRONG)),
    "open_bucket's hooks": ("Hooks", lambda: open_bucket("memory://", hooks=WRONG)),
    "blocking hooks": ("Hooks", lambda: open_blocking_bucket("memory://", hooks=WRONG)),
    "open_cache": ("CacheOptions", lambda: open_cache("memory://", options=WRONG)),
    "open_store": ("MemoryOptions", lambda: open_store("memory://", [], options=WRONG)),
}


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("wrong", [{"most": 1}, {}])
async def test_something_else_than_options_is_refused_with_what_was_expected(
    name, wrong, monkeypatch
):
    monkeypatch.setitem(globals(), "WRONG", wrong)
    expected, call = CALLS[name]
    with pytest.raises((ConfigurationError, InvalidValueError), match=rf"\b{expected}\b"):
        found = call()
        if inspect.isawaitable(found):
            await found
