"""Logins by a real OpenID provider, through its own forms, and answers that are not good."""

import contextlib
import html
import re
from urllib.parse import parse_qs, urljoin, urlsplit

import httpx
import pytest
from tools.services.server import PASSWORD

from console.conftest import console_client, log_in, send
from holdfast.access import PersonSession, Role
from holdfast.audit import AuditLog
from holdfast.console.console_application import check_policies
from servers import free_port, url_of

ANSWER = "/console/login/openid/answer"
ANSWERS = {"password": "any", "logout": "yes"}  # to what the provider's forms ask


def settings_of(issuer, **more):
    roles = "admins=admin, staff=viewer"
    found = {
        "issuer": issuer, "client_id": "holdfast", "client_secret": PASSWORD,
        "scopes": "profile,groups", "roles": roles, **more,
    }  # fmt: skip
    return {"login": found}


@pytest.fixture(scope="module")
async def guarded(tmp_path_factory):
    """Yield a client of a console that asks for a login, by key or by the provider."""
    folder = tmp_path_factory.mktemp("openid")
    async with console_client(folder, keys=True, **settings_of(url_of("openid"))) as client:
        yield client


@pytest.fixture(autouse=True)
def no_cookies(request):
    if "guarded" in request.fixturenames:
        request.getfixturevalue("guarded").cookies.clear()


async def at_provider(url, login, browser=None):
    """Log in at the provider as a browser does, and return the path that it sends one back to."""
    async with contextlib.nullcontext(browser) if browser else httpx.AsyncClient() as visitor:
        answer = await visitor.get(url)
        for _ in range(12):
            if answer.is_redirect:
                url = urljoin(url, answer.headers["location"])
                if url.startswith("http://localhost/"):
                    return url.removeprefix("http://localhost")
                answer = await visitor.get(url)
                continue
            assert answer.status_code == 200, answer.text
            url = re.search(r'<form[^>]* action="([^"]+)"', answer.text)[1]
            form = dict(re.findall(r'name="(\w+)" value="(\w+)"', answer.text))
            answer = await visitor.post(url, data=form | ANSWERS | {"login": login})
    raise AssertionError("the provider does not come to an end")


async def begin(client, wanted=""):
    """Begin a login, and return where the provider is asked."""
    answer = await client.get("/console/login/openid", params={"next": wanted})
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


async def come_in(client, login, wanted=""):
    """Log in as *login*, and return the last answer."""
    return await client.get(await at_provider(await begin(client, wanted), login))


def cookie(value, name="holdfast_console"):
    return {"Cookie": f"{name}={value}"}


async def refusals(client):
    found = await AuditLog(client.platform.store).search()
    return [entry for entry in found.items if entry.verb == "login.refused"]


async def test_a_person_logs_in_and_may_do_what_the_groups_say(guarded):
    assert (
        "/console/login/openid?next=design"
        in (await guarded.get("/console/login?next=design")).text
    )
    asked = await begin(guarded, "settings/keys?a=1")
    before = guarded.cookies.get("holdfast_console")
    query = {name: value for name, [value] in parse_qs(urlsplit(asked).query).items()}
    assert query["code_challenge_method"] == "S256"
    assert query["redirect_uri"] == f"http://localhost{ANSWER}"
    answer = await guarded.get(await at_provider(asked, "ann"))
    assert answer.headers["location"] == "/console/settings/keys?a=1"
    assert guarded.cookies["holdfast_console"] != before, "a session of somebody else's choosing"
    assert "holdfast_login" not in guarded.cookies
    page = await guarded.get("/console/settings/keys")
    assert page.status_code == 200
    assert "ann (ann)" in page.text
    assert "Log out" in page.text
    [session] = await guarded.platform.store.repository(PersonSession).find(
        PersonSession.subject == "ann"
    )
    [entry] = (await AuditLog(guarded.platform.store).history(PersonSession, session.id)).items
    assert entry.actor == "ann (ann)"
    assert session.id_token not in str(entry.changes)
    guarded.cookies.clear()
    assert (await come_in(guarded, "ben")).status_code == 303
    assert (await guarded.get("/console/records")).status_code == 200
    assert (await guarded.get("/console/settings/keys")).status_code == 403


async def test_who_has_no_role_is_refused_by_a_clear_page_and_recorded(guarded):
    answer = await come_in(guarded, "eve")
    assert answer.status_code == 403
    assert "eve (eve), and that gives you no role" in answer.text
    assert (await guarded.get("/console/records")).status_code == 303
    entry = (await refusals(guarded))[0]
    assert (entry.key, entry.actor) == ("eve", "eve (eve)")


async def test_a_logout_here_leads_through_that_of_the_provider_and_back(guarded):
    async with httpx.AsyncClient() as browser:
        await guarded.get(await at_provider(await begin(guarded), "ben", browser))
        kept = guarded.cookies["holdfast_console"]
        assert (await guarded.get("/console/records", headers=cookie(kept))).status_code == 200
        answer = await send(guarded, "/console/logout")
        onward = answer.headers["refresh"].removeprefix("0; url=")
        assert html.escape(onward) in answer.text
        assert "id_token_hint=" in onward
        assert await at_provider(onward, "ben", browser) == "/console/login"
        again = await browser.get(await begin(guarded), follow_redirects=True)
        assert 'name="login"' in again.text, "the provider knows the browser still"
    assert (await guarded.get("/console/records", headers=cookie(kept))).status_code == 303


async def test_a_code_is_good_once_and_in_the_browser_that_asked_alone(guarded):
    path = await at_provider(await begin(guarded), "ann")
    guarded.cookies.clear()
    stolen = await guarded.get(path)
    assert stolen.status_code == 401, "another browser, which began nothing"
    await begin(guarded)
    assert (await guarded.get(path)).status_code == 401, "the state of another login"
    other = await begin(guarded)
    state = parse_qs(urlsplit(other).query)["state"][0]
    planted = re.sub(r"state=[0-9a-f]+", f"state={state}", path)
    answer = await guarded.get(planted)
    assert answer.status_code == 401, "a code put into another login: PKCE"
    assert "the code is not good" in answer.text
    assert (await guarded.get("/console/records")).status_code == 303
    assert (await refusals(guarded))[0].changes["reason"].startswith("the code is not good")


async def test_a_code_is_redeemed_once(guarded):
    asked = await begin(guarded)
    kept = guarded.cookies["holdfast_login"]
    path = await at_provider(asked, "ann")
    assert (await guarded.get(path)).status_code == 303
    guarded.cookies.clear()
    answer = await guarded.get(path, headers=cookie(kept, "holdfast_login"))
    assert answer.status_code == 401
    assert "used before" in answer.text


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("iss=http", "iss=ftp"), "another provider"),
        (("code=", "error=access_denied&"), "access_denied"),
    ],
)
async def test_an_answer_of_another_provider_and_an_error_let_nobody_in(guarded, change, said):
    path = await at_provider(await begin(guarded), "ann")
    answer = await guarded.get(path.replace(*change))
    assert answer.status_code == 401
    assert said in answer.text


@pytest.mark.parametrize("wanted", ["//evil.example/", "https://evil.example/", "/\\evil.example"])
async def test_a_login_leads_to_no_other_host(guarded, wanted):
    answer = await come_in(guarded, "ben", wanted)
    assert answer.headers["location"].startswith("/console/")
    assert not answer.headers["location"].startswith("/console/login")


async def test_over_tls_the_cookie_of_a_login_is_one_that_no_other_host_can_set(guarded):
    answer = await guarded.get("https://localhost/console/login/openid")
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("__Host-holdfast_login=")
    assert {"Secure", "HttpOnly", "Path=/", "SameSite=lax"} <= set(cookie.split("; "))


async def test_a_session_ends_with_its_time_and_with_the_provider_that_gave_it(guarded):
    await come_in(guarded, "ben")
    assert (await guarded.get("/console/records")).status_code == 200
    sessions = guarded.platform.store.repository(PersonSession)
    [session] = await sessions.find(
        PersonSession.subject == "ben", order_by=PersonSession.created_at.desc(), limit=1
    )
    lasts = session.expires_at - guarded.platform.store.now()
    assert 11.9 < lasts.total_seconds() / 3600 <= 12
    await sessions.patch(session.id, PersonSession.issuer.to("https://former.example"))
    assert (await guarded.get("/console/records")).status_code == 303
    await sessions.patch(session.id, PersonSession.issuer.to(session.issuer))
    assert (await guarded.get("/console/records")).status_code == 200
    await sessions.patch(session.id, PersonSession.expires_at.to(guarded.platform.store.now()))
    assert (await guarded.get("/console/records")).status_code == 303
    assert await guarded.site.sessions.purge() == 1


async def test_an_administrator_sees_who_is_logged_in_and_ends_it(guarded):
    await come_in(guarded, "ben")
    kept = guarded.cookies["holdfast_console"]
    guarded.cookies.clear()
    await come_in(guarded, "ann")
    page = await guarded.get("/console/settings/keys")
    [ends, *_] = re.findall(r"ben \(ben\).*?action=\"([^\"]+/end)\"", page.text)
    assert (await send(guarded, ends)).status_code == 303
    assert (await guarded.get("/console/records", headers=cookie(kept))).status_code == 303
    assert (await send(guarded, ends)).status_code == 404


async def test_an_unfinished_upload_is_that_persons_alone(tmp_path):
    settings = settings_of(url_of("openid"), roles="admins=admin, staff=operator")
    async with console_client(tmp_path, keys=True, **settings) as client:
        await come_in(client, "ben")
        path = "/console/buckets/main/uploads"
        begun = await send(client, path, name="a.bin", size="3")
        assert begun.status_code == 201, begun.text
        one = f"{path}/{begun.json()['id']}"
        assert (await client.get(one)).status_code == 200
        assert "1 not finished" in (await client.get("/console/buckets/main")).text
        client.cookies.clear()
        await come_in(client, "ann")
        assert (await client.get(one)).status_code == 404
        assert (await send(client, f"{one}/cancel")).status_code == 404
        assert "not finished" not in (await client.get("/console/buckets/main")).text


async def test_while_the_provider_is_away_keys_log_in(tmp_path):
    away = settings_of(f"http://127.0.0.1:{free_port()}")
    async with console_client(tmp_path, keys=True, **away) as client:
        check_policies(client.console)
        answer = await client.get("/console/login/openid?next=design")
        assert answer.status_code == 503
        assert "log in with an API key" in answer.text
        assert 'name="next" value="design"' in answer.text
        await log_in(client, Role.VIEWER)
        assert (await client.get("/console/design")).status_code == 200
