"""Event streams over a real socket: what is sent, how a stream ends, and what stays behind."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from datetime import timedelta

import httpx
import pytest
from fastapi import FastAPI, HTTPException, Request

from holdfast.errors import ConfigurationError, InvalidValueError, NotFoundError
from holdfast.fastapi.streams.event_stream import (
    EventStreamOptions,
    ServerSentEvent,
    end_event_streams,
    event_stream,
)
from holdfast.fastapi.streams.job_events import job_event_stream
from holdfast.jobs import Job, Jobs
from holdfast.records import open_store
from holdfast.uuid7 import uuid7
from live_server import served, until
from servers import free_port

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("event", "sent"),
    [
        ({"data": "plain"}, "data: plain\n\n"),
        ({"data": "a\nb\r\nc\rd"}, "data: a\ndata: b\ndata: c\ndata: d\n\n"),
        ({"data": "x\n\nevent: forged"}, "data: x\ndata: \ndata: event: forged\n\n"),
        ({"data": {"a": [1, None, "ü"]}}, 'data: {"a":[1,null,"ü"]}\n\n'),
        ({"data": "", "id": "7", "name": "end"}, "id: 7\nevent: end\ndata: \n\n"),
        ({"data": "\u2028\x85"}, "data: \u2028\x85\n\n"),  # are no ends of lines there
        ({"data": "\ud800"}, "data: ?\n\n"),
    ],
)
def test_an_event_is_written_as_the_standard_says(event, sent):
    assert ServerSentEvent(**event).encode() == sent.encode()


@pytest.mark.parametrize("wrong", ["a\nb", "a\rb", "a\0b"])
def test_an_id_or_name_is_one_line(wrong):
    for field in ("id", "name"):
        with pytest.raises(InvalidValueError, match="one line"):
            ServerSentEvent(data="", **{field: wrong})


def test_options_that_can_not_be_are_refused():
    for wrong in ({"heartbeat": timedelta(0)}, {"most_per_client": 0}):
        with pytest.raises(ConfigurationError):
            EventStreamOptions(**wrong)


class Source:
    """Events that a test hands out, and what became of those who asked."""

    def __init__(self):
        self.given = asyncio.Queue()
        self.asked_behind = []
        self.open_now = 0

    async def events(self, last):
        self.asked_behind.append(last)
        self.open_now += 1
        try:
            while (event := await self.given.get()) is not None:
                if isinstance(event, Exception):
                    raise event
                yield event
        finally:
            self.open_now -= 1


def application(source, authorize=None, **options):
    app = FastAPI()

    @app.get("/")
    async def stream(request: Request, who: str | None = None):
        return event_stream(
            request,
            source.events,
            client=who,
            authorize=authorize,
            options=EventStreamOptions(**options),
        )

    return app


async def ask(writer, path="/", *headers):
    writer.write("\r\n".join((f"GET {path} HTTP/1.1", "Host: x", *headers, "", "")).encode())
    await writer.drain()


async def test_events_come_as_they_are_made_and_the_stream_ends_with_them():
    source = Source()
    async with served(application(source)) as live, live.connected() as (reader, writer):
        await ask(writer, "/", "Last-Event-ID: 41")
        head = await reader.readuntil(b"\r\n\r\n")
        assert b"text/event-stream" in head
        assert b"no-store" in head
        await reader.readuntil(b"retry: 3000\n\n")
        for at in ("42", "43"):
            await source.given.put(ServerSentEvent(data=at, id=at))
            await reader.readuntil(f"id: {at}\ndata: {at}\n\n".encode())
        await source.given.put(None)
        await reader.readuntil(b"\r\n0\r\n\r\n")
        assert source.asked_behind == ["41"]
        assert source.open_now == 0


async def test_silence_is_filled_with_comments():
    source = Source()
    app = application(source, heartbeat=timedelta(milliseconds=1))
    async with served(app) as live, live.connected() as (reader, writer):
        await ask(writer)
        await reader.readuntil(b": \n\n")
        await reader.readuntil(b": \n\n")


async def test_a_client_that_leaves_leaves_nothing_behind():
    source = Source()
    async with served(application(source)) as live:
        before = len(asyncio.all_tasks())
        async with live.connected() as (reader, writer):
            await ask(writer)
            await reader.readuntil(b"retry")
            await until(lambda: source.open_now == 1)
        await until(lambda: source.open_now == 0 and live.tasks == 0 and live.connections == 0)
        await until(lambda: len(asyncio.all_tasks()) <= before)


async def test_a_client_that_takes_nothing_is_dropped():
    source = Source()
    app = application(source, stall=timedelta(seconds=0.2))
    async with served(app) as live, live.connected() as (reader, writer):
        await ask(writer)
        await reader.readuntil(b"retry")
        given = 0
        while source.open_now:
            if source.given.empty():
                given += 1
                await source.given.put(ServerSentEvent(data="x" * 1_000_000))
            await asyncio.sleep(0.001)
        assert given < 100  # it was asked for no more than was taken
        await until(lambda: live.tasks == 0)


async def test_a_client_has_so_many_streams_and_no_more():
    source = Source()
    app = application(source, most_per_client=2)
    async with served(app) as live:
        async with live.connected() as first, live.connected() as second:
            for reader, writer in (first, second):
                await ask(writer)
                await reader.readuntil(b"retry")
            async with live.connected() as (reader, writer):
                await ask(writer)
                assert b" 429 " in await reader.readline()
                await reader.readuntil(b"\r\n\r\n")
            async with live.connected() as (reader, writer):
                await ask(writer, "/?who=another")
                await reader.readuntil(b"retry")
        await until(lambda: source.open_now == 0)
        async with live.connected() as (reader, writer):
            await ask(writer)
            await reader.readuntil(b"retry")


async def test_a_client_that_is_no_longer_allowed_gets_no_further_event():
    source, allowed = Source(), True

    async def authorize():
        return allowed

    app = application(source, authorize, recheck=timedelta(seconds=0.05))
    async with served(app) as live:
        for send in (True, False):  # it is asked before an event, and in silence
            allowed = True
            async with live.connected() as (reader, writer):
                await ask(writer)
                await source.given.put(ServerSentEvent(data="for you"))
                await reader.readuntil(b"for you\n\n")
                allowed = False
                if send:
                    await source.given.put(ServerSentEvent(data="secret"))
                rest = await reader.readuntil(b"\r\n0\r\n\r\n")
                assert b"secret" not in rest
            await until(lambda: source.open_now == 0)


async def test_streams_end_when_the_application_says_so():
    source = Source()
    app = application(source)
    async with served(app) as live, live.connected() as (reader, writer):
        await ask(writer)
        await reader.readuntil(b"retry")
        end_event_streams(app)
        await reader.readuntil(b"\r\n0\r\n\r\n")
        await until(lambda: source.open_now == 0)


async def test_a_source_that_fails_ends_the_stream():
    source = Source()
    async with served(application(source)) as live, live.connected() as (reader, writer):
        await ask(writer)
        await source.given.put(RuntimeError("mine"))
        await reader.readuntil(b"\r\n0\r\n\r\n")
        await until(lambda: live.tasks == 0)
        assert source.open_now == 0


async def test_an_id_that_no_event_had_is_refused():
    request = Request(
        {"type": "http", "headers": [(b"last-event-id", b"x" * 2000)], "app": FastAPI()}
    )
    with pytest.raises(HTTPException) as caught:
        event_stream(request, Source().events)
    assert caught.value.status_code == 400


PROGRAM = """
import asyncio, sys
from fastapi import FastAPI, Request
from holdfast.fastapi.streams.event_stream import ServerSentEvent, event_stream
import uvicorn

app = FastAPI()

@app.get("/")
async def stream(request: Request):
    async def events(last):
        yield ServerSentEvent(data="first")
        await asyncio.sleep(3600)
    return event_stream(request, events)

uvicorn.run(app, port=int(sys.argv[1]), log_level="critical")
"""


@contextmanager
def program(port):
    process = subprocess.Popen([sys.executable, "-c", PROGRAM, str(port)])
    try:
        yield process
    finally:
        process.kill()
        process.wait()


async def test_uvicorn_told_to_stop_ends_the_streams_and_itself():
    port = free_port()
    with program(port) as process:
        reader, writer = await connected(port, process)
        await ask(writer)
        await reader.readuntil(b"first\n\n")
        os.kill(process.pid, signal.SIGTERM)
        await reader.readuntil(b"\r\n0\r\n\r\n")
        writer.close()
        await until(lambda: process.poll() is not None)


async def connected(port, process):
    while process.poll() is None:
        try:
            return await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.05)
    raise AssertionError("the server ended")


async def test_a_job_is_followed_to_its_end_and_again_from_where_it_was():
    async with open_store("memory://", [Job]) as store:
        await store.create_schema()
        jobs = Jobs(store)
        job = (await jobs.enqueue("count")).job
        app = FastAPI()

        @app.get("/{last}")
        async def follow(request: Request, last: str):
            return await job_event_stream(request, jobs, job.id if last == "job" else uuid7())

        async with (
            served(app) as live,
            httpx.AsyncClient(base_url=live.url, timeout=60) as client,
        ):
            events = []
            async with client.stream("GET", "/job") as response:
                async for line in response.aiter_lines():
                    if line.startswith("id: "):
                        events.append([line.removeprefix("id: ")])
                    elif line.startswith(("event: ", "data: ")):
                        events[-1].append(line.partition(": ")[2])
                    elif not line and events and len(events[-1]) == 3:
                        status = json.loads(events[-1][2])["status"]
                        if status == "queued":
                            claim = await jobs.claim("w")
                            await jobs.progress(claim, 0.5, "half\nway")
                        elif status == "running":
                            await jobs.complete(claim, {"n": 1})
                        claim_is = status
            assert claim_is == "succeeded"
            assert [name for _, name, _ in events] == ["progress", "progress", "finished"]
            assert json.loads(events[1][2])["message"] == "half\nway"
            assert json.loads(events[2][2])["result"] == {"n": 1}
            again = await client.get("/job", headers={"Last-Event-ID": events[1][0]})
            assert again.text.count("event: finished") == 1
            assert "event: progress" not in again.text
            last = await client.get("/job", headers={"Last-Event-ID": events[2][0]})
            assert last.status_code == 204
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            with pytest.raises(NotFoundError):
                await client.get("/another")
