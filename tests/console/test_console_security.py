"""What somebody may send to the console, and what becomes of it: docs/explanation/security.md."""

import asyncio
import base64
import contextlib
import html
import re
import sys
from urllib.parse import parse_qs, urlsplit

import pytest
from fastapi import FastAPI
from starlette.responses import Response

from console.conftest import HOST, console_client, log_in, send, token_in
from console.console_entities import DEPOTS, Depot
from holdfast.access import ApiKeys, Role
from holdfast.audit import AuditFilter, AuditLog
from holdfast.console import ConsoleOptions, add_console
from holdfast.fastapi import Holdfast, HTTPOptions
from holdfast.fastapi.crud.sealed_cursor import seal, unseal
from holdfast.platform import open_platform
from holdfast.settings import Settings
from holdfast.settings.backend_options import cursor_secrets
from http_serving import client_of


def job_keys(*names, current=""):
    """Return the section `jobs` of the settings with the keys of *names*."""
    keys = {name: base64.b64encode(name.encode() * 32).decode() for name in names}
    text = ",".join(f"{name}:{key}" for name, key in keys.items())
    return {"keys": text, "current_key": current}


async def test_a_cursor_is_signed_where_servers_share_a_key_and_taken_by_all_that_have_it(
    tmp_path, monkeypatch
):
    monkeypatch.setattr("holdfast.console.records.record_pages.PAGE", 1)
    servers = {
        "none": {},
        "old": job_keys("a"),
        "new key is known": job_keys("a", "b", current="a"),
        "new key is current": job_keys("a", "b", current="b"),
        "old key is gone": job_keys("b"),
    }
    async with contextlib.AsyncExitStack() as stack:
        clients, paths = {}, {}
        for name, section in servers.items():
            given = {"domains": [DEPOTS], "jobs": section}
            client = await stack.enter_async_context(console_client(tmp_path / name, **given))
            depots = client.platform.store.repository(Depot)
            await depots.add_many([Depot(name="north"), Depot(name="south")])
            page = (await client.get("/console/records/depots?_sort=name")).text
            paths[name] = html.unescape(re.search(r'rel="next" href="([^"]+)"', page)[1])
            clients[name] = client
        takes = {
            name: [of for of, path in paths.items() if (await client.get(path)).status_code == 200]
            for name, client in clients.items()
        }
    assert takes == {
        "none": ["none"],
        "old": ["old", "new key is known"],
        "new key is known": ["old", "new key is known", "new key is current", "old key is gone"],
        "new key is current": ["old", "new key is known", "new key is current", "old key is gone"],
        "old key is gone": ["new key is current", "old key is gone"],
    }


async def test_a_console_in_an_application_of_ones_own_signs_by_its_platform_too(
    tmp_path, monkeypatch
):
    monkeypatch.setattr("holdfast.console.records.record_pages.PAGE", 1)
    given = {"storage": {"type": "memory"}, "bucket": "memory://", "jobs": job_keys("a")}
    settings = Settings(data=tmp_path, **given)
    async with open_platform(settings, domains=[DEPOTS]) as platform:
        await platform.store.repository(Depot).add_many([Depot(name="north"), Depot(name="south")])
        for options, secrets in (
            (None, cursor_secrets(settings)),
            (HTTPOptions(), cursor_secrets(settings)),
            (HTTPOptions(secret="its own"), ("its own",)),
        ):
            app = FastAPI()
            if options is not None:
                Holdfast(app, store=contextlib.nullcontext(platform.store), options=options)
            add_console(app, platform, options=ConsoleOptions(is_open=True))
            async with client_of(app, headers=HOST) as client:
                page = (await client.get("/console/records/depots?_sort=name")).text
                path = html.unescape(re.search(r'rel="next" href="([^"]+)"', page)[1])
                (cursor,) = parse_qs(urlsplit(path).query)["_cursor"]
                assert seal(unseal(cursor, secrets), secrets) == cursor
                assert (await client.get(path)).status_code == 200


def test_the_secret_of_cursors_is_none_of_the_keys_it_is_made_of(tmp_path):
    settings = Settings(data=tmp_path, jobs=job_keys("a", "b", current="b"))
    secrets = cursor_secrets(settings)
    assert len(set(secrets)) == 2
    for key in (b"a" * 32, b"b" * 32):
        for text in (key.decode(), key.hex(), base64.b64encode(key).decode()):
            assert text not in secrets
    assert cursor_secrets(settings) == secrets, "the same in every process"
    assert cursor_secrets(Settings(data=tmp_path, jobs=job_keys("b")))[0] == secrets[0]
    assert cursor_secrets(Settings(data=tmp_path)) == ()


async def test_more_conditions_than_a_hundred_and_larger_forms_are_refused(tmp_path):
    async with console_client(tmp_path, domains=[DEPOTS]) as client:
        for most, status in ((100, 200), (101, 400)):
            values = ",".join(str(number) for number in range(most))
            page = await client.get("/console/records/depots", params={"size__in": values})
            assert page.status_code == status, most
            export = await client.get("/console/records/depots/export", params={"size__in": values})
            assert export.status_code == status, most
        answer = await send(client, "/console/records/depots/new", **{"f.name": "a" * 2_000_000})
        assert answer.status_code == 413


async def test_a_page_that_takes_too_long_is_stopped(tmp_path, monkeypatch):
    async def never(*_, **__):
        await asyncio.Event().wait()

    async with console_client(tmp_path, limits={"request_time": 0.3}) as client:
        monkeypatch.setattr("holdfast.console.jobs.job_pages.listed_jobs", never)
        page = await client.get("/console/jobs")
        assert page.status_code == 503
        assert "listed_jobs" not in page.text


@pytest.mark.parametrize(
    "value", ["north\r\nSet-Cookie: a=b", "north\x00\x1b[2J", "n\u2028orth", "ü" * 300]
)
async def test_no_header_has_what_somebody_wrote_but_spelled_out(tmp_path, value):
    async with console_client(tmp_path) as client:
        token = token_in(await client.get("/console/login"))
        answers = [
            await client.post(
                "/console/videos/projects", data={"form_token": token, "name": value}
            ),
            await client.post("/console/theme", data={"form_token": token, "back": value}),
            await client.get("/console/records/projects/export", params={"name": value}),
            await client.get("/console/search", params={"q": value}),
            await client.get("/console/buckets/main/raw", params={"key": value}),
        ]
        for answer in answers:
            assert answer.status_code < 500, answer.url
            for name, given in answer.headers.raw:
                assert re.fullmatch(rb"[\x20-\x7e]*", given), (answer.url, name, given)
            assert "set-cookie: a" not in str(answer.headers).lower()


async def test_streams_are_counted_by_who_is_logged_in_not_by_the_proxy_before_the_server(
    tmp_path, monkeypatch
):
    told = []

    def counted(_request, _events, *, client, authorize, **_options):
        told.append(client)
        return Response(str(authorize is not None))

    monkeypatch.setattr("holdfast.console.jobs.job_pages.event_stream", counted)
    monkeypatch.setattr(sys.modules["holdfast.fastapi.streams.job_events"], "event_stream", counted)
    async with console_client(tmp_path, keys=True) as client:
        key = await log_in(client, Role.VIEWER)
        job = (await client.platform.jobs.enqueue("t")).job
        for path in ("jobs/live", f"jobs/{job.id}/live"):
            assert (await client.get(f"/console/{path}")).text == "True"
        assert told == [f"key {key.id}"] * 2
        issued = await ApiKeys(client.platform.store).issue("api", Role.VIEWER)
        bearer = {"Authorization": f"Bearer {issued.secret}"}
        await client.get(f"/api/v1/jobs/{job.id}/events", headers=bearer)
        assert told[2:] == [f"key {issued.key.id}"]


async def test_every_kind_of_write_is_in_the_audit_in_the_name_of_who_asked(tmp_path):
    audit = {"objects": True}
    async with console_client(tmp_path, keys=True, domains=[DEPOTS], audit=audit) as client:
        await log_in(client, Role.ADMIN)
        token = token_in(await client.get("/console/records"))
        depots = client.platform.store.repository(Depot)
        await send(client, "/console/records/depots/new", **{"f.name": "north"})
        depot = await depots.one(Depot.name == "north")
        await send(client, f"/console/records/depots/delete?_key={depot.id}")
        await send(client, "/console/jobs/queues/pause", queue="default")
        await send(client, "/console/settings/keys", name="another", role="viewer", life="")
        sent = await client.post(
            "/console/buckets/main/upload?prefix=in/",
            data={"form_token": token},
            files={"file": ("a.txt", b"a", "text/plain")},
        )
        assert sent.status_code == 303, sent.text
        found = (await AuditLog(client.platform.store).search(AuditFilter(), size=100)).items
        told = {(each.entity, each.verb) for each in found if each.actor == "the admin"}
        written = {("Depot", "add"), ("Depot", "delete"), ("ApiKey", "add")}
        assert written | {("JobQueue", "queue.paused"), ("Object", "object.put")} <= told
