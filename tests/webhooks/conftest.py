"""A store with webhooks, and a receiver of their requests on a real socket."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from holdfast import open_store
from holdfast.jobs import Jobs, Worker
from holdfast.webhooks import ReceiverNetworks, WebhookHook, Webhooks, WebhookSender
from holdfast.webhooks.webhook_hook import TASK

LOOPBACK = ReceiverNetworks.of(["127.0.0.0/8", "::1"])


@dataclass
class Request:
    line: str
    headers: dict
    body: bytes


@dataclass
class ReceivingServer:
    """Answers each request by the next of *answers*, the last one again and again.

    An answer is bytes, or a function that writes what it likes.
    """

    answers: list = field(default_factory=lambda: [b"HTTP/1.1 204 No Content\r\n\r\n"])
    requests: list = field(default_factory=list)
    connections: int = 0
    port: int = 0

    @property
    def url(self):
        return f"http://localhost:{self.port}/told?by=holdfast"

    async def serve(self, reader, writer):
        self.connections += 1
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            line, *rest = head.split("\r\n")
            headers = dict(each.split(": ", 1) for each in rest if each)
            body = await reader.readexactly(int(headers["content-length"]))
            self.requests.append(Request(line, headers, body))
            answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
            if isinstance(answer, bytes):
                writer.write(answer)
                await writer.drain()
            else:
                await answer(writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the sender hung up, as it may
        finally:
            writer.transport.abort()


@asynccontextmanager
async def receiving(**options):
    """Yield a receiver that listens on the loopback, over TLS where *ssl* is given.

    What it still answers at the end is broken off: from Python 3.12 on, a server that is left
    would else wait for it.
    """
    found = ReceivingServer()
    answering = set()

    async def serve(reader, writer):
        answering.add(asyncio.current_task())
        await found.serve(reader, writer)

    server = await asyncio.start_server(serve, "127.0.0.1", 0, **options)
    async with server:
        found.port = server.sockets[0].getsockname()[1]
        try:
            yield found
        finally:
            for task in answering:
                task.cancel()


def status(code, *headers):
    return "\r\n".join([f"HTTP/1.1 {code} It is", *headers, "", ""]).encode()


@pytest.fixture
async def receiver():
    async with receiving() as found:
        yield found


@pytest.fixture
async def store(clock):
    async with open_store("memory://", [], hooks=[WebhookHook()], clock=clock) as store:
        await store.create_schema()
        yield store


@pytest.fixture
def webhooks(store):
    return Webhooks(store, WebhookSender(LOOPBACK))


async def work(webhooks):
    """Do the deliveries that are due, and return how many attempts that were."""
    jobs = Jobs(webhooks.store, chance=lambda: 0.0)
    return await Worker(jobs, {TASK: webhooks.deliver}).run(until="idle")


async def told(webhooks, webhook):
    """Return status and error of each attempt, the first one first."""
    page = await webhooks.deliveries(webhook.id)
    return [(each.status, each.error) for each in reversed(page.items)]
