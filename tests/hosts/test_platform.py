"""Hosts on the platform: its routes, its commands, its records in the audit, real workers."""

import asyncio
import json

import pytest

from cli.program import here, wait_until
from holdfast import everything
from holdfast.access import ApiKeys, Role
from holdfast.audit import AuditEntry
from holdfast.hosts import (
    HostPool,
    IllegalTransitionError,
    Machine,
    MachineStatus,
    RequestStatus,
    WorkerProcesses,
)
from holdfast.hosts.hosts_domain import HOSTS
from holdfast.jobs import EnqueueOptions, Jobs
from holdfast.platform import open_platform
from holdfast.settings import Settings
from holdfast.web.platform_application import create_application
from holdfast.web.serve_options import ServeOptions
from hosts.disk_provider import DiskProvider
from http_serving import client_of

pytestmark = pytest.mark.anyio
AT = "/api/v1/hosts"


@pytest.fixture
def settings(tmp_path):
    return Settings(data=tmp_path / "data", storage={"type": "memory"}, bucket="memory://")


@pytest.fixture
def provider(tmp_path, monkeypatch):
    """A provider of machines in the place of worker processes."""
    provider = DiskProvider(tmp_path / "machines", type="process")
    monkeypatch.setattr(WorkerProcesses, "of_data", lambda *_, **__: provider)
    return provider


async def test_machines_are_had_and_given_back_over_http(settings, provider):
    app = create_application(settings, ServeOptions(work=False))
    async with client_of(app, headers={"Host": "localhost"}) as client:
        made = await client.post(f"{AT}/requests", json={"number": 2})
        assert (made.status_code, made.json()["status"]) == (202, "complete")
        assert "pool" not in made.json()
        listed = await client.get(f"{AT}/machines", params={"status": "running"})
        machines = [each["id"] for each in listed.json()["items"]]
        assert set(machines) == provider.living()
        template = {"name": "big", "provider_type": "process", "max_number": 1}
        assert (await client.post(f"{AT}/templates", json=template)).status_code == 201
        assert (await client.post(f"{AT}/templates", json=template)).status_code == 409
        asked = {"number": 3, "templates": ["big"], "within": 60}
        partial = (await client.post(f"{AT}/requests", json=asked)).json()
        assert (partial["status"], partial["fulfilled"]) == ("partial_pending", 1)
        refused = await client.delete(f"{AT}/templates/big")
        assert (refused.status_code, refused.json()["subject"]) == (409, "the template big")
        cancelled = f"{AT}/requests/{partial['id']}/cancellation"
        assert (await client.post(cancelled)).json()["status"] == "cancelled"
        again = await client.post(cancelled)
        assert (again.status_code, again.json()["current"], again.json()["wanted"]) == (
            409, "cancelled", "cancelled",
        )  # fmt: skip
        gone = await client.post(f"{AT}/returns", json={"machines": machines})
        assert gone.json()["status"] == "complete"
        shown = (await client.get(f"{AT}/machines/{machines[0]}")).json()
        assert (shown["status"], shown["return_request_id"]) == ("returned", gone.json()["id"])
        counts = (await client.get(f"{AT}/counts")).json()
        assert (counts["returned"], counts["running"]) == (2, 0)
        names = [each["name"] for each in (await client.get(f"{AT}/templates")).json()["items"]]
        assert names == ["big", "worker"]
        active = await client.get(f"{AT}/requests", params={"stage": "live"})
        assert active.json()["items"] == []
        unknown = await client.post(f"{AT}/requests", json={"number": 1, "templates": ["x"]})
        assert unknown.status_code == 404
        for wrong in ({"number": 0}, {"number": True}, {"number": 1, "within": 0}):
            assert (await client.post(f"{AT}/requests", json=wrong)).status_code == 422
        keys: ApiKeys = app.state.gate.keys
        viewer = {"Authorization": f"Bearer {(await keys.issue('v', Role.VIEWER)).secret}"}
        assert (await client.get(f"{AT}/machines", headers=viewer)).status_code == 200
        refused = await client.post(f"{AT}/requests", json={"number": 1}, headers=viewer)
        assert refused.status_code == 403


async def test_no_verb_of_a_repository_writes_a_status_that_no_step_leads_to(settings, provider):
    async with open_platform(settings) as platform:
        pool = platform.service(HostPool)
        request = await pool.wait((await pool.request(1)).id)
        (machine,) = await pool.machines_of(request)
        pending = MachineStatus.PENDING
        with pytest.raises(IllegalTransitionError, match="from running to pending"):
            await pool.machines.patch(machine.id, Machine.status.to(pending))
        with pytest.raises(IllegalTransitionError):
            await pool.machines.update_where(everything(), changes=Machine.status.to(pending))
        request.status = RequestStatus.PENDING
        with pytest.raises(IllegalTransitionError, match="from complete to pending"):
            await pool.requests.update(request)
        assert await pool.machines.get(machine.id) == machine
        await pool.machines.patch(machine.id, Machine.address.to("::2"))


async def test_each_step_is_in_the_audit_and_each_minute_tends(settings, provider):
    async with open_platform(settings) as platform:
        pool = platform.service(HostPool)
        (machine,) = await pool.machines_of(await pool.wait((await pool.request(1)).id))
        await provider.end(machine.id)
        await HOSTS.each_minute(platform.parts)
        assert (await pool.machines.get_one(machine.id)).status is MachineStatus.TERMINATED
        entries = await platform.store.repository(AuditEntry).find(
            AuditEntry.key == str(machine.id), order_by=AuditEntry.id.asc()
        )
        statuses = [each.changes["status"] for each in entries if "status" in each.changes]
        assert len(statuses) == 4
        for status, told in zip(["pending", "launching", "running", "terminated"], statuses,
                                strict=True):  # fmt: skip
            assert status in json.dumps(told)


def test_a_queue_gets_a_real_worker_that_works_and_goes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOLDFAST_DATA", str(tmp_path / "data"))

    async def enqueue():
        async with open_platform(Settings(data=tmp_path / "data")) as platform:
            only = EnqueueOptions(max_attempts=1)
            await platform.service(Jobs).enqueue("detect", {"video_id": "gone"}, options=only)

    def hosts(*arguments, code=0):
        done = here("hosts", *arguments, "--json")
        assert done.code == code, done.err
        return done.json

    asyncio.run(enqueue())
    assert hosts("autoscale", "--once") == {"jobs": 1, "workers": 0, "wanted": 1}
    (machine,) = hosts("list")
    try:
        wait_until(lambda: here("jobs", "--json").json[0]["status"] == "failed", "the job's end",
                   pause=0.2)  # fmt: skip
        assert hosts("autoscale", "--once", "--least", "1")["workers"] == 1
        assert hosts("autoscale", "--once", "--most", "0") == {
            "jobs": 0, "workers": 1, "wanted": 0
        }  # fmt: skip
        assert hosts("tend").keys() >= {"strangers", "gone", "orphans", "unreached"}
    finally:
        back = hosts("return", machine["id"])
    assert (back["status"], back["fulfilled"]) == ("complete", 1)
    assert [each["status"] for each in hosts("list", "--ended")] == ["returned"]
    assert hosts("list") == []


def test_commands_of_templates_requests_and_scripts(tmp_path, monkeypatch, provider):
    monkeypatch.chdir(tmp_path)

    def hosts(*arguments, code=0):
        done = here("hosts", *arguments)
        assert done.code == code, done.err
        return done

    hosts("template", "big", "--most", "1", "--attributes", '{"ncpus": 2}')
    hosts("template", "big", "--most", "2", "--attributes", '{"ncpus": 4}')
    (template,) = hosts("templates", "--json").json
    assert (template["max_number"], template["attributes"]) == (2, {"ncpus": 4})
    assert "big" in hosts("templates").out
    got = hosts("request", "1", "--template", "big", "--json").json
    assert (got["status"], len(got["machines"])) == ("complete", 1)
    assert "partial, 1 of 2" in hosts("request", "2", "--within", "0.02", code=6).err
    assert "acquire" in hosts("requests").out
    assert "2 machines" in hosts("template", "big", "--remove", code=5).err
    given = tmp_path / "input.json"
    given.write_text(json.dumps({"requests": [{"requestId": got["id"]}]}))
    (told,) = hosts("factory", "getRequestStatus", "-f", given).json["requests"]
    assert told["status"] == "complete"
    assert hosts("factory", "getAvailableTemplates").json["templates"][0]["maxNumber"] == 2
    assert "template" in hosts("factory", "requestMachines", "-f", given, code=4).err
    given.write_text("[")
    assert "is not JSON" in hosts("factory", "requestMachines", "-f", given, code=4).err
    assert "script" in hosts("factory", "makeCoffee", code=3).err
    assert "name machines" in hosts("return", code=2).err
    assert len(hosts("return", "--all", "--json").json["machines"]) == 2
    assert "No machine lives" in hosts("return", "--all").err
    hosts("template", "big", "--remove")
    assert hosts("templates", "--json").json == []
