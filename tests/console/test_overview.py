"""The overview and the search: health, figures, latest changes, what is found and by whom."""

import html
import re

import pytest

from console.conftest import HOSTILE, assert_inert, console_client, log_in, send
from holdfast.access import Role
from holdfast.figures.figures_domain import FigureSampler
from holdfast.jobs import Jobs


@pytest.fixture(scope="module")
async def client(tmp_path_factory):
    async with console_client(tmp_path_factory.mktemp("overview")) as client:
        yield client


async def test_a_newcomer_is_led_to_a_first_result(tmp_path):
    async with console_client(tmp_path) as client:
        page = await client.get("/console/")
        assert "Nothing is here yet" in page.text
        await client.platform.service(Jobs).enqueue("walk")
        assert "Nothing is here yet" not in (await client.get("/console/")).text


async def test_the_overview_shows_health_figures_and_what_went_wrong(client):
    jobs = client.platform.service(Jobs)
    for text in HOSTILE:
        await jobs.enqueue(text)
        await jobs.fail(await jobs.claim("w"), text, retry=False)
        await client.platform.cache.get(text)
    await client.platform.service(FigureSampler).sample()
    for span in ("hour", "day", "week", "<b>"):
        page = await client.get("/console/", params={"span": span})
        assert page.status_code == 200
        assert_inert(page)
        assert page.text.count("<polyline") >= 3
        assert "<circle" in page.text, "a value that is alone would not be seen"
        assert f"failed: last {len(HOSTILE)}" in page.text
    assert HOSTILE[0] in html.unescape(page.text)
    assert "all is well" in page.text


async def test_the_navigation_lights_what_is_looked_at_and_nothing_else(client):
    lit = r'<li><a href="([^"]*)" aria-current'
    assert re.findall(lit, (await client.get("/console/")).text) == ["/console/"]
    assert re.findall(lit, (await client.get("/console/cache")).text) == ["/console/cache"]
    for path in ("search?q=x", "jobs/x", "nowhere"):
        assert re.findall(lit, (await client.get(f"/console/{path}")).text) == [], path


async def test_a_search_finds_pages_names_keys_and_objects(client):
    await send(client, "/console/records/projects/new", **{"f.name": "northern <b>gate</b>"})
    await send(client, "/console/records/projects/new", **{"f.name": "Harbour"})
    await client.platform.bucket.put("north/a.txt", b"x")
    for query, found in (
        ("rec", "/console/records"),
        ("northern", "/console/records/projects/row?_key="),
        ("Northern", "/console/records/projects/row?_key="),
        ("harbour", "/console/records/projects/row?_key="),
        ("nor", "/console/buckets/main?prefix=north%2F"),
        ("north/a", "/console/buckets/main/object?key=north%2Fa.txt"),
    ):
        for path in ("/console/search", "/console/search?part=1"):
            page = await client.get(path, params={"q": query, "part": int("part" in path)})
            assert_inert(page)
            assert f'href="{found}' in page.text, query
    job = (await client.platform.service(Jobs).enqueue("look")).job
    by_key = await client.get("/console/search", params={"q": str(job.id)})
    assert f'href="/console/jobs/{job.id}"' in by_key.text
    for text in HOSTILE:
        nothing = await client.get("/console/search", params={"q": text})
        assert_inert(nothing)


async def test_a_search_finds_nothing_that_its_caller_may_not_see(tmp_path):
    async with console_client(tmp_path, keys=True) as client:
        key = await log_in(client, Role.OPERATOR)
        found = await client.get("/console/search", params={"q": str(key.id)})
        assert "Nothing begins with" in found.text
        await log_in(client, Role.ADMIN)
        found = await client.get("/console/search", params={"q": str(key.id)})
        assert "/console/records/api_keys/row" in found.text
        overview = await client.get("/console/")
        assert "Latest changes" in overview.text
        await log_in(client, Role.OPERATOR)
        assert "Latest changes" not in (await client.get("/console/")).text
