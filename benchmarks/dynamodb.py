"""Clients of DynamoDB beside one another on one emulator: CPU and wall time.

python benchmarks/dynamodb.py [--url http://key:secret@127.0.0.1:8000] [--rounds 7] [--quick]

Without a URL, the dynoxide that `make services` started. Peers that are not installed are left out.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import hmac
import os
import sys
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from urllib.parse import quote, urlsplit
from uuid import UUID, uuid4

import orjson
from timing import Work, interleave, machine, median, ratio, table

sys.path.insert(0, str(Path(__file__).parent.parent))

from tools.services.endpoints import endpoints

from holdfast import Entity, Field, field, key, open_store
from holdfast import sync as blocking

REGION = "us-east-1"
PREFIX = f"bench-{uuid4().hex[:8]}"
TABLE = f"{PREFIX}.videos"
INDEX = "project_id-created"
TASKS = 32
START = datetime(2026, 1, 1, tzinfo=UTC)
PROJECT = UUID(int=1)
TEXT = """\
Client CPU (wall in brackets), µs an operation, medians of {rounds} rounds, all sides in one process
and one emulator. An item has ten attributes: two UUIDs, a time, texts, numbers and a document.
"Query 100" reads them along a secondary index, "batch 100" adds 100. Holdfast checks each value,
makes entities and writes on the condition that the key is free; its batch is one transaction, all
or nothing. The peers write unconditionally, by BatchWriteItem in four requests. boto3, aioboto3 and
PynamoDB make dicts or models of Decimals and texts; aiodynamo dicts; pydynox models, by Rust.
Blocking clients stand in the loop for one call at a time; 32 tasks are 32 threads there.
The floor is what any client on asyncio has to do: a signature, a write, a read, JSON into dicts.
"""
FLOOR = ("get", "put", "query 100", "get, 32 tasks")
TARGETS = [("get", "aiodynamo", 3.0), ("get", "aioboto3", 9.0), ("get", "PynamoDB", 9.0),
           ("get", "pydynox", 1.0), ("put", "pydynox", 1.0)]  # fmt: skip


class Video(Entity, table="videos", indexes=[("project_id", "created")]):
    id: Field[UUID] = key()
    project_id: Field[UUID]
    created: Field[datetime]
    filename: Field[str]
    title: Field[str]
    duration: Field[float]
    width: Field[int]
    height: Field[int]
    size: Field[int]
    attributes: Field[dict[str, object]] = field(default_factory=dict)


def values(number: int, project: UUID) -> dict[str, object]:
    return {
        "id": uuid4(),
        "project_id": project,
        "created": START + timedelta(seconds=number),
        "filename": f"camera-{number % 7}/2026-11-21/{number:07}.mp4",
        "title": f"Crossing {number}, north",
        "duration": number % 600 + 0.5,
        "width": 1920,
        "height": 1080,
        "size": 1_000_000 + number,
        "attributes": {"provider": "aws", "codec": "h264", "tags": ["day", "rain"]},
    }


def item(row: dict[str, object]) -> dict[str, object]:
    """Return *row* as clients take it that have no types of one's own."""
    return {
        **row,
        "id": str(row["id"]),
        "project_id": str(row["project_id"]),
        "created": f"{row['created']:%Y-%m-%dT%H:%M:%S.%fZ}",
        "duration": Decimal(str(row["duration"])),
    }


class Holdfast:
    """Entities on `open_store`, awaited."""

    package = "holdfast"

    @asynccontextmanager
    async def opened(self, url):
        async with open_store(url, [Video]) as store:
            self.videos = store.repository(Video)
            yield self

    def make(self, row):
        return Video(**row)

    async def get(self, key_):
        assert (await self.videos.get(key_)).width == 1920

    async def put(self, row):
        await self.videos.add(self.make(row))

    async def query(self, project):
        found = await self.videos.find(
            Video.project_id == project, order_by=Video.created.asc(), limit=100
        )
        assert len(found) == 100

    async def batch(self, rows):
        await self.videos.add_many([self.make(row) for row in rows])

    async def gets(self, keys):
        await asyncio.gather(*map(self.get, keys))


class Blocking:
    """A side whose calls block; its *call* is one of them."""

    async def gets(self, keys):
        await asyncio.gather(*(asyncio.to_thread(self.get_now, each) for each in keys))

    async def get(self, key_):
        self.get_now(key_)


class HoldfastSync(Blocking):
    """Entities on `holdfast.sync`."""

    package = "holdfast"

    @asynccontextmanager
    async def opened(self, url):
        with blocking.open_store(url, [Video]) as store:
            self.videos = store.repository(Video)
            yield self

    def get_now(self, key_):
        assert self.videos.get(key_).width == 1920

    async def put(self, row):
        self.videos.add(Video(**row))

    async def query(self, project):
        found = self.videos.find(
            Video.project_id == project, order_by=Video.created.asc(), limit=100
        )
        assert len(found) == 100

    async def batch(self, rows):
        self.videos.add_many([Video(**row) for row in rows])


class Boto3(Blocking):
    """The resource's `Table`."""

    package = "boto3"

    @asynccontextmanager
    async def opened(self, _url):
        import boto3
        from boto3.dynamodb.conditions import Key
        from botocore.config import Config

        self.key = Key
        resource = boto3.resource(
            "dynamodb", region_name=REGION, endpoint_url=ENDPOINT,
            config=Config(max_pool_connections=TASKS),
        )  # fmt: skip
        self.table = resource.Table(TABLE)
        yield self
        resource.meta.client.close()

    def get_now(self, key_):
        assert self.table.get_item(Key={"id": str(key_)}, ConsistentRead=True)["Item"]["width"]

    async def put(self, row):
        self.table.put_item(Item=item(row))

    async def query(self, project):
        condition = self.key("project_id").eq(str(project))
        found = self.table.query(IndexName=INDEX, KeyConditionExpression=condition, Limit=100)
        assert len(found["Items"]) == 100

    async def batch(self, rows):
        with self.table.batch_writer() as writer:
            for row in rows:
                writer.put_item(Item=item(row))


class AioBoto3:
    """The resource's `Table`, awaited."""

    package = "aioboto3"

    @asynccontextmanager
    async def opened(self, _url):
        import aioboto3
        from botocore.config import Config

        async with aioboto3.Session().resource(
            "dynamodb", region_name=REGION, endpoint_url=ENDPOINT,
            config=Config(max_pool_connections=TASKS),
        ) as resource:  # fmt: skip
            self.table = await resource.Table(TABLE)
            yield self

    async def get(self, key_):
        found = await self.table.get_item(Key={"id": str(key_)}, ConsistentRead=True)
        assert found["Item"]["width"]

    async def put(self, row):
        await self.table.put_item(Item=item(row))

    async def query(self, project):
        from boto3.dynamodb.conditions import Key

        condition = Key("project_id").eq(str(project))
        found = await self.table.query(IndexName=INDEX, KeyConditionExpression=condition, Limit=100)
        assert len(found["Items"]) == 100

    async def batch(self, rows):
        async with self.table.batch_writer() as writer:
            for row in rows:
                await writer.put_item(Item=item(row))

    async def gets(self, keys):
        await asyncio.gather(*map(self.get, keys))


class AioDynamo:
    """Dicts, over aiohttp."""

    package = "aiodynamo"

    @asynccontextmanager
    async def opened(self, _url):
        from aiodynamo.client import Client
        from aiodynamo.credentials import Credentials
        from aiodynamo.http.aiohttp import AIOHTTP
        from aiohttp import ClientSession
        from yarl import URL

        async with ClientSession() as session:
            client = Client(AIOHTTP(session), Credentials.auto(), REGION, URL(ENDPOINT))
            self.table = client.table(TABLE)
            yield self

    async def get(self, key_):
        assert (await self.table.get_item({"id": str(key_)}, consistent_read=True))["width"]

    async def put(self, row):
        await self.table.put_item(item(row))

    async def query(self, project):
        from aiodynamo.expressions import HashKey

        found = self.table.query(HashKey("project_id", str(project)), index=INDEX, limit=100)
        assert len([each async for each in found]) == 100

    async def batch(self, rows):
        from aiodynamo.models import BatchWriteRequest

        for at in range(0, len(rows), 25):
            wanted = BatchWriteRequest(items_to_put=[item(row) for row in rows[at : at + 25]])
            await self.table.client.batch_write({TABLE: wanted})

    async def gets(self, keys):
        await asyncio.gather(*map(self.get, keys))


class PynamoDB(Blocking):
    """Models."""

    package = "pynamodb"

    @asynccontextmanager
    async def opened(self, _url):
        from pynamodb.attributes import JSONAttribute, NumberAttribute, UnicodeAttribute
        from pynamodb.indexes import AllProjection, GlobalSecondaryIndex
        from pynamodb.models import Model

        class ByProject(GlobalSecondaryIndex):
            class Meta:
                index_name = INDEX
                projection = AllProjection()

            project_id = UnicodeAttribute(hash_key=True)
            created = UnicodeAttribute(range_key=True)

        class Row(Model):
            class Meta:
                table_name = TABLE
                region = REGION
                host = ENDPOINT
                max_pool_connections = TASKS

            id = UnicodeAttribute(hash_key=True)
            project_id = UnicodeAttribute()
            created = UnicodeAttribute()
            filename = UnicodeAttribute()
            title = UnicodeAttribute()
            duration = NumberAttribute()
            width = NumberAttribute()
            height = NumberAttribute()
            size = NumberAttribute()
            attributes = JSONAttribute()
            by_project = ByProject()

        self.model = Row
        yield self

    def get_now(self, key_):
        assert self.model.get(str(key_), consistent_read=True).width

    def make(self, row):
        return self.model(**{**item(row), "duration": row["duration"]})

    async def put(self, row):
        self.make(row).save()

    async def query(self, project):
        assert len(list(self.model.by_project.query(str(project), limit=100))) == 100

    async def batch(self, rows):
        with self.model.batch_write() as writer:
            for row in rows:
                writer.save(self.make(row))


class PyDynox:
    """Models, by a client in Rust."""

    package = "pydynox"

    @asynccontextmanager
    async def opened(self, _url):
        from pydynox import BatchWriter, DynamoDBClient, Model, ModelConfig
        from pydynox.attributes import MapAttribute, NumberAttribute, StringAttribute
        from pydynox.indexes import GlobalSecondaryIndex

        client = DynamoDBClient(
            region=REGION,
            endpoint_url=ENDPOINT,
            access_key=os.environ["AWS_ACCESS_KEY_ID"],
            secret_key=os.environ["AWS_SECRET_ACCESS_KEY"],
        )

        class Row(Model):
            model_config = ModelConfig(table=TABLE, client=client, consistent_read=True)
            id = StringAttribute(partition_key=True)
            project_id = StringAttribute()
            created = StringAttribute()
            filename = StringAttribute()
            title = StringAttribute()
            duration = NumberAttribute()
            width = NumberAttribute()
            height = NumberAttribute()
            size = NumberAttribute()
            attributes = MapAttribute()
            by_project = GlobalSecondaryIndex(
                index_name=INDEX, partition_key="project_id", sort_key="created"
            )

        self.model = Row
        self.writer = lambda: BatchWriter(client, TABLE)
        yield self

    def plain(self, row):
        return {**item(row), "duration": row["duration"]}

    async def get(self, key_):
        assert (await self.model.get(id=str(key_))).width

    async def put(self, row):
        await self.model(**self.plain(row)).save()

    async def query(self, project):
        found = self.model.by_project.query(partition_key=str(project), limit=100)
        assert len([each async for each in found]) == 100

    async def batch(self, rows):
        async with self.writer() as writer:
            for row in rows:
                writer.put(self.plain(row))

    async def gets(self, keys):
        await asyncio.gather(*map(self.get, keys))


class FloorConnection(asyncio.BufferedProtocol):
    """One connection, on which an answer has a head with its length, and is awaited whole."""

    def __init__(self):
        self.view = memoryview(bytearray(64 * 1024))
        self.came = b""
        self.answer = None

    def connection_made(self, transport):
        self.transport = transport

    def get_buffer(self, _hint):
        return self.view

    def buffer_updated(self, count):
        self.came += bytes(self.view[:count])
        head, found, body = self.came.partition(b"\r\n\r\n")
        if found and len(body) >= int(head.partition(b"content-length: ")[2].split(b"\r\n")[0]):
            self.came = b""
            self.answer.set_result(body)

    def ask(self, data):
        self.answer = asyncio.get_running_loop().create_future()
        self.transport.write(data)
        return self.answer


class Floor:
    """What any client has to do on asyncio: a signature, one write, one read, JSON into dicts.

    No pool, no retries, no time limits, no checksums, no entities.
    """

    package = "holdfast"

    @asynccontextmanager
    async def opened(self, _url):
        host = urlsplit(ENDPOINT)
        loop = asyncio.get_running_loop()
        made = [
            await loop.create_connection(FloorConnection, host.hostname, host.port)
            for _ in range(TASKS)
        ]
        self.connections = [connection for _, connection in made]
        self.host = host.netloc
        self.key = f"AWS4{os.environ['AWS_SECRET_ACCESS_KEY']}".encode()
        self.day = f"{datetime.now(UTC):%Y%m%d}"
        self.scope = f"{self.day}/{REGION}/dynamodb/aws4_request"
        for part in self.scope.split("/"):
            self.key = hmac.digest(self.key, part.encode(), "sha256")
        yield self
        for transport, _ in made:
            transport.abort()

    def signed(self, operation, request):
        body = orjson.dumps(request)
        stamp = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
        target = f"DynamoDB_20120810.{operation}"
        names = "content-type;host;x-amz-date;x-amz-target"
        kind = "application/x-amz-json-1.0"
        canonical = (
            f"POST\n/\n\ncontent-type:{kind}\nhost:{self.host}\nx-amz-date:{stamp}\n"
            f"x-amz-target:{target}\n\n{names}\n{hashlib.sha256(body).hexdigest()}"
        )
        digest = hashlib.sha256(canonical.encode()).hexdigest()
        text = f"AWS4-HMAC-SHA256\n{stamp}\n{self.scope}\n{digest}"
        signature = hmac.digest(self.key, text.encode(), "sha256").hex()
        head = (
            f"POST / HTTP/1.1\r\nhost: {self.host}\r\ncontent-type: {kind}\r\n"
            f"x-amz-date: {stamp}\r\nx-amz-target: {target}\r\n"
            f"authorization: AWS4-HMAC-SHA256 Credential={os.environ['AWS_ACCESS_KEY_ID']}/"
            f"{self.scope}, SignedHeaders={names}, Signature={signature}\r\n"
            f"content-length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body

    async def asked(self, connection, operation, request):
        answer = orjson.loads(await connection.ask(self.signed(operation, request)))
        assert "__type" not in answer, answer
        return answer

    async def get(self, key_, at=0):
        request = {"TableName": TABLE, "Key": {"id": {"S": str(key_)}}, "ConsistentRead": True}
        found = await self.asked(self.connections[at], "GetItem", request)
        assert found["Item"]["width"]["N"] == "1920"

    def attributes(self, row):
        made = {}
        for name, value in item(row).items():
            match value:
                case str():
                    made[name] = {"S": value}
                case dict():
                    made[name] = {"S": orjson.dumps(value).decode()}
                case _:
                    made[name] = {"N": str(value)}
        return made

    async def put(self, row):
        request = {"TableName": TABLE, "Item": self.attributes(row)}
        await self.asked(self.connections[0], "PutItem", request)

    async def query(self, project):
        request = {
            "TableName": TABLE, "IndexName": INDEX, "Limit": 100,
            "KeyConditionExpression": "project_id = :p",
            "ExpressionAttributeValues": {":p": {"S": str(project)}},
        }  # fmt: skip
        found = await self.asked(self.connections[0], "Query", request)
        assert len(found["Items"]) == 100

    async def batch(self, rows):
        for at in range(0, len(rows), 25):
            puts = [{"PutRequest": {"Item": self.attributes(row)}} for row in rows[at : at + 25]]
            await self.asked(self.connections[0], "BatchWriteItem", {"RequestItems": {TABLE: puts}})

    async def gets(self, keys):
        await asyncio.gather(*(self.get(each, at) for at, each in enumerate(keys)))


SIDES = {
    "floor": Floor,
    "holdfast": Holdfast,
    "holdfast.sync": HoldfastSync,
    "boto3": Boto3,
    "aioboto3": AioBoto3,
    "aiodynamo": AioDynamo,
    "PynamoDB": PynamoDB,
    "pydynox": PyDynox,
}


def works(side, keys, scale):
    """Return what is measured of *side*."""

    def many(call, arguments, count):
        count = max(2, int(count * scale))

        async def prepare():
            return arguments(count)

        async def run(prepared):
            for each in prepared:
                await call(each)

        return Work(prepare, run, count)

    def some(count):
        return [keys[number % len(keys)] for number in range(count)]

    def rows(count):
        return [values(number, UUID(int=2)) for number in range(count)]

    gets = max(TASKS, int(320 * scale) // TASKS * TASKS)

    async def in_tasks():
        return [some(TASKS) for _ in range(gets // TASKS)]

    async def run_tasks(prepared):
        for each in prepared:
            await side.gets(each)

    return {
        "get": many(side.get, some, 150),
        "put": many(side.put, rows, 150),
        "query 100": many(side.query, lambda count: [PROJECT] * count, 12),
        "batch 100": many(side.batch, lambda count: [rows(100) for _ in range(count)], 6),
        f"get, {TASKS} tasks": Work(in_tasks, run_tasks, gets),
    }


def library_of(package):
    try:
        return version(package)
    except PackageNotFoundError:
        return None


async def main(asked):
    url = (
        f"dynamodb://{REGION}/{PREFIX}?endpoint_url={quote(ENDPOINT, safe='')}&connections={TASKS}"
    )
    sides = {name: kind() for name, kind in SIDES.items() if library_of(kind.package)}
    async with open_store(url, [Video]) as store:
        await store.create_schema()
        try:
            first = [values(number, PROJECT) for number in range(100)]
            await store.repository(Video).add_many([Video(**row) for row in first])
            taken = {}
            async with AsyncExitStack() as stack:
                for side in sides.values():
                    await stack.enter_async_context(side.opened(url))
                keys = [row["id"] for row in first]
                measured = {
                    name: works(side, keys, 0.2 if asked.quick else 1)
                    for name, side in sides.items()
                }
                for what in measured["holdfast"]:
                    taken[what] = await interleave(
                        {name: measured[name][what] for name in sides}, asked.rounds
                    )
        finally:
            await store.drop_schema()
    report(taken, sides, asked.rounds)


def report(taken, sides, rounds):
    print("## DynamoDB\n")
    print(f"{machine()}; one dynoxide on loopback.\n")
    print(TEXT.format(rounds=rounds))
    head = ["client", *taken]
    lines = []
    for name, side in sides.items():
        figures = [
            f"{median(each[name].cpu) * 1e6:.0f} ({median(each[name].wall) * 1e6:.0f})"
            for each in taken.values()
        ]
        label = name if side.package == "holdfast" else f"{name} {library_of(side.package)}"
        lines.append([label, *figures])
    print(table(head, lines))
    print()
    told = [
        f"{what}: {peer} takes {ratio(taken[what][peer].cpu, taken[what]['holdfast'].cpu):.1f} "
        f"times Holdfast's CPU (asked: {least:g})"
        for what, peer, least in TARGETS
        if peer in sides
    ]
    told += [
        f"{what}: Holdfast takes {ratio(each['holdfast'].cpu, each['floor'].cpu):.1f} times the "
        "floor's CPU"
        for what, each in taken.items()
        if what in FLOOR
    ]
    left_out = [name for name, kind in SIDES.items() if name not in sides]
    print("\n".join(f"- {each}" for each in told))
    if left_out:
        print(f"- not installed: {', '.join(left_out)}")
    print()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--url", help="http://key:secret@host:port")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--quick", action="store_true", help="a trial")
    given = parser.parse_args()
    if given.quick:
        given.rounds = min(given.rounds, 4)
    where = given.url or getattr(endpoints().get("dynoxide"), "url", None)
    if where is None:
        print("## DynamoDB\n\nSkipped: dynoxide does not run (`make services`).\n")
        sys.exit()
    parts = urlsplit(where)
    os.environ["AWS_ACCESS_KEY_ID"] = parts.username or "x"
    os.environ["AWS_SECRET_ACCESS_KEY"] = parts.password or "x"
    ENDPOINT = f"http://{parts.hostname}:{parts.port}"
    asyncio.run(main(given))
