"""Reviewing over HTTP: results by time, the queue, saved clips and links to them, cases."""

import json
import zipfile
from io import BytesIO
from uuid import UUID, uuid4

import httpx
import pytest

from cli.program import here
from holdfast.access import Role
from holdfast.audit import SignerKey
from holdfast.errors import IntegrityError
from holdfast.media.probe import probe
from holdfast.media.review.case_verification import verify_case
from holdfast.settings import Settings
from holdfast.web.platform_application import create_application
from holdfast.web.serve_options import ServeOptions
from http_serving import served
from media.films import film
from web.conftest import bearing, keys_of, platform_client


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    """A client of a server that works, with a film that was looked at."""
    folder = tmp_path_factory.mktemp("review")
    settings = Settings(data=folder / "data")
    path = film(folder / "gate.mp4", frames=75)
    with served(create_application(settings, ServeOptions(work=True))) as url:
        with httpx.Client(base_url=f"{url}/api/v1", timeout=120) as client:
            client.project = client.post("/projects", json={"name": "Gate"}).json()["id"]
            with path.open("rb") as file:
                came = client.post(f"/projects/{client.project}/videos", files={"file": file})
            client.video = came.json()["video"]["id"]
            done = finish(client, came.json()["video"]["job_id"])
            assert done["status"] == "succeeded", done
            yield client


def finish(client, job):
    """Wait for the end of *job*, by its events, and return it."""
    with client.stream("GET", f"/jobs/{job}/events") as events:
        for _line in events.iter_lines():
            pass
    return client.get(f"/jobs/{job}").json()


def test_boxes_are_those_of_the_frames_that_are_asked_for(client):
    url = f"/videos/{client.video}/detections"
    whole = client.get(url, params={"since": 0, "until": 10}).json()
    rows = [json.loads(line) for line in _stored_lines(client)]
    assert whole["frame"] == [row["frame"] for row in rows]
    assert whole["time"] == [row["time"] for row in rows]
    frame = whole["frame"][10]
    part = client.get(url, params={"since": frame / 25, "until": (frame + 1) / 25}).json()
    assert set(part["frame"]) == {frame}
    assert part["until"] == (frame + 1) / 25
    for wrong in ({"since": 2, "until": 1}, {"since": "nan", "until": 2}, {"since": 0}):
        assert client.get(url, params=wrong).status_code == 422, wrong
    missing = client.get(f"/videos/{uuid4()}/detections", params={"since": 0, "until": 1})
    assert missing.status_code == 404


def _stored_lines(client):
    import zstandard  # noqa: PLC0415

    packed = client.get(f"/videos/{client.video}/files/results/detections.jsonl.zst").content
    return zstandard.ZstdDecompressor().stream_reader(packed).read().splitlines()


def test_the_timeline_tracks_and_strip_are_those_of_the_detection(client):
    activity = client.get(f"/videos/{client.video}/activity").json()
    boxes = client.get(f"/videos/{client.video}/detections", params={"since": 0, "until": 9}).json()
    assert sum(activity["labels"][0]["detections"]) == len(boxes["frame"])
    tracks = client.get(f"/videos/{client.video}/tracks", params={"direction": "right"}).json()
    assert [each["direction"] for each in tracks["items"]] == ["right"]
    assert tracks["next"] is None
    left = client.get(f"/videos/{client.video}/tracks", params={"direction": "left"}).json()
    assert left["items"] == []
    portrait = client.get(
        f"/videos/{client.video}/files/frames/track-{tracks['items'][0]['id']}.jpg"
    )
    assert portrait.headers["Content-Type"] == "image/jpeg"
    strip = client.get(f"/videos/{client.video}").json()["summary"]["strip"]
    assert (strip["interval"], strip["pictures"], strip["columns"]) == (1.0, 3, 3)
    sheet = client.get(f"/videos/{client.video}/files/frames/strip.jpg")
    assert sheet.headers["Content-Type"] == "image/jpeg"


def test_a_region_is_searched_without_a_picture_decoded(client):
    url = f"/videos/{client.video}/region-search"
    boxes = client.get(f"/videos/{client.video}/detections", params={"since": 0, "until": 9}).json()
    middles = [x + width / 2 for x, width in zip(boxes["x"], boxes["width"], strict=True)]
    times = [time for time, x in zip(boxes["time"], middles, strict=True) if 80.05 <= x < 120.05]
    right = [[80.05, 0], [120.05, 0], [120.05, 120], [80.05, 120]]
    found = client.post(url, json={"points": right}).json()
    assert [(each[0], each[1]) for each in found["moments"]] == [(times[0], times[-1])]
    assert found["complete"] is True
    nothing = client.post(url, json={"points": right, "label": "dragon"}).json()
    assert nothing["moments"] == []
    for wrong in ([[0, 0], [1, 1]], [[0, 0]] * 3, [[0, 0]] * 65, [[0, 0], [1, 0], [0, 1e9]]):
        assert client.post(url, json={"points": wrong}).status_code == 422, wrong


def test_a_segment_is_seen_marked_and_noted_by_each_reviewer_for_himself(client):
    url = f"/videos/{client.video}/segments"
    (segment,) = client.get(url).json()["items"]
    assert (segment["number"], segment["seen"], segment["note"]) == (1, False, None)
    assert client.get(f"{url}/unseen").json()["number"] == 1
    said = client.put(f"{url}/1/review", json={"seen": True, "note": " a white square "}).json()
    assert (said["seen"], said["marked"], said["note"]) == (True, False, "a white square")
    said = client.put(f"{url}/1/review", json={"marked": True}).json()
    assert (said["seen"], said["marked"], said["note"]) == (True, True, "a white square")
    assert client.get(f"{url}/unseen").json() is None
    said = client.put(f"{url}/1/review", json={"seen": False, "note": ""}).json()
    assert (said["seen"], said["marked"], said["note"]) == (False, True, None)
    assert client.put(f"{url}/9/review", json={"seen": True}).status_code == 404
    assert client.put(f"{url}/1/review", json={"seen": True, "by": "x"}).status_code == 422


@pytest.fixture(scope="module")
def saved(client):
    """A clip of frames 20 to 44 that was saved and exported."""
    asked = {"name": "The square", "start_time": 0.8, "end_time": 1.8}
    made = client.post(f"/videos/{client.video}/saved-clips", json=asked)
    assert made.status_code == 201, made.text
    clip = made.json()["id"]
    early = client.post(f"/saved-clips/{clip}/shares", json={})
    assert early.status_code == 409
    job = client.post(f"/saved-clips/{clip}/export").json()
    assert finish(client, job)["status"] == "succeeded"
    return clip


def test_a_clip_is_saved_exported_to_the_frame_and_shared_by_a_link(client, saved, tmp_path):
    content = client.get(f"/saved-clips/{saved}/content")
    path = tmp_path / "clip.mp4"
    path.write_bytes(content.content)
    assert probe(path).frames == 25
    twice = {"name": "The square", "start_time": 0, "end_time": 1}
    assert client.post(f"/videos/{client.video}/saved-clips", json=twice).status_code == 409
    for start, end in ((1, 1), (2, 1), (500, 501), (0, 4000)):
        wrong = {"name": "x", "start_time": start, "end_time": end}
        answer = client.post(f"/videos/{client.video}/saved-clips", json=wrong)
        assert answer.status_code == 422, wrong
    named = client.patch(f"/saved-clips/{saved}", json={"name": "Square"})
    assert named.json()["name"] == "Square"
    link = client.post(f"/saved-clips/{saved}/shares", json={"seconds": 60}).json()
    path = link["url"].removeprefix("/api/v1")
    shared = client.get(path, headers={"Range": "bytes=0-3"})
    assert (shared.status_code, shared.content) == (206, content.content[:4])
    assert client.get(f"{path[:-1]}{'A' if path[-1] != 'A' else 'B'}").status_code == 404
    assert client.post(f"/saved-clips/{saved}/shares", json={"seconds": 10**7}).status_code == 422
    assert client.delete(f"/saved-clips/{saved}/shares").status_code == 204
    assert client.get(path).status_code == 404


def test_another_detection_leaves_saved_clips_and_reviews(client, saved):
    client.put(f"/videos/{client.video}/segments/1/review", json={"note": "kept"})
    job = client.post(f"/videos/{client.video}/detection", json={}).json()
    assert finish(client, job)["status"] == "succeeded"
    assert client.get(f"/saved-clips/{saved}/content").status_code == 200
    (segment,) = client.get(f"/videos/{client.video}/segments").json()["items"]
    assert segment["note"] == "kept"


@pytest.fixture(scope="module")
def archive(client, saved, tmp_path_factory):
    case = client.post(f"/projects/{client.project}/cases", json={"title": "17/26"}).json()["id"]
    for item in (
        {"kind": "clip", "saved_clip_id": saved, "text": "from left to right"},
        {"kind": "detections", "video_id": client.video, "start_time": 0.5, "end_time": 1.5},
        {"kind": "note", "text": "=cmd|x <b>"},
    ):
        added = client.post(f"/cases/{case}/items", json=item)
        assert added.status_code == 201, added.text
    sent = client.post(f"/cases/{case}/archive")
    assert sent.status_code == 200
    path = tmp_path_factory.mktemp("cases") / "case.zip"
    path.write_bytes(sent.content)
    return path


def test_a_case_goes_out_as_one_archive_that_proves_itself(client, saved, archive):
    found = verify_case(archive)
    assert found.findings == []
    assert (found.files, found.anchored) == (3, True)
    assert found.entries >= 6  # the case, its three items, the clip, the video, the archive
    with zipfile.ZipFile(archive) as content:
        (clip,) = [name for name in content.namelist() if name.startswith("clips/")]
        assert content.read(clip) == client.get(f"/saved-clips/{saved}/content").content
        (rows,) = [name for name in content.namelist() if name.startswith("detections/")]
        times = [float(line.split(",")[1]) for line in content.read(rows).decode().split()[1:]]
        wanted = {"since": 0.5, "until": 1.5}
        assert (
            times == client.get(f"/videos/{client.video}/detections", params=wanted).json()["time"]
        )
        told = json.loads(content.read("case.json"))
        assert [each["kind"] for each in told["items"]] == ["clip", "detections", "note"]
    used = client.delete(f"/saved-clips/{saved}")
    assert used.status_code == 409
    assert client.delete(f"/videos/{client.video}").status_code == 409


def test_the_command_line_verifies_an_archive_without_a_server(archive, tmp_path):
    good = here("cases", "verify", str(archive), "--json")
    assert (good.code, good.json["ok"], good.json["anchored"]) == (0, True, True)
    key = good.json["key"]
    assert here("cases", "verify", str(archive), "--key", key).code == 0
    bad = here("cases", "verify", str(rewritten(archive, tmp_path / "case.zip", _flip("clips/"))))
    assert bad.code == 6
    assert "was changed" in bad.err
    other = str(SignerKey.generate("holdfast-audit").verifier)
    assert here("cases", "verify", str(archive), "--key", other).code == 6


def rewritten(archive, target, change):
    """The archive with *change* made to its files, a dict of bytes by name."""
    with zipfile.ZipFile(archive) as source:
        files = {name: source.read(name) for name in source.namelist()}
    change(files)
    with zipfile.ZipFile(target, "w") as made:
        for name, content in files.items():
            made.writestr(name, content)
    return target


def _flip(name):
    def change(files):
        (found,) = [each for each in files if each.startswith(name)]
        files[found] = files[found][:-3] + bytes([files[found][-3] ^ 1]) + files[found][-2:]

    return change


def _flip_with_its_sum(files):
    import hashlib  # noqa: PLC0415

    _flip("case.json")(files)
    lines = files["SHA256SUMS"].decode().splitlines()
    digest = hashlib.sha256(files["case.json"]).hexdigest()
    lines = [f"{digest}  case.json" if line.endswith("case.json") else line for line in lines]
    files["SHA256SUMS"] = ("\n".join(lines) + "\n").encode()


@pytest.mark.parametrize(
    ("change", "finding"),
    [
        (_flip("clips/"), "was changed"),
        (lambda files: files.pop("case.json"), "is missing"),
        (lambda files: files.update({"extra.txt": b"x"}), "has no checksum"),
        (_flip_with_its_sum, "no entry of this archive"),
        (_flip("audit/entries.jsonl"), "line"),
    ],
)
def test_an_archive_that_was_changed_is_found_out(archive, tmp_path, change, finding):
    found = verify_case(rewritten(archive, tmp_path / "case.zip", change))
    assert any(finding in each for each in found.findings), found.findings


def test_what_is_no_archive_is_said_to_be_none(tmp_path):
    (tmp_path / "x.zip").write_bytes(b"x" * 100)
    with pytest.raises(IntegrityError):
        verify_case(tmp_path / "x.zip")
    empty = BytesIO()
    zipfile.ZipFile(empty, "w").close()
    (tmp_path / "x.zip").write_bytes(empty.getvalue())
    with pytest.raises(IntegrityError):
        verify_case(tmp_path / "x.zip")


async def test_who_is_limited_to_a_project_reviews_nothing_of_another(tmp_path):
    settings = Settings(data=tmp_path / "data", storage={"type": "memory"}, bucket="memory://")
    async with platform_client(settings) as api:
        mine = (await api.post("/api/v1/projects", json={"name": "A"})).json()["id"]
        other = (await api.post("/api/v1/projects", json={"name": "B"})).json()["id"]
        content = film(tmp_path / "a.mp4", frames=30).read_bytes()
        files = {"file": ("a.mp4", content, "video/mp4")}
        video = (await api.post(f"/api/v1/projects/{other}/videos", files=files)).json()["video"]
        case = await api.post(f"/api/v1/projects/{other}/cases", json={"title": "B"})
        url = f"/api/v1/videos/{video['id']}"
        asked = {"name": "x", "start_time": 0, "end_time": 1}
        clip = (await api.post(f"{url}/saved-clips", json=asked)).json()["id"]
        limited = await keys_of(api).issue("limited", Role.OPERATOR, projects=[UUID(mine)])
        key = bearing(limited.secret)
        region = {"points": [[0, 0], [9, 0], [9, 9]]}
        for method, path, body in (
            ("GET", f"{url}/detections?since=0&until=1", None),
            ("GET", f"{url}/activity", None),
            ("GET", f"{url}/tracks", None),
            ("POST", f"{url}/region-search", region),
            ("GET", f"{url}/segments", None),
            ("PUT", f"{url}/segments/1/review", {"seen": True}),
            ("GET", f"{url}/saved-clips", None),
            ("POST", f"{url}/saved-clips", asked),
            ("POST", f"/api/v1/saved-clips/{clip}/export", None),
            ("DELETE", f"/api/v1/saved-clips/{clip}", None),
            ("GET", f"/api/v1/projects/{other}/cases", None),
            ("GET", f"/api/v1/cases/{case.json()['id']}", None),
            ("POST", f"/api/v1/cases/{case.json()['id']}/archive", None),
        ):
            answer = await api.request(method, path, json=body, headers=key)
            assert answer.status_code == 404, (method, path, answer.text)
        own = await api.post(f"/api/v1/projects/{mine}/cases", json={"title": "A"}, headers=key)
        item = {"kind": "detections", "video_id": video["id"], "start_time": 0, "end_time": 1}
        added = await api.post(f"/api/v1/cases/{own.json()['id']}/items", json=item, headers=key)
        assert added.status_code == 404
