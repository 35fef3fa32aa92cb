"""What is particular about versions on disk: where they lie, what they cost, what damages them."""

import json
import os
import subprocess
import sys

import pytest

from holdfast.errors import IntegrityError, ObjectNotFoundError, UnsupportedError
from holdfast.objects import PutOptions, Versioning, sync
from holdfast.objects.drivers.disk.record_index import RecordIndex
from objects.disk_state import files_below, strays

MANY = 3_000


@pytest.fixture
def root(tmp_path):
    return tmp_path / "root"


@pytest.fixture
def bucket(root):
    with sync.open_bucket(root) as bucket:
        bucket.admin.set(Versioning(enabled=True))
        yield bucket


def names(bucket, prefix=""):
    return [found.version for found in bucket.versions(prefix)]


def data_files(root):
    return {path for path in files_below(root) if ".holdfast" not in path.parts}


def test_a_bucket_that_never_kept_versions_has_no_trace_of_them(root):
    with sync.open_bucket(root) as bucket:
        bucket.put("a/k", b"1")
        bucket.put("a/k", b"22")
        bucket.admin.set(Versioning(enabled=False))
        assert bucket.admin.get(Versioning) is None
        record = json.loads((root / ".holdfast/records/a/k.json").read_bytes())
    assert record["format"] == 1
    assert record.keys() & {"version", "serial"} == set()
    hidden = {path.name for path in (root / ".holdfast").iterdir()}
    assert hidden == {"records", "temporary", "locks"}


def test_each_version_is_a_file_that_a_person_can_open_and_its_record(root, bucket):
    for number in range(3):
        bucket.put("raw/film.mp4", b"%d" % number)
    assert {path.read_bytes() for path in root.glob("raw/film~*.mp4")} == {b"0", b"1", b"2"}
    older = root / ".holdfast/versions/raw/film.mp4.json"
    assert {path.stem for path in older.iterdir()} == set(names(bucket)[1:])
    bucket.erase("raw/film.mp4")
    kept = {path.name for path in files_below(root)} - {"versioning.json"}
    assert kept == {path.name for path in (root / ".holdfast/locks").iterdir()}


@pytest.mark.parametrize("key", ["../../etc/passwd", "a" * 1024, "/x/" * 300, ".json", "a.json/b"])
def test_versions_of_any_key_stay_under_the_root(tmp_path, root, bucket, key):
    first = bucket.put(key, b"1")
    bucket.put(key, b"2")
    bucket.delete(key)
    assert bucket.get(key, version=first.version) == b"1"
    assert len(names(bucket, key)) == 3
    assert {path.name for path in tmp_path.iterdir()} == {"root"}
    assert strays(root) == set()
    assert bucket.erase(key).objects == 2
    assert data_files(root) == set()


@pytest.mark.parametrize(
    "version",
    ["../null", "../../records/k", "null.json", "x" * 32, "0" * 32, "a" * 5000, "NULL"],
)
def test_a_text_that_is_no_version_is_none_and_no_path(bucket, version):
    bucket.put("k", b"1")
    bucket.put("k", b"2")
    assert bucket.head("k", version=version) is None
    assert bucket.delete("k", version=version) is False
    with pytest.raises(ObjectNotFoundError) as caught:
        bucket.get("k", version=version)
    assert caught.value.key == "k"
    assert len(names(bucket)) == 2


def test_a_copy_and_a_restored_version_share_the_bytes(root, bucket):
    first = bucket.put("k", b"1")
    bucket.put("k", b"2")
    bucket.restore("k", first.version)
    inodes = [path.stat().st_ino for path in data_files(root)]
    assert (len(inodes), len(set(inodes))) == (3, 2)


def test_tags_go_with_their_version_and_come_back_with_it(bucket):
    first = bucket.put("k", b"1", options=PutOptions(tags={"a": "1"}))
    bucket.set_tags("k", {"a": "2"})
    second = bucket.put("k", b"2")
    assert bucket.tags("k") == {}
    assert bucket.delete("k", version=second.version)
    assert bucket.tags("k") == {"a": "2"}
    assert bucket.head("k") == first
    bucket.put("k", b"3")
    assert bucket.restore("k", first.version).version != first.version
    assert bucket.tags("k") == {"a": "2"}


def test_conditions_look_at_what_stands_and_a_marker_is_nothing(bucket):
    old = bucket.put("k", b"1")
    bucket.delete("k")
    new = bucket.put("k", b"2", options=PutOptions(if_absent=True))
    assert bucket.get("k") == b"2"
    bucket.put("k", b"3", options=PutOptions(if_match=new.etag))
    assert len(names(bucket)) == 4
    assert old.version == names(bucket)[-1]


def test_switching_off_can_not_be_forgotten(bucket):
    bucket.admin.set(Versioning(enabled=False))
    with pytest.raises(UnsupportedError, match="switch them off"):
        bucket.admin.unset(Versioning)
    assert bucket.admin.get(Versioning) == Versioning(enabled=False)


def test_an_older_version_that_becomes_the_newest_while_all_are_listed_is_listed(
    root, bucket, monkeypatch
):
    first = bucket.put("k", b"1")
    last = bucket.put("k", b"2")
    real = RecordIndex.older_versions

    def meanwhile(index, key):
        monkeypatch.undo()
        assert bucket.delete("k", version=last.version)
        return real(index, key)

    monkeypatch.setattr(RecordIndex, "older_versions", meanwhile)
    assert names(bucket) == [first.version]


def test_an_older_version_that_becomes_the_newest_while_it_is_looked_for_is_found(
    bucket, monkeypatch
):
    first = bucket.put("k", b"1")
    last = bucket.put("k", b"2")
    real = RecordIndex.older

    def meanwhile(index, key, version):
        monkeypatch.undo()
        assert bucket.delete("k", version=last.version)
        return real(index, key, version)

    monkeypatch.setattr(RecordIndex, "older", meanwhile)
    assert bucket.get("k", version=first.version) == b"1"


def test_versions_survive_what_a_power_cut_leaves(root, bucket):
    """The journal is not synced: the newest may have its second name among the older ones."""
    first = bucket.put("k", b"1")
    second = bucket.put("k", b"2")
    hidden = root / ".holdfast"
    twin = hidden / f"versions/k.json/{second.version}.json"
    for _ in range(2):
        os.link(hidden / "records/k.json", twin)
        assert names(bucket) == [second.version, first.version]
        third = bucket.put("k", b"3")
        assert names(bucket) == [third.version, second.version, first.version]
        assert bucket.delete("k", version=third.version)
    os.link(hidden / "records/k.json", twin)
    assert bucket.delete("k", version=second.version)
    assert names(bucket) == [first.version]
    assert strays(root) == set()


def test_the_null_version_has_its_place_among_the_others(bucket):
    first = bucket.put("k", b"1")
    bucket.admin.set(Versioning(enabled=False))
    assert bucket.put("k", b"null").version == "null"
    bucket.admin.set(Versioning(enabled=True))
    last = bucket.put("k", b"2")
    assert names(bucket) == [last.version, "null", first.version]
    bucket.admin.set(Versioning(enabled=False))
    bucket.delete("k")
    assert [(found.version, found.marker) for found in bucket.versions()] == [
        ("null", True),
        (last.version, False),
        (first.version, False),
    ]


def test_a_bucket_of_a_later_kind_is_refused_by_name(root, bucket):
    bucket.put("k", b"1")
    path = root / ".holdfast/versioning.json"
    path.write_bytes(b'{"format": 2, "kept": "forever"}')
    with pytest.raises(IntegrityError, match=f"{path}: format 2, this version reads 1"):
        bucket.put("k", b"2")
    with pytest.raises(IntegrityError, match=f"{path}: format 2"):
        sync.open_bucket(root).__enter__()
    assert bucket.get("k") == b"1"


@pytest.mark.parametrize(
    "content", [b"", b"{", b'{"format": 1}', b'{"format": 1, "enabled": 1}', b'{"\xff": 1}', b"[]"]
)
def test_a_bucket_whose_word_on_versions_is_damaged_is_refused_by_name(root, bucket, content):
    bucket.put("k", b"1")
    path = root / ".holdfast/versioning.json"
    path.write_bytes(content)
    with pytest.raises(IntegrityError, match=f"{path}: not a versioning file"):
        bucket.delete("k")
    with pytest.raises(IntegrityError, match=str(path)):
        sync.open_bucket(root).__enter__()


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (b'"serial": 1', b'"serial": "1"', "serial"),
        (b'"version": "', b'"version": "../', "is not a version"),
        (b'"version": "', b'"previous": "../null", "version": "', "is not a version"),
        (b'"key": "k"', b'"key": "l"', "the record of 'l', not of 'k'"),
        (b'"format": 2', b'"format": 3', "format 3, this version reads 1 and 2"),
    ],
)
def test_an_older_record_that_was_tampered_with_is_refused_by_name(root, bucket, old, new, reason):
    first = bucket.put("k", b"1")
    second = bucket.put("k", b"2")
    path = root / f".holdfast/versions/k.json/{first.version}.json"
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new, 1))
    with pytest.raises(IntegrityError, match=f"{path}: .*{reason}"):
        bucket.get("k", version=first.version)
    with pytest.raises(IntegrityError, match=f"{path}: "):
        names(bucket)
    path.rename(path.with_name(f"{'0' * 32}.json"))
    with pytest.raises(IntegrityError):
        bucket.get("k", version="0" * 32)
    assert bucket.get("k", version=second.version) == b"2"


PROGRAM = """
import os, sys, tracemalloc
from pathlib import Path
from holdfast.objects import Versioning, sync

listings, real = [], os.listdir

def counted(path="."):
    names = real(path)
    listings.append(len(names))
    return names

def step(what):
    print(what, len(listings), sum(listings))
    listings.clear()

os.listdir = counted
with sync.open_bucket(Path(sys.argv[1])) as bucket:
    bucket.admin.set(Versioning(enabled=True))
    listings.clear()
    for number in range(int(sys.argv[2])):
        bucket.put("k", b"%d" % number)
    step("put")
    seen = {found.version for found in bucket.versions("k")}
    assert len(seen) == int(sys.argv[2])
    step("versions")
    assert bucket.get("k", version=min(seen)) == b"0"
    for version in sorted(seen, reverse=True)[:500]:  # each time another becomes the newest
        assert bucket.delete("k", version=version)
    step("delete")
    tracemalloc.start()
    erased = bucket.erase("k")
    print("peak", tracemalloc.get_traced_memory()[1], 0)
    assert (erased.objects, erased.held) == (int(sys.argv[2]) - 500, ())
    step("erase")
"""


def test_each_of_many_versions_of_a_key_costs_what_one_costs(fast_folder):
    """In a process of its own, whose memory nobody else uses."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(fast_folder), str(MANY)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    counted = {what: (int(count), int(names)) for what, count, names in lines}
    assert counted["put"] == counted["delete"] == (0, 0), "a folder was listed"
    assert counted["versions"] == (2, MANY), "the key's record, and those of its older versions"
    assert counted["erase"][1] < 3 * MANY
    assert counted["peak"][0] < 4 * 2**20
    assert data_files(fast_folder) == set()
