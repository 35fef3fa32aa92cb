"""Which request, job and trace a log record is of; and what is logged as slow."""

import asyncio
import logging

import pytest
from fastapi import FastAPI

import holdfast.fastapi as hf
from holdfast import Entity, Field, key, open_store
from holdfast.correlation import CorrelationFilter, correlation_ids
from holdfast.errors import ConfigurationError
from holdfast.jobs import Job, Jobs, Worker
from holdfast.records.options import MemoryOptions
from holdfast.sync import open_store as open_blocking_store
from http_serving import client_of


class Note(Entity, table="notes"):
    name: Field[str] = key(max_length=50)


@pytest.fixture
def records():
    """The records of the logger `app`, as a handler with the filter has them."""
    kept = []
    handler = logging.Handler()
    handler.emit = kept.append
    handler.addFilter(CorrelationFilter())
    log = logging.getLogger("app")
    log.setLevel(logging.INFO)
    log.addHandler(handler)
    yield kept
    log.removeHandler(handler)


async def test_a_record_has_the_id_of_its_request(records):
    app = FastAPI()
    hf.Holdfast(app, store="memory://", entities=[Note])
    log = logging.getLogger("app.routes")

    @app.get("/plain")
    def plain():
        log.info("in a thread")
        return correlation_ids()

    @app.get("/awaited")
    async def awaited():
        await asyncio.create_task(asyncio.sleep(0))
        log.info("in a task")
        return correlation_ids()

    async with client_of(app) as client:
        answers = await asyncio.gather(
            *(
                client.get(path, headers={"x-request-id": path.strip("/")})
                for path in ("/plain", "/awaited")
            )
        )
    assert [answer.json()["request_id"] for answer in answers] == ["plain", "awaited"]
    assert {(r.getMessage(), r.request_id, r.job_id) for r in records} == {
        ("in a thread", "plain", "-"),
        ("in a task", "awaited", "-"),
    }
    logging.getLogger("app").info("outside")
    assert records[-1].request_id == "-"


@pytest.mark.parametrize("kind", ["async", "plain"])
async def test_a_record_has_the_id_of_its_job(records, kind):
    def plain(_context):
        logging.getLogger("app").info("work")

    async def awaited(context):
        plain(context)

    async with open_store("memory://", [Job]) as store:
        await store.create_schema()
        job = (await Jobs(store).enqueue("x")).job
        handler = awaited if kind == "async" else plain
        await Worker(Jobs(store), {"x": handler}).run(until="one")
    assert [record.job_id for record in records] == [str(job.id)]
    assert correlation_ids() == {}


@pytest.mark.parametrize(
    "url", ["memory://?slow_operation=1e-9", "sqlite:///{}/app.db?slow_operation=1e-9"]
)
async def test_slow_operations_are_logged_without_values_on_every_backend(url, tmp_path, caplog):
    async with open_store(url.format(tmp_path), [Note]) as store:
        await store.create_schema()
        await store.repository(Note).add(Note(name="hidden"))
        async with store.transaction():
            await store.repository(Note).get("hidden")
    said = [
        record.getMessage() for record in caplog.records if record.name == "holdfast.operations"
    ]
    for what in ("insert notes", "begin", "get notes", "commit"):
        assert any(each.endswith(f"{store.backend}, {what}") for each in said), what
    assert "hidden" not in " ".join(said)


def test_what_is_measured_stands_in_the_url_too():
    with open_blocking_store("memory://?measure=true", [Note]) as store:
        store.create_schema()
        store.repository(Note).get("x")
        assert store.stats().operations["get"].count == 1
    with open_blocking_store("memory://?slow_operation=3600", [Note]) as store:
        store.create_schema()
    with open_blocking_store("memory://", [Note], options=MemoryOptions(measure=True)) as store:
        store.create_schema()
        store.repository(Note).get("x")
        assert store.stats().operations["get"].count == 1
    with pytest.raises(ConfigurationError, match=r"measure='maybe'"):
        open_store("memory://?measure=maybe", [Note])
    with pytest.raises(
        ConfigurationError, match=r"known: lock_timeout, measure, schema, slow_operation"
    ):
        open_store("memory://?no=1", [Note])
