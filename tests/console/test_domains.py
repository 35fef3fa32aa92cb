"""Models, hosts, cache, audit, settings and keys in the console."""

import html
import re

import pytest

from console.conftest import HOSTILE, assert_inert, console_client, log_in, send
from holdfast import formatting
from holdfast.access import ApiKeys, Role
from holdfast.errors import UnauthenticatedError
from holdfast.media import Project
from holdfast.models import ModelRegistry, VersionDetails


@pytest.fixture(scope="module")
async def client(tmp_path_factory):
    async with console_client(tmp_path_factory.mktemp("domains")) as client:
        client.registry = client.platform.service(ModelRegistry)
        client.keys = client.platform.service(ApiKeys)
        yield client


@pytest.fixture(scope="module")
async def model(client, tmp_path_factory):
    """Register three versions whose details try to run something."""
    folder = tmp_path_factory.mktemp("model")
    for number in (1, 2, 3):
        file = folder / "weights.bin"
        file.write_bytes(bytes([number]) * 100)
        details = VersionDetails(
            metrics={"mAP": number / 10, "recall": 1.0},
            config={HOSTILE[1]: HOSTILE[2], "lr": number},
            tags={"note": HOSTILE[5]},
            description=HOSTILE[3],
        )
        await client.registry.register("vehicles", file, details)
    return "/console/models/vehicles"


async def test_a_model_shows_versions_metrics_and_what_differs(client, model):
    paths = ["/console/models", model, f"{model}/versions/2", f"{model}/compare?a=1&b=3"]
    pages = [await client.get(path) for path in paths]
    for page in pages:
        assert page.status_code == 200, page.text[-500:]
        assert_inert(page)
    assert "<polyline" in pages[1].text
    assert "mAP: last 0.3, highest 0.3" in pages[1].text
    assert '<td class="was"><span title="0.1">0.1</span></td>' in pages[3].text
    (digest,) = re.findall(
        r'<td class="now"><code class="cut" title="([0-9a-f]{64})">', pages[3].text
    )
    assert f">{digest[:8]}…</code>" in pages[3].text, "two digests beside one another fit a phone"
    assert (await client.get(f"{model}/versions/9")).status_code == 404
    assert (await client.get("/console/models/none")).status_code == 404


async def test_metrics_that_are_not_alike_have_plots_of_their_own(client, tmp_path):
    for number in (1, 2):
        (tmp_path / "w").write_bytes(bytes([number]))
        metrics = {"mAP": number / 3, "recall": 0.9, "latency": 40.0 - number, "params": 7_654_321}
        await client.registry.register("plotted", tmp_path / "w", VersionDetails(metrics=metrics))
    page = await client.get("/console/models/plotted")
    said = re.findall(r'aria-label="([^"]* over the versions)\.', page.text)
    assert said == [f"{each} over the versions" for each in ("latency", "mAP, recall", "params")]
    one = await client.get("/console/models/plotted/versions/1")
    assert '<dd title="0.3333333333333333">0.3333</dd>' in one.text
    assert ">7,654,321</dd>" in one.text
    diff = await client.get("/console/models/plotted/compare?a=1&b=2")
    assert '<span title="0.3333333333333333">0.333333</span>' in diff.text


async def test_an_alias_is_moved_if_its_gates_let_it_and_rolled_back(client, model):
    moved = await send(client, f"{model}/aliases", alias="prod", number="2", reason="first")
    assert moved.status_code == 303, moved.text
    refused = await send(
        client, f"{model}/aliases", alias="prod", number="1", gates="mAP > current"
    )
    assert refused.status_code == 409
    assert "a gate refuses the version" in refused.text
    await send(client, f"{model}/aliases", alias="prod", number="3", reason=HOSTILE[0])
    page = await client.get(model)
    assert_inert(page)
    stale = await send(client, f"{model}/rollback", alias="prod", expected="2")
    assert stale.status_code == 412
    back = await send(client, f"{model}/rollback", alias="prod", expected="3")
    assert back.status_code == 303
    assert (await client.registry.resolve("vehicles@prod")).number == 2
    history = await client.registry.history("vehicles", "prod")
    assert {move.actor for move in history} == {"local"}
    await send(client, f"{model}/versions/1/deprecation", deprecated="yes", reason="old")
    assert (await client.registry.resolve("vehicles:1")).deprecation == "old"


async def test_the_audit_is_searched_and_verified(client):
    for text in HOSTILE:
        await send(client, "/console/records/projects/new", **{"f.name": text})
    page = await client.get("/console/audit?entity=Project&actor=local&verb=add&since=2020-01-01")
    assert_inert(page)
    for text in HOSTILE:
        assert formatting.readable(text) in html.unescape(page.text)
    assert "Nothing fits" in (await client.get("/console/audit?actor=nobody")).text
    assert (await client.get("/console/audit?until=soon")).status_code == 400
    checked = await send(client, "/console/audit/verification")
    assert "Nothing is wrong" in checked.text


async def test_settings_tell_what_is_in_force_without_a_secret(tmp_path, monkeypatch):
    monkeypatch.setenv("HOLDFAST_LEASE", "33")
    async with console_client(
        tmp_path, lease=33, storage={"type": "memory"}, cache="memory://"
    ) as client:
        page = await client.get("/console/settings")
    row = re.search(r"lease<br>.*?</tr>", page.text, re.DOTALL)[0]
    assert "<bdi>33" in row
    assert "HOLDFAST_LEASE in" in row


async def test_a_key_is_issued_rotated_and_revoked_and_its_secret_shown_once(client):
    path = "/console/settings/keys"
    issued = await send(client, path, name=HOSTILE[0], role="viewer", life="30")
    assert_inert(issued)
    secret = re.search(r"hf_[0-9a-f]{32}_[\w-]{43}", issued.text)[0]
    caller = await client.keys.caller(secret)
    assert (caller.name, caller.role) == (HOSTILE[0], Role.VIEWER)
    assert secret not in (await client.get(path)).text
    rotated = await send(client, f"{path}/{caller.key_id}/rotation")
    another = re.search(r"hf_[0-9a-f]{32}_[\w-]{43}", rotated.text)[0]
    assert (await client.keys.caller(another)).key_id == caller.key_id
    await send(client, f"{path}/{caller.key_id}/revocation")
    with pytest.raises(UnauthenticatedError):
        await client.keys.caller(another)
    wrong = await send(client, path, name=" ", role="viewer", life="")
    assert wrong.status_code == 422
    assert (await send(client, path, name="x", role="root", life="")).status_code == 400


async def test_the_cache_says_since_when_it_is_up(client):
    page = await client.get("/console/cache")
    assert re.search(r'<span class="badge good">up</span> since <time datetime="20', page.text)


async def test_the_cache_shows_keys_to_administrators_and_lets_them_go(client, tmp_path):
    cache = client.platform.cache
    await cache.set("video:<b>1</b>", HOSTILE[0])
    page = await client.get("/console/cache", params={"pattern": "video:*"})
    assert_inert(page)
    assert "video:&lt;b&gt;1&lt;/b&gt;" in page.text
    one = await client.get("/console/cache", params={"key": "video:<b>1</b>"})
    assert HOSTILE[0] in html.unescape(one.text)
    await send(client, "/console/cache/invalidation", key="video:<b>1</b>")
    assert await cache.get("video:<b>1</b>") is None
    assert (await send(client, "/console/cache/invalidation")).status_code == 400
    async with console_client(tmp_path, keys=True) as guarded:
        await log_in(guarded, Role.OPERATOR)
        assert (await guarded.get("/console/cache")).status_code == 200
        assert (await guarded.get("/console/cache?pattern=*")).status_code == 403
        assert (await guarded.get("/console/cache?key=a")).status_code == 403


async def test_hosts_show_machines_requests_and_templates(client):
    page = await client.get("/console/hosts")
    assert page.status_code == 200
    assert "No machines" in page.text
    assert (await client.get("/console/hosts?status=running")).status_code == 200


async def test_a_project_of_anybody_is_recorded_in_their_name(tmp_path):
    async with console_client(tmp_path, keys=True) as client:
        await log_in(client, Role.OPERATOR)
        answer = await send(client, "/console/records/projects/new", **{"f.name": "yard"})
        assert answer.status_code == 303
        project = await client.platform.store.repository(Project).one(Project.name == "yard")
        page = await client.get(f"/console/records/projects/row?_key={project.id}")
        assert "<strong><bdi>the operator</bdi></strong>" in page.text
