"""S3 clients beside one another on one server: CPU, wall time, memory.

`python benchmarks/objects.py http://key:secret@127.0.0.1:9000 [ROUNDS]`. Peers that are not
installed are left out. Each client runs in a process of its own. Every put carries what that
client sends by default; Holdfast's also keeps a SHA-256 and checks it on every get.
"""

import asyncio
import io
import os
import resource
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

BUCKET = "holdfast-bench"
SMALL = os.urandom(10_240)
COUNT = 1000
AT_ONCE = 32
LARGE = 256 * 1024 * 1024


def place(url):
    parts = urlsplit(url)
    return f"http://{parts.hostname}:{parts.port}", parts.username, parts.password


async def spread(call, count=COUNT):
    numbers = iter(range(count))

    async def work():
        for number in numbers:
            await call(number)

    await asyncio.gather(*(work() for _ in range(AT_ONCE)))


async def holdfast(url, measure, folder):
    from holdfast.objects import Credentials, S3Options, open_bucket

    endpoint, key, secret = place(url)
    options = S3Options(endpoint_url=endpoint, credentials=Credentials(key, secret), create=True)
    async with open_bucket(f"s3://{BUCKET}", options=options) as bucket:
        await measure("put 10 KB", lambda: spread(lambda n: bucket.put(f"small/{n}", SMALL)))
        await measure("get 10 KB", lambda: spread(lambda n: bucket.get(f"small/{n}")))
        await measure("upload", lambda: bucket.upload(folder / "up", "large"))
        await measure("download", lambda: bucket.download("large", folder / "down"))
        await measure("list", lambda: drained(bucket.list("small/")))
        keys = [f"small/{number}" for number in range(COUNT)]
        await measure("delete", lambda: bucket.delete_many(keys))


async def drained(entries):
    assert len([entry async for entry in entries]) == COUNT


async def obstore(url, measure, folder):
    import obstore as client
    from obstore.store import S3Store

    endpoint, key, secret = place(url)
    store = S3Store(
        BUCKET,
        endpoint=endpoint,
        access_key_id=key,
        secret_access_key=secret,
        region="us-east-1",
        virtual_hosted_style_request=False,
        client_options={"allow_http": True},
    )

    async def get(number):
        await (await client.get_async(store, f"small/{number}")).bytes_async()

    async def download():
        with (folder / "down").open("wb") as file:
            async for chunk in (await client.get_async(store, "large")).stream():
                file.write(chunk)

    async def listed():
        assert sum([len(page) async for page in client.list(store, "small/")]) == COUNT

    await measure(
        "put 10 KB", lambda: spread(lambda n: client.put_async(store, f"small/{n}", SMALL))
    )
    await measure("get 10 KB", lambda: spread(get))
    await measure("upload", lambda: client.put_async(store, "large", folder / "up"))
    await measure("download", download)
    await measure("list", listed)
    keys = [f"small/{number}" for number in range(COUNT)]
    await measure("delete", lambda: client.delete_async(store, keys))


async def boto3(url, measure, folder):
    import boto3 as library
    from botocore.config import Config

    endpoint, key, secret = place(url)
    client = library.client(
        "s3",
        endpoint_url=endpoint,
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        region_name="us-east-1",
        config=Config(max_pool_connections=AT_ONCE),
    )
    await threaded(
        measure,
        folder,
        put=lambda n: client.put_object(Bucket=BUCKET, Key=f"small/{n}", Body=SMALL),
        get=lambda n: client.get_object(Bucket=BUCKET, Key=f"small/{n}")["Body"].read(),
        up=lambda path: client.upload_file(path, BUCKET, "large"),
        down=lambda path: client.download_file(BUCKET, "large", path),
    )


async def minio(url, measure, folder):
    from minio import Minio

    endpoint, key, secret = place(url)
    client = Minio(endpoint.removeprefix("http://"), key, secret, secure=False)

    def get(number):
        response = client.get_object(BUCKET, f"small/{number}")
        try:
            return response.read()
        finally:
            response.close()
            response.release_conn()

    await threaded(
        measure,
        folder,
        put=lambda n: client.put_object(BUCKET, f"small/{n}", io.BytesIO(SMALL), len(SMALL)),
        get=get,
        up=lambda path: client.fput_object(BUCKET, "large", path),
        down=lambda path: client.fget_object(BUCKET, "large", path),
    )


async def threaded(measure, folder, *, put, get, up, down):
    with ThreadPoolExecutor(AT_ONCE) as pool:

        async def every(call):
            list(pool.map(call, range(COUNT)))

        async def once(call, path):
            call(str(path))

        await measure("put 10 KB", lambda: every(put))
        await measure("get 10 KB", lambda: every(get))
        await measure("upload", lambda: once(up, folder / "up"))
        await measure("download", lambda: once(down, folder / "down"))


CLIENTS = {"holdfast": holdfast, "obstore": obstore, "boto3": boto3, "minio": minio}


def one(name, url, folder):
    """Run one client and print a line for each thing it did."""

    async def measure(what, call):
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        wall, cpu = time.perf_counter(), time.process_time()
        await call()
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        more = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak
        print(f"{what}\t{cpu:.6f}\t{wall:.6f}\t{more / 1024:.1f}", flush=True)

    asyncio.run(CLIENTS[name](url, measure, Path(folder)))


def main(url, rounds):
    found = [name for name in CLIENTS if find_spec(name)]
    figures = {}
    with tempfile.TemporaryDirectory() as folder:
        with (Path(folder) / "up").open("wb") as file:
            for _ in range(LARGE // 2**20):
                file.write(os.urandom(2**20))
        for _ in range(rounds):
            for name in found:
                command = [sys.executable, __file__, "--one", name, url, folder]
                ended = subprocess.run(command, capture_output=True, text=True, check=True)
                for line in ended.stdout.splitlines():
                    what, cpu, wall, more = line.split("\t")
                    figures.setdefault((what, name), []).append(
                        (float(cpu), float(wall), float(more))
                    )
    print(f"minima of {rounds}; {LARGE // 2**20} MiB; Python {sys.version.split()[0]}")
    print(", ".join(f"{name} {version(name)}" for name in found))
    for (what, name), rows in sorted(figures.items()):
        cpu, wall, more = (min(column) for column in zip(*rows, strict=True))
        if what in ("upload", "download"):
            cost = f"{cpu * 1e3:8.0f} ms CPU {wall * 1e3:8.0f} ms"
        else:
            cost = f"{cpu / COUNT * 1e6:8.0f} us CPU {wall / COUNT * 1e6:8.0f} us"
        print(f"{what:10} {name:10} {cost} wall {more:7.1f} MiB more")


if __name__ == "__main__":
    if sys.argv[1] == "--one":
        one(*sys.argv[2:])
    else:
        main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 3)
