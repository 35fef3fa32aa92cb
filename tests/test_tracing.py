"""Spans of OpenTelemetry: what is in them, what never is, and that nothing is made without them."""

import asyncio
import subprocess
import sys

import pytest
from fastapi import FastAPI
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

import holdfast.fastapi as hf
from holdfast import Entity, Field, field, key, open_bucket, open_cache, open_store
from holdfast.errors import DuplicateError
from holdfast.jobs import Job, Jobs, Worker
from holdfast.sync import open_store as open_blocking_store
from http_serving import client_of

SECRET = "a-secret-value"


class Note(Entity, table="notes"):
    name: Field[str] = key(max_length=50)
    text: Field[str] = field(default="", max_length=50)


@pytest.fixture
def exporter(monkeypatch):
    made = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(made))
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: provider)
    return made


def named(exporter):
    return {span.name: span for span in exporter.get_finished_spans()}


async def test_each_operation_is_in_a_span_that_says_what_and_where_and_no_value(exporter):
    async with open_store("memory://", [Note]) as store:
        await store.create_schema()
        notes = store.repository(Note)
        async with store.transaction():
            await notes.add(Note(name=SECRET))
        with pytest.raises(DuplicateError):
            await notes.add(Note(name=SECRET, text=SECRET))
        await notes.find(Note.text == SECRET)
    async with open_bucket("memory://") as bucket:
        await bucket.put(SECRET, b"x")
    async with open_cache("memory://") as cache:
        await cache.set(SECRET, SECRET)
        assert await cache.get(SECRET) == SECRET
    spans = exporter.get_finished_spans()
    assert SECRET not in " ".join(span.to_json() for span in spans)
    of_it = named(exporter)
    assert {"begin", "commit", "insert notes", "find notes", "put", "set_many", "get_many"} <= set(
        of_it
    )
    find = of_it["find notes"]
    assert find.kind is SpanKind.CLIENT
    assert dict(find.attributes) == {
        "db.system.name": "memory",
        "db.operation.name": "find",
        "db.collection.name": "notes",
    }
    assert of_it["put"].attributes["holdfast.object.backend"] == "memory"
    failed = [span for span in spans if span.status.status_code is StatusCode.ERROR]
    assert [span.attributes["error.type"] for span in failed] == ["DuplicateError"]
    assert not any(span.events for span in spans), "an event would tell the error's message"


def test_the_blocking_api_has_the_same_spans(exporter):
    with open_blocking_store("memory://", [Note]) as store:
        store.create_schema()
        store.repository(Note).add(Note(name="a"))
    assert "insert notes" in named(exporter)


async def test_work_goes_on_in_the_trace_that_enqueued_it(exporter):
    seen = []

    async def handler(context):
        seen.append(trace.get_current_span().get_span_context().trace_id)
        raise ValueError(SECRET)

    async with open_store("memory://", [Job]) as store:
        await store.create_schema()
        tracer = trace.get_tracer_provider().get_tracer("test")
        with tracer.start_as_current_span("request"):
            queued = await Jobs(store).enqueue("render", {"secret": SECRET})
        await Worker(Jobs(store), {"render": handler}).run(until="one")
    spans = named(exporter)
    enqueued, done = spans["enqueue default"], spans["do render"]
    assert (enqueued.kind, done.kind) == (SpanKind.PRODUCER, SpanKind.CONSUMER)
    assert enqueued.parent.span_id == spans["request"].context.span_id
    assert done.parent.span_id == enqueued.context.span_id
    assert done.parent.is_remote
    assert seen == [spans["request"].context.trace_id]
    assert done.attributes["messaging.message.id"] == str(queued.job.id)
    assert done.attributes["error.type"] == "ValueError"
    assert SECRET not in " ".join(span.to_json() for span in exporter.get_finished_spans())


async def test_a_request_and_what_it_asks_of_the_store_are_one_trace(exporter):
    app = FastAPI()
    hf.Holdfast(app, store="memory://", entities=[Note])
    app.include_router(hf.crud_router(Note), prefix="/notes")
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    async with client_of(app) as client:
        answer = await client.get("/notes/none", headers={"traceparent": parent})
        assert answer.status_code == 404
    get = named(exporter)["get notes"]
    assert f"{get.context.trace_id:032x}" == parent.split("-")[1]
    server = next(s for s in exporter.get_finished_spans() if s.kind is SpanKind.SERVER)
    assert server.attributes["http.route"] == "/notes/{name}"


@pytest.mark.parametrize(
    "broken", ["", "00-" + "0" * 32 + "-" + "0" * 16 + "-01", "ff-x", "00-zz-1-01"]
)
async def test_a_damaged_parent_begins_a_trace_of_its_own(exporter, broken):
    async with open_store("memory://", [Job]) as store:
        await store.create_schema()
        queued = await Jobs(store).enqueue("render")
        await store.repository(Job).patch(queued.job.id, Job.traceparent.to(broken))
        await Worker(Jobs(store), {"render": lambda _context: None}).run(until="one")
    assert named(exporter)["do render"].parent is None


async def test_without_a_provider_nothing_is_in_the_way():
    async with open_store("memory://", [Note, Job]) as store:
        await store.create_schema()
        assert store.recorder is None
        assert (await Jobs(store).enqueue("x")).job.traceparent is None
    async with open_bucket("memory://") as bucket:
        await asyncio.gather(bucket.put("k", b"x"), bucket.put("l", b"x"))


def test_opentelemetry_is_not_imported_by_holdfast():
    program = (
        "import asyncio, sys\n"
        "from holdfast import open_bucket, open_cache, open_store\n"
        "from holdfast.jobs import Job, Jobs\n"
        "async def main():\n"
        "    async with open_store('memory://', [Job]) as store, open_bucket('memory://') as b,"
        " open_cache('memory://') as c:\n"
        "        await store.create_schema()\n"
        "        await Jobs(store).enqueue('x')\n"
        "        await b.put('k', b'x')\n"
        "        await c.set('k', 1)\n"
        "asyncio.run(main())\n"
        "assert not [name for name in sys.modules if name.startswith('opentelemetry')]\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
