"""A MinIO of four nodes, of which one dies, or two: what was acknowledged is there.

With four drives MinIO keeps each object in four parts, any two of which are enough to read it, and
three nodes are enough to write.
"""

import asyncio
import contextlib
import random
import socket
import subprocess
import tempfile
import time
from hashlib import sha256
from pathlib import Path

import psutil
import pytest
from tools.services import source
from tools.services.http import request
from tools.services.process import environment
from tools.services.s3 import MINIO, PASSWORD, USER

from holdfast.errors import UnavailableError
from holdfast.objects import Credentials, S3Options, open_bucket
from servers import absent, free_port

pytestmark = pytest.mark.anyio
NODES = 4
BEFORE, DURING = 60, 150
PART = 5 << 20
PATIENCE = 120.0
LOOPBACK = "127.0.0.1"


class Node:
    """One of the nodes at *addresses*, with a drive of its own."""

    def __init__(self, program, folder, addresses, number):
        self.folder = folder / f"node{number}"
        self.folder.mkdir()
        self.address = addresses[number]
        drives = [f"http://{each}{folder}/node{n}/drive" for n, each in enumerate(addresses)]
        self.command = [program, "server", "--address", self.address, *drives]
        self.process = None

    def start(self):
        settings = {
            "MINIO_ROOT_USER": USER, "MINIO_ROOT_PASSWORD": PASSWORD, "MINIO_CI_CD": "1",
            "MINIO_BROWSER": "off", "MINIO_UPDATE": "off",
        }  # fmt: skip
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                self.command, env=environment(self.folder, settings), stdin=subprocess.DEVNULL,
                stdout=log, stderr=log,
            )  # fmt: skip

    def wait_until_it_writes(self, *, also_without_one=False):
        """Wait until it says that enough nodes are there to write, or one more than that."""
        path = f"/minio/health/cluster{'?maintenance=true' if also_without_one else ''}"
        deadline = time.monotonic() + PATIENCE
        while True:
            with contextlib.suppress(OSError):
                if request(f"http://{self.address}", "GET", path).status == 200:
                    return
            assert time.monotonic() < deadline, (self.folder / "log").read_text()[-2000:]
            time.sleep(0.1)

    def kill(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


def own_address():
    """Return an address of this machine beside 127.0.0.1, which a node in a container refuses."""
    every = (each for addresses in psutil.net_if_addrs().values() for each in addresses)
    known = (each.address for each in every if each.family == socket.AF_INET)
    return next((each for each in known if not each.startswith("127.")), LOOPBACK)


@pytest.fixture
def nodes():
    """Four nodes that have found one another."""
    programs = source.find(MINIO.source)
    if programs is None:
        absent("minio is not installed")
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder, contextlib.ExitStack() as stack:
        host = own_address()
        if host == LOOPBACK and Path("/.dockerenv").exists():
            pytest.skip("nodes refuse 127.0.0.1 in a container, and no other address is there")
        addresses = [f"{host}:{free_port()}" for _ in range(NODES)]
        nodes = [
            Node(str(programs["minio"]), Path(folder), addresses, number) for number in range(NODES)
        ]
        for node in nodes:
            stack.callback(node.kill)
            node.start()
        for node in nodes:
            node.wait_until_it_writes(also_without_one=True)  # or one may lack what it should have
        yield nodes


def reached_at(node, **more):
    """Open the bucket by way of *node*."""
    options = S3Options(
        endpoint_url=f"http://{node.address}", region="us-east-1", create=True,
        credentials=Credentials(USER, PASSWORD), multipart=PART, part=PART, **more,
    )  # fmt: skip
    return open_bucket("s3://several", options=options)


class Load:
    """Objects put into *bucket*, small ones and some in parts, and what was acknowledged."""

    def __init__(self, bucket):
        self.bucket = bucket
        self.dice = random.Random(7)
        self.acknowledged = {}
        self.refused = 0

    async def put(self, count):
        numbers = iter(range(count))
        async with asyncio.TaskGroup() as group:
            for _ in range(8):
                group.create_task(self._put_each(numbers))

    async def _put_each(self, numbers):
        for number in numbers:
            key = f"many/{len(self.acknowledged)}-{number}-{self.dice.random()}"
            size = PART + 1 if number % 20 == 0 else self.dice.randrange(4096)
            body = self.dice.randbytes(size)
            try:
                await self.bucket.put(key, body)
            except UnavailableError:
                self.refused += 1
            else:
                self.acknowledged[key] = sha256(body).digest()

    async def whole_at(self, bucket):
        """Return whether *bucket* has all that was acknowledged, listed and read."""
        listed = {each.key async for each in bucket.list("many/")}
        assert self.acknowledged.keys() <= listed
        for key, digest in self.acknowledged.items():
            assert sha256(await bucket.get(key)).digest() == digest, key
        return True


async def test_a_node_dies_in_the_middle_of_writes_and_comes_back(nodes):
    near, other, dying = nodes[0], nodes[1], nodes[3]
    async with reached_at(near) as bucket, reached_at(other) as beside:
        load = Load(bucket)
        await load.put(BEFORE)
        writes = asyncio.create_task(load.put(DURING))
        while len(load.acknowledged) < BEFORE + DURING // 3:  # noqa: ASYNC110 - writes tell nobody
            await asyncio.sleep(0.01)
        dying.kill()
        await writes
        assert not load.refused, "three of four nodes are enough to write"
        assert await load.whole_at(bucket)
        assert await load.whole_at(beside)

        dying.start()
        dying.wait_until_it_writes()
        nodes[2].kill()
        async with reached_at(dying) as back:
            await load.put(BEFORE)
            assert await load.whole_at(back), "the node that was away reads what it missed"


async def test_two_nodes_of_four_read_and_do_not_write(nodes):
    async with reached_at(nodes[0]) as bucket, reached_at(nodes[0], attempts=1) as once:
        load = Load(bucket)
        await load.put(BEFORE)
        nodes[2].kill()
        nodes[3].kill()
        with pytest.raises(UnavailableError):
            await once.put("one more", b"x")
        assert await load.whole_at(bucket)
        nodes[2].start()
        nodes[2].wait_until_it_writes()
        await bucket.put("another", b"x")
        assert not await bucket.exists("one more"), "what was refused did not happen"
