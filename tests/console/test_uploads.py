"""Uploads in parts: gone on with, checked, ended once, cancelled, and nobody else's."""

import hashlib
from base64 import b64encode
from datetime import timedelta

import pytest

from console.conftest import console_client, log_in, token_in
from holdfast.access import Role
from holdfast.console.uploads import upload_sessions
from media.films import film

MAIN = "/console/buckets/main"
PART = 1 << 20


@pytest.fixture(scope="module", autouse=True)
def small_parts():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(upload_sessions, "_LEAST_PART", PART)
        yield


@pytest.fixture(scope="module")
async def client(tmp_path_factory):
    async with console_client(tmp_path_factory.mktemp("uploads"), keys=True) as client:
        await log_in(client, Role.OPERATOR)
        yield client


async def ask(client, method, path, *, base=MAIN, **sent):
    """Call a route as the page's script does."""
    token = token_in(await client.get("/console/login"))
    headers = {"X-Form-Token": token, "Accept": "application/json", **sent.pop("headers", {})}
    return await client.request(method, f"{base}/uploads{path}", headers=headers, **sent)


async def begun(client, content, key, **fields):
    prefix, _, name = key.rpartition("/")
    data = {"prefix": f"{prefix}/", "name": name, "size": str(len(content)), "type": "text/plain"}
    answer = await ask(client, "POST", "", data=data | fields)
    assert answer.status_code == 201, answer.text
    return answer.json()


def part_of(content, number):
    return content[(number - 1) * PART : number * PART]


async def put(client, session, number, body, *, told=None):
    summed = b64encode(hashlib.sha256(body if told is None else told).digest()).decode()
    headers = {"Content-Digest": f"sha-256=:{summed}:"}
    return await ask(
        client, "PUT", f"/{session['id']}/parts/{number}", content=body, headers=headers
    )


CONTENT = bytes(range(256)) * 4096 * 2 + b"the end"


async def test_parts_come_in_any_order_and_become_the_object_once(client):
    session = await begun(client, CONTENT, "in/long.txt")
    assert (session["count"], session["there"], session["straight"]) == (3, [], False)
    end = f"/{session['id']}/end"
    for number in (3, 1):
        answer = await put(client, session, number, part_of(CONTENT, number))
        assert answer.status_code == 204, answer.text
    early = await ask(client, "POST", end)
    assert (early.status_code, early.json()["detail"]) == (
        409, "1 parts of the upload are not there yet",
    )  # fmt: skip
    assert (await ask(client, "GET", f"/{session['id']}")).json()["there"] == [1, 3]
    assert "1 not finished" in (await client.get(MAIN)).text
    await put(client, session, 2, part_of(CONTENT, 2))
    for _ in range(2):  # an answer that is lost is asked for again
        done = await ask(client, "POST", end)
        assert done.json() == {"done": f"{MAIN}/object?key=in%2Flong.txt"}
    bucket = client.platform.bucket
    assert await bucket.get("in/long.txt") == CONTENT
    assert (await bucket.head("in/long.txt")).content_type == "text/plain"
    assert "not finished" not in (await client.get(MAIN)).text
    folder = client.platform.settings.work_folder / "console-uploads" / session["id"]
    assert [each.name for each in folder.iterdir()] == ["session.json"]


async def test_a_part_that_is_not_what_it_says_is_not_kept(client):
    session = await begun(client, CONTENT, "in/changed.txt")
    first = part_of(CONTENT, 1)
    for body, told in ((first[:-1] + b"x", first), (first[:-1], None), (first + b"x", None)):
        answer = await put(client, session, 1, body, told=told)
        assert answer.status_code in (400, 413), answer.text
    assert (await put(client, session, 4, b"")).status_code == 404
    assert (await ask(client, "GET", f"/{session['id']}")).json()["there"] == []


async def test_what_is_there_already_is_replaced_when_that_was_asked_for(client):
    await client.platform.bucket.put("in/there.txt", b"old")
    data = {"prefix": "in/", "name": "there.txt", "size": "3"}
    assert (await ask(client, "POST", "", data=data)).status_code == 409
    assert (await ask(client, "POST", "", data=data | {"prefix": "logs/"})).status_code == 403
    session = await begun(client, b"new", "in/there.txt", replace="on")
    await put(client, session, 1, b"new")
    assert (await ask(client, "POST", f"/{session['id']}/end")).status_code == 200
    assert await client.platform.bucket.get("in/there.txt") == b"new"
    other = await begun(client, b"mine", "in/race.txt")
    await put(client, other, 1, b"mine")
    await client.platform.bucket.put("in/race.txt", b"theirs")
    assert (await ask(client, "POST", f"/{other['id']}/end")).status_code == 409
    assert await client.platform.bucket.get("in/race.txt") == b"theirs"


async def test_an_upload_is_cancelled_and_is_nobody_elses(client):
    session = await begun(client, CONTENT, "in/private.txt")
    await put(client, session, 1, part_of(CONTENT, 1))
    await log_in(client, Role.ADMIN)
    assert (await ask(client, "GET", f"/{session['id']}")).status_code == 404
    assert (await put(client, session, 2, part_of(CONTENT, 2))).status_code == 404
    await log_in(client, Role.VIEWER)
    assert (await ask(client, "POST", "", data={"size": "1"})).status_code == 403
    await log_in(client, Role.OPERATOR)
    mine = await begun(client, CONTENT, "in/mine.txt")
    folder = client.platform.settings.work_folder / "console-uploads" / mine["id"]
    assert folder.is_dir()
    token = token_in(await client.get("/console/login"))
    gone = await client.post(f"{MAIN}/uploads/{mine['id']}/cancel", data={"form_token": token})
    assert gone.headers["location"] == MAIN
    assert not folder.exists()


async def test_an_old_upload_that_is_being_ended_is_not_swept_by_another_page(client, monkeypatch):
    project = await client.platform.library.project("slow")
    base = f"/console/videos/projects/{project.id}"
    made = (await ask(client, "POST", "", base=base, data={"name": "a.mp4", "size": "9"})).json()
    folder = client.platform.settings.work_folder / "console-uploads" / made["id"]
    session = client.site.uploads._read(made["id"])
    monkeypatch.setattr(client.site.uploads, "_age", timedelta(0))
    with client.site.uploads.ending(session):
        end = await ask(client, "POST", f"/{made['id']}/end", base=base)
        assert end.status_code == 409
        assert "ended already" in end.json()["detail"]
        await begun(client, b"x", "in/meanwhile.txt")
        assert folder.is_dir()
    await begun(client, b"x", "in/later.txt")
    assert not folder.exists()


async def test_a_video_in_parts_is_ingested_and_what_is_none_is_not_kept(client, tmp_path):
    project = await client.platform.library.project("yard")
    base = f"/console/videos/projects/{project.id}"
    work = client.platform.settings.work_folder / "console-uploads"
    for content, status in ((film(tmp_path / "a.mp4", frames=20).read_bytes(), 200), (b"no", 422)):
        data = {"name": "a.mp4", "size": str(len(content))}
        made = (await ask(client, "POST", "", base=base, data=data)).json()
        for number in range(1, made["count"] + 1):
            path = f"/{made['id']}/parts/{number}"
            await ask(client, "PUT", path, base=base, content=part_of(content, number))
        ended = await ask(client, "POST", f"/{made['id']}/end", base=base)
        assert ended.status_code == status, ended.text
    assert not (work / made["id"]).exists()
    (video,) = await client.platform.library.videos.find()
    assert video.filename == "a.mp4"
    assert (await ask(client, "POST", "", base=base, data={"size": "0"})).status_code == 400
