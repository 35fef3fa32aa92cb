"""A transaction for a request: one for all in it, committed before the answer, undone on errors."""

import asyncio
import contextlib
import contextvars
from typing import Annotated

import httpx
import pytest
from anyio import to_thread
from fastapi import APIRouter, BackgroundTasks, Depends, FastAPI, HTTPException
from fastapi.exceptions import FastAPIError
from fastapi.responses import JSONResponse, StreamingResponse

import holdfast.fastapi as hf
from holdfast import open_store
from holdfast.errors import ConfigurationError
from holdfast.fastapi.request_transaction import writing
from http_entities import Project, Video
from http_serving import client_of, served
from servers import database_on, execute


@pytest.fixture(params=["memory", "sqlite"])
def url(request, tmp_path):
    return "memory://" if request.param == "memory" else f"sqlite:///{tmp_path}/app.db"


def application(url, router):
    app = FastAPI()
    hf.Holdfast(
        app, store=url, entities=[Project, Video], options=hf.HTTPOptions(create_schema=True)
    )
    app.include_router(router)
    return app


async def note(videos: hf.Repo[Video]):
    await videos.add(Video(title="of a dependency"))


def note_on_thread(videos: hf.SyncRepo[Video]):
    videos.add(Video(title="of a dependency on a thread"))


router = APIRouter()
Noted = Annotated[None, Depends(note)]
NotedOnThread = Annotated[None, Depends(note_on_thread)]
FAILURES = {
    "http": HTTPException(409, "no"),
    "problem": hf.ProblemError(402, kind="unpaid"),
    "bug": ZeroDivisionError("a bug"),
}


@router.post("/async")
async def add(
    videos: hf.Repo[Video], a: Noted, b: NotedOnThread, tx: hf.Writing, fail: str = ""
) -> Video:
    video = await videos.add(Video(title="of the route"))
    if fail:
        raise FAILURES[fail]
    return video


@router.post("/plain")
def add_on_thread(
    videos: hf.SyncRepo[Video], a: Noted, b: NotedOnThread, tx: hf.Writing, fail: str = ""
) -> Video:
    video = videos.add(Video(title="of the route"))
    assert videos.count() == 3, "all of the request is in one transaction"
    if fail:
        raise FAILURES[fail]
    return video


@router.get("/count")
async def count(videos: hf.Repo[Video]) -> int:
    return await videos.count()


@pytest.mark.parametrize("path", ["/async", "/plain"])
async def test_what_routes_and_dependencies_write_is_committed_together(url, path):
    async with client_of(application(url, router)) as client:
        assert (await client.post(path)).status_code == 200
        assert (await client.get("/count")).json() == 3


@pytest.mark.parametrize("path", ["/async", "/plain"])
@pytest.mark.parametrize(("fail", "status"), [("http", 409), ("problem", 402), ("bug", 500)])
async def test_any_exception_undoes_all_of_the_request(url, path, fail, status):
    async with client_of(application(url, router)) as client:
        answer = await client.post(path, params={"fail": fail})
        assert answer.status_code == status
        assert answer.headers["content-type"] == "application/problem+json"
        assert (await client.get("/count")).json() == 0


async def test_an_answer_that_can_not_be_made_undoes_the_request(url):
    own = APIRouter()

    @own.post("/broken", response_model=list[int])
    async def broken(videos: hf.Repo[Video], tx: hf.Writing):
        await videos.add(Video(title="a"))
        return "not a list"

    own.include_router(router)
    async with client_of(application(url, own)) as client:
        assert (await client.post("/broken")).status_code == 500
        assert (await client.get("/count")).json() == 0


async def test_a_commit_that_fails_is_answered_as_its_error():
    own = APIRouter()

    with database_on("postgresql") as url:

        @own.post("/videos")
        async def add(videos: hf.Repo[Video], tx: hf.Writing) -> str:
            await videos.add(Video(title="a"))
            await to_thread.run_sync(
                execute,
                url,
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()",
            )
            return "written"

        own.include_router(router)
        async with client_of(application(url, own)) as client:
            answer = await client.post("/videos")
            assert answer.status_code == 503
            assert answer.json()["type"] == "urn:holdfast:problem:unavailable"
            assert "detail" not in answer.json(), "it would name the server"
            assert (await client.get("/count")).json() == 0


class Watched:
    """An application that tells, when the first byte of an answer leaves, what others see then."""

    def __init__(self, app, seen):
        self.app, self.seen, self.found = app, seen, []

    async def __call__(self, scope, receive, send):
        async def watched(message):
            if message["type"] == "http.response.start":
                self.found.append(self.seen())
            await send(message)

        await self.app(scope, receive, watched)


@pytest.mark.parametrize("path", ["/async", "/plain", "/streamed", "/background", "/answered"])
def test_a_write_is_seen_by_others_when_the_first_byte_leaves(tmp_path, path):
    url = f"sqlite:///{tmp_path}/app.db"
    own = APIRouter()
    ran = []

    @own.post("/streamed")
    async def streamed(videos: hf.Repo[Video], tx: hf.Writing) -> StreamingResponse:
        await videos.add(Video(title="a"))

        async def pieces():
            yield str(await videos.count())

        return StreamingResponse(pieces())

    @own.post("/answered")
    def answered(videos: hf.SyncRepo[Video], tx: hf.Writing) -> JSONResponse:
        videos.add(Video(title="a"))
        return JSONResponse({}, 202)

    @own.post("/background")
    async def background(videos: hf.Repo[Video], tx: hf.Writing, tasks: BackgroundTasks) -> str:
        await videos.add(Video(title="a"))

        async def later():
            await videos.add(Video(title="later"))
            ran.append(await videos.count())

        tasks.add_task(later)
        return "begun"

    own.include_router(router)
    app = Watched(application(url, own), lambda: execute(url, "SELECT count(*) FROM videos")[0][0])
    with served(app) as address, httpx.Client(base_url=address) as client:
        assert client.post(path).status_code < 300
        assert app.found[0] in (1, 3)
        if path == "/streamed":
            assert app.found == [1]
    assert ran == ([2] if path == "/background" else [])


@pytest.mark.parametrize("backend", ["sqlite", "postgresql"])
def test_a_client_that_reads_at_once_over_another_connection_sees_its_write(backend, tmp_path):
    own = APIRouter()

    @own.post("/videos/{title}")
    async def add(title: str, videos: hf.Repo[Video], tx: hf.Writing) -> Video:
        return await videos.add(Video(title=title))

    @own.get("/videos/{id}")
    async def get(video: hf.FromPath[Video]) -> Video:
        return video

    with contextlib.ExitStack() as stack:
        url = (
            stack.enter_context(database_on("postgresql"))
            if backend == "postgresql"
            else f"sqlite:///{tmp_path}/app.db"
        )
        address = stack.enter_context(served(application(url, own)))
        writer = stack.enter_context(httpx.Client(base_url=address))
        reader = stack.enter_context(httpx.Client(base_url=address))
        for number in range(100):
            made = writer.post(f"/videos/{number}").json()
            assert reader.get(f"/videos/{made['id']}").json() == made


async def started(router, entities=(Project, Video), **options):
    app = FastAPI()
    hf.Holdfast(app, store="memory://", entities=entities, **options)
    app.include_router(router)
    async with app.router.lifespan_context(app):
        pass


async def test_a_transaction_that_would_end_after_its_answer_is_refused_at_the_start():
    own = APIRouter()

    @own.post("/videos")
    async def add(tx: Annotated[object, Depends(writing)]) -> None: ...

    with pytest.raises(ConfigurationError, match=r"/videos \(add\).*after the answer was sent"):
        await started(own)


def test_a_dependency_that_outlives_the_answer_can_not_be_in_the_transaction():
    async def outliving(tx: hf.Writing):
        yield tx

    own = APIRouter()
    with pytest.raises(FastAPIError, match="scope"):

        @own.post("/videos")
        async def add(tx: Annotated[object, Depends(outliving)]) -> None: ...


async def test_a_route_that_yields_can_not_be_in_the_transaction():
    own = APIRouter()

    @own.get("/videos", response_class=StreamingResponse)
    async def lines(tx: hf.Writing):
        yield b"a"

    with pytest.raises(ConfigurationError, match=r"/videos \(lines\).*before the body"):
        await started(own)


async def test_a_repository_of_the_wrong_kind_is_refused_at_the_start():
    own, other = APIRouter(), APIRouter()

    @own.get("/a")
    async def awaited(videos: hf.SyncRepo[Video]) -> None: ...

    @other.get("/b")
    def plain(videos: hf.Repo[Video]) -> None: ...

    with pytest.raises(ConfigurationError, match=r"/a \(awaited\).*takes Repo\[Video\]"):
        await started(own)
    with pytest.raises(ConfigurationError, match=r"/b \(plain\).*takes SyncRepo\[Video\]"):
        await started(other)


async def test_a_list_query_that_is_made_a_dependency_is_refused_at_the_start():
    class VideoQuery(hf.ListQuery[Video]):
        pass

    own = APIRouter()

    @own.get("/a")
    async def listed(query: Annotated[VideoQuery, Depends()]) -> None: ...

    with pytest.raises(ConfigurationError, match=r"Annotated\[VideoQuery, Query\(\)\]"):
        await started(own)


async def test_what_the_application_does_not_have_is_refused_at_the_start():
    own, other, third = APIRouter(), APIRouter(), APIRouter()

    @own.get("/a")
    async def foreign(projects: hf.Repo[Project]) -> None: ...

    @other.get("/b/{video}")
    async def unnamed(video: hf.FromPath[Video]) -> None: ...

    @third.get("/c")
    async def bucket(bucket: hf.Bucket) -> None: ...

    with pytest.raises(ConfigurationError, match="Project is not one of the store's entities"):
        await started(own, entities=[Video])
    with pytest.raises(ConfigurationError, match=r"\{id\}"):
        await started(other)
    with pytest.raises(ConfigurationError, match="asks for a bucket"):
        await started(third)
    with pytest.raises(ConfigurationError, match="asks for a bucket"):
        await started(third, cache="memory://")
    await started(third, bucket="memory://")


async def test_reading_is_one_state_of_the_store(url):
    own = APIRouter()
    others = []

    @own.get("/twice")
    async def twice(videos: hf.Repo[Video], tx: hf.Reading) -> list[int]:
        first = await videos.count()
        await others[0](Video(title="meanwhile"))
        return [first, await videos.count()]

    app = application(url, own)
    async with client_of(app) as client, open_other(app, url) as add:
        others.append(add)
        assert (await client.get("/twice")).json() == [0, 0]


@contextlib.asynccontextmanager
async def open_other(app, url):
    """Yield what adds a video from outside of the request."""
    if url == "memory://":
        store = app.state.holdfast.store
        outside = contextvars.Context()

        async def add(video):
            task = asyncio.get_running_loop().create_task(
                store.repository(Video).add(video), context=outside
            )
            await task

        yield add
        return
    async with open_store(url, [Project, Video]) as store:
        yield store.repository(Video).add
