"""Names that are answered to, pages that may write, headers, heads that are too large or slow."""

import json
import socket
from contextlib import closing
from uuid import uuid4

import pytest

from holdfast.web import bounded_protocol
from holdfast.web.platform_application import create_application
from holdfast.web.serve_options import ServeOptions
from http_serving import served
from web.conftest import platform_client


@pytest.fixture(scope="module")
async def api(shared_settings):
    origins = ("https://console.example",)
    async with platform_client(shared_settings, allowed_origins=origins) as client:
        yield client


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200), ("LocalHost:8000", 200), ("127.0.0.1:1", 200), ("[::1]:8000", 200),
        ("evil.test", 421), ("localhost.evil.test", 421), ("localhost@evil.test", 421),
        ("", 421), ("127.0.0.1.nip.test", 421),
    ],
)  # fmt: skip
async def test_only_known_names_are_answered_to(api, host, status):
    answer = await api.get("/api/v1/me", headers={"Host": host})
    assert answer.status_code == status
    if status == 421:
        assert answer.json()["type"] == "urn:holdfast:problem:unknown-host"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 201),
        ({"Origin": "http://localhost"}, 201),
        ({"Origin": "https://console.example"}, 201),
        ({"Origin": "http://evil.test"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://localhost.evil.test"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 201),
    ],
)
async def test_a_page_of_another_origin_writes_nothing(api, headers, status):
    before = (await api.get("/api/v1/projects")).json()["items"]
    answer = await api.post("/api/v1/projects", json={"name": uuid4().hex}, headers=headers)
    assert answer.status_code == status
    there = (await api.get("/api/v1/projects", headers=headers)).json()["items"]
    assert len(there) == len(before) + (status == 201)


async def test_no_other_origin_reads_either_and_nothing_is_kept_or_framed(api):
    answer = await api.get("/api/v1/me", headers={"Origin": "http://evil.test"})
    assert not [name for name in answer.headers if name.startswith("access-control-")]
    assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
    assert answer.headers["Cache-Control"] == "no-store"


async def test_the_docs_page_needs_no_other_host(api):
    page = await api.get("/docs")
    assert page.status_code == 200
    assert "http" not in page.text.replace("http-equiv", "")
    policy = page.headers["Content-Security-Policy"]
    assert "script-src 'self';" in policy
    for name in ("swagger-ui-bundle.js", "swagger-ui.css", "start.js"):
        assert (await api.get(f"/docs/{name}")).status_code == 200
    assert (await api.get("/docs/..%2f__init__.py")).status_code == 404
    described = (await api.get("/api/v1/openapi.json")).json()
    assert "/api/v1/projects" in described["paths"]


@pytest.fixture(scope="module")
def address(shared_settings):
    app = create_application(shared_settings, ServeOptions(work=False))
    protocol = "holdfast.web.bounded_protocol:BoundedProtocol"
    with served(app, http=protocol, ws="none") as url:
        host, port = url.removeprefix("http://").split(":")
        yield host, int(port)


def answer_to(address, data):
    """Return the status and the body of what the server says to *data*, up to its end."""
    with closing(socket.create_connection(address)) as connection:
        connection.sendall(data)
        said = b""
        while chunk := connection.recv(65_536):
            said += chunk
    head, _, body = said.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)


def test_a_head_without_end_is_refused(address):
    said = answer_to(address, b"GET / HTTP/1.1\r\nX: " + b"a" * (bounded_protocol.MAX_HEAD + 1))
    assert said == (431, {"type": "about:blank", "title": "Request Header Fields Too Large",
                          "status": 431})  # fmt: skip


@pytest.mark.parametrize("begun", [b"", b"GET / HTTP/1.1\r\nHost: local"])
def test_a_head_that_never_ends_is_given_up(address, monkeypatch, begun):
    monkeypatch.setattr(bounded_protocol, "HEAD_TIME", 0.2)
    assert answer_to(address, begun)[0] == 408


def test_requests_one_after_another_on_a_connection_are_answered(address):
    request = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"
    last = request.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    with closing(socket.create_connection(address)) as connection:
        connection.sendall(request + request + last)
        said = b""
        while chunk := connection.recv(65_536):
            said += chunk
    assert said.count(b"HTTP/1.1 200 OK") == 3
