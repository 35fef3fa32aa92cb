"""The real S3 servers that answer now; what is missing is skipped with its reason."""

import os
import sys
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

from holdfast.objects import Credentials, S3Options, sync

CHECKOUT = Path(__file__).resolve().parents[2]
if str(CHECKOUT) not in sys.path:
    sys.path.insert(0, str(CHECKOUT))

from tools.services.endpoints import endpoints  # noqa: E402 - only now can it be found

SERVERS = ("minio", "versity")
_RUNNING = {}


def options_of(server, **more):
    """How *server* is reached; skips the test when it is not there."""
    if not _RUNNING:
        _RUNNING.update(endpoints(), asked=None)
    found = _RUNNING.get(server)
    if found is None:
        reason = f"{server} does not run: make services"
        if os.environ.get("HOLDFAST_REQUIRE_SERVERS") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    parts = urlsplit(found.url)
    return S3Options(
        endpoint_url=f"{parts.scheme}://{parts.hostname}:{parts.port}",
        region="us-east-1",
        credentials=Credentials(parts.username, parts.password),
        create=True,
        **more,
    )


def new_name():
    return f"s3://holdfast-{uuid4().hex[:16]}"


def remove(url, options):
    """Remove the bucket with all that is in it."""
    with sync.open_bucket(url, options=options) as bucket:
        for upload in bucket.admin.uploads():
            bucket.admin.abort(upload)
        for found in list(bucket.versions()):
            bucket.delete(found.key, version=found.version)
