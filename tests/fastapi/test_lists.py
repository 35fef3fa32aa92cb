"""Lists: filters, sorts and pages that are allowed by name, and everything else refused by it."""

from typing import Annotated

import httpx
import pytest
from fastapi import APIRouter, FastAPI, Query, Request
from pydantic import AfterValidator, ConfigDict, Field

import holdfast.fastapi as hf
from holdfast import Page
from holdfast.errors import ConfigurationError, InvalidCursorError
from holdfast.fastapi.crud.sealed_cursor import seal, unseal
from holdfast.fastapi.problems.known_names import known_names
from http_entities import Project, Status, Video
from http_serving import client_of


class VideoOut(hf.OutModel[Video], hide=[Video.secret]): ...


class VideoQuery(
    hf.ListQuery[Video],
    filters=[
        Video.status,
        Video.title.icontains,
        Video.title.startswith,
        Video.duration.between,
        Video.views.in_,
        Video.project_id.is_null,
        Video.created_at.__ge__,
        Video.price.__ne__,
    ],
    sorts=[Video.duration.desc(), Video.title],
): ...


def application(**options):
    router = APIRouter()

    @router.get("/videos")
    async def find(q: Annotated[VideoQuery, Query()], videos: hf.Repo[Video]) -> Page[VideoOut]:
        return await q.page(videos, VideoOut)

    @router.get("/own")
    async def own(q: Annotated[VideoQuery, Query()], videos: hf.Repo[Video]) -> Page[Video]:
        return await q.page(videos, where=[Video.views == 1])

    app = FastAPI()
    app.state.hf = hf.Holdfast(
        app, store="memory://", entities=[Project, Video], options=hf.HTTPOptions(**options)
    )
    app.include_router(router)
    return app


@pytest.fixture
async def app():
    return application()


@pytest.fixture
async def client(app):
    async with client_of(app) as client:
        await app.state.hf.store.repository(Video).add_many(
            Video(
                title=f"Title {n}",
                duration=float(n),
                views=n % 3,
                status=Status.READY if n % 2 else Status.NEW,
            )
            for n in range(7)
        )
        yield client


def titles(answer):
    assert answer.status_code == 200, answer.text
    return [int(each["title"].split()[1]) for each in answer.json()["items"]]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", [6, 5, 4, 3, 2, 1, 0]),
        ("status=ready", [5, 3, 1]),
        ("duration__gte=2&duration__lte=4", [4, 3, 2]),
        ("views__in=1&views__in=2", [5, 4, 2, 1]),
        ("title__icontains=TITLE%203", [3]),
        ("title__startswith=Title&sort=title&size=2", [0, 1]),
        ("project_id__is_null=false", []),
        ("project_id__is_null=true&status=new", [6, 4, 2, 0]),
        ("created_at__gte=2000-01-01T00:00:00Z&sort=-title", [6, 5, 4, 3, 2, 1, 0]),
        ("sort=duration&sort=-title", [0, 1, 2, 3, 4, 5, 6]),
        ("sort=duration&sort=-duration", [0, 1, 2, 3, 4, 5, 6]),
        ("price__ne=1.00&size=1", [6]),
    ],
)
async def test_a_list_is_what_was_asked_for(client, query, expected):
    assert titles(await client.get(f"/videos?{query}")) == expected


@pytest.mark.parametrize(
    ("query", "place"),
    [
        ("nope=1", "/nope"),
        ("secret=s", "/secret"),
        ("duration=1", "/duration"),
        ("duration__gte=x", "/duration__gte"),
        ("duration__gte=nan", "/duration__gte"),
        ("status=old", "/status"),
        ("views__in=1&views__in=x", "/views__in/1"),
        ("views__in=99999999999999999999", "/views__in/0"),
        ("created_at__gte=2026-01-01", "/created_at__gte"),
        ("project_id__is_null=maybe", "/project_id__is_null"),
        ("sort=secret", "/sort/0"),
        ("sort=title&sort=views", "/sort/1"),
        ("size=0", "/size"),
        ("size=201", "/size"),
        ("size=x", "/size"),
        ("total=2", "/total"),
        ("cursor=", "/cursor"),
        ("price__ne=1.001", "/price__ne"),
        ("title__icontains=", "/title__icontains"),
    ],
)
async def test_what_is_not_allowed_is_named(client, query, place):
    answer = await client.get(f"/videos?{query}")
    assert answer.status_code == 422
    (fault,) = answer.json()["errors"]
    assert (fault["in"], fault["pointer"]) == ("query", place)


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("durations__gte=1", "there is no 'durations__gte'; did you mean 'duration__gte'?"),
        ("pagesize=1", "there is no 'pagesize'; did you mean 'size'?"),
        ("nothing_like_it=1", "there is no 'nothing_like_it'"),
    ],
)
async def test_an_unknown_parameter_is_told_what_is_near(client, query, said):
    answer = await client.get(f"/videos?{query}")
    (fault,) = answer.json()["errors"]
    assert (answer.status_code, fault["detail"]) == (422, said)


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("size=1&size=2", "size"),
        ("duration__gte=1&title__icontains=a&duration__gte=2", "duration__gte"),
    ],
)
async def test_a_parameter_with_one_value_is_not_taken_twice(client, query, name):
    answer = await client.get(f"/videos?{query}")
    assert (answer.status_code, answer.json()["field"]) == (422, name)
    assert "is given 2 times" in answer.json()["detail"]


async def test_text_that_no_store_holds_is_refused_by_its_field(client):
    answer = await client.get("/videos?title__icontains=%00")
    assert (answer.status_code, answer.json()["field"]) == (422, "title")


async def test_more_predicates_than_a_hundred_are_refused(client):
    fits = "&".join(f"views__in={n}" for n in range(92))
    assert titles(await client.get(f"/videos?{fits}")) == [6, 5, 4, 3, 2, 1, 0]
    answer = await client.get(f"/videos?{fits}&views__in=92")
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/views__in")


async def test_pages_are_walked_by_their_links_in_both_directions(client):
    seen, address = [], "/videos?size=3&total=true&duration__gte=0"
    while address:
        answer = await client.get(address)
        assert answer.json()["total"] == 7
        seen.append(titles(answer))
        last, address = answer, answer.links.get("next", {}).get("url")
        if address:
            address = str(httpx.URL(answer.request.url).join(address))
    assert seen == [[6, 5, 4], [3, 2, 1], [0]]
    back = str(httpx.URL(last.request.url).join(last.links["prev"]["url"]))
    assert titles(await client.get(back)) == [3, 2, 1]
    assert "next" not in last.links


async def test_a_cursor_that_was_changed_or_is_of_another_list_is_refused(client):
    cursor = (await client.get("/videos?size=2")).json()["next"]
    assert titles(await client.get("/videos", params={"size": 2, "cursor": cursor})) == [4, 3]
    wrong = [
        cursor[:-1] + ("A" if cursor[-1] != "A" else "B"),
        cursor[:20] + ("A" if cursor[20] != "A" else "B") + cursor[21:],
        ("A" if cursor[0] != "A" else "B") + cursor[1:],
        cursor[16:],
        cursor + "A",
        "x",
        "\u00e4" * 20,
        "a" * 3999,
    ]
    for each in wrong:
        answer = await client.get("/videos", params={"size": 2, "cursor": each})
        assert answer.status_code == 400
        assert answer.json()["type"] == "urn:holdfast:problem:invalid-cursor"
    for other in ("/videos?sort=title", "/videos?status=new", "/own"):
        join = "&" if "?" in other else "?"
        assert (await client.get(f"{other}{join}cursor={cursor}")).status_code == 400


def test_a_cursor_with_a_secret_can_not_be_made_by_others():
    assert unseal(seal("abc", ["s"]), ["s"]) == "abc"
    for secrets in ([], ["t"], ["t", "s"]):
        with pytest.raises(InvalidCursorError):
            unseal(seal("abc", secrets), ["s"])
    with pytest.raises(InvalidCursorError):
        unseal(seal("abc", ["s"]), [])


def test_a_cursor_that_a_former_secret_signed_is_taken():
    options = hf.HTTPOptions(secret="new", former_secrets=("old", "older"))
    for secret in ("new", "old", "older"):
        assert unseal(seal("abc", [secret]), options.secrets) == "abc"
    assert seal("abc", options.secrets) == seal("abc", ["new"])
    assert hf.HTTPOptions().secrets == ()
    assert "old" not in repr(options)
    for wrong in ({"former_secrets": ("old",)}, {"secret": "s", "former_secrets": "old"}):
        with pytest.raises(ConfigurationError, match="former_secrets"):
            hf.HTTPOptions(**wrong)


async def test_conditions_of_the_route_hold_whatever_is_asked(client):
    assert titles(await client.get("/own?views__in=2")) == []
    assert titles(await client.get("/own")) == [4, 1]


async def test_a_list_that_did_not_change_is_not_sent_again(client, app):
    first = await client.get("/videos")
    tag = first.headers["etag"]
    again = await client.get("/videos", headers={"if-none-match": f'"x", {tag}'})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    await app.state.hf.store.repository(Video).add(Video(title="Title 9"))
    changed = await client.get("/videos", headers={"if-none-match": tag})
    assert changed.status_code == 200
    assert changed.headers["etag"] != tag


async def test_a_list_has_parameters_of_the_applications_own():
    class NamedQuery(
        hf.ListQuery[Video],
        filters=[Video.status],
        named={"longer_than": Video.duration.__gt__, "q": Video.title.icontains},
    ):
        of: list[str] = Field(default=[], max_length=5)

        def where(self):
            inside = [Video.project.has(Project.name == name) for name in self.of]
            return [*super().where(), *inside]

    app = FastAPI()
    holdfast = hf.Holdfast(app, store="memory://", entities=[Project, Video])

    @app.get("/videos")
    async def find(q: Annotated[NamedQuery, Query()], videos: hf.Repo[Video]) -> Page[VideoOut]:
        return await q.page(videos, VideoOut)

    async with client_of(app) as client:
        project = await holdfast.store.repository(Project).add(Project(name="north"))
        await holdfast.store.repository(Video).add_many(
            Video(title=f"Title {n}", duration=float(n), project_id=[None, project.id][n % 2])
            for n in range(12)
        )
        assert titles(await client.get("/videos?longer_than=9")) == [10, 11]
        assert titles(await client.get("/videos?q=TITLE%201&longer_than=1&of=north")) == [11]
        assert titles(await client.get("/videos?of=south")) == []
        wrong = await client.get("/videos?longer_than=x")
        assert wrong.status_code == 422
        assert "longer_than" in wrong.text
        assert (await client.get("/videos?duration__gt=9")).status_code == 422
        described = (await client.get("/openapi.json")).json()["paths"]["/videos"]["get"]
        named = {each["name"] for each in described["parameters"]}
        assert named == {"status", "longer_than", "q", "of", "size", "cursor", "total"}


class OwnParameters(hf.ListQuery[Video], sorts=[Video.duration]):
    model_config = ConfigDict(extra="ignore")

    tags: list[str] = Field(default=[], alias="tag")
    kinds: set[str] = Field(default=set())
    pair: tuple[int, int] | None = None
    joined: Annotated[list[str], AfterValidator("+".join)] = Field(default=[])
    word: str = Field(default="", validation_alias="q")


@pytest.mark.parametrize(
    "query",
    ["tag=a&tag=b", "kinds=a&kinds=b", "pair=1&pair=2", "joined=a&joined=b", "word=a&word=b"],
)
async def test_own_parameters_that_take_several_are_told_by_their_types(query):
    answer, known = await asked_by_own_parameters(query)
    assert (answer.status_code, "q" in known) == (200, True)


async def test_an_own_parameter_that_takes_one_value_is_known_by_its_alias():
    answer, known = await asked_by_own_parameters("q=a&q=b")
    assert (answer.status_code, answer.json()["field"]) == (422, "q")
    assert {"q", "tag"} <= known
    assert not {"word", "tags"} & known


async def asked_by_own_parameters(query):
    """Return the answer to *query*, and the names that would be proposed for others."""
    app = FastAPI()
    hf.Holdfast(app, store="memory://", entities=[Project, Video])
    known = set()

    @app.get("/videos")
    async def find(
        q: Annotated[OwnParameters, Query()], videos: hf.Repo[Video], request: Request
    ) -> Page[Video]:
        known.update(known_names(request, "query"))
        return await q.page(videos)

    async with client_of(app) as client:
        return await client.get(f"/videos?{query}"), known


def test_what_is_no_filter_or_sort_is_refused():
    for wrong in (
        {"named": {"length": Video.duration.between}},
        {"named": {"name": Project.name}},
        {"named": {"of-all": Video.status}},
        {"named": {"model_config": Video.status}},
        {"named": {"page": Video.status}},
        {"named": {"size": Video.views}},
        {"filters": [Video.status], "named": {"status": Video.title}},
        {"filters": [Project.name]},
        {"filters": ["status"]},
        {"filters": [Video.title.increment]},
        {"filters": [Video.attributes]},
        {"filters": [Video.duration.icontains]},
        {"sorts": [Project.name]},
        {"sorts": ["title"]},
    ):
        with pytest.raises(ConfigurationError):
            hf.list_query(Video, **wrong)
