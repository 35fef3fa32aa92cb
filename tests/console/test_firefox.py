"""The console in Firefox: login, upload, a video with boxes, the keyboard alone, no JavaScript."""

import json

import httpx
import pytest
from tools.browser import FIREFOX_NAMES
from tools.browser import firefox as firefox_installed

from console.conftest import SQUARE
from console.firefox import firefox
from holdfast.settings import Settings
from holdfast.web.platform_application import create_application
from holdfast.web.serve_options import ServeOptions
from http_serving import served
from media.films import film
from servers import absent


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Yield a client of a server with a film that was looked at, `video`, and a reader's `key`."""
    folder = tmp_path_factory.mktemp("site")
    app = create_application(Settings(data=folder / "data"), ServeOptions(work=True))
    with served(app, ws="none") as url, httpx.Client(base_url=f"{url}/api/v1", timeout=120) as site:
        project = site.post("/projects", json={"name": "Gate"}).json()["id"]
        path = film(folder / "gate.webm", frames=45, codec="libvpx-vp9")
        with path.open("rb") as file:
            came = site.post(f"/projects/{project}/videos", files={"file": file}).json()
        with site.stream("GET", f"/jobs/{came['video']['job_id']}/events") as events:
            assert "succeeded" in "".join(events.iter_lines())
        key = site.post("/keys", json={"name": "the reader", "role": "operator"})
        site.console, site.video, site.key = f"{url}/console/", came["video"]["id"], key.json()
        yield site


@pytest.fixture(scope="module")
def program():
    found = firefox_installed()
    if found is None:
        absent(f"none of {', '.join(FIREFOX_NAMES)} is installed: make browser")
    return found


@pytest.fixture(scope="module")
def page(program, tmp_path_factory):
    with firefox(program, tmp_path_factory.mktemp("firefox") / "profile") as found:
        yield found


@pytest.fixture(scope="module")
def plain(program, tmp_path_factory):
    """Yield a Firefox that runs no JavaScript."""
    profile = tmp_path_factory.mktemp("firefox") / "plain"
    with firefox(program, profile, script=False) as found:
        yield found


def test_a_reader_logs_in_by_key_and_out(site, page):
    page.open(f"{site.console}login")
    page.fill("#key", site.key["secret"])
    page.press("Enter")
    page.until(lambda: page.url == site.console, "the overview")
    assert "the reader" in page.text(".caller")
    page.click(page.one('form[action="/console/logout"] button'))
    page.one("main")
    page.open(f"{site.console}login")
    assert page.run("return document.querySelector('#key') !== null")


def test_a_file_goes_up_with_progress_and_is_listed(site, page, tmp_path):
    (tmp_path / "north.bin").write_bytes(b"n" * 100_000)
    page.open(f"{site.console}buckets/main?prefix=films/")
    page.fill("#upload input[type=file]", tmp_path / "north.bin")
    page.click(page.one("#upload button"))
    page.until(lambda: "is in" in page.text("#uploads"), "the upload")
    page.open(f"{site.console}buckets/main?prefix=films/")
    page.click(page.linked("north.bin"))
    page.until(lambda: "key=films" in page.url, "the object's page")
    raw = f"{site.console}buckets/main/raw?key=films/north.bin"
    assert httpx.get(raw).content == b"n" * 100_000


def test_the_boxes_are_those_of_the_frame_that_is_shown_at_any_seek(site, page):
    page.open(f"{site.console}videos/{site.video}?frame=20")
    for frame in (20, 34, 12):
        if frame != 20:
            page.press("g")
            for letter in f"{frame}f":
                page.press(letter)
            page.press("Enter")
        page.one(f'#overlay[data-frame="{frame}"]')
        boxes = json.loads(page.run("return document.getElementById('overlay').dataset.boxes"))
        ((of_frame, _track, x, _y, width, _height),) = boxes
        assert of_frame == frame
        left, right = page.run(f"return ({SQUARE})()")
        assert left == pytest.approx(4 * frame - 30, abs=1.5)
        assert (x, x + width) == (pytest.approx(left, abs=6), pytest.approx(right + 1, abs=6))


def test_the_keyboard_alone_finds_a_page_and_opens_it(site, page):
    page.open(f"{site.console}records")
    page.press("Tab")
    assert page.run("return document.activeElement.textContent") == "Skip to the content"
    page.press("Control", "k")
    page.until(lambda: page.run("return document.activeElement.type === 'search'"), "the field")
    for letter in "sett":
        page.press(letter)
    chosen = "document.querySelector('#palette-found a[aria-selected=true]')?.textContent ?? ''"
    page.until(lambda: "Settings" in page.run(f"return {chosen}"), "the page that was named")
    page.press("Enter")
    page.until(lambda: page.url == f"{site.console}settings", "the settings")


def test_without_javascript_a_record_is_made_and_a_video_shows_its_boxes(site, plain):
    plain.open(f"{site.console}records/projects/new")
    plain.fill("input[name='f.name']", "without a script")
    plain.click(plain.one("main form button:not([type=button])"))
    plain.until(lambda: plain.all("[role=status]"), "what was said")
    assert "without a script was added." in plain.text("[role=status]")
    plain.open(f"{site.console}videos/{site.video}?frame=20")
    assert "moving" in plain.text("#boxes-table")
