"""Buckets in the console: folders, previews that run nothing, uploads, versions, deletion."""

import asyncio
import contextlib
import html
import io
import pickle
import re

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from console.conftest import HOSTILE, assert_inert, console_client, log_in, send, token_in
from holdfast.access import Role
from holdfast.audit import AuditFilter, AuditLog
from holdfast.objects import CommonPrefix, Lifecycle, ObjectLock, PutOptions, sync
from models.onnx_writer import message, onnx_file
from objects import s3_servers

MAIN = "/console/buckets/main"


@pytest.fixture(scope="module")
async def client(tmp_path_factory):
    folder = tmp_path_factory.mktemp("buckets")
    own = {"bucket": f"file://{folder}/objects", "objects": {"versioning": True}}
    async with console_client(folder / "data", **own, audit={"objects": True}) as client:
        client.bucket = client.platform.bucket
        yield client


async def test_keys_are_shown_as_folders_by_pages(client, monkeypatch):
    monkeypatch.setattr("holdfast.console.buckets.bucket_pages._PAGE", 3)
    for number in range(4):
        await client.bucket.put(f"walk/{number}.txt", b"text")
    await client.bucket.put("walk/below/deep.txt", b"text")
    page = await client.get(f"{MAIN}?prefix=walk/")
    shown = re.findall(r"<bdi>([^<]+)</bdi></a></th>", page.text)
    assert shown == ["0.txt", "1.txt", "2.txt"]
    ahead = html.unescape(re.search(r'rel="next" href="([^"]+)"', page.text)[1])
    page = await client.get(ahead)
    assert re.findall(r"<bdi>([^<]+)</bdi></a></th>", page.text) == ["below/", "3.txt"]
    assert "Nothing here" in (await client.get(f"{MAIN}?prefix=nowhere/")).text
    assert (await client.get("/console/buckets/other")).status_code == 404


@pytest.mark.parametrize(
    ("name", "content", "kind", "shown"),
    [
        ("a.png", b"\x89PNG\r\n\x1a\n", "image/png", '<img class="preview"'),
        ("a.svg", b"<svg onload='alert(1)'/>", "image/svg+xml", "&lt;svg onload"),
        ("a.html", b"<script>alert(1)</script>", "text/html", "&lt;script&gt;"),
        ("a.json", b'{"a":[1]}', "application/json", "[\n    1\n  ]"),
        ("a.csv", b"x,y\r\n1,<b>\r\n", "text/csv", "<td>&lt;b&gt;</td>"),
        ("a.txt", b"x" * 70_000, "text/plain", "Its head; the download has all of it."),
        ("a.mp4", b"\0\0\0\x18ftypisom", "video/mp4", "<video"),
        ("a.bin", b"\0\1\2", "application/octet-stream", "octet-stream"),
    ],
)
async def test_a_preview_shows_and_runs_nothing(client, name, content, kind, shown):
    await client.bucket.put(f"looks/{name}", content, content_type=kind)
    page = await client.get(f"{MAIN}/object?key=looks/{name}")
    assert_inert(page)
    assert shown in html.unescape(page.text) if name == "a.json" else shown in page.text
    raw = await client.get(f"{MAIN}/raw?key=looks/{name}")
    assert raw.content == content
    assert raw.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in raw.headers["content-security-policy"]
    if kind in ("text/html", "image/svg+xml"):
        assert raw.headers["content-disposition"].startswith("attachment")


async def test_keys_types_and_metadata_are_shown_as_text(client):
    for text in HOSTILE:
        key = f"hostile/{text.replace('..', '')}"
        plain = text.encode("ascii", "ignore").decode()
        await client.bucket.put(key, b"x", content_type="text/plain", metadata={"note": plain})
        for path, query in (
            (MAIN, {"prefix": "hostile/"}),
            (f"{MAIN}/object", {"key": key}),
            (f"{MAIN}/delete", {"key": key}),
        ):
            page = await client.get(path, params=query)
            assert page.status_code == 200, path
            assert_inert(page)
        assert key.replace("\u202e", "\ufffd") in html.unescape(page.text)


async def _upload(client, prefix, name, content, **fields):
    token = token_in(await client.get(MAIN))
    return await client.post(
        f"{MAIN}/upload?prefix={prefix}",
        data={"form_token": token, **fields},
        files={"file": (name, content, "text/plain")},
    )


async def test_a_file_is_uploaded_by_a_plain_form_and_recorded(client):
    answer = await _upload(client, "in/", "../../a note.txt", b"hello")
    assert answer.status_code == 303, answer.text
    assert await client.bucket.get("in/a note.txt") == b"hello"
    again = await _upload(client, "in/", "a note.txt", b"other")
    assert again.status_code == 409
    assert await client.bucket.get("in/a note.txt") == b"hello"
    replaced = await _upload(client, "in/", "a note.txt", b"other", replace="on")
    assert replaced.status_code == 303
    log = AuditLog(client.platform.store)
    found = await log.search(AuditFilter(key="in/a note.txt"))
    assert {entry.actor for entry in found} == {"local"}
    page = await client.get(f"{MAIN}/object?key=in/a note.txt")
    version = re.search(r'name="version" value="([^"]+)"', page.text)[1]
    answer = await send(client, f"{MAIN}/restore?key=in/a note.txt", version=version)
    assert answer.status_code == 303
    assert await client.bucket.get("in/a note.txt") == b"hello"


async def test_an_upload_without_the_token_stores_nothing(client):
    files = {"file": ("x.txt", b"hello", "text/plain")}
    answer = await client.post(f"{MAIN}/upload?prefix=no/", files=files)
    assert answer.status_code == 403
    assert not await client.bucket.exists("no/x.txt")


async def test_a_folder_is_removed_when_its_name_was_typed(client):
    for name in ("a", "b"):
        await client.bucket.put(f"doomed/{name}.txt", b"12345")
    page = await client.get(f"{MAIN}/delete?prefix=doomed/")
    assert "2 objects, 10 bytes" in page.text
    wrong = await send(client, f"{MAIN}/delete?prefix=doomed/", typed="doomed")
    assert wrong.status_code == 400
    answer = await send(client, f"{MAIN}/delete?prefix=doomed/", typed="doomed/")
    assert answer.headers["location"] == MAIN
    entries = [each async for each in client.bucket.list("", delimiter="/")]
    assert CommonPrefix("doomed/") not in entries
    assert (await send(client, f"{MAIN}/delete", typed="")).status_code == 400


async def test_where_links_can_not_be_made_it_says_so(client):
    await client.bucket.put("shared.txt", b"x")
    page = await send(client, f"{MAIN}/share?key=shared.txt", minutes="15")
    assert "Links are made by S3 alone" in page.text
    assert (await send(client, f"{MAIN}/share?key=shared.txt", minutes="900")).status_code == 400


def _safetensors():
    head = b'{"w":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]},"__metadata__":{"by":"<i>"}}'
    return len(head).to_bytes(8, "little") + head + b"\0" * 8


def _parquet():
    table = pa.table({"x": [1, 2], "said": ["<b>", None]})
    pq.write_table(table, sink := io.BytesIO())
    return sink.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "shown"),
    [
        ("a.safetensors", _safetensors(), ["2 \N{MULTIPLICATION SIGN} 1", "F32", "&lt;i&gt;"]),
        ("a.parquet", _parquet(), ["said (string)", "<td>&lt;b&gt;</td>", "<dd>2</dd>"]),
        ("broken.parquet", b"PAR1 not", ["It is damaged"]),
        ("a.pkl", pickle.dumps(print), ["It is a pickle", "not loaded"]),
        ("a.onnx", onnx_file(message(1, message(4, "Conv"))), ["operators", "Conv 1"]),
        ("broken.onnx", b"\x08\xff", ["It is damaged"]),
    ],
)
async def test_models_and_parquet_are_looked_into_and_nothing_is_loaded(
    client, name, content, shown
):
    await client.bucket.put(f"inside/{name}", content)
    page = await client.get(f"{MAIN}/object?key=inside/{name}")
    assert page.status_code == 200, page.text
    assert_inert(page)
    for text in shown:
        assert text in page.text


async def test_tags_and_metadata_are_changed_and_the_content_stays(client):
    key = "changed/a.txt"
    options = PutOptions(cache_control="no-store")
    await client.bucket.put(key, b"content" * 999, metadata={"old": "1"}, options=options)
    await send(client, f"{MAIN}/tags?key={key}", tags="state = done\r\n\r\nby = <me@x>")
    assert await client.bucket.tags(key) == {}, "a tag has no such characters"
    saved = await send(client, f"{MAIN}/tags?key={key}", tags="state = done\r\nby=me@x")
    assert saved.status_code == 303
    await send(client, f"{MAIN}/metadata?key={key}", type="text/markdown", metadata="new = a = b")
    info = await client.bucket.head(key)
    assert (info.content_type, info.metadata) == ("text/markdown", {"new": "a = b"})
    assert info.http == {"cache-control": "no-store"}
    assert await client.bucket.get(key) == b"content" * 999
    assert await client.bucket.tags(key) == {"state": "done", "by": "me@x"}
    wrong = await send(client, f"{MAIN}/metadata?key={key}", metadata="no sign")
    assert wrong.status_code == 422
    page = await client.get(f"{MAIN}/object?key={key}")
    assert "new = a = b" in page.text


async def test_what_was_deleted_is_found_again_by_its_key_and_restored(client):
    await client.bucket.put("gone.txt", b"first")
    await client.bucket.delete("gone.txt")
    page = await client.get(f"{MAIN}/object?key=gone.txt")
    assert page.status_code == 404
    assert "the bucket keeps what it was" in page.text
    version = re.search(r'name="version" value="([^"]+)"', page.text)[1]
    await send(client, f"{MAIN}/restore?key=gone.txt", version=version)
    assert await client.bucket.get("gone.txt") == b"first"


async def test_an_erasure_shows_what_goes_and_leaves_no_version(client):
    for content in (b"12345", b"67890"):
        await client.bucket.put("forget/me.txt", content)
    page = await client.get(f"{MAIN}/erase?prefix=forget/")
    assert "2 versions of 1 object, 10 bytes" in page.text
    wrong = await send(client, f"{MAIN}/erase?prefix=forget/", typed="forget")
    assert wrong.status_code == 400
    done = await send(client, f"{MAIN}/erase?prefix=forget/", typed="forget/")
    assert done.headers["location"] == MAIN
    assert [each async for each in client.bucket.versions("forget/")] == []
    beside = await send(client, f"{MAIN}/erase?key=gone&prefix=g", typed="gone")
    assert beside.status_code == 400


async def counted(client, prefix):
    """Return the page of usage once the count has come to its end."""
    async with asyncio.timeout(60):
        while True:
            page = await client.get(f"{MAIN}/usage?prefix={prefix}")
            if "The count goes on" not in page.text:
                return page


async def test_usage_adds_up_what_lies_below_each_folder(client):
    for key, size in (("use/a/1", 300), ("use/a/b/2", 300), ("use/c/3", 200), ("use/4", 200)):
        await client.bucket.put(key, b"x" * size)
    page = await counted(client, "use/")
    assert_inert(page)
    assert "4 objects, 1.0 kB" in page.text
    rows = re.findall(
        r"<bdi>([^<]+)</bdi></a></th><td[^>]*>([^<]+)</td><td[^>]*>([^<]+)", page.text
    )
    assert rows == [
        ("a/", "600 bytes", "60%"), ("4", "200 bytes", "20%"), ("c/", "200 bytes", "20%"),
    ]  # fmt: skip


async def test_usage_is_shown_while_it_is_counted(client, monkeypatch):
    for number in range(3):
        await client.bucket.put(f"slow/{number}", b"x")
    go, list_ = asyncio.Event(), type(client.bucket).list

    async def slowly(bucket, prefix="", **options):
        async for each in list_(bucket, prefix, **options):
            yield each
            await go.wait()

    monkeypatch.setattr(type(client.bucket), "list", slowly)
    page = await client.get(f"{MAIN}/usage?prefix=slow/")
    assert_inert(page)
    assert "So far 1 object, 1 byte" in page.text
    assert "0 objects" in (await client.get(f"{MAIN}/usage?prefix=other/")).text  # waits
    go.set()
    assert "3 objects, 3 bytes" in (await counted(client, "slow/")).text
    await client.bucket.put("slow/more", b"x")
    assert "3 objects, 3 bytes" in (await counted(client, "slow/")).text  # as it was counted


async def test_what_domains_keep_is_removed_by_administrators_alone(tmp_path):
    async with console_client(tmp_path, keys=True) as client:
        bucket = client.platform.bucket
        for key in ("logs/1", "models/2", "free/3"):
            await bucket.put(key, b"x")
        await log_in(client, Role.OPERATOR)
        for query in ("key=logs/1", "prefix=logs/", "prefix=l", "prefix=models/2"):
            assert (await client.get(f"{MAIN}/delete?{query}")).status_code == 403, query
            typed = query.partition("=")[2]
            answer = await send(client, f"{MAIN}/delete?{query}", typed=typed)
            assert answer.status_code == 403, query
        for path in ("tags", "metadata", "restore"):
            assert (await send(client, f"{MAIN}/{path}?key=logs/1")).status_code == 403, path
        token = token_in(await client.get(MAIN))
        sent = await client.post(
            f"{MAIN}/upload?prefix=logs/", data={"form_token": token, "replace": "on"},
            files={"file": ("1", b"forged", "text/plain")},
        )  # fmt: skip
        assert sent.status_code == 403
        assert (await send(client, f"{MAIN}/erase?key=free/3", typed="free/3")).status_code == 403
        assert (await client.get(f"{MAIN}/delete?prefix=free/")).status_code == 200
        await log_in(client, Role.ADMIN)
        await send(client, f"{MAIN}/delete?key=logs/1")
        assert not await bucket.exists("logs/1")
        assert await bucket.get("models/2") == b"x"


@contextlib.contextmanager
def bucket_on_s3():
    """Yield the URL of a bucket whose objects can be locked, and the origin of its server."""
    name, options = s3_servers.new_name(), s3_servers.options_of("minio", object_lock=True)
    with pytest.MonkeyPatch.context() as patch, sync.open_bucket(name, options=options):
        patch.setenv("AWS_ACCESS_KEY_ID", options.credentials.access_key)
        patch.setenv("AWS_SECRET_ACCESS_KEY", options.credentials.secret_key)
        yield f"{name}?endpoint_url={options.endpoint_url}&region=us-east-1", options.endpoint_url
    s3_servers.remove(name, options)


async def test_a_page_may_send_to_the_buckets_server_only_where_its_reader_may_write(tmp_path):
    with bucket_on_s3() as (url, origin):
        async with console_client(tmp_path, keys=True, bucket=url) as client:
            await log_in(client, Role.OPERATOR)
            assert origin in (await client.get(MAIN)).headers["content-security-policy"]
            await log_in(client, Role.VIEWER)
            page = await client.get(MAIN)
            assert page.status_code == 200
            assert origin not in page.headers["content-security-policy"]


async def test_lifecycle_and_locks_are_shown_and_changed_on_s3(tmp_path):
    with bucket_on_s3() as (url, _):
        async with console_client(tmp_path, bucket=url) as client:
            bucket = client.platform.bucket
            for rule in ("old", "raw"):
                fields = {"rule": rule, "prefix": f"{rule}/", "expire": "30"}
                assert (await send(client, f"{MAIN}/lifecycle", **fields)).status_code == 303
            assert (await send(client, f"{MAIN}/lifecycle", **fields)).status_code == 409
            idle = await send(client, f"{MAIN}/lifecycle", rule="x", expire="soon")
            assert idle.status_code == 422
            page = await client.get(f"{MAIN}/settings")
            assert_inert(page)
            assert "objects after 30 days" in page.text
            await send(client, f"{MAIN}/lifecycle/remove", rule="old")
            (left,) = (await bucket.admin.get(Lifecycle)).rules
            assert (left.name, left.prefix) == ("raw", "raw/")
            await send(client, f"{MAIN}/lifecycle/remove", rule="raw")
            assert await bucket.admin.get(Lifecycle) is None
            await bucket.put("held", b"x")
            await send(client, f"{MAIN}/lock?key=held", do="hold")
            assert (
                "held until the hold is lifted"
                in (await client.get(f"{MAIN}/object?key=held")).text
            )
            erased = await send(client, f"{MAIN}/erase?key=held", typed="held")
            said = await client.get(erased.headers["location"])
            assert "A lock holds 1 more: it is not done." in said.text
            await send(client, f"{MAIN}/lock?key=held", do="release")
            past = await send(client, f"{MAIN}/lock?key=held", do="retain", until="2020-01-01")
            assert past.status_code == 422
            assert await bucket.admin.lock_of("held") == ObjectLock()
