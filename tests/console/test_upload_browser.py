"""Uploads in a real browser: cut in the middle and gone on with, on disk and on MinIO."""

import re
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect

from holdfast.console.uploads import upload_sessions
from holdfast.settings import Settings
from holdfast.web.platform_application import create_application
from holdfast.web.serve_options import ServeOptions
from http_serving import served
from objects import s3_servers

PART = 5 << 20  # the least that S3 takes
SIZE = 2 * PART + 1000
THIRD = re.compile(r"(/parts/|partNumber=)3\b")


@contextmanager
def minio_bucket():
    options, name = s3_servers.options_of("minio"), s3_servers.new_name()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", options.credentials.access_key)
        patch.setenv("AWS_SECRET_ACCESS_KEY", options.credentials.secret_key)
        yield f"{name}?endpoint_url={options.endpoint_url}&region=us-east-1&create=true"
    s3_servers.remove(name, options)


@contextmanager
def disk_bucket(folder):
    yield f"file://{folder}/objects"


@pytest.fixture(scope="module", autouse=True)
def patience():
    """Let a busy machine take its time."""
    expect.set_options(timeout=60_000)
    yield
    expect.set_options(timeout=5_000)


class Site:
    """A served console, its bucket, and where the parts of uploads go."""

    def __init__(self, app, address, straight):
        self.app = app
        self.page = f"{address}/console/buckets/main?prefix=films/"
        self.straight = straight

    @property
    def platform(self):
        console = next(each for each in self.app.routes if getattr(each, "name", "") == "console")
        return console.app.state.console.platform


@pytest.fixture(scope="module", params=["disk", "minio"])
def site(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("uploads")
    bucket = minio_bucket() if request.param == "minio" else disk_bucket(folder)
    with bucket as url, pytest.MonkeyPatch.context() as patch:
        patch.setattr(upload_sessions, "_LEAST_PART", PART)
        settings = Settings(data=folder / "data", storage={"type": "memory"}, bucket=url)
        app = create_application(settings, ServeOptions(work=False))
        with served(app, ws="none") as address:
            yield Site(app, address, urlsplit(s3_servers.options_of("minio").endpoint_url).netloc
                       if request.param == "minio" else urlsplit(address).netloc)  # fmt: skip


@pytest.fixture
def film(tmp_path):
    path = tmp_path / "yard.bin"
    path.write_bytes(bytes(range(251)) * (SIZE // 251) + b"e" * (SIZE % 251))
    return path


@pytest.fixture
def context(chromium):
    context = chromium.new_context()
    faults = []
    context.on("weberror", lambda error: faults.append(str(error.error)))
    yield context
    context.close()
    assert not faults


def parts_put(page):
    """Return the list to which each part that *page* puts is added, by where it goes."""
    found = []

    def note(request):
        number = re.search(r"(?:/parts/|partNumber=)(\d+)", request.url)
        if request.method == "PUT" and number:
            found.append((urlsplit(request.url).netloc, int(number[1])))

    page.on("request", note)
    return found


def choose(page, *files):
    page.get_by_label("Drop files here, or choose").set_input_files(files)
    page.get_by_role("button", name="Upload", exact=True).click()


def content_of(page, name):
    answer = page.context.request.get(page.url.partition("?")[0] + f"/raw?key=films/{name}")
    assert answer.ok
    return answer.body()


def cut_third(context):
    """Break the connection of each third part, and return the list of those that were.

    A context's route is there before a page is: one that a page gets later may miss requests.
    """
    broken = []

    def cut(route):
        if route.request.method == "PUT":
            broken.append(route.request.url)
            route.abort("connectionreset")
        else:
            route.continue_()

    context.route(THIRD, cut)
    return broken


def test_an_upload_that_was_cut_goes_on_in_another_tab_and_when_the_line_is_back(
    site, context, film
):
    broken = cut_third(context)
    page = context.new_page()
    page.goto(site.page)
    put = parts_put(page)
    choose(page, film)
    line = page.locator("#uploads li")
    expect(line).to_contain_text("waits for the connection")
    expect(line.get_by_role("progressbar")).to_have_js_property("value", 2 * PART / SIZE)
    assert broken
    assert {place for place, _ in put} == {site.straight}
    page.goto("about:blank")  # it tries again no more while its connections are still cut
    page.close()
    broken.clear()
    page = context.new_page()
    page.goto(site.page)
    expect(page.get_by_text("1 not finished")).to_be_visible()
    put = parts_put(page)
    choose(page, film)
    line = page.locator("#uploads li")
    expect(line).to_contain_text("waits for the connection")
    context.set_offline(True)
    context.unroute(THIRD)
    context.set_offline(False)  # the page hears of it
    expect(line).to_contain_text("is in")
    assert broken
    assert set(put) == {(site.straight, 3)}
    assert content_of(page, film.name) == film.read_bytes()
    page.reload()
    expect(page.get_by_role("link", name=film.name)).to_be_visible()
    expect(page.get_by_text("not finished")).to_have_count(0)


@pytest.mark.parametrize("site", ["disk"], indirect=True)
def test_several_come_at_once_and_one_is_stopped_and_cancelled(site, context, tmp_path):
    cut_third(context)
    page = context.new_page()
    page.goto(site.page)
    names = ["small one.bin", "small two.bin", "small three.bin"]
    for name in names:
        (tmp_path / name).write_bytes(name.encode())
    (tmp_path / "large.bin").write_bytes(b"x" * SIZE)
    choose(page, *(tmp_path / name for name in ["large.bin", *names]))
    for name in names:
        expect(page.locator("#uploads li", has_text=name)).to_contain_text("is in")
        assert content_of(page, name) == name.encode()
    large = page.locator("#uploads li", has_text="large.bin")
    expect(large).to_contain_text("waits for the connection")
    large.get_by_role("button", name="Stop").click()
    large.get_by_role("button", name="Cancel").click()
    expect(large).to_have_count(0)
    page.reload()
    expect(page.get_by_text("not finished")).to_have_count(0)
    choose(page, tmp_path / names[0])
    expect(page.locator("#uploads li")).to_contain_text("is there already")


@pytest.mark.parametrize("site", ["minio"], indirect=True)
def test_where_the_buckets_server_takes_nothing_parts_come_through_here(site, context, film):
    context.route(re.compile("partNumber="), lambda route: route.abort("failed"))
    page = context.new_page()
    page.goto(site.page)
    put = parts_put(page)
    page.get_by_label("replace what is there").check()
    choose(page, film)
    expect(page.locator("#uploads li")).to_contain_text("is in")
    here = urlsplit(page.url).netloc
    assert sorted(number for place, number in put if place == here) == [1, 2, 3]
    assert content_of(page, film.name) == film.read_bytes()


@pytest.mark.parametrize("site", ["disk"], indirect=True)
def test_a_file_goes_up_without_javascript_too(site, chromium, tmp_path):
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(site.page)
    (tmp_path / "plain.txt").write_bytes(b"plain")
    choose(page, tmp_path / "plain.txt")
    expect(page.get_by_role("status")).to_contain_text("films/plain.txt is stored.")
    context.close()
