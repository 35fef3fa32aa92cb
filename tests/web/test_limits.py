"""The limits that the settings set: how often, how much, how long, and what is left behind."""

from datetime import timedelta

import pytest

from holdfast.media.uploads import remove_old_uploads
from holdfast.objects import open_bucket
from holdfast.platform import open_platform
from holdfast.settings import Settings
from media.films import film
from web.conftest import platform_client


def limited(tmp_path, **limits):
    return Settings(
        data=tmp_path / "data", storage={"type": "memory"}, bucket="memory://", limits=limits
    )


async def test_rates_bodies_and_depths_are_those_of_the_settings(tmp_path):
    settings = limited(
        tmp_path, request_rate=0.001, request_burst=4, body=2048, json_depth=3, upload=10
    )
    async with platform_client(settings) as client:
        large = await client.post("/api/v1/projects", json={"name": "x" * 3000})
        assert (large.status_code, large.json()["limit"]) == (413, 2048)
        deep = await client.post("/api/v1/projects", json={"name": [[[[]]]]})
        assert (deep.status_code, deep.json()["type"]) == (400, "urn:holdfast:problem:too-deep")
        put = await client.put("/api/v1/objects/a", content=b"x" * 11)
        assert put.status_code == 413
        told = [(await client.get("/api/v1/me")).status_code for _ in range(4)]
        assert told[-1] == 429


async def test_an_authorization_that_is_no_bearers_counts_as_a_refusal(tmp_path):
    settings = limited(tmp_path, refusal_rate=0.001, refusal_burst=2)
    async with platform_client(settings) as client:
        told = [
            (await client.get("/api/v1/me", headers={"Authorization": "Basic YTpi"})).status_code
            for _ in range(3)
        ]
    assert told == [401, 401, 429]


async def test_a_project_has_as_many_bytes_as_it_may(tmp_path):
    clip = film(tmp_path / "gate.mp4").read_bytes()
    settings = limited(tmp_path, project_bytes=len(clip) + 10)
    async with platform_client(settings) as client:
        project = (await client.post("/api/v1/projects", json={"name": "Gate"})).json()["id"]
        to = f"/api/v1/projects/{project}/videos"
        came = await client.post(to, files={"file": ("a.mp4", clip, "video/mp4")})
        assert came.status_code == 201, came.text
        another = clip + b"\0" * 11
        for refused in (
            await client.post(to, files={"file": ("b.mp4", another, "video/mp4")}),
            await client.post(to, content=another, headers={"Content-Type": "video/mp4"}),
        ):
            assert refused.status_code in (413, 507)
        told = refused.json()
        assert told["type"] == "urn:holdfast:problem:quota-exceeded"
        assert (told["used"], told["limit"]) == (len(clip), len(clip) + 10)
        assert len((await client.get("/api/v1/videos")).json()["items"]) == 1
        left = await client.get("/api/v1/objects", params={"prefix": "uploads/"})
        assert left.json()["items"] == []
        await client.delete(f"/api/v1/videos/{came.json()['video']['id']}")
        again = await client.post(to, files={"file": ("b.mp4", clip, "video/mp4")})
        assert again.status_code == 201, "what is deleted makes room"


async def test_uploads_that_were_never_ingested_are_removed_when_they_are_old():
    async with open_bucket("memory://") as bucket:
        came = (await bucket.put("uploads/p/one", b"x")).modified
        await bucket.put("raw/p/video", b"x")
        day = timedelta(days=1)
        assert await remove_old_uploads(bucket, age=day, now=came + day) == 0
        assert await remove_old_uploads(bucket, age=day, now=came + 2 * day) == 1
        assert [info.key async for info in bucket.list()] == ["raw/p/video"]


async def test_a_server_and_a_command_remove_them(tmp_path):
    settings = Settings(data=tmp_path, storage={"type": "memory"}, limits={"upload_age": 1e-6})
    async with open_platform(settings) as platform:
        await platform.bucket.put("uploads/p/one", b"x")
        await platform.upkeep()
        assert not await platform.bucket.exists("uploads/p/one")
        await platform.bucket.put("uploads/p/two", b"x")
    async with platform_client(settings) as client:
        while (await client.get("/api/v1/objects?prefix=uploads/")).json()["items"]:
            continue


@pytest.mark.parametrize(
    ("wrong", "said"),
    [({"request_rate": 0}, "request_rate"), ({"body": "1"}, "body"), ({"odd": 1}, "odd")],
)
def test_a_limit_that_is_none_is_refused(tmp_path, wrong, said):
    with pytest.raises(ValueError, match=said):
        limited(tmp_path, **wrong)
