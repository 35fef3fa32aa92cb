"""Requests with an Idempotency-Key: run once, answered the same again, or not at all."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Annotated

import pytest
from fastapi import APIRouter, BackgroundTasks, Depends, FastAPI, Header, HTTPException
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import BaseModel

import holdfast.fastapi as hf
from clock import Clock
from holdfast import Entity, Field, field, generated_key, open_store
from holdfast.errors import ConfigurationError
from holdfast.fastapi.idempotency import Idempotency, IdempotentRoute, idempotency
from holdfast.fastapi.idempotency_record import IdempotencyRecord, purge_idempotency_records
from http_serving import client_of
from servers import empty_store

pytestmark = pytest.mark.anyio


class Payment(Entity, table="payments"):
    id: Field[int] = generated_key()
    amount: Field[int]
    note: Field[str | None] = field(default=None, max_length=10, unique=True)


class PaymentIn(BaseModel):
    amount: int
    note: str | None = None


class Held:
    """Lets a test hold a request up in the middle."""

    def __init__(self):
        self.arrived = asyncio.Event()
        self.go_on = asyncio.Event()
        self.go_on.set()
        self.runs = 0

    async def stop(self):
        self.runs += 1
        self.arrived.set()
        await self.go_on.wait()


async def guard(x_allowed: Annotated[str, Header()] = "yes"):
    if x_allowed != "yes":
        raise HTTPException(403)


def application(url, held, clock=None):
    app = FastAPI()
    entities = [Payment, IdempotencyRecord]
    clock = clock or (lambda: datetime.now(UTC))
    hf.Holdfast(
        app,
        store=open_store(url, entities, clock=clock),
        options=hf.HTTPOptions(create_schema=True),
    )
    router = APIRouter(route_class=IdempotentRoute, dependencies=[Depends(guard)])

    @router.post("/payments", status_code=201)
    async def pay(
        body: PaymentIn, payments: hf.Repo[Payment], tx: hf.Writing, once: Idempotency
    ) -> dict[str, int]:
        payment = await payments.add(Payment(amount=body.amount, note=body.note))
        await held.stop()
        if body.amount < 0:
            raise HTTPException(402)
        return {"id": payment.id, "amount": payment.amount}

    @router.post("/plain/{name}")
    def plain(
        name: str,
        payments: hf.SyncRepo[Payment],
        background: BackgroundTasks,
        once: Annotated[str | None, idempotency(required=True)],
    ) -> JSONResponse:
        held.runs += 1
        background.add_task(held.go_on.clear)
        payments.add(Payment(amount=1))
        response = JSONResponse({"name": name}, 202, {"X-Mine": "é", "ETag": '"1"'})
        response.set_cookie("a", "1")
        response.set_cookie("b", "2")
        return response

    @router.post("/stream")
    async def stream(payments: hf.Repo[Payment], once: Idempotency) -> StreamingResponse:
        await payments.add(Payment(amount=1))
        return StreamingResponse(iter(["x"]))

    app.include_router(router, prefix="/v1")

    unfit = APIRouter()

    @unfit.post("/unfit")
    async def post_unfit(once: Idempotency) -> None: ...

    app.include_router(unfit)

    @app.post("/own")
    async def own(once: Idempotency) -> int:
        held.runs += 1
        return held.runs

    return app


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path):
    with empty_store(request.param, tmp_path) as found:
        yield found


@pytest.fixture
def held():
    return Held()


def post(client, key="k", path="/v1/payments", **more):
    body = {"amount": 5, **more.pop("body", {})}
    headers = {**({} if key is None else {"Idempotency-Key": key}), **more.pop("headers", {})}
    return client.post(path, json=body, headers=headers, **more)


async def payments_of(app):
    return await app.state.holdfast.store.repository(Payment).count()


async def test_the_same_request_runs_once_and_is_answered_the_same(url, held):
    app = application(url, held)
    async with client_of(app) as client:
        first, again = await post(client), await post(client)
        assert (first.status_code, first.json()["amount"]) == (201, 5)
        assert "idempotency-replayed" not in first.headers
        assert again.headers["idempotency-replayed"] == "true"
        assert (again.status_code, again.content) == (first.status_code, first.content)
        assert again.headers["content-type"] == first.headers["content-type"]
        assert (held.runs, await payments_of(app)) == (1, 1)
        assert (await post(client, key="other")).json() != first.json()
        assert (await post(client, key=None)).status_code == 201
        assert await payments_of(app) == 3


async def test_all_of_an_answer_is_kept_and_what_comes_after_it_runs_once(url, held):
    app = application(url, held)
    async with client_of(app) as client:
        first = await post(client, path="/v1/plain/x")
        assert not held.go_on.is_set()
        held.go_on.set()
        again = await post(client, path="/v1/plain/x")
        assert held.go_on.is_set()
        assert (again.status_code, again.content) == (202, first.content)
        for name in ("x-mine", "etag", "set-cookie", "content-length", "content-type"):
            assert again.headers.get_list(name) == first.headers.get_list(name)
        assert held.runs == 1
        assert (await post(client, key=None, path="/v1/plain/x")).status_code == 400


async def test_another_request_with_the_key_is_refused(held):
    app = application("memory://", held)
    async with client_of(app) as client:
        assert (await post(client)).status_code == 201
        for more in ({"body": {"amount": 6}}, {"params": {"a": "1"}}):
            got = await post(client, **more)
            assert got.status_code == 422
            assert got.headers["content-type"] == "application/problem+json"
        assert await payments_of(app) == 1


async def test_a_key_is_its_callers_and_its_routes(held):
    app = application("memory://", held)
    async with client_of(app) as client:
        for headers in ({}, {"Authorization": "Bearer a"}, {"X-API-Key": "Bearer a"}):
            assert "idempotency-replayed" not in (await post(client, headers=headers)).headers
        first, other = [await post(client, path=f"/v1/plain/{name}") for name in "ab"]
        assert (first.json(), other.json()) == ({"name": "a"}, {"name": "b"})


async def test_who_is_not_let_in_gets_no_answer_that_was_given_before(held):
    async with client_of(application("memory://", held)) as client:
        assert (await post(client)).status_code == 201
        assert (await post(client, headers={"X-Allowed": "no"})).status_code == 403


async def test_a_request_that_fails_leaves_nothing_and_may_come_again(url, held):
    app = application(url, held)
    async with client_of(app) as client:
        assert (await post(client, body={"amount": -1})).status_code == 402
        assert (await post(client, body={"amount": -1})).status_code == 402
        assert (held.runs, await payments_of(app)) == (2, 0)
        assert (await post(client, key="a", body={"note": "n"})).status_code == 201
        assert (await post(client, key="b", body={"note": "n"})).status_code == 409
        store = app.state.holdfast.store
        assert await store.repository(IdempotencyRecord).count() == 1
        assert (await post(client, key="b", body={"note": "m"})).status_code == 201


async def test_while_the_first_runs_the_second_is_told_so(url, held):
    app = application(url, held)
    async with client_of(app) as client:
        held.go_on.clear()
        first = asyncio.create_task(post(client))
        await held.arrived.wait()
        second = await post(client)
        assert (second.status_code, second.headers["retry-after"]) == (409, "1")
        held.go_on.set()
        assert (await first).status_code == 201
        assert (await post(client)).headers["idempotency-replayed"] == "true"
        assert (held.runs, await payments_of(app)) == (1, 1)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql", "mariadb"])
async def test_two_processes_run_it_once(kind, tmp_path, held):
    with empty_store(kind, tmp_path) as url:
        one, other = application(url, held), application(url, held)
        async with client_of(one) as first, client_of(other) as second:
            answers = await asyncio.gather(
                *(post(client, key=f"k{at}") for at in range(5) for client in (first, second))
            )
            for at in range(5):
                pair = sorted(got.status_code for got in answers[at * 2 : at * 2 + 2])
                assert pair in ([201, 201], [201, 409])
            assert (held.runs, await payments_of(one)) == (5, 5)
            for at in range(5):
                assert (await post(second, key=f"k{at}")).status_code == 201
            assert held.runs == 5


async def test_an_answer_is_kept_for_its_time(held):
    clock = Clock()
    app = application("memory://", held, clock)
    async with client_of(app) as client:
        await post(client)
        clock.time += timedelta(hours=23)
        assert "idempotency-replayed" in (await post(client)).headers
        await post(client, key="later")
        clock.time += timedelta(hours=1)
        assert "idempotency-replayed" not in (await post(client, body={"amount": 7})).headers
        assert held.runs == 3
        store = app.state.holdfast.store
        assert await purge_idempotency_records(store) == 0
        clock.time += timedelta(hours=23)
        assert await purge_idempotency_records(store) == 1
        assert await store.repository(IdempotencyRecord).count() == 1


async def test_what_can_not_be_given_again_is_refused_and_undone(held):
    app = application("memory://", held)
    async with client_of(app) as client:
        assert (await post(client, path="/v1/stream")).status_code == 500
        assert await payments_of(app) == 0
        assert (await post(client, key=None, path="/v1/stream")).status_code == 200


async def test_the_applications_own_routes_take_keys_too(held):
    async with client_of(application("memory://", held)) as client:
        assert (await post(client, path="/own")).json() == 1
        assert (await post(client, path="/own")).json() == 1


async def test_a_key_is_short_text(held):
    async with client_of(application("memory://", held)) as client:
        assert (await post(client, key="k" * 255)).status_code == 201
        for key in ("k" * 256, ""):
            assert (await post(client, key=key)).status_code == 422
        twice = [("Idempotency-Key", "a"), ("Idempotency-Key", "b")]
        assert (await client.post("/own", headers=twice)).status_code == 400


async def test_a_route_of_another_class_and_a_dependency_out_of_place_are_refused(held, caplog):
    async with client_of(application("memory://", held)) as client:
        assert (await client.post("/unfit", headers={"Idempotency-Key": "k"})).status_code == 500
        assert "route_class=IdempotentRoute" in caplog.text
    router = APIRouter(route_class=IdempotentRoute)
    with pytest.raises(ConfigurationError, match="last of a route's dependencies"):

        @router.post("/")
        async def early(once: Idempotency, user: Annotated[None, Depends(guard)]) -> None: ...

    with pytest.raises(ConfigurationError, match="positive"):
        idempotency(keep=timedelta(0))
