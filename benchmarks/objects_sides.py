"""The clients that the objects benchmark measures: each opens and offers the same few calls."""

from __future__ import annotations

import asyncio
import io
import shutil
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

AT_ONCE = 32
REGION = "us-east-1"


@dataclass(frozen=True)
class Place:
    """A bucket on a server."""

    endpoint: str
    key: str
    secret: str
    bucket: str

    @classmethod
    def of(cls, url: str, bucket: str) -> Place:
        parts = urlsplit(url)
        return cls(
            f"{parts.scheme}://{parts.hostname}:{parts.port}",
            parts.username,
            parts.password,
            bucket,
        )


@dataclass(frozen=True)
class Side:
    """One client, open: keys in, bytes and counts out."""

    put: Callable[[str, bytes], Awaitable[object]]
    get: Callable[[str], Awaitable[bytes]]
    up: Callable[[Path, str], Awaitable[object]]
    down: Callable[[str, Path], Awaitable[object]]
    count: Callable[[str], Awaitable[int]]
    delete: Callable[[list[str]], Awaitable[object]]


@asynccontextmanager
async def holdfast(place: Place, payload_signing: str = "auto") -> AsyncIterator[Side]:
    from holdfast.objects import Credentials, S3Options, open_bucket

    options = S3Options(
        endpoint_url=place.endpoint,
        region=REGION,
        credentials=Credentials(place.key, place.secret),
        create=True,
        payload_signing=payload_signing,
    )
    async with open_bucket(f"s3://{place.bucket}", options=options) as bucket:

        async def count(prefix):
            return sum([1 async for _ in bucket.list(prefix)])

        yield Side(
            put=bucket.put,
            get=bucket.get,
            up=bucket.upload,
            down=bucket.download,
            count=count,
            delete=bucket.delete_many,
        )


@asynccontextmanager
async def on_aiohttp(place: Place) -> AsyncIterator[Side]:
    from objects_aiohttp import AiohttpClient

    from holdfast.objects.drivers.s3 import connect

    connect.HTTPClient = AiohttpClient  # for this process, which measures nothing else
    async with holdfast(place) as side:
        yield side


@asynccontextmanager
async def obstore(place: Place, **config: object) -> AsyncIterator[Side]:
    import obstore as client
    from obstore.store import S3Store

    store = S3Store(
        place.bucket,
        endpoint=place.endpoint,
        access_key_id=place.key,
        secret_access_key=place.secret,
        region=REGION,
        virtual_hosted_style_request=False,
        client_options={"allow_http": True},
        **config,
    )

    async def get(key):
        return await (await client.get_async(store, key)).bytes_async()

    async def down(key, path):
        with path.open("wb") as file:
            async for chunk in (await client.get_async(store, key)).stream():
                file.write(chunk)

    async def count(prefix):
        return sum([len(page) async for page in client.list(store, prefix)])

    yield Side(
        put=lambda key, body: client.put_async(store, key, body),
        get=get,
        up=lambda path, key: client.put_async(store, key, path),
        down=down,
        count=count,
        delete=lambda keys: client.delete_async(store, keys),
    )


@asynccontextmanager
async def aiobotocore(place: Place) -> AsyncIterator[Side]:
    from aiobotocore.config import AioConfig
    from aiobotocore.session import get_session

    part = 8 * 1024 * 1024
    async with get_session().create_client(
        "s3",
        endpoint_url=place.endpoint,
        aws_access_key_id=place.key,
        aws_secret_access_key=place.secret,
        region_name=REGION,
        config=AioConfig(max_pool_connections=AT_ONCE),
    ) as client:

        async def get(key):
            answer = await client.get_object(Bucket=place.bucket, Key=key)
            async with answer["Body"] as body:
                return await body.read()

        async def up(path, key):  # it has no transfer of its own: parts of 8 MiB, four at once
            begun = await client.create_multipart_upload(Bucket=place.bucket, Key=key)
            named = {"Bucket": place.bucket, "Key": key, "UploadId": begun["UploadId"]}
            gate = asyncio.Semaphore(4)

            async def one(number, offset):
                async with gate:
                    with path.open("rb") as file:
                        file.seek(offset)
                        body = file.read(part)
                    sent = await client.upload_part(**named, PartNumber=number, Body=body)
                    return {"PartNumber": number, "ETag": sent["ETag"]}

            starts = range(0, path.stat().st_size, part)
            parts = await asyncio.gather(*(one(n, at) for n, at in enumerate(starts, 1)))
            await client.complete_multipart_upload(**named, MultipartUpload={"Parts": parts})

        async def down(key, path):
            answer = await client.get_object(Bucket=place.bucket, Key=key)
            async with answer["Body"] as body:
                with path.open("wb") as file:
                    async for chunk in body.iter_chunks(256 * 1024):
                        file.write(chunk)

        async def count(prefix):
            pages = client.get_paginator("list_objects_v2")
            found = pages.paginate(Bucket=place.bucket, Prefix=prefix)
            return sum([len(page.get("Contents", ())) async for page in found])

        yield Side(
            put=lambda key, body: client.put_object(Bucket=place.bucket, Key=key, Body=body),
            get=get,
            up=up,
            down=down,
            count=count,
            delete=lambda keys: client.delete_objects(
                Bucket=place.bucket, Delete={"Objects": [{"Key": key} for key in keys]}
            ),
        )


@asynccontextmanager
async def boto3(place: Place) -> AsyncIterator[Side]:
    import boto3 as library
    from botocore.config import Config

    client = library.client(
        "s3",
        endpoint_url=place.endpoint,
        aws_access_key_id=place.key,
        aws_secret_access_key=place.secret,
        region_name=REGION,
        config=Config(max_pool_connections=AT_ONCE),
    )

    def count(prefix):
        pages = client.get_paginator("list_objects_v2")
        found = pages.paginate(Bucket=place.bucket, Prefix=prefix)
        return sum(len(page.get("Contents", ())) for page in found)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield _threaded(
            pool,
            put=lambda key, body: client.put_object(Bucket=place.bucket, Key=key, Body=body),
            get=lambda key: client.get_object(Bucket=place.bucket, Key=key)["Body"].read(),
            up=lambda path, key: client.upload_file(str(path), place.bucket, key),
            down=lambda key, path: client.download_file(place.bucket, key, str(path)),
            count=count,
            delete=lambda keys: client.delete_objects(
                Bucket=place.bucket, Delete={"Objects": [{"Key": key} for key in keys]}
            ),
        )


@asynccontextmanager
async def minio(place: Place) -> AsyncIterator[Side]:
    from minio import Minio
    from minio.deleteobjects import DeleteObject

    client = Minio(
        place.endpoint.partition("://")[2],
        place.key,
        place.secret,
        secure=place.endpoint.startswith("https"),
    )

    def get(key):
        response = client.get_object(place.bucket, key)
        try:
            return response.read()
        finally:
            response.close()
            response.release_conn()

    def delete(keys):
        assert not list(client.remove_objects(place.bucket, [DeleteObject(key) for key in keys]))

    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield _threaded(
            pool,
            put=lambda key, body: client.put_object(place.bucket, key, io.BytesIO(body), len(body)),
            get=get,
            up=lambda path, key: client.fput_object(place.bucket, key, str(path)),
            down=lambda key, path: client.fget_object(place.bucket, key, str(path)),
            count=lambda prefix: sum(1 for _ in client.list_objects(place.bucket, prefix)),
            delete=delete,
        )


@asynccontextmanager
async def s3fs(place: Place) -> AsyncIterator[Side]:
    import s3fs as library

    files = library.S3FileSystem(
        key=place.key,
        secret=place.secret,
        endpoint_url=place.endpoint,
        asynchronous=True,
        use_listings_cache=False,
        client_kwargs={"region_name": REGION},
        config_kwargs={"max_pool_connections": AT_ONCE},
        skip_instance_cache=True,
    )
    session = await files.set_session()

    async def count(prefix):
        return len(await files._find(f"{place.bucket}/{prefix}"))

    yield Side(
        put=lambda key, body: files._pipe_file(f"{place.bucket}/{key}", body),
        get=lambda key: files._cat_file(f"{place.bucket}/{key}"),
        up=lambda path, key: files._put_file(str(path), f"{place.bucket}/{key}"),
        down=lambda key, path: files._get_file(f"{place.bucket}/{key}", str(path)),
        count=count,
        delete=lambda keys: files._bulk_delete([f"{place.bucket}/{key}" for key in keys]),
    )
    await session.close()


def _threaded(pool: ThreadPoolExecutor, **calls: Callable[..., object]) -> Side:
    def offered(call):
        async def offer(*args):
            return await asyncio.get_running_loop().run_in_executor(pool, call, *args)

        return offer

    return Side(**{name: offered(call) for name, call in calls.items()})


SIDES = {
    "holdfast": holdfast,
    "holdfast, unsigned": partial(holdfast, payload_signing="never"),
    "holdfast, over aiohttp": on_aiohttp,
    "obstore": obstore,
    "obstore, unsigned": partial(obstore, unsigned_payload=True),
    "aiobotocore": aiobotocore,
    "boto3": boto3,
    "minio": minio,
    "s3fs": s3fs,
}


def installed() -> list[str]:
    return [name for name in SIDES if find_spec(library_of(name))]


def library_of(name: str) -> str:
    return name.partition(",")[0]


def room_for(size: int, folder: Path) -> bool:
    return shutil.disk_usage(folder).free > 4 * size
