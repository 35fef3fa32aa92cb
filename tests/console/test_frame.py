"""The frame: who may see which page, logins, forged forms, headers, files, and pages of errors."""

import hashlib
import re
from contextlib import asynccontextmanager
from importlib.resources import files
from uuid import uuid4

import pytest
from fastapi import Depends, FastAPI
from fastapi.routing import iter_route_contexts

from console.conftest import HOST, console_client, log_in, send, token_in
from holdfast.access import ApiKeys, LoginSession, LoginSessions, Role
from holdfast.access.gate import anybody, policy_of
from holdfast.audit import AuditLog
from holdfast.console import ConsoleOptions, add_console
from holdfast.console.console_application import check_policies
from holdfast.console.logins.login_form import own_address
from holdfast.errors import ConfigurationError, UnauthenticatedError, UnavailableError
from holdfast.platform import open_platform
from holdfast.settings import Settings
from http_serving import client_of


@pytest.fixture(scope="module")
async def guarded(tmp_path_factory):
    """Yield a client of a console that asks for a login."""
    async with console_client(tmp_path_factory.mktemp("guarded"), keys=True) as client:
        yield client


@pytest.fixture(autouse=True)
def no_cookies(request):
    for name in ("guarded", "console"):
        if name in request.fixturenames:
            request.getfixturevalue(name).cookies.clear()


async def test_every_page_asks_for_its_role_and_lets_the_higher_ones_in(guarded):
    routes = [
        (method, re.sub(r"{[^}]*}", str(uuid4()), route.path), policy_of(route))
        for route in iter_route_contexts(guarded.console.routes)
        for method in route.methods - {"HEAD"}
    ]
    for method, path, needed in routes:
        guarded.cookies.clear()
        if needed is None:
            continue
        token = token_in(await guarded.get("/console/login"))
        answer = await guarded.request(method, f"/console{path}", headers={"X-Form-Token": token})
        assert answer.status_code == 303, (method, path, answer.text)
        assert answer.headers["location"].startswith("/console/login"), (method, path)
    for role in Role:
        guarded.cookies.clear()
        await log_in(guarded, role)
        token = token_in(await guarded.get("/console/design"))
        for method, path, needed in routes:
            if needed is None:
                continue
            answer = await guarded.request(  # a stream of events is to end soon
                method, f"/console{path}", headers={"X-Form-Token": token}, params={"seconds": 0.01}
            )
            said = (method, path, role, answer.status_code)
            assert (answer.status_code == 403) == (not role.includes(needed)), said
            assert "/console/login" not in answer.headers.get("location", ""), said


async def test_who_is_nobody_sees_which_pages_need_no_login(guarded):
    free = {
        (method, route.path)
        for route in iter_route_contexts(guarded.console.routes)
        for method in route.methods
        if policy_of(route) is None
    }
    assert free == {
        ("GET", "/login"), ("POST", "/login"), ("POST", "/logout"), ("POST", "/theme"),
        ("GET", "/static/{digest}/{name}"),
        *((method, "/videos/data/shared-clips/{token}") for method in ("GET", "HEAD")),
    }  # fmt: skip


async def test_a_route_without_a_policy_or_a_check_keeps_the_console_from_being_mounted(guarded):
    odd = FastAPI(openapi_url=None)
    odd.add_api_route("/odd", lambda: None, dependencies=[Depends(anybody)])
    with pytest.raises(ConfigurationError, match="forged"):
        check_policies(odd)
    guarded.console.add_api_route("/odd", lambda: None)
    with pytest.raises(ConfigurationError, match="/odd"):
        check_policies(guarded.console)
    guarded.console.router.routes.pop()


async def test_a_login_leads_where_one_wanted_to_go_and_a_logout_ends_it(guarded):
    asked = await guarded.get("/console/design?a=1")
    login = await guarded.get(asked.headers["location"])
    assert 'name="next" value="design?a=1"' in login.text
    issued = await ApiKeys(guarded.platform.store).issue("ann <b>", Role.VIEWER)
    before = guarded.cookies["holdfast_console"]
    answer = await send(guarded, "/console/login", key=issued.secret, next="design?a=1")
    assert answer.headers["location"] == "/console/design?a=1"
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert guarded.cookies["holdfast_console"] != before, "a session of somebody else's choosing"
    page = await guarded.get("/console/design")
    assert "ann &lt;b&gt;" in page.text
    kept = guarded.cookies["holdfast_console"]
    former = {"Cookie": f"holdfast_console={kept}"}
    assert (await guarded.get("/console/design", headers=former)).status_code == 200
    answer = await send(guarded, "/console/logout")
    assert answer.headers["location"] == "/console/login"
    assert (await guarded.get("/console/design", headers=former)).status_code == 303


async def test_a_session_ends_with_its_key(guarded):
    keys = ApiKeys(guarded.platform.store)
    key = await log_in(guarded, Role.VIEWER)
    assert (await guarded.get("/console/design")).status_code == 200
    await keys.revoke(key.id)
    assert (await guarded.get("/console/design")).status_code == 303


async def test_a_session_ends_with_its_time_and_with_the_secret_it_was_opened_by(guarded):
    store = guarded.platform.store
    keys, sessions = ApiKeys(store), LoginSessions(store)
    issued = await keys.issue("ben", Role.VIEWER)
    opened = await sessions.open(issued.secret)
    assert issued.secret not in repr(opened)
    assert opened.token not in repr(opened)
    assert (await sessions.caller(opened.token)).name == "ben"
    for wrong in (opened.token[:-1] + "x", "hs_", "", opened.token.replace("hs_", "hf_")):
        with pytest.raises(UnauthenticatedError):
            await sessions.caller(wrong)
    await keys.rotate(issued.key.id, grace=(opened.session.expires_at - store.now()) * 0)
    with pytest.raises(UnauthenticatedError):
        await sessions.caller(opened.token)
    await store.repository(LoginSession).patch(
        opened.session.id, LoginSession.expires_at.to(store.now())
    )
    assert await sessions.purge() == 1


async def test_a_wrong_key_is_refused_and_too_many_have_to_wait(tmp_path):
    async with console_client(tmp_path, keys=True, limits={"refusal_burst": 2}) as client:
        told = [(await send(client, "/console/login", key="hf_no")).status_code for _ in range(3)]
        assert told == [401, 401, 429]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "http://localhost"}, 303),
        ({}, 303),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
    ],
)
async def test_a_form_of_another_origin_is_refused(console, headers, status):
    token = token_in(await console.get("/console/design"))
    sent = {"form_token": token, "theme": "dark"}
    answer = await console.post("/console/theme", data=sent, headers=headers)
    assert answer.status_code == status


async def test_a_form_needs_the_token_of_its_own_visit(console):
    token = token_in(await console.get("/console/design"))
    console.cookies.clear()
    for sent in ({}, {"form_token": "x"}, {"form_token": token}, {"form_token": "é"}):
        assert (await console.post("/console/theme", data=sent)).status_code == 403, sent
        await console.get("/console/design")
    answer = await console.post("/console/theme", headers={"X-Form-Token": token})
    assert answer.status_code == 403, "a token of another visit"


async def test_a_key_that_is_limited_to_projects_gets_no_further(guarded):
    await log_in(guarded, Role.OPERATOR, projects=[uuid4()])
    assert (await guarded.get("/console/design")).status_code == 403


async def test_the_front_of_the_server_leads_to_the_console(console):
    front = await console.get("/", follow_redirects=True)
    assert front.url.path == "/console/"


async def test_the_theme_is_kept_and_nothing_else_is_taken_for_one(console):
    await send(console, "/console/theme", theme="dark", back="/console/design")
    assert '<html lang="en" data-theme="dark">' in (await console.get("/console/design")).text
    answer = await send(console, "/console/theme", theme='"><script>', back="https://evil.example")
    assert answer.headers["location"].startswith("/console/")
    assert "data-theme" not in (await console.get("/console/design")).text


@pytest.mark.parametrize(
    ("wanted", "path"),
    [
        ("design?a=1", "/console/design?a=1"),
        ("/console/design", "/console/design"),
        ("//evil.example", "/console/"),
        ("https://evil.example", "/console/https%3A//evil.example"),
        ("../api", "/console/"),
        ("\\\\evil.example", "/console/"),
        ("a?x=\r\nSet-Cookie: y", "/console/a?x=Set-Cookie:y"),
        ("", "/console/"),
    ],
)
async def test_a_way_back_stays_in_the_console(console, wanted, path):
    assert own_address(console.site, wanted) == path


async def test_pages_run_nothing_that_stands_in_them(console):
    page = await console.get("/console/design")
    policy = page.headers["content-security-policy"]
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    for tag in re.findall(r"<script[^>]*>", page.text):
        assert "src=" in tag
    assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:", page.text)
    for asset in re.findall(r'(?:src|href)="(/console/static/[^"]+)"', page.text):
        found = await console.get(asset)
        assert found.status_code == 200
        assert "immutable" in found.headers["cache-control"]


@pytest.mark.parametrize("name", ["x.js", "../page.py", "..%2fpage.py", "htmx.LICENSE"])
async def test_no_other_file_is_sent(console, name):
    assert (await console.get(f"/console/static/0/{name}")).status_code == 404


async def test_errors_are_pages_that_tell_no_more_than_they_should(console, monkeypatch):
    missing = await console.get("/console/nothing-here")
    assert missing.status_code == 404
    wrong = await console.get("/console/jobs/nothing")
    assert wrong.status_code == 404
    assert "UUID" not in wrong.text
    assert "Not found" in missing.text
    form_alone = await console.get("/console/audit/verification")
    assert (form_alone.status_code, "what a form sends" in form_alone.text) == (405, True)
    broken = "secret detail"

    async def fail():
        raise ValueError(broken)

    monkeypatch.setattr(type(console.platform), "health", lambda _self: fail())
    answer = await console.get("/console/")
    assert answer.status_code == 500
    assert broken not in answer.text
    assert answer.headers["x-request-id"] in answer.text
    part = await console.get("/console/", headers={"HX-Request": "true"})
    assert part.headers["hx-retarget"] == "#notices"
    assert "<html" not in part.text


NOWHERE = "/console/nothing-here"


async def test_a_page_of_an_error_leads_on_for_who_is_logged_in(guarded):
    await log_in(guarded, Role.VIEWER)
    missing = await guarded.get(NOWHERE)
    assert missing.status_code == 404
    assert 'aria-label="Sections"' in missing.text
    assert 'action="/console/search"' in missing.text
    assert "Settings" not in missing.text, "which is for administrators"
    gone = await guarded.get(f"/console/jobs/{uuid4()}")
    assert gone.status_code == 404
    assert ">To Jobs</a>" in gone.text
    assert "UUID(" not in gone.text
    refused = await guarded.get("/console/settings")
    assert (refused.status_code, 'aria-label="Sections"' in refused.text) == (403, True)
    assert ">To Settings</a>" not in refused.text
    guarded.cookies.clear()
    await log_in(guarded, Role.VIEWER, projects=[uuid4()])
    bound = await guarded.get("/console/jobs")
    assert (bound.status_code, ">To the overview</a>" in bound.text) == (403, True)
    for part in ("/console/search", ">To Jobs</a>"):
        assert part not in bound.text, "it is not for a key that is limited to projects"
    assert "/console/search" not in (await guarded.get("/console/")).text


async def test_a_page_of_an_error_shows_nothing_of_the_console_to_who_is_not(guarded):
    for cookie in ("", "x" * 43, f"hs_{'x' * 43}"):
        guarded.cookies.clear()
        if cookie:
            guarded.cookies.set("holdfast_console", cookie)
        missing = await guarded.get(NOWHERE)
        assert missing.status_code == 404
        for part in ('aria-label="Sections"', "/console/search", "/console/jobs", "Log out"):
            assert part not in missing.text, (cookie, part)


async def test_who_it_is_is_not_asked_again_where_that_may_be_what_failed(guarded, monkeypatch):
    await log_in(guarded, Role.VIEWER)
    asked = []

    async def away(_self, token):
        asked.append(token)
        raise UnavailableError("the store is away")

    monkeypatch.setattr(LoginSessions, "caller", away)
    page = await guarded.get("/console/jobs")
    assert (page.status_code, len(asked)) == (503, 1)
    assert 'aria-label="Sections"' not in page.text
    missing = await guarded.get(NOWHERE)
    assert missing.status_code == 404, "the page comes without what can't be known"


async def test_logins_are_recorded_in_the_name_of_who_logs_in(guarded):
    key = await log_in(guarded, Role.VIEWER)
    log = AuditLog(guarded.platform.store)
    session = await guarded.platform.store.repository(LoginSession).one(
        LoginSession.key_id == key.id
    )
    (entry,) = await log.history(LoginSession, session.id)
    assert entry.actor == "the viewer"
    assert session.sha256 not in repr(entry)


async def test_it_is_mounted_in_an_application_of_ones_own(tmp_path):
    settings = Settings(data=tmp_path, storage={"type": "memory"}, bucket="memory://")

    @asynccontextmanager
    async def lifespan(app):
        async with open_platform(settings) as platform:
            options = ConsoleOptions(path="/back/office", is_open=True)
            add_console(app, platform, options=options)
            with pytest.raises(ConfigurationError, match="mounted"):
                add_console(app, platform, options=options)
            yield

    async with client_of(FastAPI(lifespan=lifespan), headers=HOST) as client:
        page = await client.get("/back/office/design")
        assert page.status_code == 200
        assert "/console/" not in page.text


def test_what_was_vendored_is_what_its_note_says():
    static = files("holdfast.console") / "static"
    note = static.joinpath("VENDORED.md").read_text()
    digest = hashlib.sha256(static.joinpath("htmx.min.js").read_bytes()).hexdigest()
    assert digest in note
    sizes = sum(len(each.read_bytes()) for each in static.iterdir())
    assert sizes < 250_000
