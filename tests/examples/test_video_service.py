"""The video service does what it did when it was written by hand, on both sets of backends."""

import asyncio
import hashlib
import uuid

import pytest

pytestmark = pytest.mark.anyio
BODY = b"not really a video" * 50_000


async def project(client, name="North gate"):
    answer = await client.post("/projects", json={"name": name}, headers={"X-User": "ann"})
    assert answer.status_code == 201, answer.text
    return answer.json()


async def video(client, project_id, title="one", duration=10.0, body=BODY):
    answer = await client.post(
        f"/projects/{project_id}/videos",
        data={"title": title, "duration": str(duration)},
        files={"file": ("a.mp4", body, "video/mp4")},
        headers={"X-User": "ann"},
    )
    assert answer.status_code == 201, answer.text
    return answer.json()


async def test_project_names_are_unique(client):
    await project(client)
    answer = await client.post("/projects", json={"name": "North gate"})
    assert answer.status_code == 409
    assert answer.json()["fields"] == ["name"]
    assert (await client.get("/projects")).json()["total"] == 1


async def test_upload_checksum_and_content(client):
    p = await project(client)
    up = await video(client, p["id"])
    before = (await client.get(f"/jobs/{up['job_id']}")).json()
    assert (before["status"], before["progress"]) == ("queued", 0.0)
    assert await client.work() == 1
    after = (await client.get(f"/jobs/{up['job_id']}")).json()
    assert (after["status"], after["progress"]) == ("succeeded", 1.0)
    got = (await client.get(f"/videos/{up['video']['id']}")).json()
    assert got["sha256"] == hashlib.sha256(BODY).hexdigest()
    assert got["status"] == "ready"
    content = await client.get(f"/videos/{got['id']}/content")
    assert content.content == BODY
    assert content.headers["content-type"] == "video/mp4"
    part = await client.get(f"/videos/{got['id']}/content", headers={"Range": "bytes=4-9"})
    assert (part.status_code, part.content) == (206, BODY[4:10])
    tail = await client.get(f"/videos/{got['id']}/content", headers={"Range": "bytes=-5"})
    assert tail.content == BODY[-5:]


async def test_upload_to_no_project(client):
    answer = await client.post(
        f"/projects/{uuid.uuid4()}/videos", data={"title": "x"}, files={"file": ("a.mp4", b"x")}
    )
    assert answer.status_code == 404, answer.text


async def test_a_refused_upload_leaves_no_object(client):
    p = await project(client)
    await video(client, p["id"])
    answer = await client.post(
        f"/projects/{p['id']}/videos",
        data={"title": "one"},
        files={"file": ("a.mp4", b"x", "video/mp4")},
    )
    assert answer.status_code == 409
    assert len([o async for o in client.services.bucket.list("videos/")]) == 1


async def test_filters_sort_pages(client):
    p, q = await project(client), await project(client, "South")
    for i in range(7):
        await video(client, p["id"], f"clip {i}", 10.0 * i, b"x")
    other = await video(client, q["id"], "other", 5.0, b"x")
    got = (await client.get("/videos", params={"project_id": p["id"], "min_duration": 20})).json()
    assert [v["title"] for v in got["items"]] == [f"clip {i}" for i in (6, 5, 4, 3, 2)]
    got = (
        await client.get(
            "/videos", params={"title": "CLIP", "sort": "duration", "size": 3, "total": True}
        )
    ).json()
    assert got["total"] == 7
    seen = [v["title"] for v in got["items"]]
    while got["next"]:
        got = (
            await client.get(
                "/videos",
                params={"title": "CLIP", "sort": "duration", "size": 3, "cursor": got["next"]},
            )
        ).json()
        seen += [v["title"] for v in got["items"]]
    assert seen == [f"clip {i}" for i in range(7)]
    bad = await client.get("/videos", params={"cursor": "zzz"})
    assert bad.status_code == 400
    await client.put(f"/videos/{other['video']['id']}/tags", json={"names": ["Rain", "night"]})
    got = (await client.get("/videos", params={"tag": ["rain", "night"]})).json()
    assert [v["title"] for v in got["items"]] == ["other"]
    assert got["items"][0]["tags"] == ["night", "rain"]
    assert (await client.get("/videos", params={"tag": ["snow"]})).json()["items"] == []


async def test_patch_is_optimistic_and_leaves_history(client):
    p = await project(client)
    v = (await video(client, p["id"]))["video"]
    url = f"/videos/{v['id']}"
    answer = await client.patch(url, json={"version": 1, "title": "two"}, headers={"X-User": "bob"})
    assert (answer.status_code, answer.json()["version"]) == (200, 2)
    stale = await client.patch(url, json={"version": 1, "title": "three"})
    assert stale.status_code == 412
    assert (await client.get(url)).json()["title"] == "two"
    await client.put(url + "/tags", json={"names": ["a", "b"]}, headers={"X-User": "cy"})
    await client.put(url + "/tags", json={"names": ["b", "c"]}, headers={"X-User": "cy"})
    history = (await client.get(f"/history/Video/{v['id']}")).json()["items"]
    assert [(h["actor"], h["action"]) for h in history] == [
        ("cy", "tags"),
        ("cy", "tags"),
        ("bob", "update"),
        ("ann", "create"),
    ]
    assert history[2]["changes"] == {"title": ["one", "two"]}
    assert (await client.get(url)).json()["tags"] == ["b", "c"]


async def test_concurrent_patches_one_wins(client):
    p = await project(client)
    v = (await video(client, p["id"], body=b"x"))["video"]
    answers = await asyncio.gather(
        *(
            client.patch(f"/videos/{v['id']}", json={"version": 1, "title": f"t{i}"})
            for i in range(8)
        )
    )
    assert sorted(a.status_code for a in answers) == [200] + [412] * 7
    assert len((await client.get(f"/history/Video/{v['id']}")).json()["items"]) == 2


async def test_delete_removes_the_object(client):
    p = await project(client)
    v = (await video(client, p["id"], body=b"x"))["video"]
    assert (await client.delete(f"/videos/{v['id']}", params={"version": 9})).status_code == 412
    assert (await client.delete(f"/videos/{v['id']}")).status_code == 204
    assert (await client.get(f"/videos/{v['id']}")).status_code == 404
    await client.work()
    assert [o async for o in client.services.bucket.list("videos/")] == []


async def test_delete_project(client):
    p = await project(client)
    for i in range(3):
        await video(client, p["id"], f"v{i}", body=b"x")
    assert (await client.delete(f"/projects/{p['id']}")).status_code == 204
    await client.work()
    assert [o async for o in client.services.bucket.list("videos/")] == []
    assert (await client.get("/videos")).json()["items"] == []


async def test_statistics(client):
    p = await project(client)
    await project(client, "Empty")
    await video(client, p["id"], "a", 10, b"xx")
    await video(client, p["id"], "b", 20, b"xxx")
    got = (await client.get("/statistics")).json()
    assert [(s["name"], s["videos"], s["duration"], s["size"]) for s in got] == [
        ("Empty", 0, 0.0, 0),
        ("North gate", 2, 30.0, 5),
    ]


async def test_popular_is_cached_until_a_write(client):
    p = await project(client)
    a = (await video(client, p["id"], "a", body=b"x"))["video"]
    b = (await video(client, p["id"], "b", body=b"x"))["video"]
    for _ in range(3):
        assert (await client.post(f"/videos/{b['id']}/views")).status_code == 204
    first = (await client.get("/videos/popular")).json()
    assert [(x["title"], x["views"]) for x in first] == [("b", 3), ("a", 0)]
    await client.post(f"/videos/{a['id']}/views")
    assert (await client.get("/videos/popular")).json() == first
    await client.patch(f"/videos/{a['id']}", json={"version": a["version"], "title": "aa"})
    again = (await client.get("/videos/popular")).json()
    assert [(x["title"], x["views"]) for x in again] == [("b", 3), ("aa", 1)]


async def test_one_failing_request_changes_nothing(client):
    p = await project(client)
    v = (await video(client, p["id"], "a", body=b"x"))["video"]
    await video(client, p["id"], "b", body=b"x")
    answer = await client.patch(f"/videos/{v['id']}", json={"version": 1, "title": "b"})
    assert answer.status_code == 409
    got = await client.get(f"/videos/{v['id']}")
    assert got.json()["title"] == "a"
    assert got.headers["etag"] == '"1"'
    assert len((await client.get(f"/history/Video/{v['id']}")).json()["items"]) == 1


async def test_null_in_patch(client):
    p = await project(client)
    v = (await video(client, p["id"], "a", body=b"x"))["video"]
    answer = await client.patch(f"/videos/{v['id']}", json={"version": 1, "title": None})
    assert answer.status_code == 422, answer.text
