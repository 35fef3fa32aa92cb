"""The console in a real browser: main paths, the keyboard alone, without JavaScript, axe.

One Chromium for all; `make browser` installs it where it is missing.
"""

import re

import httpx
import pytest
from axe_playwright_python.base import AXE_FILE_PATH
from playwright.sync_api import expect

from holdfast.settings import Settings
from holdfast.web.platform_application import create_application
from holdfast.web.serve_options import ServeOptions
from http_serving import served

PAGES = (
    "", "records/projects", "records/projects/new", "records/projects/import",
    "records/projects/matching", "jobs", "jobs/schedules", "jobs/limits",
    "jobs/limits/one?queue=default", "jobs/matching/cancel", "buckets/main", "hosts",
    "buckets/main/usage", "buckets/main/settings", "videos", "records/jobs", "jobs?status=failed",
    "cache?pattern=*", "audit", "settings/keys", "search?q=gate", "design", "login", "jobs/no-such",
)  # fmt: skip
# All rules once; what differs in the dark are the colours alone.
RULES = {"light": "{}", "dark": "{runOnly: ['color-contrast']}"}


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """Serve a console with a project, a job and an object, and yield its address."""
    settings = Settings(
        data=tmp_path_factory.mktemp("browser"), storage={"type": "memory"}, bucket="memory://"
    )
    app = create_application(settings, ServeOptions(work=False))
    with served(app, ws="none") as url:
        yield f"{url}/console/"


@pytest.fixture
def opened(chromium, address):
    """Return what opens a page in a context of its own; errors of its scripts fail the test."""
    contexts, faults = [], []

    def open_page(path="", **options):
        context = chromium.new_context(viewport={"width": 1280, "height": 800}, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on(
            "console",
            lambda said: (
                faults.append(said.text)
                if "Content Security Policy" in said.text or "violates" in said.text
                else None
            ),
        )
        page.goto(address + path)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not faults


def make_project(page, address, name):
    page.goto(f"{address}records/projects")
    page.get_by_role("link", name="New").click()
    page.get_by_label("name").fill(name)
    page.get_by_role("button", name="Add").click()
    expect(page.get_by_role("status")).to_contain_text(f"{name} was added.")


@pytest.mark.parametrize("script", [True, False], ids=["with JavaScript", "without"])
def test_a_record_is_made_changed_found_restored_and_removed(opened, address, script):
    page = opened(java_script_enabled=script)
    name = f"gate {'with' if script else 'without'} script"
    make_project(page, address, name)
    page.get_by_role("link", name="Edit").click()
    page.get_by_label("description").fill("seen from the north")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("seen from the north").first).to_be_visible()
    page.goto(f"{address}search")
    page.get_by_label("Look for").fill("gate with")
    page.get_by_role("button", name="Search").click()
    page.get_by_role("link", name=re.compile(name)).click()
    if script:
        page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Restore this state").last.click()
    expect(page.get_by_text("The record is as it was then.")).to_be_visible()
    page.get_by_role("link", name="Delete").click()
    page.get_by_role("button", name="Delete it").click()
    expect(page.get_by_role("status")).to_contain_text("It was deleted.")
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("heading", name=name)).to_be_visible()


def test_the_keyboard_alone_finds_a_page_and_opens_it(opened, address):
    page = opened("records")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Control+k")
    field = page.get_by_role("searchbox", name="Go to")
    expect(field).to_be_focused()
    page.keyboard.type("sett")
    expect(page.locator("#palette-found a[aria-selected=true]")).to_contain_text("Settings")
    page.keyboard.press("Enter")
    page.wait_for_url(f"{address}settings")
    page.keyboard.press("/")
    expect(page.locator("#palette")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#palette")).to_be_hidden()


def test_a_choice_of_colours_lasts_and_times_are_the_viewers(opened, address):
    page = opened(timezone_id="Asia/Tokyo", locale="en-GB")
    make_project(page, address, "yard")
    moment = page.locator("time").first
    utc = moment.get_attribute("title")
    assert utc.endswith(" UTC")
    assert moment.text_content() != utc
    page.get_by_role("button", name="Dark").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    background = "getComputedStyle(document.body).backgroundColor"
    assert page.evaluate(background) == "rgb(19, 20, 22)"
    page.goto(f"{address}jobs")
    assert page.evaluate(background) == "rgb(19, 20, 22)"


def test_a_list_of_jobs_goes_on_by_itself_and_a_link_keeps_the_focus(opened, address):
    api = address.replace("/console/", "/api/v1/jobs/schedules/tidy")
    httpx.put(api, json={"task": "tidy", "every": 3600, "queue": "tidy"}).raise_for_status()
    page = opened("jobs/schedules")
    page.get_by_role("button", name="Run tidy now").click()
    expect(page.get_by_role("status")).to_contain_text("The job is queued.")
    page.goto(f"{address}jobs?task=tidy")
    expect(page.locator("#live")).to_have_attribute("data-state", "live")
    links = page.locator("#job-list tbody th a")
    links.first.focus()
    here = links.first.get_attribute("href")
    httpx.post(f"{api}/run").raise_for_status()
    expect(links).to_have_count(2)
    expect(page.locator(f'#job-list a[href="{here}"]')).to_be_focused()


def test_on_a_phone_no_cell_of_a_list_is_cut_off(opened, address):
    page = opened()
    make_project(page, address, "phone")
    httpx.put(
        address.replace("/console/", "/api/v1/jobs/schedules/sweep"),
        json={"task": "sweep", "every": 3600},
    ).raise_for_status()
    page.set_viewport_size({"width": 390, "height": 844})
    for path in ("records", "records/projects", "jobs/schedules"):
        page.goto(address + path)
        cut = page.evaluate(
            "[...document.querySelectorAll('table.stack tbody :is(th, td)')]"
            ".map((cell) => [cell.scrollWidth - cell.clientWidth, cell.textContent])"
        )
        assert cut, path
        assert [text for more, text in cut if more > 1] == [], path


def test_on_a_phone_the_list_of_jobs_stands_before_the_queues(opened, address):
    api = address.replace("/console/", "/api/v1/jobs/schedules/sweep")
    httpx.put(api, json={"task": "sweep", "every": 3600}).raise_for_status()
    httpx.post(f"{api}/run").raise_for_status()
    page = opened("jobs")

    def top(name):
        return page.get_by_role("heading", name=name).bounding_box()["y"]

    assert top("Queues") < top("Latest"), "where there is room for both"
    page.set_viewport_size({"width": 390, "height": 844})
    assert top("Latest") < top("Queues")
    assert page.locator("#job-list tbody tr").first.bounding_box()["y"] < 844
    zeros = page.locator("td.zero")
    assert zeros.count() > 0
    assert not any(each.is_visible() for each in zeros.all())


@pytest.mark.parametrize("scheme", RULES)
def test_axe_finds_no_violation_on_any_page(opened, address, scheme):
    page = opened(color_scheme=scheme)
    if scheme == "light":
        make_project(page, address, "axe")
    script = AXE_FILE_PATH.read_text()
    found = {}
    for path in PAGES:
        page.goto(address + path)
        page.evaluate(script)
        told = page.evaluate(f"axe.run({RULES[scheme]})")
        faults = [
            f"{each['id']}: {node['html'][:160]}"
            for each in told["violations"]
            for node in each["nodes"][:3]
        ]
        if faults:
            found[path] = faults
    assert not found


def test_no_page_is_wider_than_a_small_phone(opened, address):
    page = opened()
    page.set_viewport_size({"width": 320, "height": 700})
    wide = []
    for path in PAGES:
        page.goto(address + path)
        if page.evaluate("document.documentElement.scrollWidth") > 320:
            wide.append(path)
        page.evaluate("document.querySelectorAll('.menu').forEach((each) => { each.open = true; })")
        for panel in page.locator(".menu > .panel").all():
            box = panel.bounding_box()
            if box["x"] < 0 or box["x"] + box["width"] > 320:
                wide.append(f"{path}: an open menu")
    assert not wide
