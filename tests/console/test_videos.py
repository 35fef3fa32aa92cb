"""The pages of videos: what they show without a script, what their forms do, who may."""

import html
import re
import zipfile
from io import BytesIO

import pytest

from console.conftest import console_client, log_in, send, token_in
from holdfast.access import Role
from holdfast.jobs import Worker
from holdfast.media import Project, Video
from holdfast.media.review.review_entities import ReviewCase, SavedClip
from holdfast.uuid7 import uuid7
from media.films import film

HOSTILE = "\"><script>alert(1)</script>'{{7*7}}"


@pytest.fixture(scope="module")
async def looked_at(tmp_path_factory):
    """Yield a client of a console with a film of a hostile name that was looked at."""
    folder = tmp_path_factory.mktemp("videos")
    async with console_client(folder / "data") as client:
        library = client.platform.library
        path = film(folder / "gate.mp4", frames=75)
        came = await library.ingest(path, project=HOSTILE)
        await Worker(client.platform.jobs, client.platform.handlers).run(until="idle")
        await library.videos.patch(came.video.id, Video.filename.to(f"{HOSTILE}.mp4"))
        client.video = came.video.id
        client.path = path
        yield client


async def page_of(client, query=""):
    found = await client.get(f"/console/videos/{client.video}{query}")
    assert found.status_code == 200, found.text
    return found.text


async def test_the_page_of_a_video_says_all_without_a_script(looked_at):
    text = await page_of(looked_at, "?frame=30")
    assert "<script>alert" not in text
    assert re.search(r'<video[^>]* src="[^"]*/content#t=1.220"', text)
    assert 'class="segment"' in text
    assert "0 of 1 seen" in text
    boxes = text[text.index('id="boxes-table"') :]
    assert re.search(r"<td>moving</td>", boxes)
    assert "/tracks/1/portrait" in text
    none = await page_of(looked_at, "?direction=left&label=&least_speed=")
    assert "No track is like that" in none
    assert 'id="boxes-table" hidden' in await page_of(looked_at, "?t=0")


async def test_a_time_behind_the_end_is_the_end(looked_at):
    text = await page_of(looked_at, "?t=3000")
    assert re.search(r'name="start_time"[^>]* value="3\.000"', text)
    assert re.search(r'name="end_time"[^>]* value="3\.000"', text)


async def test_a_region_in_the_address_gives_its_moments(looked_at):
    everywhere = await page_of(looked_at, "?region=0,0+160,0+160,120+0,120")
    assert re.search(r'class="moments"><li><a href="[^"]*t=0\.\d+', everywhere)
    nowhere = await page_of(looked_at, "?region=0,100+5,100+5,119")
    assert "<p>Nothing.</p>" in nowhere
    for wrong in ("0,0", "a,b+c,d+e,f", "0,0+0,0+0,0", "nan,0+1,0+1,1"):
        assert "The region can&#39;t be searched" in await page_of(looked_at, f"?region={wrong}")


async def test_the_list_shows_videos_by_project_and_name(looked_at):
    listed = (await looked_at.get("/console/videos")).text
    assert f"/console/videos/{looked_at.video}" in listed
    assert "<script>alert" not in listed
    assert "0 of 1 seen" in listed
    other = (await looked_at.get("/console/videos", params={"name": "nothing like it"})).text
    assert "No video has that in its name" in other
    made = await send(looked_at, "/console/videos/projects", name="Yard")
    yard = (await looked_at.get(made.headers["location"])).text
    assert "No videos yet" in yard
    assert 'id="upload"' in yard


async def test_a_file_of_a_form_is_brought_in_once(looked_at, tmp_path):
    library = looked_at.platform.library
    project = await library.projects.one(Project.name == HOSTILE)
    url = f"/console/videos/projects/{project.id}/upload"
    token = token_in(await looked_at.get("/console/login"))
    content = film(tmp_path / "b.mp4", frames=20).read_bytes()

    def sent(name, body):
        return looked_at.post(
            url, data={"form_token": token}, files={"file": (name, body, "video/mp4")}
        )

    came = await sent("../b.mp4", content)
    assert came.status_code == 303
    video = await library.videos.one(Video.filename == "b.mp4")
    assert came.headers["location"] == f"/console/videos/{video.id}"
    again = await sent("c.mp4", content)
    assert again.headers["location"] == came.headers["location"]
    assert (await sent("c.mp4", b"no film" * 99)).status_code == 422
    assert list(looked_at.platform.settings.work_folder.iterdir()) == []
    forged = await looked_at.post(url, files={"file": ("d.mp4", content, "video/mp4")})
    assert forged.status_code == 403
    waits = (await looked_at.get(f"/console/videos/{video.id}")).text
    assert "It is being looked at" in waits
    gone = await send(looked_at, f"/console/videos/{video.id}/delete")
    assert gone.status_code == 303
    assert await library.videos.get(video.id) is None


async def test_reviews_clips_and_cases_are_made_by_forms_alone(looked_at):
    own = f"/console/videos/{looked_at.video}"
    await send(looked_at, f"{own}/segments/1", seen="yes")
    await send(looked_at, f"{own}/segments/1", note="<b>a square</b>")
    text = await page_of(looked_at)
    assert 'class="segment seen"' in text
    assert "&lt;b&gt;a square&lt;/b&gt;" in text
    refused = await send(looked_at, f"{own}/clips", name="x", start_time="a", end_time="2")
    assert refused.status_code == 303
    await send(
        looked_at, f"{own}/clips", name=HOSTILE, start_time="0.4", end_time="1.4", export="y"
    )
    clips = looked_at.platform.store.repository(SavedClip)
    clip = await clips.one(SavedClip.name == HOSTILE)
    assert "exporting" in await page_of(looked_at)
    await Worker(looked_at.platform.jobs, looked_at.platform.handlers).run(until="idle")
    assert (await clips.get_one(clip.id)).key is not None
    shared = await send(looked_at, f"/console/videos/clips/{clip.id}/share")
    said = await looked_at.get(shared.headers["location"])
    link = re.search(r"/console/videos/data/shared-clips/[\w-]+", said.text)[0]
    assert (await looked_at.get(link)).headers["Content-Type"] == "video/mp4"
    project = (await looked_at.platform.library.videos.get_one(looked_at.video)).project_id
    opened = await send(looked_at, "/console/videos/cases", project=str(project), title=HOSTILE)
    case = await looked_at.platform.store.repository(ReviewCase).one(
        ReviewCase.project_id == project
    )
    assert opened.headers["location"] == f"/console/videos/cases/{case.id}"
    await send(looked_at, "/console/videos/cases/add", case=str(case.id), clip=str(clip.id))
    items = f"/console/videos/cases/{case.id}/items"
    await send(looked_at, items, text="a note")
    fields = {"video": str(looked_at.video), "start_time": "0", "end_time": "2"}
    await send(looked_at, items, **fields)
    shown = (await looked_at.get(f"/console/videos/cases/{case.id}")).text
    assert shown.count("Take out") == 3
    assert "<script>alert" not in shown
    archive = await send(looked_at, f"/console/videos/cases/{case.id}/archive")
    names = zipfile.ZipFile(BytesIO(archive.content)).namelist()
    assert {"SHA256SUMS", "case.json", "audit/entries.jsonl"} <= set(names)
    kept = await send(looked_at, f"/console/videos/clips/{clip.id}/delete")
    assert kept.status_code == 303
    assert await clips.get(clip.id) is not None, "a case has it"


async def test_a_part_of_a_name_is_looked_for_in_bounded_pieces_of_all_videos(
    tmp_path, monkeypatch
):
    monkeypatch.setattr("holdfast.console.bounded_look.LOOKED_THROUGH", 3)
    asked = []
    async with console_client(tmp_path) as client:
        library = client.platform.library
        came = await library.ingest(film(tmp_path / "gate.mp4", frames=10), project="many")
        first = await library.videos.get_one(came.video.id)
        for number in range(7):
            await library.videos.add(
                Video(
                    id=uuid7(), project_id=first.project_id, filename=f"north {number}.mp4",
                    sha256=f"{number:064x}", size=1, container="mp4", codec="h264", duration=1.0,
                    frames=25, rate_numerator=25, rate_denominator=1, width=16, height=16,
                    has_audio=False, raw_key="none", thumbnail_key="none",
                )
            )  # fmt: skip
        path, shown = "/console/videos?name=GATE", ""
        while "gate.mp4</bdi>" not in shown:
            shown = (await client.get(path)).text
            asked.append(path)
            assert "north" not in shown
            further = re.search(r'href="([^"]+)">Look among those before', shown)
            assert (further is None) == ("gate.mp4</bdi>" in shown)
            path = html.unescape(further[1]) if further else ""
        assert len(asked) == 3, "eight videos, three of them a page"
        plain = (await client.get("/console/videos?name=north 5")).text
        assert "north 5.mp4</bdi>" in plain
        everywhere = await client.get("/console/videos?project=&name=north 5")
        assert everywhere.status_code == 200, "as the form sends it where all projects are chosen"
        none = (await client.get("/console/videos?name=south")).text
        assert "Not among the newest of them" in none
        assert "Look among" not in (await client.get("/console/videos")).text


async def test_another_detection_is_asked_for_with_what_was_drawn(looked_at):
    url = f"/console/videos/{looked_at.video}/detection"
    library = looked_at.platform.library
    before = (await library.videos.get_one(looked_at.video)).job_id
    for wrong in ("{", "[]", '{"lines": 3}', '{"line": []}'):
        await send(looked_at, url, options=wrong)
        assert (await library.videos.get_one(looked_at.video)).job_id == before, wrong
    await send(
        looked_at, url, options='{"lines": [{"name": "a", "start": [9, 9], "end": [90, 9]}]}'
    )
    job = (await library.videos.get_one(looked_at.video)).job_id
    assert job != before
    kept = (await looked_at.platform.jobs.get(job)).payload["options"]
    assert kept["lines"] == [{"name": "a", "start": [9.0, 9.0], "end": [90.0, 9.0]}]
    await looked_at.platform.jobs.cancel(job)


async def test_a_record_of_a_video_leads_to_its_job_and_its_many_filters_are_folded(looked_at):
    video = await looked_at.platform.library.videos.get_one(looked_at.video)
    record = (await looked_at.get(f"/console/records/videos/row?_key={video.id}")).text
    assert f'<a href="/console/jobs/{video.job_id}"><code>{video.job_id}</code></a>' in record
    assert re.search(r'by <strong><a href="/console/jobs/([0-9a-f-]+)">job \1</a>', record)
    front, folded = (await looked_at.get("/console/records/videos?codec=h264")).text.split(
        " more fields</summary>"
    )
    assert front.count('<label for="f-') < 12
    assert 'id="f-codec"' not in folded, "what is filled in stands in front"
    assert 'id="f-duration__gte"' in folded
    few = (await looked_at.get("/console/records/projects")).text
    assert "more fields" not in few


async def test_the_project_of_a_list_is_chosen_in_its_form_however_many_there_are(
    looked_at, monkeypatch
):
    monkeypatch.setattr("holdfast.console.videos.video_pages._MOST_PROJECTS", 1)
    last = await looked_at.platform.library.project("zz last")
    page = (await looked_at.get(f"/console/videos?project={last.id}")).text
    assert re.findall(r'<option value="([^"]+)" selected>', page) == [str(last.id)]


async def test_a_viewer_reviews_and_changes_nothing_else(tmp_path):
    async with console_client(tmp_path / "data", keys=True) as client:
        library = client.platform.library
        came = await library.ingest(film(tmp_path / "a.mp4", frames=20), project="A")
        other = await library.project("B")
        await log_in(client, Role.VIEWER, projects=[other.id])
        assert (await client.get(f"/console/videos/{came.video.id}")).status_code == 404
        assert str(came.video.id) not in (await client.get("/console/videos")).text
        client.cookies.clear()
        await log_in(client, Role.VIEWER)
        text = (await client.get(f"/console/videos/{came.video.id}")).text
        assert "Look again" not in text
        for path in ("detection", "delete", "clips"):
            refused = await send(client, f"/console/videos/{came.video.id}/{path}", name="x")
            assert refused.status_code == 403, path
