"""What an application opens at its start, in which order it stops, and how it says it is well."""

import asyncio
from contextlib import asynccontextmanager, nullcontext
from typing import Annotated
from uuid import UUID

import httpx
import pytest
from fastapi import Depends, FastAPI, Header, Request

import holdfast.fastapi as hf
from holdfast import open_store
from holdfast.audit import AuditEntry, AuditHook, become
from holdfast.errors import ConfigurationError, UnavailableError
from holdfast.fastapi.exchange import exchange_of
from holdfast.jobs import Jobs, WorkerOptions
from http_entities import Project, Video
from http_serving import client_of


async def test_the_applications_own_lifespan_runs_inside():
    told = []

    @asynccontextmanager
    async def lifespan(app):
        told.append(await app.state.holdfast.store.repository(Video).count())
        yield {"answer": 42}
        told.append(await app.state.holdfast.store.repository(Video).count())

    app = FastAPI(lifespan=lifespan)
    holdfast = hf.Holdfast(
        app, store="memory://", bucket="memory://", cache="memory://", entities=[Project, Video]
    )
    for attribute in ("store", "bucket", "cache"):
        with pytest.raises(ConfigurationError):
            getattr(holdfast, attribute)
    async with app.router.lifespan_context(app) as state:
        assert state == {"answer": 42}
        assert told == [0]
        await holdfast.bucket.put("a", b"x")
        await holdfast.cache.set("a", 1, ttl=10)
    assert told == [0, 0]
    with pytest.raises(ConfigurationError, match="not started"):
        _ = holdfast.store


async def test_an_application_starts_again_and_again():
    app = FastAPI()
    hf.Holdfast(app, store="memory://", entities=[Project, Video])
    for _ in range(2):
        async with client_of(app) as client:
            assert (await client.get("/readyz")).status_code == 200


async def test_what_was_opened_is_closed_when_a_later_part_can_not_be(tmp_path):
    app = FastAPI()
    (tmp_path / "taken").write_text("a file, where a folder should be")
    holdfast = hf.Holdfast(
        app,
        store=f"sqlite:///{tmp_path}/app.db",
        bucket=f"file://{tmp_path}/taken/objects",
        entities=[Project, Video],
    )
    with pytest.raises(Exception, match="taken"):
        async with app.router.lifespan_context(app):
            pass
    with pytest.raises(ConfigurationError, match="not started"):
        _ = holdfast.store


async def test_a_store_that_is_open_already_is_taken_as_it_is():
    async with open_store("memory://", [Project, Video]) as store:
        app = FastAPI()
        holdfast = hf.Holdfast(app, store=nullcontext(store))
        async with client_of(app) as client:
            assert holdfast.store is store
            assert (await client.get("/readyz")).json()["parts"].keys() == {"store"}
        assert await store.repository(Video).count() == 0
    with pytest.raises(ConfigurationError, match="entities and hooks go with"):
        hf.Holdfast(FastAPI(), store=nullcontext(store), entities=[Video])
    with pytest.raises(ConfigurationError, match="hooks go with"):
        hf.Holdfast(FastAPI(), store=nullcontext(store), hooks=[AuditHook()])


async def test_hooks_are_told_who_asked_and_by_which_request():
    async def acts(x_user: Annotated[str, Header()]) -> None:
        become(x_user)

    app = FastAPI(dependencies=[Depends(acts)])
    hook = AuditHook(also=[Project])
    hf.Holdfast(app, store="memory://", entities=[Project, Video], hooks=[hook])
    app.include_router(hf.crud_router(Project, verbs=["create"]), prefix="/projects")

    @app.delete("/projects/{id}")
    def remove(id: UUID, projects: hf.SyncRepo[Project]) -> bool:  # noqa: A002
        return projects.delete(id)

    @app.get("/entries")
    async def entries(entries: hf.Repo[AuditEntry]) -> list[tuple[str, str | None, str | None]]:
        found = await entries.find(order_by=AuditEntry.id)
        return [(each.verb, each.actor, each.request) for each in found]

    async with client_of(app) as client:
        by_ann = {"X-User": "ann", "X-Request-ID": "first"}
        made = await client.post("/projects", json={"name": "north"}, headers=by_ann)
        by_bob = {"X-User": "bob", "X-Request-ID": "second"}
        await client.delete(f"/projects/{made.json()['id']}", headers=by_bob)
        found = (await client.get("/entries", headers={"X-User": "cy"})).json()
    assert found == [["add", "ann", "first"], ["delete", "bob", "second"]]


async def test_jobs_run_inside_and_end_before_the_store_is_closed():
    done, all_done = [], asyncio.Event()

    async def work(context):
        done.append(context.payload["n"])
        if len(done) == 3:
            all_done.set()

    app = FastAPI()

    @app.post("/work/{n}")
    async def begin(n: int, store: hf.Store, tx: hf.Writing) -> str:
        return str((await Jobs(store).enqueue("work", {"n": n})).job.id)

    background = hf.BackgroundJobs({"work": work}, WorkerOptions())
    hf.Holdfast(app, store="memory://", entities=[], worker=background)
    async with client_of(app) as client:
        for n in range(3):
            assert (await client.post(f"/work/{n}")).status_code == 200
        await all_done.wait()
    assert sorted(done) == [0, 1, 2]


async def test_a_part_that_is_down_makes_the_process_not_ready_but_alive(monkeypatch):
    app = FastAPI()
    holdfast = hf.Holdfast(app, store="memory://", bucket="memory://", entities=[Project, Video])
    async with client_of(app) as client:
        assert (await client.get("/readyz")).json()["status"] == "up"

        async def away():
            raise UnavailableError("db.internal:5432 refused the password 'hunter2'")

        monkeypatch.setattr(holdfast.store.driver, "probe", away)
        answer = await client.get("/readyz")
        assert answer.status_code == 503
        assert answer.headers["cache-control"] == "no-store"
        parts = answer.json()["parts"]
        assert (parts["store"]["status"], parts["bucket"]["status"]) == ("down", "up")
        assert "hunter2" not in answer.text
        assert "db.internal" not in answer.text
        assert (await client.get("/livez")).status_code == 200


async def test_a_cache_that_is_down_leaves_the_process_ready():
    app = FastAPI()
    hf.Holdfast(
        app, store="memory://", cache="redis://127.0.0.1:9?timeout=0.2", entities=[Project, Video]
    )
    async with client_of(app) as client:
        answer = await client.get("/readyz")
        assert (answer.status_code, answer.json()["status"]) == (200, "degraded")
        assert answer.json()["parts"]["cache"]["status"] == "down"


async def test_a_request_before_the_start_says_what_is_missing():
    app = FastAPI()
    hf.Holdfast(app, store="memory://", entities=[Project, Video])
    app.include_router(hf.crud_router(Video), prefix="/videos")
    transport = httpx.ASGITransport(app, raise_app_exceptions=True)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        assert (await client.get("/videos")).status_code == 500
        assert (await client.get("/readyz")).status_code == 503


async def test_an_application_without_holdfast_says_so():
    app = FastAPI()

    @app.get("/a")
    async def a(videos: hf.Repo[Video]) -> int: ...

    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://test"
    ) as client:
        with pytest.raises(ConfigurationError, match="knows no Holdfast"):
            await client.get("/a")


async def test_the_request_id_is_there_for_the_route():
    app = FastAPI()
    hf.Holdfast(app, store="memory://", entities=[Project, Video])

    @app.get("/id")
    async def given(name: hf.RequestID) -> str:
        return name

    async with client_of(app) as client:
        answer = await client.get("/id", headers={"x-request-id": "mine"})
        assert (answer.json(), answer.headers["x-request-id"]) == ("mine", "mine")


async def test_a_request_that_takes_too_long_is_stopped_and_undone():
    app, seen = FastAPI(), []
    options = hf.HTTPOptions(request_time=3600)
    hf.Holdfast(app, store="memory://", entities=[Project, Video], options=options)

    @app.post("/slow")
    async def slow(projects: hf.Repo[Project], tx: hf.Writing, request: Request) -> None:
        await projects.add(Project(name="p"))
        exchange_of(request).deadline.reschedule(0)  # an hour is over
        await asyncio.Event().wait()

    @app.post("/committed")
    async def committed(request: Request, tx: hf.Writing) -> None:
        async def while_committing() -> None:
            seen.append(exchange_of(request).deadline.when())

        tx.after_commit(while_committing)

    @app.get("/lifted")
    async def lifted(request: Request) -> float | None:
        hf.lift_deadline(request)
        return exchange_of(request).deadline.when()

    async with client_of(app) as client:
        answer = await client.post("/slow")
        assert (answer.status_code, answer.json()["limit"]) == (503, 3600)
        assert answer.json()["type"] == "urn:holdfast:problem:too-slow"
        assert answer.json()["request_id"] == answer.headers["x-request-id"]
        assert await app.state.holdfast.store.repository(Project).count() == 0
        assert (await client.get("/lifted")).json() is None
        assert (await client.post("/committed")).status_code == 200
        assert seen == [None], "a commit is not cut off"
    with pytest.raises(ConfigurationError, match="request_time"):
        hf.HTTPOptions(request_time=-1)
