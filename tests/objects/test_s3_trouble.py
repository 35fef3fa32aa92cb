"""Trouble that real users of S3 met: keys that end, regions, peers without progress, odd XML."""

import asyncio
import os
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from holdfast.aws.retry import retry_after
from holdfast.errors import ConfigurationError, ServiceError, StorageError, UnavailableError
from holdfast.objects import Credentials, PresignOptions, S3Options, open_bucket, sync
from holdfast.objects.connect import plan_of
from holdfast.objects.drivers.s3 import spool
from holdfast.objects.drivers.s3.options import address_of, with_environment
from objects.faulty_s3 import BUCKET, Answer, FaultyS3, Stored, _Handler, refusal
from objects.socket_server import serving

MIB = 1024 * 1024
LARGE = bytes(range(256)) * (12 * MIB // 256)
IN_PARTS = {"multipart": 5 * MIB, "part": 5 * MIB}


@pytest.fixture
def server():
    with FaultyS3().running() as running:
        yield running


def blocking(server, **more):
    return sync.open_bucket(f"s3://{BUCKET}", options=server.options(**more))


def with_keys(server, provide, **more):
    options = S3Options(
        endpoint_url=f"http://127.0.0.1:{server.port}", credentials=provide, attempts=4, **more
    )
    return sync.open_bucket(f"s3://{BUCKET}", options=options)


class Rotating:
    """A source of keys, and a service that accepts the newest alone."""

    def __init__(self, code="ExpiredToken"):
        self.asked = 0
        self.newest = 0
        self.code = code

    def provide(self):
        self.asked += 1
        return Credentials(
            f"key{self.newest}", "s", "token", datetime.now(UTC) + timedelta(hours=1)
        )

    def check(self, request, proceed):
        if f"Credential=key{self.newest}/" not in request.headers["authorization"]:
            return refusal(400, self.code)
        return proceed()


@pytest.mark.parametrize("code", ["ExpiredToken", "InvalidToken", "InvalidAccessKeyId"])
def test_keys_that_ended_are_asked_for_again_before_the_next_attempt(server, code):
    keys = Rotating(code)
    with with_keys(server, keys.provide) as bucket:
        keys.newest = 1
        server.plant("PutObject", keys.check, keys.check)
        bucket.put("k", b"v")
        assert server.count("PutObject") == 2
        assert keys.asked == 2
        server.plant("PutObject", *[lambda *_: refusal(400, code)] * 6)
        with pytest.raises(ConfigurationError, match=code):
            bucket.put("k", b"v")
        assert server.count("PutObject") == 3  # the source has no other key, so nothing changed


def test_keys_that_end_in_the_middle_of_an_upload_in_parts(server):
    keys = Rotating()

    def rotate(request, proceed):
        keys.newest += 1
        return keys.check(request, proceed)

    with with_keys(server, keys.provide, **IN_PARTS) as bucket:
        server.plant("UploadPart", keys.check, rotate, *[keys.check] * 20)
        server.plant("CompleteMultipartUpload", rotate, *[keys.check] * 3)
        bucket.put("k", LARGE)
        assert bucket.get("k") == LARGE
    assert server.aborted == []
    assert 3 <= keys.asked <= 5


def test_a_refusal_without_a_body_is_tried_with_another_key_if_there_is_one(server, monkeypatch):
    keys = Rotating()
    with with_keys(server, keys.provide) as bucket:
        bucket.put("k", b"v")
        service = bucket.asynchronous._driver._service
        service._credentials._asked -= timedelta(minutes=5)
        keys.newest = 1
        server.plant("HeadObject", lambda *_: Answer(403), keys.check)
        assert bucket.head("k").size == 1
        server.plant("HeadObject", *[lambda *_: Answer(403)] * 3)
        with pytest.raises(ServiceError, match="403"):
            bucket.head("k")
        assert keys.asked == 2  # it was asked a moment ago


def test_a_url_lives_as_long_as_its_key_and_not_until_the_next_look(server):
    now = datetime.now(UTC)
    keys = Credentials(
        "k", "s", "t", now + timedelta(hours=6), look_again=now + timedelta(minutes=10)
    )
    with with_keys(server, lambda: keys) as bucket:
        url = bucket.presign("k", PresignOptions(expires=timedelta(hours=1)))
        assert url.expires - now > timedelta(minutes=59)
        assert "X-Amz-Expires=3600" in url.url
        form = bucket.presign_post("k")
        assert form.expires - now > timedelta(minutes=59)


ERROR = b"<Code>InternalError</Code><Message>planted</Message></Error>"
ODD = {
    "white space before the declaration": b'\n\n <?xml version="1.0"?>\n<Error>' + ERROR,
    "a byte order mark": b'\xef\xbb\xbf<?xml version="1.0"?><Error>' + ERROR,
    "a namespace": b'<Error xmlns="http://s3.amazonaws.com/doc/2006-03-01/">' + ERROR,
    "padding": b" " * 70_000 + b"<Error>" + ERROR,
    "a long comment": b"<?xml version='1.0'?><!--" + b"x" * 1000 + b"--><Error>" + ERROR,
    "attributes": b"<Error a='b'>" + ERROR,
}


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("operation", ["CompleteMultipartUpload", "CopyObject"])
def test_a_failure_inside_a_200_is_read_as_xml(server, operation, odd):
    server.plant(operation, lambda *_: Answer(body=ODD[odd]))
    with blocking(server, **IN_PARTS) as bucket:
        bucket.put("k", LARGE)
        bucket.copy("k", "l")
        assert bucket.get("l") == LARGE
    assert server.count(operation) == 2


def test_a_success_behind_white_space_is_one(server):
    def padded(request, proceed):
        answer = proceed()
        body = b'\r\n   <?xml version="1.0" encoding="UTF-8"?>\n' + answer.body
        return Answer(200, answer.headers, body)

    for operation in ("CompleteMultipartUpload", "CopyObject", "ListObjectsV2"):
        server.plant(operation, padded)
    with blocking(server, **IN_PARTS) as bucket:
        bucket.put("k", LARGE)
        bucket.copy("k", "l")
        assert [info.key for info in bucket.list()] == ["k", "l"]


def deletion(*refused):
    """Do a DeleteObjects but for the keys *refused*, each with its code."""

    def answer(request, proceed):
        codes = dict(refused)
        body = ""
        for key in [*request.s3.objects]:
            if f"<Key>{key}</Key>".encode() in request.body:
                if key in codes:
                    body += f"<Error><Key>{key}</Key><Code>{codes[key]}</Code></Error>"
                else:
                    del request.s3.objects[key]
        return Answer(body=f"<DeleteResult>{body}</DeleteResult>".encode())

    return answer


@pytest.fixture
def deleting(server, monkeypatch):
    plain = _Handler.operation
    monkeypatch.setattr(
        _Handler,
        "operation",
        lambda self: "DeleteObjects" if "delete" in self.query else plain(self),
    )
    monkeypatch.setattr(
        FaultyS3, "do_DeleteObjects", lambda _, request: deletion()(request, None), raising=False
    )
    for key in "abc":
        server.objects[key] = Stored(b"x", {})
    return server


@pytest.mark.parametrize("code", ["InternalError", "SlowDown", "ServiceUnavailable"])
def test_keys_that_fail_for_now_are_deleted_by_another_request(deleting, code):
    deleting.plant("DeleteObjects", deletion(("b", code)))
    with blocking(deleting) as bucket:
        assert bucket.delete_many(["a", "b", "c"]) == 3
    assert deleting.objects == {}
    assert deleting.count("DeleteObjects") == 2


def test_keys_that_keep_failing_are_unavailable_and_not_forbidden(deleting):
    deleting.plant("DeleteObjects", *[deletion(("b", "InternalError"))] * 9)
    with blocking(deleting) as bucket, pytest.raises(UnavailableError, match=r"'b'.*InternalError"):
        bucket.delete_many(["a", "b", "c"])
    assert [*deleting.objects] == ["b"]
    assert deleting.count("DeleteObjects") == 4


def test_a_key_that_is_refused_says_what_the_service_said(deleting):
    deleting.plant("DeleteObjects", deletion(("a", "AccessDenied")))
    with blocking(deleting) as bucket, pytest.raises(ServiceError) as caught:
        bucket.delete_many(["a", "b", "c"])
    assert (caught.value.status, caught.value.code) == (403, "AccessDenied")
    assert [*deleting.objects] == ["a"]


def test_ones_own_limit_is_told_as_ones_own(server):
    with blocking(server, connections=2, read_timeout=3.0) as bucket:
        bucket.put("k", LARGE)
        with bucket.open("k") as first, bucket.open("k") as second:
            first.read(1)
            second.read(1)
            before = server.count("HeadObject")
            with pytest.raises(UnavailableError, match=r"all 2 connections.*connections"):
                bucket.head("k")
        assert server.count("HeadObject") == before
        assert bucket.head("k").size == len(LARGE)


PAGES = {
    "ListObjectsV2": (
        "ListBucketResult",
        "<NextContinuationToken>again</NextContinuationToken>",
        lambda bucket: list(bucket.list()),
    ),
    "ListMultipartUploads": (
        "ListMultipartUploadsResult",
        "<NextKeyMarker>a</NextKeyMarker><NextUploadIdMarker>b</NextUploadIdMarker>",
        lambda bucket: list(bucket.admin.uploads()),
    ),
    "ListObjectVersions": (
        "ListVersionsResult",
        "<NextKeyMarker>a</NextKeyMarker>",
        lambda bucket: list(bucket.versions()),
    ),
}


@pytest.mark.parametrize("operation", PAGES)
def test_pages_that_lead_back_to_themselves_end(server, operation, monkeypatch):
    root, marker, use = PAGES[operation]
    page = f"<{root}><IsTruncated>true</IsTruncated>{marker}</{root}>".encode()
    monkeypatch.setattr(server, "handle", lambda *_: Answer(body=page))
    with blocking(server) as bucket, pytest.raises(ServiceError, match="forever"):
        use(bucket)
    assert len(server.log) <= 4


def test_empty_pages_with_ever_new_tokens_end(server, monkeypatch):
    def handle(name, request):
        token = f"<NextContinuationToken>{len(server.log)}</NextContinuationToken>"
        body = f"<ListBucketResult><IsTruncated>true</IsTruncated>{token}</ListBucketResult>"
        return Answer(body=body.encode())

    with blocking(server) as bucket:
        monkeypatch.setattr(server, "handle", handle)
        with pytest.raises(ServiceError, match="forever"):
            list(bucket.list())


@pytest.mark.parametrize("what", ["a body", "a document", "a head", "trailers"])
def test_a_server_that_drips_is_given_up(what):
    """A byte each tenth of a second: each wait is short, and all of it would take hours."""
    size = 100_000
    heads = {
        "a body": f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\nETag: x\r\n"
        "Last-Modified: Sun, 01 Nov 2026 00:00:00 GMT\r\n\r\n",
        "a document": f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n",
        "a head": "HTTP/1.1 200 OK\r\n",
        "trailers": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length-Not: 1\r\n"
        "\r\n1\r\n<\r\n0\r\n",
    }

    def drip(connected):
        asked = connected.recv(65536)
        if asked.startswith(b"HEAD"):
            connected.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            connected.recv(65536)
        connected.sendall(heads[what].encode())
        while True:
            connected.sendall(b"x")
            time.sleep(0.05)

    with serving(drip) as port:
        options = S3Options(
            endpoint_url=f"http://127.0.0.1:{port}",
            credentials=Credentials("k", "s"),
            total_timeout=0.5,
            attempts=2,
        )
        with sync.open_bucket(f"s3://{BUCKET}", options=options) as bucket:
            use = (lambda: bucket.get("k")) if what == "a body" else (lambda: list(bucket.list()))
            with pytest.raises(UnavailableError):
                use()


def test_what_moves_steadily_outlives_the_total_timeout(server):
    """The time to send all of it is ten times the limit, and each piece is taken."""
    plain = spool.SpoolPart._window

    async def slow(self, start, size):
        await asyncio.sleep(0.05)
        return await plain(self, start, size)

    async def main():
        options = server.options(total_timeout=0.4, multipart=64 * MIB, attempts=1)
        async with open_bucket(f"s3://{BUCKET}", options=options) as bucket:
            spool.SpoolPart._window = slow
            try:
                await bucket.put("k", LARGE)
            finally:
                spool.SpoolPart._window = plain

    asyncio.run(main())
    assert server.objects["k"].body == LARGE


def test_a_date_in_retry_after_is_understood():
    now = datetime(2026, 11, 29, 12, 0, tzinfo=UTC)
    later = format_datetime(now + timedelta(seconds=90), usegmt=True)
    assert retry_after(later, 300, lambda: now) == 90
    assert retry_after(later, 20, lambda: now) == 20
    assert retry_after(format_datetime(now - timedelta(days=1), usegmt=True), 300, lambda: now) == 0
    assert retry_after("7", 300, lambda: now) == 7
    for nonsense in ("soon", "Fri, 99 Foo 2026 00:00:00 GMT", "-1", "", None, "٣"):
        assert retry_after(nonsense, 300, lambda: now) is None


NOWHERE = {"AWS_CONFIG_FILE": "/nowhere"}


@pytest.mark.parametrize(
    ("region", "more", "host"),
    [
        ("eu-west-1", {}, "b.s3.eu-west-1.amazonaws.com"),
        ("cn-north-1", {}, "b.s3.cn-north-1.amazonaws.com.cn"),
        ("cn-northwest-1", {"dual_stack": True}, "b.s3.dualstack.cn-northwest-1.amazonaws.com.cn"),
        ("us-gov-west-1", {"fips": True}, "b.s3-fips.us-gov-west-1.amazonaws.com"),
        ("us-east-1", {"dual_stack": True}, "b.s3.dualstack.us-east-1.amazonaws.com"),
        (
            "us-east-1",
            {"dual_stack": True, "fips": True},
            "b.s3-fips.dualstack.us-east-1.amazonaws.com",
        ),
    ],
)
def test_the_hosts_of_aws(region, more, host):
    address = address_of("b" * 3, S3Options(region=region, **more))
    assert address.endpoint.host == host.replace("b.", "bbb.", 1)


def test_paths_in_endpoints_and_access_points():
    there = S3Options(region="eu-west-1", endpoint_url="https://gate.test/storage/s3/")
    address = address_of("bucket", there)
    assert (address.endpoint.host, address.prefix) == ("gate.test", "/storage/s3/bucket/")
    virtual = address_of("bucket", S3Options(addressing="virtual", endpoint_url="http://g/x"))
    assert (virtual.endpoint.host, virtual.prefix) == ("bucket.g", "/x/")
    arn = "arn:aws-cn:s3:cn-north-1:123456789012:accesspoint/my-point"
    point = address_of(arn, S3Options(region="cn-north-1"))
    host = "my-point-123456789012.s3-accesspoint.cn-north-1.amazonaws.com.cn"
    assert (point.endpoint.host, point.prefix) == (host, "/")
    for bad in (
        "arn:aws:s3::123456789012:accesspoint/multi.mrap",
        "arn:aws:s3-outposts:us-west-2:123456789012:outpost/op-1/accesspoint/x",
        "arn:aws:s3:::bucket",
    ):
        with pytest.raises(ConfigurationError, match="access point"):
            plan_of(f"s3://{bad}", S3Options(region="us-east-1"))
    for bad in ("https://x/a b", "https://x/a?b", "https://x/%2e", "https://u@x/a"):
        with pytest.raises(ConfigurationError):
            address_of("bucket", S3Options(endpoint_url=bad))


def test_a_server_behind_a_path_is_used(server):
    plain = server.options()

    def stripped(self):
        assert self.path.startswith("/storage/")
        self.path = self.path.removeprefix("/storage")
        return _Handler.answer(self)

    with pytest.MonkeyPatch.context() as patch:
        for verb in ("GET", "PUT", "HEAD", "POST", "DELETE"):
            patch.setattr(_Handler, f"do_{verb}", stripped)
        url = f"{plain.endpoint_url}/storage"
        with sync.open_bucket(f"s3://{BUCKET}", options=server.options(endpoint_url=url)) as bucket:
            bucket.put("k", b"v")
            assert bucket.get("k") == b"v"
            assert "/storage/faulty/k?" in bucket.presign("k").url


def test_an_aws_profile_names_region_and_endpoint(tmp_path):
    (tmp_path / "config").write_text(
        """[default]
region = eu-north-1
[profile lab]
region = eu-south-1
endpoint_url = https://general.test
services = lab-services
use_dualstack_endpoint = true
[services lab-services]
s3 =
  endpoint_url = https://s3.lab.test
dynamodb =
  endpoint_url = https://other.test
"""
    )
    environment = {"AWS_CONFIG_FILE": str(tmp_path / "config")}
    assert with_environment(S3Options(), environment).region == "eu-north-1"
    lab = environment | {"AWS_PROFILE": "lab"}
    found = with_environment(S3Options(), lab)
    assert (found.region, found.endpoint_url) == ("eu-south-1", "https://s3.lab.test")
    assert found.dual_stack
    over = with_environment(
        S3Options(), lab | {"AWS_REGION": "us-west-1", "AWS_ENDPOINT_URL": "http://e"}
    )
    assert (over.region, over.endpoint_url) == ("us-west-1", "http://e")
    own = with_environment(S3Options(region="x", endpoint_url="http://o"), lab)
    assert (own.region, own.endpoint_url) == ("x", "http://o")
    ignoring = with_environment(S3Options(), lab | {"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"})
    assert ignoring.endpoint_url == ""
    assert with_environment(S3Options(), NOWHERE).region == "us-east-1"
    (tmp_path / "config").write_text("nonsense")
    with pytest.raises(ConfigurationError, match="can't be read"):
        with_environment(S3Options(), environment)


ELSEWHERE = {
    "PermanentRedirect": Answer(301, {"x-amz-bucket-region": "eu-central-1"}),
    "TemporaryRedirect": Answer(307, {"x-amz-bucket-region": "eu-central-1"}),
    "malformed": Answer(
        400,
        {},
        b"<Error><Code>AuthorizationHeaderMalformed</Code><Region>eu-central-1</Region></Error>",
    ),
    "malformed, without a body": Answer(400, {"x-amz-bucket-region": "eu-central-1"}),
}


@pytest.mark.parametrize("how", ELSEWHERE)
def test_the_region_of_a_bucket_is_followed_once_for_all_requests(server, how):
    regions = []

    def handle(name, request):
        regions.append(request.headers["authorization"].split("/")[2])
        if regions[-1] != "eu-central-1":
            return ELSEWHERE[how]
        return FaultyS3.handle(server, name, request)

    server.handle = handle
    with blocking(server, region="us-east-1") as bucket:
        bucket.put("k", b"v")
        assert bucket.get("k") == b"v"
        assert "eu-central-1" in bucket.presign("k").url
    assert regions.count("us-east-1") <= 2  # a HEAD may not be told the region, but a GET


def test_a_region_that_leads_in_circles_is_an_error(server):
    server.handle = lambda _, request: Answer(
        301,
        {
            "x-amz-bucket-region": "eu-west-1"
            if "us-east-1" in request.headers["authorization"]
            else "us-east-1"
        },
    )
    with pytest.raises(ConfigurationError, match="region"):
        blocking(server, region="us-east-1").__enter__()
    assert len(server.log) <= 3


def test_no_region_is_taken_that_could_be_a_host(server):
    evil = Answer(301, {"x-amz-bucket-region": "evil.test/x"})
    server.plant("HeadBucket", lambda *_: evil)
    with pytest.raises(ConfigurationError):
        blocking(server).__enter__()
    assert len(server.log) == 1


def test_anonymous_requests_are_not_signed(server):
    seen = []

    def handle(name, request):
        seen.append({name.lower() for name in request.headers})
        return FaultyS3.handle(server, name, request)

    server.handle = handle
    server.objects["k"] = Stored(b"public", {})
    options = S3Options(endpoint_url=f"http://127.0.0.1:{server.port}", anonymous=True)
    with sync.open_bucket(f"s3://{BUCKET}", options=options) as bucket:
        assert bucket.get("k") == b"public"
        with pytest.raises(ConfigurationError, match="anonymous"):
            bucket.presign("k")
    assert all("authorization" not in headers for headers in seen)


@pytest.mark.parametrize("size", ["200000000000000", "9" * 5000, "-1", "٣", "1e9"])
@pytest.mark.parametrize("resume", [False, True])
def test_a_size_that_no_object_can_have_is_not_believed(server, tmp_path, size, resume):
    marks = {
        "content-encoding": "zstd",
        "x-amz-meta-holdfast-size": size.encode().decode("latin-1"),
    }
    server.objects["k"] = Stored(b"x" * 100, {**marks, "content-type": "text/plain"})
    with blocking(server) as bucket:
        assert bucket.head("k").size == 100
        bucket.download("k", tmp_path / "file", resume=resume)
    assert (tmp_path / "file").stat().st_size == 100


def test_metadata_of_others_brings_no_control_characters(server):
    encoded = "=?UTF-8?B?YRtbMzFtDQpiwoXigK4=?="  # ESC, CR, LF, NEL and a mark that turns text
    server.objects["k"] = Stored(
        b"x", {"x-amz-meta-note": encoded, "x-amz-meta-zwj": "=?UTF-8?B?8J+RqOKAjfCfkrs=?="}
    )
    with blocking(server) as bucket:
        found = bucket.head("k").metadata
        assert found["note"] == "a\ufffd[31m\ufffd\ufffdb\ufffd\ufffd"
        assert found["zwj"] == "\U0001f468\u200d\U0001f4bb"
        bucket.copy("k", "l")


@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
@pytest.mark.parametrize("resume", [False, True])
def test_a_download_replaces_no_pipe_device_or_folder(tmp_path, kind, resume):
    path = tmp_path / "target"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path = type(path)("/dev/null")
    with sync.open_bucket("memory://") as bucket:
        bucket.put("k", b"v")
        with pytest.raises(StorageError, match=f"it is a {kind}"):
            bucket.download("k", path, resume=resume)
    assert not path.is_file()
    assert path.exists()


@pytest.mark.parametrize("resume", [False, True])
@pytest.mark.parametrize("there", [True, False])
def test_a_download_onto_a_link_goes_where_it_leads(tmp_path, resume, there):
    (tmp_path / "real").mkdir()
    real = tmp_path / "real/file"
    if there:
        real.write_bytes(b"old")
    (tmp_path / "one").symlink_to(tmp_path / "two")
    (tmp_path / "two").symlink_to(real)
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    with sync.open_bucket("memory://") as bucket:
        bucket.put("k", b"new")
        bucket.download("k", tmp_path / "one", resume=resume)
        with pytest.raises(StorageError):
            bucket.download("k", tmp_path / "circle", resume=resume)
    assert (tmp_path / "one").is_symlink()
    assert real.read_bytes() == b"new"
    assert [path.name for path in real.parent.iterdir()] == ["file"]
