"""`holdfast objects`: real files into a real bucket, and out again."""

import io
import sys
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
import pytest

from cli.program import here
from servers import url_of


@pytest.fixture
def filled(tmp_path):
    """A data folder with objects in its bucket."""
    for name, content in (("a.txt", b"first"), ("b.bin", bytes(range(256)) * 3000)):
        (tmp_path / name).write_bytes(content)
        assert here("objects", "cp", tmp_path / name, "holdfast://deep/").code == 0
    return tmp_path


def test_ls_shows_folders_or_all_below_them(filled):
    assert here("objects", "ls").out.split() == ["deep/"]
    keys = [line.split()[-1] for line in here("objects", "ls", "-r").out.splitlines()]
    assert keys == ["deep/a.txt", "deep/b.bin"]
    listed = here("objects", "ls", "holdfast://deep/", "--json").json
    assert [(each["key"], each["size"]) for each in listed] == [
        ("deep/a.txt", 5), ("deep/b.bin", 768_000),
    ]  # fmt: skip
    assert here("objects", "ls", "--json").json == [{"prefix": "deep/"}]


def test_cp_moves_bytes_in_out_and_within(filled):
    assert here("objects", "cp", "holdfast://deep/b.bin", "out.bin").code == 0
    assert Path("out.bin").read_bytes() == (filled / "b.bin").read_bytes()
    Path("folder").mkdir()
    assert here("objects", "cp", "holdfast://deep/a.txt", "folder").code == 0
    assert Path("folder/a.txt").read_bytes() == b"first"
    copied = here("objects", "cp", "holdfast://deep/a.txt", "holdfast://other/", "--json")
    assert copied.json["key"] == "other/a.txt"
    assert here("objects", "cat", "other/a.txt").out == "first"
    assert here("objects", "cp", "holdfast://deep/a.txt", "-").out == "first"


def test_cp_takes_standard_input(monkeypatch, filled):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"piped")))
    put = ("objects", "cp", "-", "holdfast://piped.html", "--content-type", "text/plain")
    assert here(*put, "--json").json["content_type"] == "text/plain"
    assert here("objects", "cat", "piped.html").out == "piped"
    assert "say the whole key" in here("objects", "cp", "-", "holdfast://folder/").err


def test_sync_makes_both_sides_the_same(filled):
    report = here("objects", "sync", "holdfast://deep", "mirror", "--json").json
    assert sorted(report["transferred"]) == ["deep/a.txt", "deep/b.bin"]
    Path("mirror/a.txt").unlink()
    Path("mirror/new.txt").write_text("new")
    report = here("objects", "sync", "mirror", "holdfast://deep/", "--delete", "--json").json
    assert (report["transferred"], report["deleted"]) == (["deep/new.txt"], ["deep/a.txt"])
    assert report["unchanged"] == 1


def test_rm_removes_keys_or_all_below_a_prefix(filled):
    ran = here("objects", "rm", "deep/a.txt", "deep/nothing")
    assert (ran.code, "deep/nothing" in ran.err) == (3, True)
    assert here("objects", "rm", "deep/a.txt", "--json").json == {"removed": 1}
    assert here("objects", "rm", "-r", "deep/", "--json").json == {"removed": 1}
    assert here("objects", "ls", "--json").json == []


@pytest.mark.parametrize(
    ("command", "code", "says"),
    [
        (("ls",), 2, "there is no data folder"),
        (("cat", "x"), 2, "there is no data folder"),
        (("cp", "a", "b"), 2, "expected holdfast://KEY on one side"),
        (("cp", "nowhere", "holdfast://x"), 6, "nowhere"),
        (("cp", "holdfast.toml", "holdfast://" + "x" * 1025), 4, "object key"),
        (("sync", "a", "b"), 2, "expected holdfast://PREFIX on one side"),
        (("sync", "holdfast://a", "holdfast://b"), 2, "expected holdfast://PREFIX on one side"),
        (("rm", "-r", ""), 4, "an empty prefix is the whole bucket"),
        (("presign", "x", "--method", "POST"), 4, "expected GET, HEAD, PUT or DELETE"),
        (("presign", "x", "--expires", "0"), 4, "expires"),
        (("ls", "--url", "ftp://u:hunter2@x"), 2, "unknown scheme ftp://"),
    ],
)
def test_what_can_not_be_done_is_said(tmp_path, command, code, says):
    (tmp_path / "holdfast.toml").write_text("")
    ran = here("objects", *command)
    assert (ran.code, says in ran.err) == (code, True), ran.err
    assert "hunter2" not in ran.err
    assert ran.err.count("\n") == 1


def test_nothing_partial_stays_of_an_object_that_is_not_there(filled):
    ran = here("objects", "cp", "holdfast://deep/nothing", "out.bin")
    assert ran.code == 3
    assert not Path("out.bin").exists()
    assert here("objects", "cat", "deep/nothing").code == 3


def test_minio_by_the_names_that_people_have(monkeypatch, tmp_path):
    server = urlsplit(url_of("minio"))
    bucket = f"holdfast-{uuid4().hex[:16]}"
    for name, value in {
        "MINIO_ENDPOINT": f"{server.hostname}:{server.port}", "MINIO_SECURE": "false",
        "MINIO_ACCESS_KEY": server.username, "MINIO_SECRET_KEY": server.password,
        "MINIO_DEFAULT_BUCKET": bucket, "HOLDFAST_S3_CREATE": "true",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    (tmp_path / "a.txt").write_text("hello")
    assert here("objects", "cp", "a.txt", "holdfast://a.txt").code == 0
    assert here("objects", "cat", "a.txt").out == "hello"
    signed = here("objects", "presign", "a.txt", "--json").json
    assert signed["url"].startswith(f"http://{server.hostname}:{server.port}/{bucket}/a.txt?")
    assert httpx.get(signed["url"]).text == "hello"
    assert here("objects", "rm", "-r", "a", "--json").json == {"removed": 1}
