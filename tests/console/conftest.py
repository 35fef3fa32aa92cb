"""A console in this process, callers of it, and pages read as a browser reads them."""

import re
from contextlib import asynccontextmanager
from html.parser import HTMLParser

import pytest
from playwright.sync_api import sync_playwright
from tools.browser import NAMES, browser

from holdfast.access import ApiKeys, Role
from holdfast.settings import Settings
from holdfast.web.platform_application import create_application
from holdfast.web.serve_options import ServeOptions
from http_serving import client_of
from servers import absent, empty_store

HOST = {"Host": "localhost"}


@pytest.fixture(scope="module")
def chromium():
    """Yield one Chromium for the module; `make browser` installs it where it is missing."""
    found = browser()
    if found is None:
        absent(f"none of {', '.join(NAMES)} is installed: make browser")
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(
            executable_path=found, args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        yield launched
        launched.close()


@asynccontextmanager
async def console_client(folder, *, keys=False, domains=(), **settings):
    """Yield a client of a platform's console; *keys*: one that asks everybody for a login."""
    given = {"storage": {"type": "memory"}, "bucket": "memory://", **settings}
    chosen = Settings(data=folder, **given)
    app = create_application(chosen, ServeOptions(work=False), domains=domains)
    async with client_of(app, headers=HOST) as client:
        client.app = app
        client.console = next(
            each.app for each in app.routes if getattr(each, "name", "") == "console"
        )
        client.site = client.console.state.console
        client.platform = client.site.platform
        if keys:
            object.__setattr__(client.site.gate, "is_open", False)
        yield client


SQUARE = """() => {
  const video = document.getElementById("video");
  const canvas = document.createElement("canvas");
  canvas.width = 160; canvas.height = 120;
  const pen = canvas.getContext("2d");
  pen.drawImage(video, 0, 0, 160, 120);
  const row = pen.getImageData(0, 52, 160, 1).data;
  const white = [];
  for (let x = 0; x < 160; x++) if (row[4 * x] > 190 && row[4 * x + 2] > 190) white.push(x);
  return [white[0] ?? null, white[white.length - 1] ?? null];
}"""
"""Gives the columns in which the shown frame has the white square, found in the pixels."""
STORES = ("memory", "sqlite", "postgresql", "mariadb", "mysql")


@asynccontextmanager
async def console_on(store, folder, **options):
    """Yield a client of a console whose records are in an empty store of that kind."""
    with empty_store(store, folder) as url:
        place = {} if store == "memory" else {"storage": {}, "store": url}
        async with console_client(folder, **place, **options) as client:
            yield client


HOSTILE = [
    "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "javascript:alert(1)",
    "' onfocus=alert(1) autofocus='", "{{ 7*7 }}{% raw %}", "\u202egnp.exe",
    "</textarea></title><svg onload=alert(1)>",
]  # fmt: skip
"""What others may write into a name, a key or a field to have it run in a visitor's browser."""


class _Page(HTMLParser):
    def __init__(self):
        super().__init__()
        self.faults = []

    def handle_data(self, data):
        turns = re.search("[\u202a-\u202e\u2066-\u2069]", data)
        if turns and self.lasttag != "textarea":  # a form keeps what is in a field
            self.faults.append(f"text that turns its direction: {data!r}")

    def handle_starttag(self, tag, attrs):
        for name, value in attrs:
            leads = name in ("href", "src", "action", "formaction") or name.startswith("hx-g")
            foreign = leads and not (value or "").startswith(("/", "#", "?"))
            if foreign or name.startswith("on") or name == "style":
                self.faults.append(f"<{tag} {name}={value!r}>")
        source = dict(attrs).get("src") or ""
        loads = tag in ("script", "img", "iframe", "object", "embed", "base")
        if loads and not source.startswith("/console/"):
            self.faults.append(f"<{tag} src={source!r}>")


def assert_inert(page):
    """Check that nothing in *page* runs or leads elsewhere but what the console put there."""
    parser = _Page()
    parser.feed(page.text)
    assert not parser.faults
    assert "49" not in re.findall(r"<bdi>([^<]*)</bdi>", page.text), "a template in a template"


def token_in(page):
    """Return the token of the forms of *page*."""
    return re.search(r'"X-Form-Token": "([0-9a-f]{64})"', page.text)[1]


async def send(client, path, **fields):
    """Send a form to *path*, as a page of the console would, and return the answer."""
    page = await client.get("/console/login")
    return await client.post(path, data={"form_token": token_in(page), **fields})


async def log_in(client, role=Role.ADMIN, **limits):
    """Log *client* in as a new key of *role*, and return the key."""
    issued = await ApiKeys(client.platform.store).issue(f"the {role}", role, **limits)
    answer = await send(client, "/console/login", key=issued.secret)
    assert answer.status_code == 303, answer.text
    return issued.key


@pytest.fixture(scope="module")
async def console(tmp_path_factory):
    """Yield a client of a console that needs no login, shared by the tests of a module."""
    async with console_client(tmp_path_factory.mktemp("console")) as client:
        yield client
