"""Webhooks on the platform: a real promotion is told, its routes and its commands."""

import json

import pytest

from cli.program import here
from holdfast.access import ApiKeys, Role
from holdfast.audit import AuditEntry
from holdfast.jobs import Job, Jobs, Worker
from holdfast.models import ModelRegistry
from holdfast.platform import open_platform
from holdfast.settings import Settings
from holdfast.sync import open_store as open_blocking
from holdfast.web.platform_application import create_application
from holdfast.web.serve_options import ServeOptions
from holdfast.webhooks import WebhookHook, Webhooks
from http_serving import client_of

pytestmark = pytest.mark.anyio
DOMAINS = ("access", "audit", "jobs", "models", "webhooks")


@pytest.fixture
def settings(tmp_path):
    return Settings(
        data=tmp_path / "data",
        storage={"type": "memory"},
        bucket="memory://",
        domains=DOMAINS,
        webhooks={"networks": "127.0.0.0/8, ::1"},
    )


async def test_a_promotion_is_told_by_a_worker_of_the_platform(settings, receiver, tmp_path):
    (tmp_path / "model.bin").write_bytes(b"weights")
    async with open_platform(settings) as platform:
        webhooks, registry = platform.service(Webhooks), platform.service(ModelRegistry)
        subscribed = await webhooks.subscribe(receiver.url, ["model.promoted"])
        version = (await registry.register("vehicles", tmp_path / "model.bin")).version
        await registry.promote(version, "prod", reason="better")
        await Worker(platform.jobs, platform.handlers).run(until="idle")
        (request,) = receiver.requests
        assert json.loads(request.body)["type"] == "model.promoted"
        entries = await platform.store.repository(AuditEntry).find(AuditEntry.entity == "Webhook")
        assert [each.verb for each in entries] == ["add"]
        assert subscribed.secret not in str(entries[0].changes)
        assert subscribed.secret not in repr(subscribed)


async def test_the_routes_are_an_administrator_s_and_show_a_secret_once(settings, receiver):
    app = create_application(settings, ServeOptions(work=False, keys=False))
    async with client_of(app, headers={"Host": "localhost"}) as client:
        keys: ApiKeys = app.state.gate.keys
        operator = (await keys.issue("o", Role.OPERATOR)).secret
        at = "/api/v1/webhooks"
        refused = await client.get(at, headers={"Authorization": f"Bearer {operator}"})
        assert refused.status_code == 403
        bad = await client.post(at, json={"url": "https://10.0.0.1/", "events": ["*"]})
        assert (bad.status_code, bad.json()["field"]) == (422, "url")
        made = await client.post(at, json={"url": receiver.url, "events": ["*"]})
        assert made.status_code == 201, made.text
        secret, one = made.json()["secret"], f"{at}/{made.json()['webhook']['id']}"
        listed = await client.get(at)
        assert listed.json()[0]["url"] == receiver.url
        assert secret not in listed.text
        paused = await client.patch(one, json={"active": False})
        assert paused.json()["active"] is False
        rotated = await client.post(f"{one}/rotation", json={"grace": 60})
        assert rotated.json()["secret"] not in ("", secret)
        assert (await client.post(f"{one}/ping")).status_code == 202
        assert (await client.get(f"{one}/deliveries")).json()["items"] == []
        assert (await client.delete(one)).status_code == 204
        assert (await client.delete(one)).status_code == 404


def test_the_commands_add_list_pause_ping_and_remove(tmp_path, monkeypatch):
    monkeypatch.setenv("HOLDFAST_DOMAINS", ",".join(DOMAINS))
    data = ("--data", tmp_path / "data")
    refused = here("webhooks", "add", "http://example.com/", "*", *data)
    assert (refused.code, "expected https://" in refused.err) == (4, True)
    added = here("webhooks", "add", "https://example.com/", "model.*", "--json", *data).json
    assert added["secret"].startswith("whsec_")
    assert here("webhooks", "pause", added["id"], *data).code == 0
    (listed,) = here("webhooks", "list", "--json", *data).json
    assert (listed["active"], "secret" in listed) == (False, False)
    assert here("webhooks", "resume", added["id"], *data).code == 0
    assert here("webhooks", "rotate", added["id"], *data).out.startswith("whsec_")
    assert here("webhooks", "ping", added["id"], *data).code == 0
    assert here("webhooks", "deliveries", added["id"], "--json", *data).json == []
    assert here("webhooks", "remove", added["id"], *data).code == 0
    assert here("webhooks", "list", "--json", *data).json == []


async def test_networks_that_are_none_are_refused_by_the_settings(tmp_path):
    with pytest.raises(ValueError, match="networks"):
        Settings(data=tmp_path, webhooks={"networks": "10.0.0.1/8"})
    assert Settings(data=tmp_path).webhooks.networks == ()


def test_migrate_adds_the_tables_to_a_database_that_has_others(tmp_path):
    url, folder = f"sqlite:///{tmp_path}/store.db", tmp_path / "migrations"
    where = ("--url", url, "--folder", folder, "--entities", "holdfast.jobs:Job")
    more = (*where, "--entities", "holdfast.webhooks:WEBHOOK_ENTITIES")
    for message, entities in (("jobs", where), ("webhooks", more)):
        for command in (("create", "-m", message), ("upgrade",)):
            done = here("migrate", *command, *entities)
            assert done.code == 0, done.err
        if message == "jobs":
            with open_blocking(url, [Job]) as store:
                store.run(Jobs(store.asynchronous).enqueue("old"))
    (file,) = folder.rglob("*_webhooks.py")
    assert file.read_text().count("create_table(") == 2
    with open_blocking(url, [], hooks=[WebhookHook()]) as store:
        store.run(Webhooks(store.asynchronous).subscribe("https://example.com/", ["*"]))
        store.record_event("model.promoted", entity="ModelAlias", key="a")
        assert store.repository(Job).count() == 2
