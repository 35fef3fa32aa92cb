"""The gate in an application of one's own, beside `holdfast.fastapi`."""

from contextlib import asynccontextmanager

import pytest
from fastapi import FastAPI

import holdfast.fastapi as hf
from holdfast.access import ApiKey, ApiKeys, Role
from holdfast.access.gate import AskedBy, Gate, allow
from holdfast.errors import ConfigurationError
from http_serving import client_of

pytestmark = pytest.mark.anyio


def application(**more):
    app = FastAPI(**more)
    holdfast = hf.Holdfast(app, store="memory://", cache="memory://", entities=[ApiKey])

    @app.get("/who", dependencies=[allow(Role.OPERATOR)])
    async def who(caller: AskedBy) -> str:
        return caller.name

    return app, holdfast


async def test_a_key_says_who_asks_and_a_problem_what_is_missing():
    @asynccontextmanager
    async def lifespan(app):
        app.state.gate = Gate(ApiKeys(holdfast.store), holdfast.cache)
        yield

    app, holdfast = application(lifespan=lifespan)
    async with client_of(app) as client:
        keys = ApiKeys(holdfast.store)
        ann = await keys.issue("ann", Role.OPERATOR)
        ben = await keys.issue("ben", Role.VIEWER)
        for secret, status in ((ann.secret, 200), (ben.secret, 403), ("hf_no", 401)):
            headers = {"Authorization": f"Bearer {secret}"}
            answer = await client.get("/who", headers=headers)
            assert answer.status_code == status
            if status == 200:
                assert answer.json() == "ann"
            else:
                assert answer.headers["content-type"] == "application/problem+json"
        assert (await client.get("/who")).status_code == 401


async def test_an_application_without_a_gate_is_told_where_it_is_set(caplog):
    app, _ = application()
    async with client_of(app) as client:
        assert (await client.get("/who")).status_code == 500
    (record,) = [each for each in caplog.records if each.exc_info]
    assert record.exc_info[0] is ConfigurationError
    assert "app.state.gate = Gate(" in str(record.exc_info[1])
