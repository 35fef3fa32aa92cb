"""The button beside a notice that takes back what was just done, as a form without a script."""

import html
import re

import pytest

from console.conftest import console_client, log_in, send
from console.console_entities import DEPOTS, Depot
from holdfast.access import Role
from holdfast.jobs import Worker
from holdfast.media import Project
from holdfast.media.review.review_entities import SavedClip
from holdfast.media.review.saved_clips import SavedClips
from holdfast.models import ModelRegistry, VersionDetails
from media.films import film


@pytest.fixture(scope="module")
async def client(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undo")
    own = {"bucket": f"file://{folder}/objects", "objects": {"versioning": True}}
    async with console_client(folder / "data", domains=[DEPOTS], **own) as client:
        client.projects = client.platform.store.repository(Project)
        client.depots = client.platform.store.repository(Depot)
        yield client


async def undo_after(client, answer):
    """Return the address and the fields of the undo on the page after *answer*, None for none."""
    assert answer.status_code == 303, answer.text
    page = await client.get(answer.headers["location"])
    notices = page.text[page.text.index('id="notices"') :].partition("</div>")[0]
    form = re.search(r'method="post" action="([^"]+)"', notices)
    if form is None:
        return None
    assert "Undo</button>" in notices
    fields = re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', notices)
    return html.unescape(form[1]), {name: html.unescape(value) for name, value in fields}


async def undone(client, answer):
    """Send the undo on the page after *answer*, and return its own answer."""
    url, fields = await undo_after(client, answer)
    return await client.post(url, data=fields)


async def test_a_deleted_record_comes_back_as_it_was(client):
    project = await client.projects.add(Project(name="gate <b>", description="from the north"))
    path = f"/console/records/projects/delete?_key={project.id}"
    gone = await send(client, path, version=str(project.version))
    assert await client.projects.get(project.id) is None
    back = await undone(client, gone)
    assert back.headers["location"] == f"/console/records/projects/row?_key={project.id}"
    restored = await client.projects.get_one(project.id)
    assert (restored.name, restored.description) == ("gate <b>", "from the north")


async def test_no_undo_is_offered_that_could_not_bring_all_back(client):
    depot = await client.depots.add(Depot(name="north", secret="hush"))
    path = f"/console/records/depots/delete?_key={depot.id}"
    gone = await send(client, path, version=str(depot.version))
    assert await client.depots.get(depot.id) is None
    assert await undo_after(client, gone) is None, "the audit never held the secret"
    again = await send(client, path, version=str(depot.version))
    assert await undo_after(client, again) is None, "it was gone already"


async def test_a_change_is_taken_back_unless_somebody_wrote_since(client):
    depot = await client.depots.add(Depot(name="south", note="first", size=3))
    path = f"/console/records/depots/edit?_key={depot.id}"

    async def changed(note):
        now = await client.depots.get_one(depot.id)
        fields = {"b.note": now.note, "f.note": note, "version": str(now.version)}
        return await send(client, path, **fields)

    back = await undone(client, await changed("second"))
    assert back.status_code == 303, back.text
    assert (await client.depots.get_one(depot.id)).note == "first"
    url, fields = await undo_after(client, await changed("third"))
    await client.depots.patch(depot.id, Depot.note.to("theirs"))
    contested = await client.post(url, data=fields)
    assert contested.status_code == 409
    assert "Somebody else wrote first" in contested.text
    assert (await client.depots.get_one(depot.id)).note == "theirs"


async def test_an_undo_of_too_many_words_is_left_out_and_the_notice_stays(client):
    depot = await client.depots.add(Depot(name="long", note="w" * 4_000))
    path = f"/console/records/depots/edit?_key={depot.id}"
    fields = {"b.note": "w" * 4_000, "f.note": "short", "version": str(depot.version)}
    answer = await send(client, path, **fields)
    assert len(answer.headers["set-cookie"]) < 4_096
    page = await client.get(answer.headers["location"])
    assert '<p class="notice good">long was saved.</p>' in page.text
    assert "Undo</button>" not in page.text


async def test_a_moved_alias_goes_back_if_it_points_there_still(client, tmp_path):
    registry = client.platform.service(ModelRegistry)
    for number in (1, 2, 3):
        (tmp_path / "weights.bin").write_bytes(bytes([number]) * 10)
        await registry.register("cars", tmp_path / "weights.bin", VersionDetails())
    aliases = "/console/models/cars/aliases"
    first = await send(client, aliases, alias="prod", number="1")
    assert await undo_after(client, first) is None, "it pointed at nothing before"
    back = await undone(client, await send(client, aliases, alias="prod", number="2"))
    assert back.status_code == 303, back.text
    assert (await registry.resolve("cars@prod")).number == 1
    url, fields = await undo_after(client, await send(client, aliases, alias="prod", number="2"))
    await registry.promote(await registry.resolve("cars:3"), "prod")
    assert (await client.post(url, data=fields)).status_code == 412
    assert (await registry.resolve("cars@prod")).number == 3


async def test_a_deleted_clip_is_saved_again_with_its_file(client, tmp_path):
    library = client.platform.library
    came = await library.ingest(film(tmp_path / "gate.mp4", frames=75), project="clips")
    worker = Worker(client.platform.jobs, client.platform.handlers)
    await worker.run(until="idle")
    video = await library.videos.get_one(came.video.id)
    saved = SavedClips(library)
    clip = await saved.make(video, 'a "crossing"', 0.1 + 0.2, 1.5, by="ann")
    await saved.export(clip)
    await worker.run(until="idle")
    gone = await send(client, f"/console/videos/clips/{clip.id}/delete")
    assert await saved.of_video(video.id) == []
    assert (await undone(client, gone)).status_code == 303
    await worker.run(until="idle")
    again = await saved.clips.one(SavedClip.video_id == video.id)
    assert (again.name, again.start_time, again.end_time) == (clip.name, 0.1 + 0.2, 1.5)
    assert again.key is not None, "its file was made again"


async def test_a_removed_object_is_restored_where_versions_are_kept(client, tmp_path):
    await client.platform.bucket.put("notes/a b.txt", b"kept")
    path = "/console/buckets/main/delete?key=notes/a b.txt"
    gone = await send(client, path)
    assert not await client.platform.bucket.exists("notes/a b.txt")
    assert (await undone(client, gone)).status_code == 303
    assert await client.platform.bucket.get("notes/a b.txt") == b"kept"
    async with console_client(tmp_path) as plain:
        await plain.platform.bucket.put("notes/a b.txt", b"gone")
        assert await undo_after(plain, await send(plain, path)) is None


async def test_an_undo_asks_for_the_role_and_the_token_of_its_own_route(client, tmp_path):
    async with console_client(tmp_path, keys=True) as guarded:
        await log_in(guarded, Role.OPERATOR)
        projects = guarded.platform.store.repository(Project)
        project = await projects.add(Project(name="guarded"))
        path = f"/console/records/projects/delete?_key={project.id}"
        url, fields = await undo_after(
            guarded, await send(guarded, path, version=str(project.version))
        )
        forged = {**fields, "form_token": "0" * 64}
        assert (await guarded.post(url, data=forged)).status_code == 403
        await log_in(guarded, Role.VIEWER)
        del fields["form_token"]
        assert (await send(guarded, url, **fields)).status_code == 403
        assert await projects.get(project.id) is None
