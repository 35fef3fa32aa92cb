"""Every error is answered by a problem document, which tells no more than it should."""

import json
import logging
from pathlib import Path

import pytest
from fastapi import APIRouter, FastAPI, HTTPException
from pydantic import BaseModel
from starlette.responses import PlainTextResponse, Response

import holdfast.fastapi as hf
from holdfast import errors, uuid7
from holdfast.fastapi.problems import error_handlers
from holdfast.fastapi.problems.error_table import ERROR_TABLE, error_table, problem_of
from http_entities import Project, Video
from http_serving import client_of

JSON = {"content-type": "application/json"}
SECRET = "SELECT password FROM /etc/shadow at 10.0.0.7"


def application(*routers, **options):
    app = FastAPI()
    hf.Holdfast(
        app, store="memory://", entities=[Project, Video], options=hf.HTTPOptions(**options)
    )
    for router in routers:
        app.include_router(router)
    return app


def all_errors(kind=errors.HoldfastError):
    yield kind
    for each in kind.__subclasses__():
        if each.__module__ == "holdfast.errors":
            yield from all_errors(each)


def test_the_table_has_every_error_once():
    rows = [row.error for row in ERROR_TABLE]
    assert sorted(rows, key=repr) == sorted(set(all_errors()), key=repr)


def test_the_documentation_has_the_table():
    page = Path(__file__).parents[2] / "docs" / "reference" / "problems.md"
    assert error_table() in page.read_text("utf-8")


def made(kind):
    """Return an error of *kind* whose text is not for clients."""
    error = kind.__new__(kind)
    Exception.__init__(error, SECRET)
    if kind is errors.RateLimitedError:
        error.wait = 2.5
    return error


@pytest.mark.parametrize("row", ERROR_TABLE, ids=lambda row: row.error.__name__)
async def test_each_error_is_answered_as_the_table_says(row, caplog):
    router = APIRouter()

    @router.get("/fails")
    async def fails() -> None:
        raise made(row.error)

    async with client_of(application(router)) as client:
        answer = await client.get("/fails")
    assert answer.status_code == row.status
    assert answer.headers["content-type"] == "application/problem+json"
    told = answer.json()
    assert told["type"] == f"urn:holdfast:problem:{row.kind}"
    assert (told["status"], told["title"]) == (row.status, row.title)
    assert told["request_id"] == answer.headers["x-request-id"]
    assert (answer.headers.get("retry-after") is not None) == (row.status in (429, 503))
    if not row.told:
        assert SECRET not in answer.text
    if row.status >= 500:
        assert told["request_id"] in caplog.text
        assert SECRET in caplog.text


def test_an_error_of_ones_own_is_answered_as_the_nearest_above_it():
    class QuotaError(errors.ConflictError): ...

    problem = problem_of(QuotaError("full"))
    assert (problem.status_code, problem.kind) == (409, "conflict")


def test_an_error_tells_its_fields():
    problem = problem_of(errors.StaleVersionError("Video", "k", expected=1, actual=2))
    assert problem.members == {"entity": "Video", "key": "k", "expected": 1, "actual": 2}


async def test_what_is_a_bug_is_told_by_its_id_alone(caplog):
    router = APIRouter()

    @router.get("/bug")
    async def bug() -> None:
        raise ZeroDivisionError(SECRET)

    async with client_of(application(router)) as client:
        answer = await client.get("/bug", headers={"x-request-id": "mine-1"})
    assert answer.status_code == 500
    assert answer.json() == {
        "type": "urn:holdfast:problem:internal",
        "title": "The service failed",
        "status": 500,
        "request_id": "mine-1",
    }
    assert "mine-1" in caplog.text
    assert SECRET in caplog.text


async def test_errors_of_http_are_problems_too():
    router, other = APIRouter(), APIRouter()

    @router.get("/things")
    async def things() -> None:
        raise HTTPException(418, "short and stout", headers={"X-Pot": "tea"})

    @other.delete("/things")
    async def delete() -> None: ...

    @router.get("/listed")
    async def listed() -> None:
        raise HTTPException(400, [{"why": "x"}])

    async with client_of(application(router, other)) as client:
        unknown = await client.get("/unknown")
        assert unknown.json() | {"request_id": ""} == {
            "type": "about:blank",
            "title": "Not Found",
            "status": 404,
            "request_id": "",
        }
        wrong = await client.put("/things")
        assert (wrong.status_code, wrong.headers["allow"]) == (405, "DELETE, GET")
        pot = await client.get("/things")
        assert (pot.json()["detail"], pot.headers["x-pot"]) == ("short and stout", "tea")
        assert (await client.get("/listed")).json()["errors"] == [{"why": "x"}]


async def test_handlers_of_the_application_stay():
    app = FastAPI()

    @app.exception_handler(HTTPException)
    async def own(request, error):
        return PlainTextResponse("mine", error.status_code)

    hf.Holdfast(app, store="memory://", entities=[Project, Video])
    async with client_of(app) as client:
        assert (await client.get("/readyz")).status_code == 200
        assert app.exception_handlers[HTTPException] is own


async def test_applications_that_are_mounted_answer_so_too():
    app, inner = FastAPI(), FastAPI()
    hf.Holdfast(app, store="memory://", entities=[Project, Video])
    app.mount("/inner", inner)

    @inner.get("/videos/{id}")
    async def get(video: hf.FromPath[Video]) -> Video:
        return video

    async with client_of(app) as client:
        for path, status in (("/videos/x", 422), ("/nope", 404), (f"/videos/{uuid7()}", 404)):
            answer = await client.get(f"/inner{path}")
            assert (answer.status_code, answer.headers["content-type"]) == (
                status,
                "application/problem+json",
            )


@pytest.fixture
def posting():
    router = APIRouter()

    @router.post("/videos")
    async def add(body: Video, videos: hf.Repo[Video], tx: hf.Writing) -> Video:
        return await videos.add(body)

    return router


HOSTILE = [
    (b'{"title": "a"', 400, "malformed-json"),
    (b"[" * 65, 400, "too-deep"),
    (b'{"title": "' + b"[" * 100 + b'", "nope": 1}', 422, "invalid-request"),
    (b'{"title": "\\"' + b"[" * 200 + b'"}', 422, "invalid-request"),
    (b'{"attributes": ' + b'{"a":' * 70 + b"1" + b"}" * 71, 400, "too-deep"),
    (b'{"title": 1' + b"0" * 5000 + b"}", 400, ""),
    (b'{"title": "a", "views": 1' + b"0" * 30 + b"}", 422, ""),
    (b'{"title": "a", "duration": NaN}', 422, ""),
    (b'{"title": "a", "duration": 1e999}', 422, ""),
    (b'{"title": "a", "attributes": {"a": NaN}}', 422, "invalid-value"),
    (b'{"title": "a\\u0000"}', 422, ""),
    (b'{"title": "\\ud800"}', 422, ""),
    (b'{"title": "a", "\\ud800": 1}', 422, "invalid-request"),
    (b'{"title": "a", "version": 7}', 422, "invalid-request"),
    (b'{"title": "\xff\xfe"}', 400, ""),
    ('{"title": "\u2222"}'.encode("utf-16"), 400, "malformed-json"),
    (b"null", 422, "invalid-request"),
    (b"", 422, "invalid-request"),
    (b'{"a":1}' + b" " * 2_000_000, 413, "too-large"),
    (b'{"' + b'x":1,"' * 100_000 + b'y":1}', 422, "invalid-request"),
]


@pytest.mark.parametrize(("body", "status", "kind"), HOSTILE)
async def test_hostile_bodies_are_each_a_clear_error(posting, body, status, kind):
    async with client_of(application(posting)) as client:
        answer = await client.post("/videos", content=body, headers=JSON)
        assert answer.status_code == status
        told = json.loads(answer.content.decode("ascii"))
        assert told["type"].endswith(kind)
        assert len(answer.content) < 50_000
        assert (await client.get("/readyz")).status_code == 200


async def test_each_fault_is_named_by_its_place(posting):
    async with client_of(application(posting)) as client:
        answer = await client.post("/videos", json={"title": "a" * 51, "a/b~c": 1, "views": "x"})
        form = await client.post("/videos", data={"title": "a"})
        assert "Content-Type: application/json" in form.json()["errors"][0]["detail"]
    assert {(each["in"], each["pointer"]) for each in answer.json()["errors"]} == {
        ("body", "/title"),
        ("body", "/a~1b~0c"),
        ("body", "/views"),
    }


async def test_a_near_name_is_looked_for_in_no_more_faults_than_are_told(monkeypatch):
    class Note(BaseModel, extra="forbid"):
        title: str = ""

    asked = []
    monkeypatch.setattr(
        error_handlers, "did_you_mean", lambda name, _: asked.append(name) or "; near"
    )
    router = APIRouter()

    @router.post("/notes")
    async def add(note: Note) -> None: ...

    async with client_of(application(router)) as client:
        answer = await client.post("/notes", json={f"x{n}": 1 for n in range(1000)})
    told = answer.json()["errors"]
    assert told[0]["detail"] == "there is no 'x0'; near"
    assert len(told) == len(asked) == 100


async def test_a_body_that_is_not_announced_is_counted(posting):
    sent = []

    async def pieces():
        yield b'{"title": "'
        for _ in range(100):
            sent.append(1)
            yield b"a" * 1000
        yield b'"}'

    async with client_of(application(posting, max_body=10_000)) as client:
        answer = await client.post("/videos", content=pieces(), headers=JSON)
        assert answer.status_code == 413
        assert answer.json()["limit"] == 10_000
        lying = await client.post(
            "/videos", content=b"{}", headers={**JSON, "content-length": "99999999"}
        )
        assert lying.status_code == 413


async def test_a_route_may_have_a_limit_of_its_own():
    router = APIRouter()

    @router.post("/small")
    @hf.body_limit(10)
    async def small(body: dict[str, object]) -> int:
        return len(body)

    @router.post("/large")
    @hf.body_limit(None)
    async def large(body: dict[str, object]) -> int:
        return len(body)

    body = b'{"a": "' + b"a" * 2_000_000 + b'"}'
    async with client_of(application(router)) as client:
        assert (
            await client.post("/small", content=b'{"a":1,"b":2}', headers=JSON)
        ).status_code == 413
        assert (await client.post("/large", content=body, headers=JSON)).json() == 1


@pytest.mark.parametrize("value", [b"a\r\nSet-Cookie: x=1", b"a\nb", b"a\0b"])
async def test_no_header_carries_a_line_break(value):
    router = APIRouter()

    @router.get("/split")
    async def split() -> Response:
        answer = Response("x")
        answer.raw_headers.append((b"x-name", value))
        return answer

    async with client_of(application(router)) as client:
        answer = await client.get("/split")
        assert answer.status_code == 500
        assert "x-name" not in answer.headers
        assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("given", ["a b", "x" * 129, "\u00e4", "a\tb"])
async def test_a_request_id_that_can_not_be_repeated_is_replaced(given):
    async with client_of(application()) as client:
        headers = {"x-request-id": given.encode("latin-1")}
        answer = await client.get("/livez", headers=headers)
        assert len(answer.headers["x-request-id"]) == 32


@pytest.mark.parametrize(
    ("name", "value"), [("max_body", 0), ("max_body", True), ("max_json_depth", "x")]
)
def test_limits_that_mean_nothing_are_refused(name, value):
    with pytest.raises(errors.ConfigurationError, match=name):
        hf.HTTPOptions(**{name: value})


def test_the_secret_of_cursors_is_not_shown():
    assert "hunter2" not in repr(hf.HTTPOptions(secret="hunter2"))


@pytest.fixture(autouse=True)
def logged(caplog):
    caplog.set_level(logging.INFO)
