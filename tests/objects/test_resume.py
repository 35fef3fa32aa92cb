"""Transfers that broke off go on where they were."""

import asyncio
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from holdfast.errors import IntegrityError, ServiceError, StorageError, UnsupportedError
from holdfast.objects import PutOptions, open_bucket, resumable_download, sync
from holdfast.objects.body import WINDOW
from holdfast.objects.drivers.s3.resumable_upload import ResumableUpload
from holdfast.objects.transfer import Meter
from objects.faulty_s3 import BUCKET, FaultyS3, refusal
from objects.s3_servers import SERVERS, new_name, options_of, remove

MIB = 1024 * 1024
CONTENT = os.urandom(12 * MIB)
IN_PARTS = {"multipart": 5 * MIB, "part": 5 * MIB}


@pytest.fixture
def server():
    with FaultyS3().running() as running:
        yield running


@pytest.fixture(params=SERVERS)
def place(request):
    options = options_of(request.param, **IN_PARTS, parallel=1)
    url = new_name()
    yield url, options
    remove(url, options)


@pytest.mark.parametrize("way", ["memory://", "file"])
async def test_a_download_goes_on_without_what_it_has(tmp_path, way):
    (tmp_path / "to").mkdir()
    target = tmp_path / "to/file"
    url = way if way != "file" else tmp_path / "bucket"
    async with open_bucket(url) as bucket:
        await bucket.put("k", CONTENT)
        await broken_download(bucket, target)
        assert not target.exists()
        seen = []
        await bucket.download(
            "k", target, resume=True, progress=lambda done, total: seen.append((done, total))
        )
    assert target.read_bytes() == CONTENT
    assert seen[0][0] > 9 * MIB
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert list(target.parent.iterdir()) == [target]


async def broken_download(bucket, target):
    def stop(done, _total):
        if done > 9 * MIB:
            raise KeyError("enough")

    with pytest.raises(KeyError, match="enough"):
        await bucket.download("k", target, resume=True, progress=stop)


async def test_a_download_from_a_server_asks_for_the_missing_pieces_alone(place, tmp_path):
    url, options = place
    async with open_bucket(url, options=options) as bucket:
        await bucket.put("k", CONTENT)
        await broken_download(bucket, tmp_path / "file")
        seen = []
        await bucket.download(
            "k", tmp_path / "file", resume=True, progress=lambda done, _: seen.append(done)
        )
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert seen[0] > 9 * MIB
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]


async def test_windows_that_come_at_once_share_their_notes(tmp_path, monkeypatch):
    monkeypatch.setattr(resumable_download, "_SAVED_EACH", 1)
    async with open_bucket("memory://") as bucket:
        info = await bucket.put("k", bytes(4 * MIB))
    places = resumable_download.partial_file_of(tmp_path / "file", "k", None)
    download = resumable_download.ResumableDownload(places, info, Meter(None, info.size))
    download.begin()
    with ThreadPoolExecutor(8) as pool:
        offsets = [number % 16 * WINDOW for number in range(1600)]
        list(pool.map(lambda offset: download.take(offset, b"x"), offsets))
    assert json.loads(places.resume_file.read_text()) == [info.etag, info.size, "01" * 16]
    download.forget()
    download.file.discard()
    assert list(tmp_path.iterdir()) == []


async def test_notes_that_outlived_their_download_mislead_nobody(tmp_path):
    (tmp_path / "to").mkdir()
    target = tmp_path / "to/file"
    places = resumable_download.partial_file_of(target, "k", None)
    async with open_bucket("memory://") as bucket:
        info = await bucket.put("k", CONTENT)
        # Killed after the file was published: the notes stay, and half of the next ones.
        every = b"\1" * (len(CONTENT) // WINDOW)
        places.resume_file.write_text(json.dumps([info.etag, info.size, every.hex()]))
        places.next_resume_file.write_text("[")
        await bucket.download("k", target, resume=True)
    assert target.read_bytes() == CONTENT
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize("resume", [False, True])
async def test_a_download_into_a_missing_folder_names_the_target_alone(tmp_path, resume):
    target = tmp_path / "missing/file"
    async with open_bucket("memory://") as bucket:
        await bucket.put("k", b"1")
        with pytest.raises(StorageError) as refused:
            await bucket.download("k", target, resume=resume)
    assert str(refused.value) == f"{target}: No such file or directory"


async def test_a_download_starts_anew_when_the_object_is_another(tmp_path):
    async with open_bucket("memory://") as bucket:
        await bucket.put("k", CONTENT)
        await broken_download(bucket, tmp_path / "file")
        await bucket.put("k", CONTENT[::-1])
        await bucket.download("k", tmp_path / "file", resume=True)
    assert (tmp_path / "file").read_bytes() == CONTENT[::-1]


async def test_a_part_of_a_download_that_was_damaged_is_found_out_and_thrown_away(tmp_path):
    async with open_bucket("memory://") as bucket:
        await bucket.put("k", CONTENT)
        await broken_download(bucket, tmp_path / "file")
        (kept,) = (path for path in tmp_path.iterdir() if path.suffix != ".notes")
        with kept.open("r+b") as file:
            file.write(b"damage")
        with pytest.raises(IntegrityError, match="SHA-256"):
            await bucket.download("k", tmp_path / "file", resume=True)
        assert list(tmp_path.iterdir()) == []
        await bucket.download("k", tmp_path / "file", resume=True)
    assert (tmp_path / "file").read_bytes() == CONTENT


async def test_two_resumed_downloads_do_not_write_into_one_another(tmp_path):
    async with open_bucket("memory://") as bucket:
        await bucket.put("k", CONTENT)
        refused = []

        def meddle(done, _total):
            if done > 9 * MIB and not refused:
                with pytest.raises(StorageError, match="under way"):
                    sync_download(bucket, tmp_path / "file")
                refused.append(done)

        def sync_download(bucket, target):
            asyncio.run(bucket_download(bucket, target))

        async def bucket_download(_bucket, target):
            async with open_bucket("memory://") as other:
                await other.put("k", CONTENT)
                await other.download("k", target, resume=True)

        async def through_a_thread():
            await bucket.download("k", tmp_path / "file", resume=True, progress=meddle)

        await through_a_thread()
    assert refused
    assert (tmp_path / "file").read_bytes() == CONTENT


KILLED = """
import os, sys
from holdfast.objects import sync

def stop(done, total):
    if done > 11 * 2**20:
        os._exit(9)

with sync.open_bucket(f"file://{sys.argv[1]}") as bucket:
    bucket.download("k", sys.argv[2], resume=True, progress=stop)
"""


def test_a_download_that_was_killed_goes_on_too(tmp_path):
    (tmp_path / "to").mkdir()
    with sync.open_bucket(tmp_path / "bucket") as bucket:
        bucket.put("k", CONTENT)
        command = [
            sys.executable,
            "-c",
            KILLED,
            str(tmp_path / "bucket"),
            str(tmp_path / "to/file"),
        ]
        assert subprocess.run(command, check=False, timeout=600).returncode == 9
        seen = []
        bucket.download(
            "k", tmp_path / "to/file", resume=True, progress=lambda done, _: seen.append(done)
        )
    assert (tmp_path / "to/file").read_bytes() == CONTENT
    assert seen[0] > 0
    assert [path.name for path in (tmp_path / "to").iterdir()] == ["file"]


@pytest.mark.parametrize("way", ["async", "blocking"])
async def test_an_upload_sends_the_missing_parts_alone(server, tmp_path, way):
    notes = tmp_path / "notes"
    options = PutOptions(resume=notes, tags={"a": "b"})
    server.plant("UploadPart", *[lambda _r, go: go()] * 2, lambda *_: refusal(403, "AccessDenied"))
    url, settings = f"s3://{BUCKET}", server.options(**IN_PARTS, parallel=1)
    if way == "async":
        async with open_bucket(url, options=settings) as bucket:
            with pytest.raises(ServiceError, match="AccessDenied"):
                await bucket.put("k", CONTENT, options=options)
            assert notes.exists()
            assert (server.objects, server.aborted, server.count("UploadPart")) == ({}, [], 3)
            info = await bucket.put("k", CONTENT, options=options)
            assert info.size == len(CONTENT)
    else:
        with sync.open_bucket(url, options=settings) as bucket:
            with pytest.raises(ServiceError, match="AccessDenied"):
                bucket.put("k", CONTENT, options=options)
            bucket.put("k", CONTENT, options=options)
    assert server.count("UploadPart") == 3 + 1  # of three parts two were there
    assert server.count("CreateMultipartUpload") == 1
    assert server.objects["k"].body == CONTENT
    assert (notes.exists(), server.uploads) == (False, {})


async def test_notes_of_other_content_are_of_no_use_and_their_upload_is_aborted(server, tmp_path):
    options = PutOptions(resume=tmp_path / "notes")
    server.plant("UploadPart", lambda _r, go: go(), lambda *_: refusal(403, "AccessDenied"))
    async with open_bucket(
        f"s3://{BUCKET}", options=server.options(**IN_PARTS, parallel=1)
    ) as bucket:
        with pytest.raises(ServiceError, match="AccessDenied"):
            await bucket.put("k", CONTENT, options=options)
        await bucket.put("k", CONTENT[::-1], options=options)
    assert server.objects["k"].body == CONTENT[::-1]
    assert (server.aborted, server.uploads) == (["upload0"], {})


async def test_an_upload_that_is_gone_or_done_is_noticed(server, tmp_path):
    options = PutOptions(resume=tmp_path / "notes")
    settings = server.options(**IN_PARTS, parallel=1)
    async with open_bucket(f"s3://{BUCKET}", options=settings) as bucket:
        server.plant("UploadPart", lambda _r, go: go(), lambda *_: refusal(403, "AccessDenied"))
        with pytest.raises(ServiceError, match="AccessDenied"):
            await bucket.put("k", CONTENT, options=options)
        server.uploads.clear()  # swept by somebody
        await bucket.put("k", CONTENT, options=options)
        assert server.objects["k"].body == CONTENT
        notes, kept = tmp_path / "notes", []

        def keeping(_request, go):
            kept.append(notes.read_text())
            return go()

        server.plant("CompleteMultipartUpload", keeping)
        once = PutOptions(resume=notes, if_absent=True)
        info = await bucket.put("new", CONTENT, options=once)
        notes.write_text(kept[0])  # as if it had been killed before it removed them
        again = await bucket.put("new", CONTENT, options=once)
        assert (again.etag, notes.exists()) == (info.etag, False)


async def test_real_servers_go_on_with_an_upload(place, tmp_path):
    url, options = place
    (tmp_path / "film").write_bytes(CONTENT)
    notes = tmp_path / "notes"

    async with open_bucket(url, options=options) as bucket:
        real, sent = ResumableUpload._send_part, []

        async def failing(self, upload, number, content):
            if number == 3 and len(sent) < 3:
                sent.append(number)
                raise KeyError("the network is gone")
            sent.append(number)
            return await real(self, upload, number, content)

        ResumableUpload._send_part = failing
        try:
            with pytest.raises(KeyError, match="network"):
                await bucket.upload(tmp_path / "film", "k", options=PutOptions(resume=notes))
            assert [upload.key async for upload in bucket.admin.uploads()] == ["k"]
            info = await bucket.upload(tmp_path / "film", "k", options=PutOptions(resume=notes))
        finally:
            ResumableUpload._send_part = real
        assert sent == [1, 2, 3, 3]
        assert await bucket.get("k") == CONTENT
        assert info.etag == (await bucket.head("k")).etag
        assert [upload async for upload in bucket.admin.uploads()] == []
        assert not notes.exists()


async def test_where_uploads_are_whole_going_on_is_refused(tmp_path):
    async with open_bucket("memory://") as bucket:
        with pytest.raises(UnsupportedError, match="go on where they broke off"):
            await bucket.put("k", b"1", options=PutOptions(resume=tmp_path / "notes"))
        assert not await bucket.exists("k")
