"""The routes of an entity: what each does, and what the application's rules do to them."""

import asyncio
from collections import Counter
from typing import Annotated
from uuid import UUID

import pytest
from fastapi import FastAPI

import holdfast.fastapi as hf
from holdfast import Entity, Field, field, key, ref, uuid7, version
from holdfast.errors import ConfigurationError
from holdfast.fastapi.entity_tag import version_in
from holdfast.records.conformance.sample_entities import Tally
from holdfast.records.conformance.statement_counter import CountingDriver
from http_entities import Project, Video
from http_serving import client_of
from servers import database_on


class Tag(Entity, table="tags"):
    name: Field[str] = key(max_length=20)
    label: Field[str] = field(default="", max_length=20)


class VideoTag(Entity, table="video_tags"):
    video_id: Field[UUID] = ref(Video, key=True, on_delete="cascade")
    tag: Field[str] = ref(Tag, key=True, on_delete="cascade")
    weight: Field[int] = field(default=0)
    version: Field[int] = version()


class VideoOut(hf.OutModel[Video], hide=[Video.secret], include=[Video.project]): ...


class VideoCreate(hf.CreateModel[Video], hide=[Video.secret]): ...


def application(*routers, url="memory://"):
    app = FastAPI()
    app.state.hf = hf.Holdfast(
        app,
        store=url,
        entities=[Project, Video, Tag, VideoTag],
        options=hf.HTTPOptions(create_schema=True),
    )
    for router in routers:
        app.include_router(router, prefix="/things")
    return app


def videos(**words):
    models = hf.CrudModels(create=VideoCreate, out=VideoOut)
    return hf.crud_router(Video, models=models, include=[Video.project], **words)


def test_the_tag_of_an_entity_tells_of_its_unversioned_fields_and_gives_its_version():
    read, counted = Tally(id="t"), Tally(id="t", seen=1)
    read.version = counted.version = 3
    tags = hf.entity_tag(read), hf.entity_tag(counted)
    assert tags[0] != tags[1]
    assert [version_in(tag.encode()) for tag in tags] == [3, 3]


async def test_an_entity_is_created_read_changed_and_deleted():
    async with client_of(application(videos())) as client:
        made = await client.post("/things", json={"title": "a"})
        assert (made.status_code, made.headers["etag"]) == (201, '"1"')
        at = made.headers["location"]
        assert at == f"/things/{made.json()['id']}"
        read = await client.get(at)
        assert (read.json(), read.headers["etag"]) == (made.json(), '"1"')
        changed = await client.patch(at, json={"title": "b"}, headers={"if-match": '"1"'})
        assert (changed.json()["title"], changed.headers["etag"]) == ("b", '"2"')
        assert len((await client.get("/things")).json()["items"]) == 1
        assert (await client.delete(at)).status_code == 204
        for gone in (client.get(at), client.delete(at), client.patch(at, json={"title": "c"})):
            assert (await gone).status_code == 404


@pytest.mark.parametrize(
    ("tag", "status"),
    [
        ('"1"', 200),
        ("*", 200),
        ('"1-0a"', 200),
        ('"2"', 412),
        ('W/"1"', 412),
        ('"x"', 412),
        ('"0"', 412),
        ('"99999999999999999999"', 412),
        ('"9999999999999999999"', 412),
        ("1", 400),
        ("", 400),
        ('"1", "2"', 400),
        ('"1"; drop', 400),
    ],
)
async def test_if_match_names_one_state(tag, status):
    async with client_of(application(videos())) as client:
        at = (await client.post("/things", json={"title": "a"})).headers["location"]
        answer = await client.patch(at, json={"title": "b"}, headers={"if-match": tag})
        assert answer.status_code == status
        expected = 404 if status < 300 else status
        gone = await client.delete(at, headers={"if-match": '"2"' if status < 300 else tag})
        assert gone.status_code in (204, expected)


async def test_a_write_without_its_state_is_refused_where_one_is_required():
    async with client_of(application(videos(require_match=True))) as client:
        at = (await client.post("/things", json={"title": "a"})).headers["location"]
        for answer in (
            await client.patch(at, json={"title": "b"}),
            await client.patch(at, json={"title": "b"}, headers={"if-match": "*"}),
            await client.delete(at),
        ):
            assert answer.status_code == 428
        assert (await client.delete(at, headers={"if-match": '"1"'})).status_code == 204


@pytest.mark.parametrize("backend", ["memory", "sqlite", "postgresql"])
async def test_of_two_writers_with_one_tag_one_is_refused(backend, tmp_path):
    async def race(url):
        async with client_of(application(videos(), url=url)) as client:
            for number in range(5):
                made = await client.post("/things", json={"title": f"a{number}"})
                at = made.headers["location"]
                answers = await asyncio.gather(
                    *(
                        client.patch(at, json={"views": views}, headers={"if-match": '"1"'})
                        for views in (1, 2)
                    )
                )
                assert Counter(each.status_code for each in answers) == {200: 1, 412: 1}
                assert (await client.get(at)).headers["etag"] == '"2"'

    if backend == "postgresql":
        with database_on("postgresql") as url:
            await race(url)
    else:
        await race("memory://" if backend == "memory" else f"sqlite:///{tmp_path}/app.db")


async def test_a_state_that_the_client_has_is_not_sent_again():
    async with client_of(application(videos())) as client:
        at = (await client.post("/things", json={"title": "a"})).headers["location"]
        for tags in ('"1"', 'W/"1"', "*", '"7", "1"'):
            answer = await client.get(at, headers={"if-none-match": tags})
            assert (answer.status_code, answer.content) == (304, b"")
        for tags in ('"2"', "1", ""):
            assert (await client.get(at, headers={"if-none-match": tags})).status_code == 200
        await client.patch(at, json={"title": "b"})
        assert (await client.get(at, headers={"if-none-match": '"1"'})).status_code == 200


async def test_a_client_may_ask_for_no_body():
    async with client_of(application(videos())) as client:
        minimal = {"prefer": "respond-async, return=minimal"}
        made = await client.post("/things", json={"title": "a"}, headers=minimal)
        assert (made.status_code, made.content) == (201, b"")
        at = made.headers["location"]
        changed = await client.patch(at, json={"title": "b"}, headers=minimal)
        assert (changed.status_code, changed.content) == (204, b"")
        assert changed.headers["preference-applied"] == "return=minimal"
        assert changed.headers["etag"] == '"2"'


async def test_relations_that_are_allowed_cost_one_statement_each():
    app = application(videos())
    async with client_of(app) as client:
        store = app.state.hf.store
        project = await store.repository(Project).add(Project(name="p"))
        for number in range(10):
            await store.repository(Video).add(Video(title=f"{number}", project_id=project.id))
        at = f"/things/{(await client.get('/things?size=1')).json()['items'][0]['id']}"
        for path, reads in (
            ("/things", 1),
            ("/things?include=project", 2),
            (at, 1),
            (f"{at}?include=project", 2),
        ):
            with CountingDriver.around(store) as counting:
                answer = await client.get(path)
            assert counting.reads == reads, path
            shown = answer.json().get("items", [answer.json()])
            assert all(("project" in each) == ("include" in path) for each in shown)
        assert (await client.get("/things?include=labels")).status_code == 422
        whole = await client.get(f"{at}?include=project")
        assert whole.headers["etag"] != '"1"', "the project's state is in it too"


async def test_a_key_that_the_client_chooses_stands_in_the_location():
    async with client_of(application(hf.crud_router(Tag))) as client:
        made = await client.post("/things", json={"name": "a/b \u00e4\r\n"})
        assert made.headers["location"] == "/things/a%2Fb%20%C3%A4%0D%0A"
        again = await client.post("/things", json={"name": "a/b \u00e4\r\n"})
        assert (again.status_code, again.json()["fields"]) == (409, ["name"])
        await client.post("/things", json={"name": "\u00e4"})
        assert (await client.get("/things/%C3%A4")).json()["name"] == "\u00e4"
        for odd in ("%00", "%FF", "%ED%A0%80", "a" * 21, "..%2F..", "%0d%0aX: y"):
            assert (await client.get(f"/things/{odd}")).status_code in (404, 422)


async def test_an_entity_without_a_version_has_its_tag_from_its_bytes():
    async with client_of(application(hf.crud_router(Tag))) as client:
        await client.post("/things", json={"name": "a"})
        tag = (await client.get("/things/a")).headers["etag"]
        assert (await client.get("/things/a", headers={"if-none-match": tag})).status_code == 304
        answer = await client.patch("/things/a", json={"label": "x"}, headers={"if-match": '"1"'})
        assert answer.status_code == 400


def owned():
    """Rules by which a client sees the videos whose `secret` is its own name."""

    async def visible(request):
        return [Video.secret == request.headers.get("x-user", "")]

    async def creating(request, video):
        video.secret = request.headers.get("x-user", "")
        return video

    return hf.CrudRules(visible=visible, creating=creating)


async def test_what_belongs_to_others_is_not_there():
    async with client_of(application(videos(rules=owned()))) as client:
        ann, bob = {"x-user": "ann"}, {"x-user": "bob"}
        at = (await client.post("/things", json={"title": "a"}, headers=ann)).headers["location"]
        assert (await client.get(at, headers=ann)).status_code == 200
        for method, body in (("GET", None), ("PATCH", {"title": "b"}), ("DELETE", None)):
            answer = await client.request(method, at, json=body, headers=bob)
            assert answer.status_code == 404
        assert (await client.get("/things", headers=bob)).json()["items"] == []
        given = await client.patch(at, json={"secret": "bob"}, headers=ann)
        assert given.status_code == 403, "it would no longer be seen"
        assert (await client.get(at, headers=ann)).headers["etag"] == '"1"'
        cursor = {"size": 1}
        await client.post("/things", json={"title": "b"}, headers=ann)
        following = (await client.get("/things", params=cursor, headers=ann)).json()["next"]
        other = await client.get("/things", params={**cursor, "cursor": following}, headers=bob)
        assert other.status_code == 400, "a cursor is of one client's list"


async def test_rules_may_refuse_and_change_each_write():
    seen = []

    async def permit(request, verb):
        seen.append(verb)
        if request.headers.get("x-role") != "editor" and verb != "get":
            raise hf.ProblemError(403, "editors alone", kind="forbidden")

    async def changing(request, video, changes):
        if video.title == "fixed":
            raise hf.ProblemError(409, "it is fixed", kind="fixed")
        return [*changes, Video.views.increment()]

    async def deleting(request, video):
        if video.views:
            raise hf.ProblemError(409, "somebody saw it", kind="seen")

    rules = hf.CrudRules(permit=permit, changing=changing, deleting=deleting)
    async with client_of(application(videos(rules=rules))) as client:
        editor = {"x-role": "editor"}
        assert (await client.post("/things", json={"nope": 1})).status_code == 403
        at = (await client.post("/things", json={"title": "a"}, headers=editor)).headers["location"]
        assert (await client.get(at)).status_code == 200
        changed = await client.patch(at, json={"title": "fixed"}, headers=editor)
        assert changed.json()["views"] == 1
        assert (await client.patch(at, json={"title": "b"}, headers=editor)).status_code == 409
        assert (await client.delete(at, headers=editor)).status_code == 409
        assert set(seen) == {"create", "get", "patch", "delete"}


async def test_a_replacement_sets_all_that_a_client_may_say_in_the_state_it_names():
    async with client_of(application(videos())) as client:
        made = await client.post("/things", json={"title": "a", "views": 7, "price": "1.50"})
        at = made.headers["location"]
        assert (await client.put(at, json={"title": "b"})).status_code == 428
        missing = await client.put(at, json={"views": 1}, headers={"if-match": '"1"'})
        assert missing.status_code == 422
        put = await client.put(at, json={"title": "b"}, headers={"if-match": '"1"'})
        assert (put.status_code, put.headers["etag"]) == (200, '"2"')
        shown = put.json()
        assert (shown["title"], shown["views"], shown["price"]) == ("b", 0, None)
        assert (shown["id"], shown["created_at"]) == (made.json()["id"], made.json()["created_at"])
        late = await client.put(at, json={"title": "c"}, headers={"if-match": '"1"'})
        assert late.status_code == 412
        await client.delete(at)
        gone = await client.put(at, json={"title": "c"}, headers={"if-match": '"2"'})
        assert gone.status_code == 404


async def test_a_replacement_leaves_what_the_client_can_not_say_and_keeps_to_the_rules():
    seen = []

    async def changing(request, video, changes):
        seen.append({change.column.name for change in changes})
        return changes

    rules = hf.CrudRules(visible=owned().visible, creating=owned().creating, changing=changing)
    async with client_of(application(hf.crud_router(Tag), videos(rules=rules))) as client:
        await client.post("/things", json={"name": "a"})
        other = await client.put("/things/a", json={"name": "b", "label": "x"})
        assert (other.status_code, other.json()["field"]) == (422, "name")
        same = await client.put("/things/a", json={"name": "a", "label": "x"})
        assert same.json() == {"name": "a", "label": "x"}
    async with client_of(application(videos(rules=rules))) as client:
        ann, match = {"x-user": "ann"}, {"if-match": '"1"'}
        at = (await client.post("/things", json={"title": "a"}, headers=ann)).headers["location"]
        other = await client.put(at, json={"title": "b"}, headers={"x-user": "bob", **match})
        assert other.status_code == 404
        assert (await client.put(at, json={"title": "b"}, headers=ann | match)).status_code == 200
        assert (await client.get(at, headers=ann)).status_code == 200, "it is still hers"
        assert seen == [{*VideoCreate.model_fields}]


async def test_a_head_says_what_a_get_would_and_sends_nothing():
    async with client_of(application(videos())) as client:
        at = (await client.post("/things", json={"title": "a"})).headers["location"]
        for path in (at, "/things?size=1", f"{at}?include=project", "/things/none"):
            got, head = await client.get(path), await client.head(path)
            assert (head.status_code, head.content) == (got.status_code, b"")
            for name in ("etag", "content-type", "content-length", "link"):
                if path != "/things/none" or name != "content-length":  # it has the request's id
                    assert head.headers.get(name) == got.headers.get(name), (path, name)


async def test_a_write_that_is_one_verb_has_no_transaction_around_it():
    async def deleting(request, video):
        await asyncio.sleep(0)

    for rules, blocks in ((None, 0), (hf.CrudRules(deleting=deleting), 4)):
        app = application(videos(rules=rules))
        async with client_of(app) as client:
            at = (await client.post("/things", json={"title": "a"})).headers["location"]
            await client.patch(at, json={"title": "b"})
            await client.put(at, json={"title": "c"}, headers={"if-match": '"2"'})
            await client.delete(at)
            assert app.state.hf.store.stats().counters["committed"] == blocks


async def test_verbs_that_are_not_there_are_not_allowed():
    async with client_of(application(videos(verbs=["get", "list"]))) as client:
        assert (await client.get("/things")).status_code == 200
        answer = await client.post("/things", json={"title": "a"})
        assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")
    with pytest.raises(ConfigurationError, match="erase"):
        videos(verbs=["erase"])


async def test_a_reference_that_points_nowhere_is_a_conflict():
    async with client_of(application(videos())) as client:
        body = {"title": "a", "project_id": "00000000-0000-7000-8000-000000000000"}
        answer = await client.post("/things", json=body)
        assert (answer.status_code, answer.json()["fields"]) == (409, ["project_id"])


async def test_a_composite_key_is_several_segments_of_the_path():
    only = {"night"}

    async def visible(request):
        return [VideoTag.tag.in_(only)]

    guarded = hf.crud_router(VideoTag, rules=hf.CrudRules(visible=visible))
    app = application(hf.crud_router(VideoTag))
    app.include_router(guarded, prefix="/guarded")

    @app.get("/of/{video_id}/{tag}")
    async def of(link: hf.FromPath[VideoTag]) -> VideoTag:
        return link

    @app.get("/named/{v}/{t}")
    async def named(link: Annotated[VideoTag, hf.entity_at(("v", "t"), VideoTag)]) -> VideoTag:
        return link

    async with client_of(app) as client:
        store = app.state.hf.store
        video = await store.repository(Video).add(Video(title="a"))
        await store.repository(Tag).add_many([Tag(name="night"), Tag(name="a b")])
        sent = {"video_id": str(video.id), "tag": "a b", "weight": 3}
        made = await client.post("/things", json=sent)
        assert made.headers["location"] == f"/things/{video.id}/a%20b"
        at = made.headers["location"]
        assert (await client.get(at)).json()["weight"] == 3
        assert (await client.post("/things", json=sent)).status_code == 409
        changed = await client.patch(at, json={"weight": 4}, headers={"if-match": '"1"'})
        assert (changed.json()["weight"], changed.headers["etag"]) == (4, '"2"')
        moved = await client.put(at, json={**sent, "tag": "night"}, headers={"if-match": '"2"'})
        assert moved.status_code == 422
        put = await client.put(at, json={**sent, "weight": 5}, headers={"if-match": '"2"'})
        assert put.json()["weight"] == 5
        for there in (f"/of/{video.id}/a b", f"/named/{video.id}/a b"):
            assert (await client.get(there)).json()["tag"] == "a b"
        for gone in (f"/of/{video.id}/none", f"/things/{uuid7()}/a b", f"/guarded/{video.id}/a b"):
            assert (await client.get(gone)).status_code == 404
        assert (await client.get(f"/of/{video.id}1/a b")).status_code == 422
        assert (await client.post("/guarded", json=sent | {"tag": "night"})).status_code == 201
        assert (await client.get(f"/guarded/{video.id}/night")).json()["weight"] == 3
        assert (await client.delete(at)).status_code == 204
        assert (await client.get(at)).status_code == 404
    with pytest.raises(ConfigurationError, match="video_id, tag"):
        hf.entity_at("video_id", VideoTag)
