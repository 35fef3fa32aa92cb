"""Models derived from an entity: what a client may say of it, and what it sees."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated

import pytest
from fastapi import APIRouter, FastAPI
from pydantic import Field as PydanticField
from pydantic import ValidationError

import holdfast.fastapi as hf
from holdfast import Entity, Field, field, key, open_store, server_default, server_now
from holdfast.errors import ConfigurationError
from http_entities import Project, Status, Video
from http_serving import client_of


class VideoCreate(hf.CreateModel[Video], hide=[Video.secret]): ...


class VideoPatch(hf.PatchModel[Video], only=[Video.title, Video.price, Video.secret]): ...


class VideoOut(hf.OutModel[Video], hide=[Video.secret], include=[Video.project]):
    tags: list[str] = PydanticField(default_factory=list)


class Odd(Entity, table="odd"):
    name: Field[str] = key(max_length=10)
    data: Field[bytes] = field(default=b"", max_length=4)
    at: Field[datetime | None] = field(default=None)
    took: Field[timedelta | None] = field(default=None)
    flag: Field[bool] = field(default=False)


OddCreate = hf.create_model(Odd)


def test_a_new_entity_has_what_a_client_may_set_and_no_more():
    schema = VideoCreate.model_json_schema()
    assert set(schema["properties"]) == {
        "project_id", "title", "duration", "views", "price", "status", "attributes"
    }  # fmt: skip
    assert schema["required"] == ["title"]
    assert schema["additionalProperties"] is False
    assert schema["properties"]["title"]["maxLength"] == 50
    for name in ("id", "version", "created_at", "updated_at", "secret", "nope"):
        with pytest.raises(ValidationError, match="Extra inputs"):
            VideoCreate.model_validate({"title": "a", name: "1"})


def test_what_a_client_leaves_out_is_left_to_the_database():
    class Parcel(Entity, table="wire_parcels"):
        id: Field[int] = key()
        state: Field[str] = field(default=server_default("new"))
        seen: Field[datetime] = field(default=server_now())

    create = hf.create_model(Parcel)
    schema = create.model_json_schema()
    assert schema["required"] == ["id"]
    assert schema["properties"]["state"]["default"] == "new"
    left = create.model_validate({"id": 1})
    assert vars(left.entity()) == {"id": 1, "state": "new"}
    assert {change.column.name for change in left.changes()} == {"state"}
    given = create.model_validate({"id": 1, "seen": "2026-01-01T00:00:00Z"})
    assert given.entity().seen == datetime(2026, 1, 1, tzinfo=UTC)


def test_a_key_that_a_client_chooses_is_required():
    assert OddCreate.model_json_schema()["required"] == ["name"]
    with pytest.raises(ValidationError):
        OddCreate.model_validate({"name": ""})


def test_the_entity_is_made_with_what_only_the_service_knows():
    body = VideoCreate.model_validate({"title": "a", "price": "9.99"})
    made = body.entity(Video.secret.to("s"), Video.status.to(Status.READY))
    assert (made.title, made.price, made.secret) == ("a", Decimal("9.99"), "s")
    assert made.status is Status.READY


@pytest.mark.parametrize(
    ("model", "given"),
    [
        (VideoCreate, {"title": "a" * 51}),
        (VideoCreate, {"title": 1}),
        (VideoCreate, {"title": "a\0"}),
        (VideoCreate, {"title": "\ud800"}),
        (VideoCreate, {"title": None}),
        (VideoCreate, {"title": "a", "views": 2**63}),
        (VideoCreate, {"title": "a", "views": "1"}),
        (VideoCreate, {"title": "a", "views": True}),
        (VideoCreate, {"title": "a", "views": 1.5}),
        (VideoCreate, {"title": "a", "duration": float("inf")}),
        (VideoCreate, {"title": "a", "duration": "1"}),
        (VideoCreate, {"title": "a", "price": 9.99}),
        (VideoCreate, {"title": "a", "price": "9.999"}),
        (VideoCreate, {"title": "a", "price": "1234567"}),
        (VideoCreate, {"title": "a", "price": "NaN"}),
        (VideoCreate, {"title": "a", "price": "1e3"}),
        (VideoCreate, {"title": "a", "attributes": {"a": float("nan")}}),
        (VideoCreate, {"title": "a", "attributes": []}),
        (VideoCreate, {"title": "a", "status": "old"}),
        (OddCreate, {"name": "a", "data": "%%%"}),
        (OddCreate, {"name": "a", "data": "QUJDREU="}),
        (OddCreate, {"name": "a", "at": "2026-01-01T00:00:00"}),
        (OddCreate, {"name": "a", "at": 1700000000}),
        (OddCreate, {"name": "a", "at": "1700000000"}),
        (OddCreate, {"name": "a", "flag": 1}),
        (VideoPatch, {}),
        (VideoPatch, {"title": None}),
        (VideoPatch, {"version": 3}),
        (VideoPatch, {"status": "new"}),
    ],
)
def test_what_the_store_would_not_take_is_refused_at_its_field(model, given):
    with pytest.raises(ValidationError) as caught:
        model.model_validate(given)
    assert caught.value.error_count() == 1
    place = caught.value.errors()[0]["loc"]
    assert place[:1] in [(name,) for name in given] or not given


def test_what_the_store_takes_is_taken():
    odd = OddCreate.model_validate(
        {"name": "a", "data": "QUI=", "at": "2026-01-01T00:00:00+01:00", "took": "PT1M"}
    ).entity()
    assert (odd.data, odd.took) == (b"AB", timedelta(minutes=1))
    assert odd.at == datetime(2025, 12, 31, 23, tzinfo=UTC)
    assert VideoCreate.model_validate({"title": "a", "views": 166.0}).entity().views == 166


def test_a_patch_tells_what_is_absent_from_what_is_null():
    assert [repr(each) for each in VideoPatch.model_validate({"price": None}).changes()] == [
        "SetTo(column=Video.price, value=None)"
    ]
    both = VideoPatch.model_validate({"price": "1.50", "title": "b"}).changes()
    assert {each.column.name: each.value for each in both} == {
        "price": Decimal("1.50"), "title": "b"
    }  # fmt: skip
    schema = VideoPatch.model_json_schema()
    assert "required" not in schema
    assert schema["minProperties"] == 1
    assert "default" not in schema["properties"]["title"]


async def stored():
    async with open_store("memory://", [Project, Video]) as store:
        await store.create_schema()
        project = await store.repository(Project).add(Project(name="p"))
        videos = store.repository(Video)
        video = await videos.add(Video(title="a", secret="s", project_id=project.id))
        return video, await videos.get_one(video.id, load=[Video.project])


async def test_what_is_shown_has_no_hidden_field_and_no_relation_that_was_not_loaded():
    plain, loaded = await stored()
    shown = json.loads(VideoOut.of(plain).model_dump_json())
    assert "secret" not in shown
    assert "project" not in shown
    assert shown["version"] == 1
    shown = json.loads(VideoOut.of(loaded).model_dump_json())
    assert (shown["project"]["name"], shown["tags"]) == ("p", [])
    schema = VideoOut.model_json_schema(mode="serialization")
    assert "project" in schema["properties"]
    assert "secret" not in schema["properties"]


async def test_a_class_may_say_itself_how_a_relation_is_shown():
    class ProjectName(hf.OutModel[Project], hide=[Project.id, Project.version]): ...

    class Brief(hf.OutModel[Video], include=[Video.project]):
        project: ProjectName | None = None

    _, loaded = await stored()
    assert json.loads(Brief.of(loaded).model_dump_json())["project"] == {"name": "p"}


async def test_a_route_takes_and_gives_the_models():
    router = APIRouter()

    class Titled(hf.CreateModel[Video], only=[Video.title]):
        title: Annotated[str, PydanticField(min_length=3)]

    @router.post("/videos", status_code=201)
    async def add(body: Titled, videos: hf.Repo[Video], tx: hf.Writing) -> VideoOut:
        return VideoOut.of(await videos.add(body.entity(Video.secret.to("s"))))

    @router.get("/videos/{id}", response_model=VideoOut)
    async def get(video: hf.FromPath[Video]) -> Video:
        return video

    app = FastAPI()
    hf.Holdfast(app, store="memory://", entities=[Project, Video])
    app.include_router(router)
    async with client_of(app) as client:
        assert (await client.post("/videos", json={"title": "ab"})).status_code == 422
        made = await client.post("/videos", json={"title": "abc"})
        assert made.status_code == 201
        assert "secret" not in made.json()
        assert (await client.get(f"/videos/{made.json()['id']}")).json() == made.json()
        schema = (await client.get("/openapi.json")).json()
        assert "HTTPValidationError" not in json.dumps(schema)
        assert "application/problem+json" in json.dumps(
            schema["paths"]["/videos"]["post"]["responses"]["422"]
        )


def test_what_is_no_field_of_the_entity_is_refused():
    with pytest.raises(ConfigurationError, match="not a field of Video"):
        hf.patch_model(Video, only=[Project.name])
    with pytest.raises(ConfigurationError, match="not a relation of Video"):
        hf.out_model(Video, include=[Project.videos])
    with pytest.raises(ConfigurationError, match="go with"):

        class Further(VideoOut, hide=[Video.title]): ...
