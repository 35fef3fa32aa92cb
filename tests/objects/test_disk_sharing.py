"""Several processes on one root."""

import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor

from holdfast.objects import Versioning, sync
from objects.disk_state import empty_folders, strays

HEAD = textwrap.dedent("""
    import sys
    from pathlib import Path
    from holdfast.errors import ObjectNotFoundError, PreconditionFailedError
    from holdfast.objects import PutOptions, sync

    me = sys.argv[2]
    with sync.open_bucket(Path(sys.argv[1])) as bucket:
        print("ready", flush=True)
        sys.stdin.readline()
""")

MIX = HEAD + textwrap.indent(
    textwrap.dedent("""
    def check(key):
        try:
            with bucket.open(key) as reader:
                content = reader.read()
                writer, number = reader.info.metadata["writer"], reader.info.metadata["number"]
        except ObjectNotFoundError:
            return
        assert content == f"{writer}:{number} ".encode() * (int(number) % 7 * 500), (key, writer)

    for number in range(60):
        body = f"{me}:{number} ".encode() * (number % 7 * 500)
        for key in ("shared/a", "shared/a/b", f"own/{me}/{number % 3}"):
            bucket.put(key, body, metadata={"writer": me, "number": str(number)})
            check("shared/a")
        check("shared/a/b")
        if number % 10 == 9:
            bucket.delete("shared/a/b")
            bucket.copy("shared/a", f"copies/{me}")
            bucket.sweep()
    """),
    "    ",
)

CREATE = HEAD + textwrap.indent(
    textwrap.dedent("""
    for number in range(40):
        try:
            bucket.put(f"k{number}", me.encode(), options=PutOptions(if_absent=True))
        except PreconditionFailedError:
            continue
        print(number)
    """),
    "    ",
)

COUNT = HEAD + textwrap.indent(
    textwrap.dedent("""
    added = 0
    while added < 20:
        info = bucket.head("counter")
        number = int(info.metadata["number"]) + 1
        options = PutOptions(if_match=info.etag)
        try:
            bucket.put("counter", b"x", metadata={"number": str(number)}, options=options)
        except PreconditionFailedError:
            continue
        added += 1
    """),
    "    ",
)

VERSIONS = HEAD + textwrap.indent(
    textwrap.dedent("""
    for number in range(25):
        bucket.put("shared", f"{me} {number}".encode(), metadata={"writer": me})
        mine = bucket.put("others", f"{me} {number}".encode())
        if number % 5 == 1:
            bucket.delete("shared")
        if number % 5 == 2:
            bucket.restore("others", mine.version)
        if number % 5 == 3:
            assert bucket.delete("others", version=mine.version)
            assert not bucket.delete("others", version=mine.version)
        if number % 5 == 4:
            bucket.sweep()
    """),
    "    ",
)

WATCH = HEAD + textwrap.indent(
    textwrap.dedent("""
    kept = sys.argv[3:]
    for number in range(60):
        if me == "w0":
            info = bucket.put("k", b"passing")  # what was the newest moves away and comes back
            bucket.delete("k")
            (marker, *_) = bucket.versions("k")
            bucket.delete("k", version=info.version)
            bucket.delete("k", version=marker.version)
            continue
        names = [version.version for version in bucket.versions()]
        assert len(names) == len(set(names))
        assert [name for name in names if name in kept] == kept
        assert all(bucket.get("k", version=name) for name in kept)
    """),
    "    ",
)


def run_four(program, root, *more):
    """Start four processes, let them go at once, and return what each printed."""
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(root), f"w{number}", *more],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(4)
    ]
    for writer in writers:
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        writer.stdin.write("go\n")
        writer.stdin.flush()
    ended = [writer.communicate(timeout=600) for writer in writers]
    for writer, (_, problem) in zip(writers, ended, strict=True):
        assert writer.returncode == 0, problem
    return [printed for printed, _ in ended]


def test_readers_never_see_a_mixture_and_nothing_is_left(tmp_path):
    run_four(MIX, tmp_path)
    assert strays(tmp_path) == set()
    assert empty_folders(tmp_path) == set()
    with sync.open_bucket(tmp_path) as bucket:
        own = [info.key for info in bucket.list("own/")]
        assert own == [f"own/w{writer}/{number}" for writer in range(4) for number in range(3)]
        for info in bucket.list():
            assert len(bucket.get(info.key)) == info.size


def test_if_absent_has_one_winner_among_processes(tmp_path):
    wins = [[int(line) for line in printed.split()] for printed in run_four(CREATE, tmp_path)]
    assert sorted(number for own in wins for number in own) == list(range(40))
    with sync.open_bucket(tmp_path) as bucket:
        for writer, own in enumerate(wins):
            assert all(bucket.get(f"k{number}") == b"w%d" % writer for number in own)


def test_if_match_loses_no_update_among_processes(tmp_path):
    with sync.open_bucket(tmp_path) as bucket:
        bucket.put("counter", b"x", metadata={"number": "0"})
        run_four(COUNT, tmp_path)
        assert bucket.head("counter").metadata == {"number": "80"}
    assert strays(tmp_path) == set()


def test_folders_that_come_and_go_fail_no_write(tmp_path):
    with sync.open_bucket(tmp_path) as bucket:

        def come_and_go(number):
            for _ in range(100):
                bucket.put(f"a/b/{number}", b"x")
                assert bucket.delete(f"a/b/{number}")

        with ThreadPoolExecutor(4) as threads:
            list(threads.map(come_and_go, range(4)))
    assert strays(tmp_path) == set()
    assert empty_folders(tmp_path) == set()


def test_versions_of_one_key_are_all_kept_whoever_writes_them(tmp_path):
    with sync.open_bucket(tmp_path) as bucket:
        bucket.admin.set(Versioning(enabled=True))
        run_four(VERSIONS, tmp_path)
        chain = list(bucket.versions("shared"))
        contents = [
            bucket.get("shared", version=found.version) for found in chain if not found.marker
        ]
        for writer in range(4):
            mine = [
                content for content in reversed(contents) if content.startswith(b"w%d " % writer)
            ]
            assert mine == [b"w%d %d" % (writer, number) for number in range(25)]
        times = [found.modified for found in chain]
        assert times == sorted(times, reverse=True)
        # Of 25, five are restored, five removed.
        assert len(list(bucket.versions("others"))) == 4 * 25
    assert strays(tmp_path) == set()
    assert empty_folders(tmp_path) == set()


def test_versions_that_stay_are_listed_once_while_newer_ones_come_and_go(tmp_path):
    with sync.open_bucket(tmp_path) as bucket:
        bucket.put("k", b"null")
        bucket.admin.set(Versioning(enabled=True))
        for number in range(5):
            bucket.put("k", b"%d" % number)
        kept = [found.version for found in bucket.versions()]
        run_four(WATCH, tmp_path, *kept)
        assert [found.version for found in bucket.versions()] == kept
    assert strays(tmp_path) == set()


def test_a_process_that_is_open_heeds_what_another_says_of_versions(tmp_path):
    with sync.open_bucket(tmp_path) as one, sync.open_bucket(tmp_path) as other:
        other.put("k", b"1")
        assert other.head("k").version is None
        one.admin.set(Versioning(enabled=True))
        assert other.head("k").version == "null"
        other.put("k", b"2")
        assert [other.get("k", version=v.version) for v in one.versions()] == [b"2", b"1"]
        one.admin.set(Versioning(enabled=False))
        other.put("k", b"3")
        assert [other.get("k", version=v.version) for v in one.versions()] == [b"3", b"2"]
