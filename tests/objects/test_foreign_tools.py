"""What Holdfast wrote is read by awscli and rclone, and the other way round."""

import gzip
import os
import subprocess
import sys
from pathlib import Path
from urllib.request import urlopen

import pytest
import zstandard

from holdfast.objects import PutOptions, sync
from objects.s3_servers import SERVERS, new_name, options_of, remove

CONTENT = b"a line of a log\n" * 10_000
BIN = Path(sys.executable).parent


@pytest.fixture(params=SERVERS)
def place(request):
    options = options_of(request.param)
    url = new_name()
    yield url, options
    remove(url, options)


@pytest.fixture
def aws(place, tmp_path):
    return _tool(place, tmp_path, BIN / "aws", "--endpoint-url", place[1].endpoint_url)


@pytest.fixture
def rclone(place, tmp_path):
    return _tool(place, tmp_path, BIN / "rclone", "--config", os.devnull, "--s3-env-auth=false")


def _tool(place, folder, *command):
    """Run the tool with the keys of the server and nothing of this machine's own settings."""
    _, options = place
    keys = options.credentials
    environment = {
        "HOME": str(folder),
        "PATH": os.environ["PATH"],
        "AWS_ACCESS_KEY_ID": keys.access_key,
        "AWS_SECRET_ACCESS_KEY": keys.secret_key,
        "AWS_DEFAULT_REGION": options.region,
        "RCLONE_CONFIG_HERE_TYPE": "s3",
        "RCLONE_CONFIG_HERE_PROVIDER": "Other",
        "RCLONE_CONFIG_HERE_ENDPOINT": options.endpoint_url,
        "RCLONE_CONFIG_HERE_REGION": options.region,
        "RCLONE_CONFIG_HERE_ACCESS_KEY_ID": keys.access_key,
        "RCLONE_CONFIG_HERE_SECRET_ACCESS_KEY": keys.secret_key,
    }

    def use(*arguments):
        ended = subprocess.run(
            [*map(str, command), *map(str, arguments)],
            env=environment,
            capture_output=True,
            check=False,
            timeout=600,
        )
        assert ended.returncode == 0, ended.stderr.decode()
        return ended.stdout

    return use


def test_awscli_reads_what_holdfast_wrote_and_the_other_way_round(place, aws, tmp_path):
    url, options = place
    (tmp_path / "theirs.txt").write_bytes(CONTENT)
    with sync.open_bucket(url, options=options) as bucket:
        bucket.put("ours/ü a.txt", CONTENT, metadata={"camera": "north"})
        aws("s3", "cp", f"{url}/ours/ü a.txt", tmp_path / "ours.txt")
        assert (tmp_path / "ours.txt").read_bytes() == CONTENT
        aws("s3", "cp", tmp_path / "theirs.txt", f"{url}/theirs.txt")
        assert bucket.get("theirs.txt") == CONTENT
        head = bucket.head("theirs.txt")
        assert (head.content_type, head.size, head.encoding) == ("text/plain", len(CONTENT), None)
        listed = aws("s3", "ls", f"{url}/", "--recursive").decode().splitlines()
        sizes_and_keys = [line.split(maxsplit=2)[2].lstrip() for line in listed]
        assert sizes_and_keys == [f"{len(CONTENT)} ours/ü a.txt", f"{len(CONTENT)} theirs.txt"]


def test_awscli_gets_what_is_compressed_with_its_encoding_said(place, aws, tmp_path):
    url, options = place
    read = {
        "gzip": gzip.decompress,
        "zstd": zstandard.ZstdDecompressor().decompressobj().decompress,
    }
    with sync.open_bucket(url, options=options) as bucket:
        for name, decoded in read.items():
            bucket.put(f"{name}.txt", CONTENT, options=PutOptions(compression=name))
            path = tmp_path / name
            at = ("--bucket", url.removeprefix("s3://"), "--key", f"{name}.txt")
            said = aws("s3api", "get-object", *at, path, "--query", "ContentEncoding")
            assert said.strip() == f'"{name}"'.encode()
            assert decoded(path.read_bytes()) == CONTENT
        with urlopen(bucket.presign("gzip.txt").url, timeout=10) as answer:  # as a browser does
            assert answer.headers["content-encoding"] == "gzip"
            assert gzip.decompress(answer.read()) == CONTENT


def test_what_another_program_compressed_is_left_as_it_is(place, aws, tmp_path):
    url, options = place
    (tmp_path / "a.gz").write_bytes(gzip.compress(CONTENT))
    with sync.open_bucket(url, options=options) as bucket:
        aws("s3", "cp", tmp_path / "a.gz", f"{url}/a", "--content-encoding", "gzip")
        assert gzip.decompress(bucket.get("a")) == CONTENT
        bucket.copy("a", "b")
        at = ("--bucket", url.removeprefix("s3://"), "--key", "b")
        said = aws("s3api", "head-object", *at, "--query", "ContentEncoding")
        assert said.strip() == b'"gzip"'  # a copy carries it along


def test_rclone_reads_what_holdfast_wrote_and_the_other_way_round(place, rclone, tmp_path):
    url, options = place
    remote = f"here:{url.removeprefix('s3://')}"
    local = tmp_path / "folder"
    (local / "sub").mkdir(parents=True)
    (local / "sub/theirs.txt").write_bytes(CONTENT)
    with sync.open_bucket(url, options=options) as bucket:
        rclone("copy", local, remote)
        assert bucket.get("sub/theirs.txt") == CONTENT
        bucket.put("sub/ours.txt", CONTENT[::-1])
        bucket.put("sub/packed.txt", CONTENT, options=PutOptions(compression="gzip"))
        rclone("copy", "--s3-decompress", remote, tmp_path / "down")
    assert (tmp_path / "down/sub/ours.txt").read_bytes() == CONTENT[::-1]
    assert (tmp_path / "down/sub/theirs.txt").read_bytes() == CONTENT
    assert (tmp_path / "down/sub/packed.txt").read_bytes() == CONTENT
