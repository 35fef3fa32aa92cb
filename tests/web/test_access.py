"""Who may do what: each route's policy, the roles, keys that are limited, revoked, too eager."""

import re
from uuid import uuid4

import pytest
from fastapi import APIRouter, Depends
from fastapi.routing import iter_route_contexts

from holdfast.access import Role
from holdfast.access.gate import Gate, RequestRate, allow, anybody, policy_of
from holdfast.domain import Domain
from holdfast.errors import ConfigurationError
from holdfast.web.platform_application import API, create_application
from holdfast.web.serve_options import ServeOptions
from http_serving import client_of
from web.conftest import bearing, keys_of, platform_client

SHARED = f"{API}/shared-clips/{{token}}"


def operations(app):
    """Yield each method, path and policy of the platform's API."""
    for route in iter_route_contexts(app.routes):
        if (route.path or "").startswith(API) and route.path != app.openapi_url:
            for method in route.methods:
                yield method, route.path, policy_of(route)


@pytest.fixture(scope="module")
async def guarded(shared_settings):
    """Yield a client of a platform that asks everybody for a key, and a key for each role."""
    app = create_application(shared_settings, ServeOptions(work=False))
    async with client_of(app, headers={"Host": "localhost"}) as client:
        client.app = app
        keys = keys_of(client)
        app.state.gate = Gate(keys, app.state.gate.cache, requests=RequestRate(1e6, 1e6),
                              refusals=RequestRate(1e6, 1e6))  # fmt: skip
        client.secrets = {role: (await keys.issue(role, role)).secret for role in Role}
        yield client


async def test_every_route_asks_for_its_role_and_lets_the_higher_ones_in(guarded):
    checked = 0
    for method, path, needed in operations(guarded.app):
        if path == SHARED:  # its token is what it asks for
            assert needed is None
            continue
        assert needed is not None, f"{path} is for anybody"
        url = re.sub(r"{[^}]*}", str(uuid4()), path)
        if url.endswith("/jobs/events"):
            url += "?seconds=0.01"  # else it goes on for an hour
        assert (await guarded.request(method, url)).status_code == 401
        for role, secret in guarded.secrets.items():
            answer = await guarded.request(method, url, headers=bearing(secret))
            if role.includes(needed):
                assert answer.status_code not in (401, 403), (method, path, role, answer.text)
            else:
                assert answer.status_code == 403, (method, path, role, answer.text)
                assert method == "HEAD" or answer.json()["required"] == needed
        checked += 1
    assert checked > 25


@pytest.mark.parametrize("policies", [[], [Depends(anybody), allow(Role.ADMIN)]])
async def test_a_route_without_one_policy_keeps_the_platform_from_starting(settings, policies):
    router = APIRouter()
    router.add_api_route("/odd", lambda: None, dependencies=policies)
    odd = Domain(name="odd", routes=lambda _: router)
    app = create_application(settings, ServeOptions(work=False), domains=[odd])
    with pytest.raises(ConfigurationError, match="/api/v1/odd"):
        async with client_of(app):
            pass


async def test_a_domain_of_ones_own_is_served_with_the_others(settings):
    router = APIRouter()

    @router.get("/greeting", dependencies=[Depends(anybody)])
    def greet() -> str:
        return "hello"

    own = Domain(name="own", routes=lambda _: router)
    app = create_application(settings, ServeOptions(work=False), domains=[own])
    async with client_of(app, headers={"Host": "localhost"}) as client:
        assert (await client.get("/api/v1/greeting")).json() == "hello"


async def test_nobody_can_come_in_without_a_key_so_it_does_not_start(settings):
    app = create_application(settings, ServeOptions(work=False, keys=True))
    with pytest.raises(ConfigurationError, match="holdfast keys issue"):
        async with client_of(app):
            pass


async def test_the_projects_of_others_are_not_there(guarded):
    admin = bearing(guarded.secrets[Role.ADMIN])
    ids = {}
    for name in ("mine", "theirs"):
        made = await guarded.post("/api/v1/projects", json={"name": name}, headers=admin)
        ids[name] = made.json()["id"]
    limited = await keys_of(guarded).issue("m", Role.OPERATOR, projects=[ids["mine"]])
    mine = bearing(limited.secret)
    listed = (await guarded.get("/api/v1/projects", headers=mine)).json()["items"]
    assert [each["name"] for each in listed] == ["mine"]
    for method, path in (
        ("GET", "/projects/{}"),
        ("PATCH", "/projects/{}"),
        ("DELETE", "/projects/{}"),
        ("POST", "/projects/{}/videos"),
        ("POST", "/projects/{}/uploads/ingest"),
    ):
        url = f"/api/v1{path.format(ids['theirs'])}"
        body = {"name": "x"} if method == "PATCH" else None
        if url.endswith("ingest"):
            body = {"key": f"uploads/{ids['theirs']}/{'0' * 32}", "filename": "a.mp4"}
        answer = await guarded.request(method, url, headers=mine, json=body)
        assert answer.status_code == 404, (method, path, answer.text)
    for path in ("/objects", "/jobs", "/cache/stats", "/keys"):
        assert (await guarded.get(f"/api/v1{path}", headers=mine)).status_code == 403
    by_project = tuple(
        f"{API}/{name}" for name in ("projects", "videos", "saved-clips", "cases", "me")
    )
    for method, path, _needed in operations(guarded.app):
        if path == SHARED:
            continue
        if not path.startswith(by_project) or (method, path) == ("POST", f"{API}/projects"):
            url = re.sub(r"{[^}]*}", str(uuid4()), path)
            answer = await guarded.request(method, url, headers=mine)
            assert answer.status_code == 403, f"{method} {path} is not of a project"
    assert (await guarded.get(f"/api/v1/projects/{ids['mine']}", headers=mine)).status_code == 200


async def test_a_key_is_issued_rotated_and_revoked_over_http(guarded):
    admin = bearing(guarded.secrets[Role.ADMIN])
    made = await guarded.post("/api/v1/keys", json={"name": "ci", "role": "viewer"}, headers=admin)
    assert made.status_code == 201
    secret, key = made.json()["secret"], made.json()["key"]
    assert "sha256" not in key
    me = await guarded.get("/api/v1/me", headers=bearing(secret))
    assert (me.json()["name"], me.json()["role"]) == ("ci", "viewer")
    rotated = await guarded.post(
        f"/api/v1/keys/{key['id']}/rotation", json={"grace": 0}, headers=admin
    )
    assert (await guarded.get("/api/v1/me", headers=bearing(secret))).status_code == 401
    secret = rotated.json()["secret"]
    assert (await guarded.get("/api/v1/me", headers=bearing(secret))).status_code == 200
    await guarded.delete(f"/api/v1/keys/{key['id']}", headers=admin)
    refused = await guarded.get("/api/v1/me", headers=bearing(secret))
    assert refused.status_code == 401
    assert refused.headers["WWW-Authenticate"] == "Bearer"
    assert "secret" not in (await guarded.get("/api/v1/keys", headers=admin)).text


@pytest.mark.parametrize(
    "header", ["Basic YTpi", "Bearer", "bearer  ", "Bearer hf_x", "Bearer \xe4", ""]
)
async def test_what_is_no_key_is_answered_with_401(guarded, header):
    answer = await guarded.get("/api/v1/me", headers={"Authorization": header.encode("latin-1")})
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"


async def test_who_asks_too_often_waits(settings):
    async with platform_client(settings) as client:
        gate = client.app.state.gate
        client.app.state.gate = Gate(
            gate.keys, gate.cache, is_open=True,
            requests=RequestRate(0.001, 2), refusals=RequestRate(0.001, 3),
        )  # fmt: skip
        told = [(await client.get("/api/v1/me")).status_code for _ in range(3)]
        assert told == [200, 200, 429]
        refused = [
            (await client.get("/api/v1/me", headers=bearing("no"))).status_code for _ in range(4)
        ]
        assert refused == [401, 401, 401, 429]
        last = await client.get("/api/v1/me")
        assert int(last.headers["Retry-After"]) > 100
        assert last.json()["type"] == "urn:holdfast:problem:rate-limited"


@pytest.mark.parametrize(
    ("options", "refused"),
    [
        ({"host": "0.0.0.0"}, True), ({"host": "::"}, True), ({"host": "10.0.0.1"}, True),
        ({"host": "example.org"}, True), ({"allowed_hosts": ("example.org",)}, True),
        ({"host": "::1"}, False), ({"host": "localhost"}, False), ({"host": "127.9.9.9"}, False),
        ({"host": "0.0.0.0", "keys": True}, False),
    ],
)  # fmt: skip
def test_a_server_that_others_can_reach_asks_for_keys(options, refused):
    if refused:
        with pytest.raises(ConfigurationError, match="--keys"):
            ServeOptions(**options)
    else:
        ServeOptions(**options)


@pytest.mark.parametrize("key", ["logs/checkpoints/1", "models/blobs/sha256/ab"])
async def test_what_domains_keep_is_written_and_deleted_by_administrators_alone(guarded, key):
    admin, operator = (bearing(guarded.secrets[role]) for role in (Role.ADMIN, Role.OPERATOR))
    path = f"/api/v1/objects/{key}"
    for method in ("PUT", "DELETE"):
        answer = await guarded.request(method, path, headers=operator, content=b"x")
        assert answer.status_code == 403, method
        assert key.partition("/")[0] in answer.text
    beside = await guarded.put(f"/api/v1/objects/x{key}", headers=operator, content=b"x")
    assert beside.status_code == 200
    assert (await guarded.put(path, headers=admin, content=b"x")).status_code == 200
    assert (await guarded.delete(path, headers=admin)).status_code == 204
