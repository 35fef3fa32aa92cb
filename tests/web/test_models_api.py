"""Models over HTTP: registered, found, promoted, downloaded, compared, kept while in use."""

import hashlib
import json

import pytest

from holdfast.access import Role
from web.conftest import bearing, keys_of, platform_client

pytestmark = pytest.mark.anyio
V1 = "/api/v1/models"


async def send(client, content, *, name="vehicles", headers=None, **details):
    return await client.post(
        f"{V1}/{name}/versions",
        params={"details": json.dumps(details)},
        files={"file": ("weights.bin", content)},
        headers=headers,
    )


async def test_a_model_is_registered_found_promoted_downloaded_and_deleted(api):
    came = await send(api, b"one", metrics={"mAP": 0.9}, tags={"team": "vision"})
    assert came.status_code == 201, came.text
    assert came.headers["Location"] == f"{V1}/vehicles/versions/1"
    version = came.json()["version"]
    assert (version["number"], version["size"]) == (1, 3)
    assert not {"request_key", "precedence"} & set(version)
    assert (await send(api, b"two", metrics={"mAP": 0.8}, parents=["vehicles:1"])).json()[
        "version"
    ]["number"] == 2
    found = await api.get(
        f"{V1}/search", params={"where": ["metrics.mAP > 0.85", "tags.team = vision"]}
    )
    assert [each["number"] for each in found.json()] == [1]
    assert [each["name"] for each in (await api.get(V1)).json()["items"]] == ["vehicles"]
    listed = (await api.get(f"{V1}/vehicles/versions", params={"size": 1})).json()
    assert ([each["number"] for each in listed["items"]], bool(listed["next"])) == ([2], True)

    body = {"number": 1, "expected": None, "gates": ["mAP >= 0.9"], "reason": "first"}
    assert (await api.put(f"{V1}/vehicles/aliases/prod", json=body)).json()["to_number"] == 1
    refused = await api.put(f"{V1}/vehicles/aliases/prod", json=body)
    assert refused.status_code == 412
    worse = {"number": 2, "gates": ["mAP > current"]}
    refused = await api.put(f"{V1}/vehicles/aliases/prod", json=worse)
    assert (refused.status_code, refused.json()["refusals"]) == (
        409, ["mAP > current: it is 0.8, not 0.9"],
    )  # fmt: skip
    resolved = await api.get(f"{V1}/resolve", params={"reference": "vehicles@prod"})
    assert resolved.json()["id"] == version["id"]

    (file,) = (await api.get(f"{V1}/vehicles/versions/1/files")).json()
    sent = await api.get(f"{V1}/vehicles/versions/1/content/{file['path']}")
    assert hashlib.sha256(sent.content).hexdigest() == file["sha256"]
    assert sent.headers["Content-Disposition"].startswith("attachment")
    compared = await api.get(
        f"{V1}/compare", params={"first": "vehicles:1", "second": "vehicles:2"}
    )
    assert compared.json()["metrics"] == {"mAP": [0.9, 0.8]}
    below = (await api.get(f"{V1}/vehicles/versions/2/lineage")).json()
    assert [each["label"] for each in below["ancestors"]] == ["vehicles:1"]

    kept = await api.delete(f"{V1}/vehicles/versions/1")
    assert (kept.status_code, kept.json()["users"]) == (409, ["alias prod"])
    await api.put(f"{V1}/vehicles/aliases/prod", json={"number": 2})
    back = await api.post(f"{V1}/vehicles/aliases/prod/rollback", json={"reason": "worse"})
    assert back.json()["to_number"] == 1
    history = (await api.get(f"{V1}/vehicles/aliases/prod/history")).json()
    assert [(each["to_number"], each["actor"]) for each in history] == [
        (1, "local"), (2, "local"), (1, "local"),
    ]  # fmt: skip
    await api.delete(f"{V1}/vehicles/aliases/prod")
    assert (await api.delete(f"{V1}/vehicles/versions/1")).status_code == 204
    for gone in ("versions/1", "versions/0", "versions/2/content/../x"):
        assert (await api.get(f"{V1}/vehicles/{gone}")).status_code == 404


async def test_a_request_that_is_made_again_registers_once(api):
    headers = {"Idempotency-Key": "run-7"}
    assert (await send(api, b"x", headers=headers)).status_code == 201
    again = await send(api, b"x", headers=headers)
    assert (again.status_code, again.json()["created"]) == (200, False)
    assert (await send(api, b"y", headers=headers)).status_code == 409


@pytest.mark.parametrize(
    ("details", "status"),
    [
        ('{"metrics": {"a": "much"}}', 422),
        ('{"odd": 1}', 422),
        ('{"semantic_version": "two"}', 422),
        ('{"parents": ["nobody:1"]}', 404),
        ("{", 400),
    ],
)
async def test_a_registration_that_is_refused_leaves_nothing(shared_api, details, status):
    sent = await shared_api.post(
        f"{V1}/vehicles/versions", params={"details": details}, content=b"weights"
    )
    assert sent.status_code == status, sent.text
    assert (await shared_api.get(f"{V1}/vehicles/versions")).status_code == 404
    assert (await shared_api.get("/api/v1/objects")).json()["items"] == []


async def test_who_may_only_look_changes_nothing(settings):
    async with platform_client(settings) as client:
        secret = (await keys_of(client).issue("eve", Role.VIEWER)).secret
        sent = await send(client, b"x", headers=bearing(secret))
        assert sent.status_code == 403
        assert (await client.get(V1, headers=bearing(secret))).status_code == 200
