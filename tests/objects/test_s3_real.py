"""What only real servers show: uploads of the dead, foreign objects, large ones."""

import asyncio
import hashlib
import os
import signal
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta

import httpx
import pytest
from botocore.config import Config
from botocore.session import Session

from holdfast.aws.service_clock import ServiceClock
from holdfast.clock import utc_now
from holdfast.errors import ConfigurationError
from holdfast.objects import PutOptions, open_bucket, sync
from objects.s3_servers import SERVERS, new_name, options_of, remove

MIB = 1024 * 1024


@pytest.fixture(params=SERVERS)
def place(request):
    options = options_of(request.param, multipart=5 * MIB, part=5 * MIB)
    url = new_name()
    yield url, options
    remove(url, options)


def foreign(options):
    """Botocore's client: another program on the same bucket."""
    return Session().create_client(
        "s3",
        region_name=options.region,
        endpoint_url=options.endpoint_url,
        aws_access_key_id=options.credentials.access_key,
        aws_secret_access_key=options.credentials.secret_key,
        config=Config(s3={"addressing_style": "path"}),
    )


@pytest.mark.parametrize("way", ["async", "blocking"])
async def test_a_wrong_secret_is_named_for_what_it_is(place, way):
    url, options = place
    with sync.open_bucket(url, options=options):
        pass  # the bucket is there
    wrong = replace(options, credentials=replace(options.credentials, secret_key="wrong"))
    with pytest.raises(ConfigurationError, match="403: the keys are refused, or may not see"):
        if way == "async":
            async with open_bucket(url, options=wrong):
                pass
        else:
            with sync.open_bucket(url, options=wrong):
                pass


@pytest.mark.parametrize("hours", [-2, 2])
async def test_a_clock_that_is_hours_off_costs_one_request_and_no_more(place, hours):
    url, options = place
    async with open_bucket(url, options=options) as bucket:
        await bucket.put("clip", b"bytes")
        service = bucket._driver._service
        service._clock = ServiceClock(lambda: utc_now() + timedelta(hours=hours))
        before = service.retries
        assert (await bucket.head("clip")).size == 5, "an answer without a body names no code"
        assert await bucket.get("clip") == b"bytes"
        assert service.retries == before + 1
        service._clock = ServiceClock(lambda: utc_now() + timedelta(hours=hours))
        both = await asyncio.gather(*[bucket.get("clip") for _ in range(8)])
        assert both == [b"bytes"] * 8, "each refused one tries again, whoever set the clock"
        presigned = await bucket.presign("clip")
        async with httpx.AsyncClient() as anybody:
            assert (await anybody.get(presigned.url)).content == b"bytes"


async def test_objects_of_another_program_are_read_and_ours_are_read_by_it(place):
    url, options = place
    name = url.removeprefix("s3://")
    async with open_bucket(url, options=options) as bucket:
        client = foreign(options)
        client.put_object(Bucket=name, Key="theirs", Body=b"foreign", Metadata={"a": "1"})
        info = await bucket.head("theirs")
        assert (info.size, info.metadata, info.sha256) == (7, {"a": "1"}, None)
        assert await bucket.get("theirs") == b"foreign"
        copied = await bucket.copy("theirs", "copied")
        assert (copied.metadata, copied.sha256) == ({"a": "1"}, None)
        await bucket.put("ours", b"own", content_type="text/css", metadata={"b": "2"})
        read = client.get_object(Bucket=name, Key="ours")
        assert (read["Body"].read(), read["ContentType"]) == (b"own", "text/css")
        assert read["Metadata"]["b"] == "2"
        client.close()


async def test_an_object_in_many_parts_has_its_checksum_and_comes_back(place, tmp_path):
    url, options = place
    content = os.urandom(23 * MIB)
    async with open_bucket(url, options=options) as bucket:
        info = await bucket.put("k", content, options=PutOptions(if_absent=True))
        assert info.sha256 == hashlib.sha256(content).hexdigest()
        await bucket.download("k", tmp_path / "down")
        assert (tmp_path / "down").read_bytes() == content
        assert await bucket.get("k", start=9 * MIB, end=9 * MIB + 5) == content[9 * MIB :][:5]


KILLED = """
import sys
from holdfast.objects import Credentials, S3Options, sync

endpoint, key, secret, url = sys.argv[1:]
options = S3Options(
    endpoint_url=endpoint, credentials=Credentials(key, secret), parallel=1,
    multipart=5 * 2**20, part=5 * 2**20,
)

from holdfast.objects.drivers.s3 import multipart

real = multipart.MultipartUpload._send_part

async def part(self, upload, number, content):
    if number == 3:
        print("reached", flush=True)
        sys.stdin.read()
    return await real(self, upload, number, content)

multipart.MultipartUpload._send_part = part
with sync.open_bucket(url, options=options) as bucket:
    bucket.put("dead/film", bytes(20 * 2**20))
"""


def test_the_upload_of_a_killed_writer_is_no_object_and_is_swept_by_its_age(place):
    url, options = place
    with sync.open_bucket(url, options=options) as bucket:
        keys = options.credentials
        command = [sys.executable, "-c", KILLED, options.endpoint_url]
        with subprocess.Popen(
            [*command, keys.access_key, keys.secret_key, url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as writer:
            assert writer.stdout.readline() == b"reached\n"
            writer.send_signal(signal.SIGKILL)
        assert [info.key for info in bucket.list()] == []
        assert bucket.sweep_incomplete(timedelta(days=1)) == 0
        assert bucket.sweep_incomplete(timedelta(0)) == 1
        assert bucket.sweep_incomplete(timedelta(0)) == 0


async def test_of_many_creators_one_wins(place):
    url, options = place
    async with open_bucket(url, options=options) as bucket:
        puts = [
            bucket.put("k", f"{number}".encode(), options=PutOptions(if_absent=True))
            for number in range(12)
        ]
        ended = await asyncio.gather(*puts, return_exceptions=True)
        won = [number for number, end in enumerate(ended) if not isinstance(end, Exception)]
        assert len(won) == 1
        assert await bucket.get("k") == f"{won[0]}".encode()
