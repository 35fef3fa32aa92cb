"""A bucket as fsspec, pandas and pyarrow see it."""

import threading
from datetime import UTC, datetime

import fsspec
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet
import pytest
from fsspec.callbacks import Callback
from fsspec.tests.abstract import AbstractFixtures
from fsspec.tests.abstract.copy import AbstractCopyTests
from fsspec.tests.abstract.get import AbstractGetTests
from fsspec.tests.abstract.open import AbstractOpenTests
from fsspec.tests.abstract.pipe import AbstractPipeTests
from fsspec.tests.abstract.put import AbstractPutTests

from holdfast.errors import ConfigurationError
from holdfast.objects.filesystem import HoldfastFileSystem
from holdfast.objects.sync import PutOptions, open_bucket
from objects.s3_servers import new_name, options_of, remove

BACKENDS = ["memory", "file", "minio", "versity"]


@pytest.fixture(scope="module", params=BACKENDS)
def storage(request, tmp_path_factory):
    """Storage options that name a new bucket."""
    if request.param == "memory":
        yield {"bucket": "memory://"}
    elif request.param == "file":
        yield {"bucket": f"file://{tmp_path_factory.mktemp('bucket')}"}
    else:
        options = options_of(request.param)
        bucket = new_name()
        with pytest.MonkeyPatch.context() as patched:
            patched.setenv("AWS_ACCESS_KEY_ID", options.credentials.access_key)
            patched.setenv("AWS_SECRET_ACCESS_KEY", options.credentials.secret_key)
            yield {"bucket": f"{bucket}?endpoint_url={options.endpoint_url}&create=true"}
        remove(bucket, options)


@pytest.fixture(scope="module")
def filesystem(storage):
    return fsspec.filesystem("holdfast", **storage, skip_instance_cache=True)


def test_a_packed_file_has_the_size_of_its_content(filesystem):
    filesystem.bucket.put("packed/a.txt", bytes(50_000), options=PutOptions(compression="gzip"))
    assert filesystem.info("packed/a.txt")["size"] == 50_000
    assert [found["size"] for found in filesystem.ls("packed/a.txt")] == [50_000]
    with filesystem.open("packed/a.txt", block_size=1024) as file:
        assert (file.size, file.read()) == (50_000, bytes(50_000))
    filesystem.rm("packed/a.txt")


ON_TWO = pytest.mark.parametrize("storage", ["memory", "minio"], indirect=True, scope="module")


class Fixtures(AbstractFixtures):
    @pytest.fixture
    def fs(self, filesystem):
        return filesystem

    @pytest.fixture
    def fs_path(self):
        return "somewhere/deep"

    @pytest.fixture
    def supports_empty_directories(self):
        return False


@ON_TWO
class TestCopy(AbstractCopyTests, Fixtures):
    pass


@ON_TWO
class TestGet(AbstractGetTests, Fixtures):
    pass


@ON_TWO
class TestPut(AbstractPutTests, Fixtures):
    pass


@ON_TWO
class TestOpen(AbstractOpenTests, Fixtures):
    pass


@ON_TWO
class TestPipe(AbstractPipeTests, Fixtures):
    pass


def test_pandas_and_pyarrow_write_and_read(storage):
    import pandas as pd  # noqa: PLC0415 - slow to import, and all workers would

    frame = pd.DataFrame({"track": [1, 2, 3], "score": [0.5, None, 1.0]})
    path = "holdfast://results/tracks"
    frame.to_parquet(f"{path}.parquet", storage_options=storage)
    if storage["bucket"] != "memory://":  # where each opening is a bucket of its own
        again = {**storage, "skip_instance_cache": True}
        assert pd.read_parquet(f"{path}.parquet", storage_options=again).equals(frame)
    assert pd.read_parquet(f"{path}.parquet", storage_options=storage).equals(frame)
    frame.to_csv(f"{path}.csv.gz", index=False, storage_options=storage)
    assert pd.read_csv(f"{path}.csv.gz", storage_options=storage).equals(frame)
    fs = fsspec.filesystem("holdfast", **storage)
    table = pa.table({"part": ["a", "a", "b"], "n": [1, 2, 3]})
    pa.dataset.write_dataset(
        table,
        "set",
        filesystem=fs,
        format="parquet",
        partitioning=["part"],
        partitioning_flavor="hive",
    )
    read = pa.dataset.dataset("set", filesystem=fs, partitioning="hive").to_table()
    assert read.sort_by("n").to_pydict() == {"n": [1, 2, 3], "part": ["a", "a", "b"]}
    assert pa.parquet.read_table("results/tracks.parquet", filesystem=fs).num_rows == 3


def test_listing_and_information(filesystem):
    filesystem.pipe({"list/a": b"1", "list/b/c": b"22", "list.txt": b""})
    assert filesystem.ls("list", detail=False) == ["list/a", "list/b"]
    assert filesystem.find("list") == ["list/a", "list/b/c"]
    assert filesystem.glob("list/**/c") == ["list/b/c"]
    found = filesystem.info("holdfast://list/b/c")
    assert (found["name"], found["size"], found["type"]) == ("list/b/c", 2, "file")
    assert abs(found["modified"] - datetime.now(UTC)).total_seconds() < 60
    assert filesystem.isdir("list")
    assert not filesystem.isdir("lis")
    assert filesystem.du("list") == 3
    with pytest.raises(FileNotFoundError):
        filesystem.info("list/nothing")
    with pytest.raises(FileNotFoundError):
        filesystem.ls("nothing")
    with pytest.raises(OSError, match="not empty"):
        filesystem.rmdir("list")


def test_ranges_are_slices(filesystem):
    content = bytes(range(100))
    filesystem.pipe("range", content)
    for start, end in [
        (0, 10),
        (5, None),
        (None, 7),
        (-5, None),
        (-20, -10),
        (90, 200),
        (200, 300),
    ]:
        assert filesystem.cat_file("range", start=start, end=end) == content[start:end]


def test_a_file_is_read_from_anywhere(filesystem):
    content = bytes(n % 251 for n in range(100_000))
    filesystem.pipe("seek", content)
    with filesystem.open("seek", block_size=1024) as file:
        file.seek(-3, 2)
        assert file.read() == content[-3:]
        file.seek(50_000)
        assert file.read(10) == content[50_000:50_010]
        assert file.read(0) == b""


def test_a_file_replaced_while_it_is_read_is_never_a_mixture(filesystem):
    filesystem.pipe("mixed", b"a" * 10_000)
    with filesystem.open("mixed", block_size=100) as file:
        assert file.read(10) == b"a" * 10
        filesystem.pipe("mixed", b"b" * 10_000)
        file.seek(5_000)
        with pytest.raises(OSError, match="replaced while it was read"):
            file.read(10)


def test_nothing_is_published_by_a_writer_that_fails(filesystem):
    with pytest.raises(ZeroDivisionError), filesystem.open("half", "wb") as file:
        file.write(b"half")
        raise ZeroDivisionError
    assert not filesystem.exists("half")


def test_nothing_is_published_by_a_failing_writer_behind_fsspec_open(storage):
    with pytest.raises(ZeroDivisionError), fsspec.open("holdfast://h/p", "wb", **storage) as file:
        file.write(b"half")
        raise ZeroDivisionError
    with pytest.raises(ZeroDivisionError):
        with fsspec.open("holdfast://h/q.gz", "wt", compression="gzip", **storage) as file:
            file.write("half")
            raise ZeroDivisionError
    assert fsspec.filesystem("holdfast", **storage).find("h") == []


def test_a_file_written_while_an_older_exception_is_handled_is_published(filesystem):
    try:
        [].pop()
    except IndexError:
        with filesystem.open("handled", "wb") as file:
            file.write(b"whole")
    assert filesystem.cat("handled") == b"whole"


def test_a_writer_that_is_dropped_publishes_nothing_and_says_so(filesystem):
    with pytest.warns(ResourceWarning, match="never closed"):
        filesystem.open("dropped", "wb").write(b"x")
    assert not filesystem.exists("dropped")


def test_appending_loses_no_other_writers_bytes(filesystem):
    filesystem.pipe("log", b"one\n")
    with filesystem.open("log", "ab") as file:
        file.write(b"two\n")
    assert filesystem.cat("log") == b"one\ntwo\n"
    with pytest.raises(FileExistsError, match="another writer"):
        with filesystem.open("log", "ab") as file:
            filesystem.pipe("log", b"other\n")
            file.write(b"three\n")
    assert filesystem.cat("log") == b"other\n"


def test_of_two_exclusive_writers_one_wins(filesystem):
    with pytest.raises(FileExistsError):
        with filesystem.open("exclusive", "xb") as file:
            filesystem.pipe("exclusive", b"first")
            file.write(b"second")
    assert filesystem.cat("exclusive") == b"first"


def test_transactions_publish_at_the_end(filesystem):
    with filesystem.transaction:
        with filesystem.open("later", "wb") as file:
            file.write(b"x")
        assert not filesystem.exists("later")
    assert filesystem.cat("later") == b"x"
    with pytest.raises(ZeroDivisionError), filesystem.transaction:
        with filesystem.open("never", "wb") as file:
            file.write(b"x")
        raise ZeroDivisionError
    assert not filesystem.exists("never")


def test_progress_is_told(filesystem, tmp_path):
    (tmp_path / "in").write_bytes(bytes(300_000))
    told = []

    class Telling(Callback):
        def call(self, *_, **__):
            told.append((self.value, self.size))

    filesystem.put_file(tmp_path / "in", "told", callback=Telling())
    assert told[-1] == (300_000, 300_000)
    told.clear()
    filesystem.get_file("told", tmp_path / "out", callback=Telling())
    assert told[-1] == (300_000, 300_000)
    assert (tmp_path / "out").stat().st_size == 300_000


def test_many_threads_share_one(filesystem):
    def work(n):
        filesystem.pipe(f"threads/{n}", bytes([n]) * 1000)
        assert filesystem.cat(f"threads/{n}") == bytes([n]) * 1000

    threads = [threading.Thread(target=work, args=(n,)) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(filesystem.find("threads")) == 16


def test_the_environment_names_the_bucket(tmp_path, monkeypatch):
    monkeypatch.setenv("HOLDFAST_BUCKET", f"file://{tmp_path}")
    with fsspec.open("holdfast://a", "wb") as file:
        file.write(b"x")
    with open_bucket(f"file://{tmp_path}") as bucket:
        assert bucket.get("a") == b"x"
    monkeypatch.delenv("HOLDFAST_BUCKET")
    with pytest.raises(ConfigurationError, match="HOLDFAST_BUCKET"):
        HoldfastFileSystem(skip_instance_cache=True)
