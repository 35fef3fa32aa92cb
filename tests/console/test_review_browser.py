"""Reviewing in a browser: boxes on their own frame, by keyboard alone, with memory flat."""

import json
from io import BytesIO

import httpx
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from console.conftest import SQUARE
from holdfast.settings import Settings
from holdfast.web.platform_application import create_application
from holdfast.web.serve_options import ServeOptions
from http_serving import served
from media.films import film

KINDS = {"gate.mp4": {}, "late.mp4": {"begins": 50}, "gate.webm": {"codec": "libvpx-vp9"}}
# Goes to `count` moments of an hour in turn; what is wrong with the boxes there, and the most held.
SEEKS = """async ([script, url, count]) => {
  const { Boxes } = await import(script);
  let come = () => {};
  const boxes = new Boxes(url, 3600, () => come());
  const wrong = [];
  let held = 0;
  for (let seek = 0; seek < count; seek++) {
    const frame = (seek * 30011) % 90000;
    let found;
    while ((found = boxes.at(frame / 25, 0.018)) === null) {
      await new Promise((resolve) => { come = resolve; });
    }
    const right = found.length === 4 && found.every((each, place) =>
      each.frame === frame && each.track === place && each.x === (frame % 500) + place);
    if (!right) wrong.push([frame, found]);
    held = Math.max(held, boxes.held);
  }
  return { wrong, held };
}"""


# Tells the place that was sought for the frame's own time, as Firefox does now and then.
TELLING_THE_PLACE = """
  const { prototype } = HTMLVideoElement;
  prototype.requestVideoFrameCallback = function (told) {
    return setTimeout(() => told(performance.now(), { mediaTime: this.currentTime }), 20);
  };
  prototype.cancelVideoFrameCallback = clearTimeout.bind(window);
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A client of a server with a film of each kind, looked at; `pages` are their addresses."""
    folder = tmp_path_factory.mktemp("browser")
    with served(create_application(Settings(data=folder / "data"), ServeOptions(work=True))) as url:
        with httpx.Client(base_url=f"{url}/api/v1", timeout=120) as client:
            project = client.post("/projects", json={"name": "Gate"}).json()["id"]
            client.url, client.ids = url, {}
            jobs = []
            for name, options in KINDS.items():
                path = film(folder / name, frames=45, **options)
                with path.open("rb") as file:
                    came = client.post(f"/projects/{project}/videos", files={"file": file})
                client.ids[name] = came.json()["video"]["id"]
                jobs.append(came.json()["video"]["job_id"])
            for job in jobs:
                with client.stream("GET", f"/jobs/{job}/events") as events:
                    assert "succeeded" in "".join(events.iter_lines())
            yield client


@pytest.fixture
def page(chromium):
    """An empty page; what its scripts complain about, and what its policy refuses, is a failure."""
    faults = []
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    opened = context.new_page()
    opened.set_default_timeout(120_000)
    opened.on("pageerror", lambda error: faults.append(str(error)))
    opened.on("console", lambda said: faults.append(said.text) if said.type == "error" else None)
    yield opened
    context.close()
    assert faults == []


def wait_for_frame(page, frame):
    page.locator(f'#overlay[data-frame="{frame}"]').wait_for(state="attached")


def assert_exact(page, frame):
    """The drawn box is that of *frame*, and so is the picture, as its own pixels say."""
    wait_for_frame(page, frame)
    boxes = json.loads(page.evaluate("document.getElementById('overlay').dataset.boxes"))
    ((of_frame, _track, x, _y, width, _height),) = boxes
    assert of_frame == frame
    left, right = page.evaluate(SQUARE)
    # A frame further the square is four pixels further.
    assert left == pytest.approx(4 * frame - 30, abs=1.5)
    assert right == pytest.approx(4 * frame - 2, abs=1.5)
    # The detector's box may be some pixels larger than the square.
    assert (x, x + width) == (pytest.approx(left, abs=6), pytest.approx(right + 1, abs=6))


@pytest.mark.parametrize("kind", KINDS)
def test_the_boxes_are_those_of_the_frame_that_is_shown(site, page, kind):
    page.goto(f"{site.url}/console/videos/{site.ids[kind]}?frame=20")
    assert_exact(page, 20)
    page.keyboard.press(".")
    page.keyboard.press(".")
    assert_exact(page, 22)
    page.keyboard.press(",")
    assert_exact(page, 21)
    for frame in (34, 12, 29):
        page.keyboard.press("g")
        page.keyboard.type(f"{frame}f")
        page.keyboard.press("Enter")
        assert_exact(page, frame)


def test_a_browser_that_tells_a_place_within_the_frame_shows_that_frame(site, page):
    page.add_init_script(TELLING_THE_PLACE)
    page.goto(f"{site.url}/console/videos/{site.ids['gate.mp4']}?frame=20")
    assert_exact(page, 20)
    for frame in (34, 12):
        page.keyboard.press("g")
        page.keyboard.type(f"{frame}f")
        page.keyboard.press("Enter")
        assert_exact(page, frame)
        page.wait_for_timeout(200)  # in which it is told ten times more
        assert_exact(page, frame)


def test_a_page_stands_at_its_top_when_it_opens_also_on_a_phone(site, page):
    page.set_viewport_size({"width": 390, "height": 500})
    page.goto(f"{site.url}/console/videos/{site.ids['gate.mp4']}")
    wait_for_frame(page, 0)
    page.locator(".segment.now").wait_for(state="attached")
    assert page.evaluate("scrollY") == 0


def test_a_film_is_reviewed_by_keyboard_alone(site, page):
    video = site.ids["gate.mp4"]
    page.goto(f"{site.url}/console/videos/{video}")
    wait_for_frame(page, 0)
    page.keyboard.press("?")
    page.locator("#keys[open]").wait_for()
    page.keyboard.press("Escape")
    page.keyboard.press("n")
    page.locator(".segment.now").wait_for()
    page.keyboard.press("m")
    page.locator(".segment.marked").wait_for()
    page.keyboard.press("e")
    page.keyboard.type("a white square, m n s ?")
    page.keyboard.press("Enter")
    page.get_by_text("a white square, m n s ?").wait_for()
    page.keyboard.press("s")
    page.locator(".segment.seen").wait_for()
    page.get_by_text("No segment after this one is unseen.").wait_for()
    (kept,) = site.get(f"/videos/{video}/segments").json()["items"]
    assert (kept["seen"], kept["marked"], kept["note"]) == (True, True, "a white square, m n s ?")
    assert page.locator("#queue-count").inner_text().startswith("1 of 1 seen")
    page.keyboard.press("[")
    first = int(page.locator("#frame").inner_text().split()[1])
    for frame in range(first, first + 5):  # a frame that is not at rest yet could be passed
        wait_for_frame(page, frame)
        page.keyboard.press(".")
    wait_for_frame(page, first + 5)
    page.keyboard.press("]")
    page.keyboard.type("By keyboard")
    page.keyboard.press("Enter")
    page.get_by_text("The clip 'By keyboard' is saved.").wait_for()
    assert [each["name"] for each in site.get(f"/videos/{video}/saved-clips").json()] == [
        "By keyboard"
    ]


def test_a_region_drawn_on_the_picture_gives_the_moments_in_it(site, page):
    page.goto(f"{site.url}/console/videos/{site.ids['gate.mp4']}?frame=20")
    wait_for_frame(page, 20)
    page.keyboard.press("r")
    area = page.locator("#overlay").bounding_box()
    for across, down in ((0.5, 0.1), (0.75, 0.1), (0.75, 0.9), (0.5, 0.9)):
        page.mouse.click(area["x"] + area["width"] * across, area["y"] + area["height"] * down)
    page.keyboard.press("Enter")
    page.locator("#moments a").wait_for()
    corners = page.locator("#field-region").input_value().split()
    points = [[float(each) for each in corner.split(",")] for corner in corners]
    assert points[0] == [pytest.approx(80, abs=1), pytest.approx(12, abs=1)]
    found = site.post(
        f"/videos/{site.ids['gate.mp4']}/region-search", json={"points": points}
    ).json()["moments"]
    assert page.locator("#moments a").count() == len(found) == 1
    assert float(page.locator("#moments a").get_attribute("data-seek")) == found[0][0]
    page.locator("#moments a").click()
    wait_for_frame(page, round(found[0][0] * 25))


def hour():
    """An hour of boxes, four on every frame, in row groups as a detection writes them."""
    rows = np.arange(90_000 * 4)
    frame, place = rows // 4, rows % 4
    zeros = np.zeros(len(rows), np.float32)
    label = pa.DictionaryArray.from_arrays(pa.array(zeros.astype(np.int32)), pa.array(["car"]))
    columns = {
        "frame": frame, "time": frame / 25, "track": place, "label": label, "score": zeros,
        "x": (frame % 500 + place).astype(np.float32), "y": zeros, "width": zeros + 9,
        "height": zeros + 9,
    }  # fmt: skip
    content = BytesIO()
    pq.write_table(pa.table(columns), content, compression="zstd", row_group_size=4096)
    return content.getvalue()


def test_an_hour_of_boxes_is_right_at_any_seek_and_memory_stays_flat(site, page):
    video = site.ids["gate.webm"]
    kind = {"Content-Type": "application/vnd.apache.parquet"}
    key = f"/objects/results/{video}/detections.parquet"
    before = site.get(key).content
    assert site.put(key, content=hour(), headers=kind).status_code == 200
    page.goto(f"{site.url}/console/videos/{video}")
    script = page.locator('script[src*="review.js"]').get_attribute("src")
    asked = [
        script.replace("review.js", "review-boxes.js"),
        f"/console/videos/data/videos/{video}/detections",
    ]
    watch = page.context.new_cdp_session(page)

    def heap():
        watch.send("HeapProfiler.collectGarbage")
        return page.evaluate("performance.memory.usedJSHeapSize")

    first = page.evaluate(SEEKS, [*asked, 40])
    settled = heap()
    found = page.evaluate(SEEKS, [*asked, 160])
    assert first["wrong"] == found["wrong"] == []
    assert found["held"] <= 12 * 4 * 25 * 4  # windows of four seconds
    assert heap() - settled < 4 << 20
    site.put(key, content=before, headers=kind)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_no_page_of_videos_has_what_axe_finds_wrong(site, chromium, theme):
    from axe_playwright_python.sync_playwright import Axe  # noqa: PLC0415 - of this test alone

    project = site.get("/projects").json()["items"][0]["id"]
    case = site.post(f"/projects/{project}/cases", json={"title": theme}).json()["id"]
    note = {"kind": "note", "text": "a note"}
    site.post(f"/cases/{case}/items", json=note)
    context = chromium.new_context(color_scheme=theme, viewport={"width": 1280, "height": 900})
    page = context.new_page()
    found = []
    for path in (
        "videos", f"videos?project={project}", f"videos/{site.ids['gate.mp4']}?frame=20",
        "videos/cases", f"videos/cases/{case}",
    ):  # fmt: skip
        page.goto(f"{site.url}/console/{path}")
        answer = Axe().run(page)
        found += [
            (path, each["id"], [node["html"] for node in each["nodes"]])
            for each in answer.response["violations"]
        ]
    context.close()
    assert found == []
