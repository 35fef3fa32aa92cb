"""The real S3 servers: how they are reached, and buckets of a test's own there."""

from urllib.parse import urlsplit
from uuid import uuid4

from holdfast.blocking import run
from holdfast.objects import Credentials, S3Options, sync
from holdfast.objects.drivers.s3.service import S3Request
from servers import url_of

SERVERS = ("minio", "versity")


def options_of(server, **more):
    """How *server* is reached; skips the test when it is not there."""
    parts = urlsplit(url_of(server))
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
    """Remove the bucket with all that is in it; fail where a lock holds some of it.

    Thousands that are left slow the server down. Holdfast itself never removes a bucket.
    """
    with sync.open_bucket(url, options=options) as bucket:
        driver = bucket.asynchronous._driver
        for upload in bucket.admin.uploads():
            bucket.admin.abort(upload)
        while found := list(bucket.versions()):  # MinIO lists a key below another after it is gone
            assert not run(driver.erase(found)), "a lock holds what a test left"
        run(driver._service.call(S3Request("DeleteBucket", "DELETE")))
