"""Routes of an entity that is deleted by a mark, and of one under constraints."""

from collections.abc import Sequence
from datetime import datetime

from fastapi import FastAPI

import holdfast.fastapi as hf
from holdfast import (
    Constraint,
    Entity,
    Field,
    check,
    deleted_at,
    field,
    generated_key,
    unique,
    version,
)
from http_serving import client_of


class Offer(Entity, table="offers"):
    id: Field[int] = generated_key()
    name: Field[str] = field(max_length=20, unique=True)
    email: Field[str | None] = field(max_length=50, default=None)
    rating: Field[int] = field(default=0, ge=0, le=5)
    state: Field[str] = field(default="new")
    version: Field[int] = version()
    deleted_at: Field[datetime | None] = deleted_at()

    @classmethod
    def __constraints__(cls) -> Sequence[Constraint]:
        return [
            unique(cls.email, ignore_case=True),
            check("rated", (cls.state == "new") | (cls.rating > 0)),
        ]


def application():
    app = FastAPI()
    app.state.hf = hf.Holdfast(
        app, store="memory://", entities=[Offer], options=hf.HTTPOptions(create_schema=True)
    )
    app.include_router(hf.crud_router(Offer), prefix="/offers")
    return app


async def test_a_route_deletes_by_the_mark_and_shows_it_no_more():
    app = application()
    async with client_of(app) as client:
        made = await client.post("/offers", json={"name": "a"})
        at = made.headers["location"]
        assert made.json()["deleted_at"] is None
        assert (await client.delete(at, headers={"if-match": '"2"'})).status_code == 412
        assert (await client.delete(at, headers={"if-match": '"1"'})).status_code == 204
        for gone in (client.get(at), client.delete(at), client.patch(at, json={"name": "b"})):
            assert (await gone).status_code == 404
        assert (await client.get("/offers")).json()["items"] == []
        again = await client.post("/offers", json={"name": "a"})
        assert (again.status_code, again.headers["etag"]) == (201, '"1"')


async def test_what_a_constraint_refuses_is_a_problem_that_names_it():
    async with client_of(application()) as client:
        made = await client.post("/offers", json={"name": "a", "email": "A@x"})
        at = made.headers["location"]
        taken = await client.post("/offers", json={"name": "b", "email": "a@X"})
        assert (taken.status_code, taken.json()["fields"]) == (409, ["email"])
        assert (await client.post("/offers", json={"name": "c", "rating": 6})).status_code == 422
        broken = await client.patch(at, json={"state": "sold"})
        problem = broken.json()
        assert (broken.status_code, problem["type"]) == (422, "urn:holdfast:problem:check")
        assert (problem["constraint"], problem["fields"]) == ("rated", ["state", "rating"])
        rating = (await client.get("/openapi.json")).json()["components"]["schemas"]
        bounds = [
            each["properties"]["rating"]
            for name, each in rating.items()
            if "rating" in each.get("properties", {}) and "Create" in name
        ]
        assert [(each["minimum"], each["maximum"]) for each in bounds] == [(0, 5)]
