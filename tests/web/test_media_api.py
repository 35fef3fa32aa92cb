"""The main job over HTTP: a film comes in, is looked at, is played and goes."""

import json
from uuid import uuid4

import httpx
import pytest

from holdfast.settings import Settings
from holdfast.web.platform_application import create_application
from holdfast.web.serve_options import ServeOptions
from http_serving import served
from media.films import film

HOSTILE_NAMES = [
    "../../etc/passwd", "a\r\nX: y.mp4", "\u202egpj.mp4", "C:\\x\\y.mp4", "", ".", "CON.mp4",
    "é" * 300,
]  # fmt: skip


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return film(tmp_path_factory.mktemp("films") / "gate.mp4")


@pytest.fixture
async def project(shared_api):
    made = await shared_api.post("/api/v1/projects", json={"name": f"Gate {uuid4()}"})
    return made.json()["id"]


def test_a_film_comes_in_is_looked_at_is_played_and_goes(tmp_path, clip):
    settings = Settings(data=tmp_path / "data")
    with served(create_application(settings, ServeOptions(work=True))) as url:
        with httpx.Client(base_url=f"{url}/api/v1", timeout=120) as client:
            project = client.post("/projects", json={"name": "Gate"}).json()["id"]
            with clip.open("rb") as file:
                came = client.post(f"/projects/{project}/videos", files={"file": file})
            assert came.status_code == 201, came.text
            video = came.json()["video"]
            assert (video["filename"], video["frames"]) == ("gate.mp4", 60)
            assert came.headers["Location"] == f"/api/v1/videos/{video['id']}"
            seen = []
            with client.stream("GET", f"/videos/{video['id']}/job/events") as events:
                seen += [
                    json.loads(line.removeprefix("data: "))
                    for line in events.iter_lines()
                    if line.startswith("data: ")
                ]
            assert seen[-1]["status"] == "succeeded", seen[-1]
            clips = client.get(f"/videos/{video['id']}/clips").json()
            assert [each["number"] for each in clips] == [1]
            names = {each["name"] for each in client.get(f"/videos/{video['id']}/files").json()}
            assert {"raw/original.mp4", "processed/annotated.mp4", "results/summary.json"} <= names
            whole = client.get(f"/videos/{video['id']}/content").content
            assert whole == clip.read_bytes()
            part = client.get(f"/videos/{video['id']}/content", headers={"Range": "bytes=4-7"})
            assert (part.status_code, part.content) == (206, whole[4:8])
            assert client.head(f"/videos/{video['id']}/content").headers["Content-Length"] == str(
                len(whole)
            )
            played = client.get(f"/videos/{video['id']}/files/processed/annotated.mp4")
            assert played.headers["Content-Type"] == "video/mp4"
            again = client.post(
                f"/projects/{project}/videos", files={"file": ("b.mp4", whole, "video/mp4")}
            )
            assert (again.status_code, again.json()["created"]) == (200, False)
            listed = client.get("/videos", params={"project_id": project, "sort": "-duration"})
            assert [each["id"] for each in listed.json()["items"]] == [video["id"]]
            in_use = client.delete(f"/projects/{project}")
            assert (in_use.status_code, in_use.json()["title"]) == (
                409, "A reference would point nowhere",
            )  # fmt: skip
            assert client.delete(f"/videos/{video['id']}").status_code == 204
            assert client.get("/objects").json()["items"] == []
            assert client.delete(f"/projects/{project}").status_code == 204


@pytest.mark.parametrize("name", HOSTILE_NAMES)
async def test_a_name_from_outside_is_a_name_and_nothing_else(shared_api, project, clip, name):
    files = {"file": (name or "x", clip.read_bytes(), "video/mp4")}
    came = await shared_api.post(f"/api/v1/projects/{project}/videos", files=files)
    assert came.status_code == 201, came.text
    shown = came.json()["video"]["filename"]
    assert not set(shown) & set("/\\\r\n\0\u202e")
    video = came.json()["video"]["id"]
    sent = await shared_api.get(f"/api/v1/videos/{video}/content")
    assert "\r" not in sent.headers["Content-Disposition"]
    assert sent.content == clip.read_bytes()


async def test_a_project_has_a_name(shared_api, project):
    for body in ({"name": ""}, {"name": "  "}, {}):
        assert (await shared_api.post("/api/v1/projects", json=body)).status_code == 422
    unnamed = await shared_api.patch(f"/api/v1/projects/{project}", json={"name": " "})
    assert unnamed.status_code == 422
    there = await shared_api.get(f"/api/v1/projects/{project}")
    stale = {"If-Match": '"7"'}
    named = await shared_api.patch(f"/api/v1/projects/{project}", json={"name": "B"}, headers=stale)
    assert named.status_code == 412
    match = {"If-Match": there.headers["ETag"]}
    named = await shared_api.patch(f"/api/v1/projects/{project}", json={"name": "B"}, headers=match)
    assert (named.status_code, named.json()["name"], named.json()["version"]) == (200, "B", 2)


async def test_what_is_no_film_leaves_nothing(shared_api, project):
    before = [(await shared_api.get(f"/api/v1/{kind}")).json() for kind in ("objects", "videos")]
    files = {"file": ("a.mp4", b"no film at all" * 100, "video/mp4")}
    came = await shared_api.post(f"/api/v1/projects/{project}/videos", files=files)
    assert came.status_code == 422
    assert came.json()["type"] == "urn:holdfast:problem:media"
    assert str(project) not in came.json().get("detail", "")
    after = [(await shared_api.get(f"/api/v1/{kind}")).json() for kind in ("objects", "videos")]
    assert after == before
    assert [page["next"] for page in after] == [None, None], "all there is was looked at"


async def test_a_detection_is_asked_for_with_regions_and_lines(shared_api, project, clip):
    files = {"file": ("a.mp4", clip.read_bytes(), "video/mp4")}
    came = await shared_api.post(f"/api/v1/projects/{project}/videos", files=files)
    video = came.json()["video"]
    await shared_api.post(f"/api/v1/jobs/{video['job_id']}/cancellation")
    options = {
        "regions": [{"name": "gate", "points": [[0, 0], [80, 0], [80, 60]]}],
        "lines": [{"name": "in", "start": [80, 0], "end": [80, 119]}],
        "sensitivity": "high",
        "start": "2026-01-01T10:00:00Z",
    }
    url = f"/api/v1/videos/{video['id']}/detection"
    asked = await shared_api.post(url, json=options)
    assert asked.status_code == 202, asked.text
    job = (await shared_api.get(f"/api/v1/jobs/{asked.json()}")).json()
    kept = job["payload"]["options"]
    assert (kept["regions"], kept["lines"]) == (options["regions"], options["lines"])
    outside = {"name": "g", "points": [[500, 500], [600, 500], [600, 600]]}
    twice = [options["lines"][0]] * 2
    for wrong in ({"region": []}, {"interval": 0}, {"lines": twice}, {"regions": [outside]}):
        assert (await shared_api.post(url, json=wrong)).status_code == 422, wrong


async def test_a_file_of_another_project_or_of_nobody_is_not_ingested(shared_api, project):
    for key in (
        f"uploads/{project}/{'0' * 32}",
        f"uploads/{'0' * 8}-0000-0000-0000-{'0' * 12}/{'0' * 32}",
    ):
        sent = {"key": key, "filename": "a.mp4"}
        answer = await shared_api.post(f"/api/v1/projects/{project}/uploads/ingest", json=sent)
        assert answer.status_code == 404
    for key in ("raw/x/original.mp4", f"uploads/{project}/../x", "uploads/a"):
        sent = {"key": key, "filename": "a.mp4"}
        answer = await shared_api.post(f"/api/v1/projects/{project}/uploads/ingest", json=sent)
        assert answer.status_code == 422


@pytest.mark.parametrize(
    "path", ["..%2f..%2fetc%2fpasswd", "raw/../../x", "results/summary.json%00"]
)
async def test_a_path_leads_to_files_of_the_video_alone(shared_api, project, clip, path):
    files = {"file": ("a.mp4", clip.read_bytes(), "video/mp4")}
    came = await shared_api.post(f"/api/v1/projects/{project}/videos", files=files)
    video = came.json()["video"]["id"]
    assert (await shared_api.get(f"/api/v1/videos/{video}/files/{path}")).status_code == 404


async def test_objects_are_stored_listed_as_folders_and_deleted(api):
    for key in ("a/1.txt", "a/2.txt", "b.txt"):
        stored = await api.put(
            f"/api/v1/objects/{key}", content=key, headers={"Content-Type": "text/plain"}
        )
        assert (stored.status_code, stored.json()["size"]) == (200, len(key))
    folder = (await api.get("/api/v1/objects", params={"delimiter": "/"})).json()
    assert (folder["prefixes"], [each["key"] for each in folder["items"]]) == (["a/"], ["b.txt"])
    first = (await api.get("/api/v1/objects", params={"size": 2})).json()
    rest = (await api.get("/api/v1/objects", params={"start_after": first["next"]})).json()
    assert [each["key"] for each in (*first["items"], *rest["items"])] == [
        "a/1.txt",
        "a/2.txt",
        "b.txt",
    ]
    kept = await api.put("/api/v1/objects/b.txt", content="x", headers={"If-None-Match": "*"})
    assert kept.status_code == 412
    assert (await api.get("/api/v1/objects/b.txt")).text == "b.txt"
    assert (await api.delete("/api/v1/objects/b.txt")).status_code == 204
    assert (await api.delete("/api/v1/objects/b.txt")).status_code == 404
    refused = await api.put("/api/v1/objects/a%00b", content="x")
    assert refused.json()["type"] == "urn:holdfast:problem:object-key"
    html = {"Content-Type": "text/html"}
    await api.put("/api/v1/objects/x.html", content="<script>alert(1)</script>", headers=html)
    shown = await api.get("/api/v1/objects/x.html")
    assert shown.headers["Content-Disposition"].startswith("attachment")


async def test_health_and_figures_of_every_part_are_told(shared_api):
    await shared_api.put("/api/v1/objects/a", content="x")
    health = (await shared_api.get("/api/v1/health")).json()
    assert (health["state"], set(health["parts"])) == ("up", {"store", "bucket", "cache"})
    figures = (await shared_api.get("/api/v1/metrics")).text
    assert 'holdfast_bucket_operation_seconds_count{backend="memory",name="default",' in figures
    assert "holdfast_jobs_oldest_due_seconds" in figures


async def test_the_cache_is_told_what_is_to_go(api):
    cache = api.app.state.gate.cache
    await cache.set("a", 1, tags=["t"])
    await cache.set("b", 2)
    assert (await api.get("/api/v1/cache/keys")).json() == ["a", "b"]
    gone = await api.post("/api/v1/cache/invalidation", json={"tags": ["t"]})
    assert gone.json() == {"outcome": "applied"}
    assert (await api.get("/api/v1/cache/keys")).json() == ["b"]
    assert (await api.post("/api/v1/cache/invalidation", json={})).status_code == 422
    assert (await api.get("/api/v1/cache/stats")).json()["gauges"]["up"] == 1
