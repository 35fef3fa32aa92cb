"""The cursors of the API's lists: sealed by the secret of the server, whichever list gives them."""

import base64

from holdfast.fastapi.crud.sealed_cursor import seal, unseal
from holdfast.jobs import Jobs, NewJob
from holdfast.models import ModelRegistry
from holdfast.platform import open_platform
from holdfast.settings import Settings
from holdfast.settings.backend_options import cursor_secrets
from holdfast.webhooks import Webhooks
from holdfast.webhooks.webhook_entities import WebhookDelivery
from web.conftest import platform_client

OWN = ("/audit/entries", "/models", "/models/{name}/versions", "/webhooks/{webhook_id}/deliveries")
"""Lists that are no `ListQuery`, and seal what they give by themselves."""


async def filled(settings, folder):
    """Put two of each kind into the store of *settings*, and return the id of a webhook."""
    async with open_platform(settings) as platform:
        jobs, registry = platform.service(Jobs), platform.service(ModelRegistry)
        await jobs.enqueue_many([NewJob("copy")] * 2)
        for name in ("cars", "vehicles", "vehicles"):
            (folder / "model.bin").write_bytes(f"{name} {jobs.now()}".encode())
            await registry.register(name, folder / "model.bin")
        webhooks = platform.service(Webhooks)
        for _ in range(2):  # each an entry of the audit
            webhook = (await webhooks.subscribe("https://a.example/", ["*"])).webhook
        told = {"webhook_id": webhook.id, "event": "e", "attempt": 1, "at": jobs.now()}
        await platform.store.repository(WebhookDelivery).add_many(
            [WebhookDelivery(message=each, seconds=0.1, **told) for each in ("a", "b")]
        )
        return webhook.id


async def test_every_list_seals_its_cursors_and_takes_no_others(tmp_path):
    key = base64.b64encode(b"k" * 32).decode()
    settings = Settings(
        data=tmp_path / "data",
        domains=("access", "audit", "jobs", "media", "models", "webhooks"),
        jobs={"keys": f"a:{key}"},
    )
    names = {"webhook_id": await filled(settings, tmp_path), "name": "vehicles"}
    secrets = cursor_secrets(settings)
    async with platform_client(settings) as client:
        for path in ("/jobs", *OWN):
            at = f"/api/v1{path.format(**names)}"
            cursor = (await client.get(at, params={"size": 1})).json()["next"]
            plain = unseal(cursor, secrets)
            for given, status in (
                (cursor, 200), (plain, 400), (seal(plain, []), 400), (seal(plain, ["other"]), 400),
            ):  # fmt: skip
                answer = await client.get(at, params={"size": 1, "cursor": given})
                assert answer.status_code == status, (path, answer.text)
            back = (await client.get(at, params={"size": 1, "cursor": cursor})).json()["previous"]
            assert (await client.get(at, params={"cursor": back})).status_code == 200, path
        paths = (await client.get("/api/v1/openapi.json")).json()["paths"]
        given = {
            path.removeprefix("/api/v1"): {each["name"] for each in verbs["get"]["parameters"]}
            for path, verbs in paths.items()
            if "parameters" in verbs.get("get", ())
        }
        own = [path for path, names in given.items() if "cursor" in names and "sort" not in names]
        assert sorted(own) == sorted(OWN)
