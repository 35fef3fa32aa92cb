"""What an object tells a browser, keys of one's own, moves, and URLs for every method."""

import ssl
import urllib.error
import urllib.request
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from holdfast.errors import (
    ConfigurationError,
    InvalidValueError,
    ObjectNotFoundError,
    PreconditionFailedError,
    UnsupportedError,
)
from holdfast.objects import BucketCapability, PresignOptions, PutOptions, sync
from objects.faulty_s3 import BUCKET, FaultyS3
from objects.s3_servers import SERVERS, new_name, options_of, remove

TOLD = PutOptions(
    cache_control="public, max-age=60",
    content_disposition='inline; filename="a.txt"',
    content_language="de",
)
HTTP = {
    "cache-control": "public, max-age=60",
    "content-disposition": 'inline; filename="a.txt"',
    "content-language": "de",
}
KEY = bytes(range(32))


@pytest.fixture(params=["memory", "disk", *SERVERS])
def bucket(request, tmp_path):
    if request.param in SERVERS:
        options, name = options_of(request.param), new_name()
        with sync.open_bucket(name, options=options) as opened:
            yield opened
        remove(name, options)
        return
    place = "memory://" if request.param == "memory" else tmp_path / "bucket"
    with sync.open_bucket(place) as opened:
        yield opened


def test_headers_are_kept_and_copied(bucket):
    assert bucket.put("k", b"v", options=TOLD).http == HTTP
    assert bucket.head("k").http == HTTP
    bucket.copy("k", "copied")
    bucket.move("k", "moved")
    for key in ("copied", "moved"):
        assert bucket.head(key).http == HTTP
        assert bucket.get(key) == b"v"
    bucket.put("copied", b"plain")
    assert bucket.head("copied").http == {}


def test_what_a_backend_lacks_is_refused_by_name(bucket):
    for options, capability in (
        (PutOptions(storage_class="STANDARD"), BucketCapability.STORAGE_CLASS),
        (PutOptions(acl="private"), BucketCapability.ACL),
    ):
        if capability in bucket.capabilities:
            bucket.put("k", b"v", options=options)
            assert bucket.get("k") == b"v"
        else:
            with pytest.raises(UnsupportedError) as caught:
                bucket.put("k", b"v", options=options)
            assert caught.value.capability == capability
    if BucketCapability.CUSTOMER_KEYS not in bucket.capabilities:
        with pytest.raises(UnsupportedError):
            bucket.encrypted_with(KEY)


@pytest.mark.parametrize("text", ["a\r\nSet-Cookie: x", "", " a", "a\0", "ü", "x" * 2000, 7])
@pytest.mark.parametrize("field", ["cache_control", "content_disposition", "content_language"])
def test_a_header_is_printable_ascii(field, text):
    with pytest.raises(InvalidValueError, match=field):
        PutOptions(**{field: text})


def test_a_class_or_acl_is_a_name():
    for bad in ("a b", "", "a\n", 3):
        with pytest.raises(InvalidValueError):
            PutOptions(storage_class=bad)
        with pytest.raises(InvalidValueError):
            PutOptions(acl=bad)


def test_a_move_leaves_nothing_at_the_source(bucket):
    bucket.put("a", b"v", metadata={"m": "1"}, content_type="text/x")
    moved = bucket.move("a", "b")
    assert (moved.key, moved.content_type) == ("b", "text/x")
    assert not bucket.exists("a")
    assert bucket.get("b") == b"v"
    assert bucket.move("b", "b").key == "b"
    assert bucket.get("b") == b"v"
    with pytest.raises(ObjectNotFoundError):
        bucket.move("a", "c")


def test_a_source_that_was_replaced_meanwhile_stays():
    with sync.open_bucket("memory://") as bucket:
        bucket.put("a", b"old")
        driver = bucket.asynchronous._driver
        plain = driver.copy

        async def copy(source, target):
            info = await plain(source, target)
            bucket.put("a", b"new")
            return info

        driver.copy = copy
        with pytest.raises(PreconditionFailedError):
            bucket.move("a", "b")
        assert bucket.get("a") == b"new"
        assert bucket.get("b") == b"old"


def fetch(url, body=None):
    request = urllib.request.Request(
        url.url, data=body, method=url.method, headers=dict(url.headers)
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return answer.read(), answer.headers


@pytest.fixture(params=SERVERS)
def served(request):
    options, name = options_of(request.param), new_name()
    with sync.open_bucket(name, options=options) as opened:
        yield opened
    remove(name, options)


def test_urls_for_every_method(served):
    served.put("k", b"value")
    told = {"cache-control": "no-store", "content-language": "fr", "content-disposition": "inline"}
    body, headers = fetch(served.presign("k", PresignOptions(answer=told)))
    assert body == b"value"
    assert (headers["cache-control"], headers["content-language"]) == ("no-store", "fr")
    assert headers["content-disposition"] == "inline"
    _, headers = fetch(served.presign("k", PresignOptions(method="HEAD")))
    assert headers["content-length"] == "5"
    only_head = served.presign("k", PresignOptions(method="HEAD"))
    with pytest.raises(urllib.error.HTTPError) as refused:
        fetch(replace(only_head, method="GET"))
    refused.value.close()
    fetch(served.presign("k", PresignOptions(method="DELETE", expires=timedelta(minutes=1))))
    assert not served.exists("k")


def test_parts_are_sent_by_those_who_have_their_urls(served):
    upload = served.admin.begin_upload("film", content_type="video/mp4", metadata={"a": "b"})
    assert [found.id for found in served.admin.uploads()] == [upload.id]
    parts = [b"a" * 5 * 1024 * 1024, b"the end"]
    etags = []
    for number, content in enumerate(parts, 1):
        options = PresignOptions(method="PUT", upload=upload.id, part=number)
        _, headers = fetch(served.presign("film", options), content)
        etags.append(headers["etag"])
    there = served.admin.parts(upload)
    assert [(part.number, part.size) for part in there] == [(1, 5 * 1024 * 1024), (2, 7)]
    assert [part.etag.strip('"') for part in there] == [etag.strip('"') for etag in etags]
    assert not served.exists("film")
    info = served.admin.complete_upload(upload, etags)
    assert (info.size, info.content_type) == (sum(map(len, parts)), "video/mp4")
    assert info.metadata == {"a": "b"}
    assert served.get("film") == b"".join(parts)
    gone = served.admin.begin_upload("other")
    served.admin.abort(gone)
    with pytest.raises(ObjectNotFoundError):
        served.admin.parts(gone)
    with pytest.raises(ObjectNotFoundError):
        served.admin.complete_upload(gone, etags)
    for bad in ([], "etag", [""]):
        with pytest.raises(InvalidValueError):
            served.admin.complete_upload(upload, bad)


@pytest.mark.parametrize(
    "bad",
    [
        {"method": "POST"},
        {"answer": {"x-evil": "1"}},
        {"answer": {"cache-control": "a\r\nb"}},
        {"answer": {"cache-control": "a"}, "method": "PUT"},
        {"answer": {"content-disposition": "inline"}, "filename": "a"},
        {"part": 1},
        {"upload": "u"},
        {"upload": "u", "part": 1},
        {"upload": "u", "part": 0, "method": "PUT"},
        {"upload": "u", "part": True, "method": "PUT"},
        {"upload": "", "part": 1, "method": "PUT"},
    ],
)
def test_what_no_url_can_permit_is_refused(bad):
    with pytest.raises(InvalidValueError):
        PresignOptions(**bad)


def test_a_key_of_ones_own_goes_with_every_request_for_an_object(certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    seen = {}

    with FaultyS3().running(context) as server:

        def handle(operation, request):
            names = {name.lower() for name in request.headers}
            seen.setdefault(operation, []).append(
                (
                    "x-amz-server-side-encryption-customer-key" in names,
                    "x-amz-copy-source-server-side-encryption-customer-key" in names,
                )
            )
            return FaultyS3.handle(server, operation, request)

        server.handle = handle
        options = server.options(
            endpoint_url=f"https://localhost:{server.port}",
            ca_bundle=str(certificate[0]),
            multipart=5 * 1024 * 1024,
            part=5 * 1024 * 1024,
        )
        with sync.open_bucket(f"s3://{BUCKET}", options=options) as bucket:
            keyed = bucket.encrypted_with(KEY)
            keyed.put("k", b"v")
            keyed.put("large", b"v" * 6 * 1024 * 1024)
            assert keyed.get("k") == b"v"
            keyed.copy("k", "l")
            assert keyed.head("l").size == 1
            for bad in (b"short", "x" * 32, None):
                with pytest.raises(InvalidValueError):
                    bucket.encrypted_with(bad)
            sealed = {"PutObject", "GetObject", "UploadPart", "CreateMultipartUpload"}
            for operation in sealed | {"HeadObject"}:
                assert set(seen[operation]) == {(True, False)}, operation
            assert seen["CopyObject"] == [(True, True)]
            assert seen["HeadBucket"] == [(False, False)]
            seen.clear()
            bucket.get("k")
            assert seen["GetObject"] == [(False, False)]


def test_a_key_of_ones_own_never_goes_over_plain_http():
    with FaultyS3().running() as server:
        with sync.open_bucket(f"s3://{BUCKET}", options=server.options()) as bucket:
            with pytest.raises(ConfigurationError, match="TLS"):
                bucket.encrypted_with(KEY)


def test_records_of_before_are_read(tmp_path):
    with sync.open_bucket(tmp_path / "bucket") as bucket:
        bucket.put("k", b"v")
        record = Path(tmp_path / "bucket/.holdfast/records/k.json").read_text()
        assert "http" not in record
        assert bucket.head("k").http == {}
