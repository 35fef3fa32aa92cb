"""The HostFactory contract: the five scripts, in the shapes that its callers send and read.

The shapes are facts of the contract, as IBM documents it and FINOS Open Resource Broker answers.
"""

from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from holdfast.errors import InvalidValueError, NotFoundError
from holdfast.hosts import HostFactory, HostPool, HostPoolOptions, Template
from hosts.disk_provider import DiskProvider

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module", params=["memory"])
def backend(request):
    return request.param


@pytest.fixture
def provider(tmp_path):
    return DiskProvider(tmp_path / "machines")


@pytest.fixture
async def factory(store, provider, pool_name):
    pool = HostPool(store, [provider], pool=pool_name, options=HostPoolOptions(attempts=2))
    await pool.add_template(
        Template(
            name="small", provider_type="disk", max_number=3,
            attributes={"ncpus": 4, "nram": 8192, "zone": "a", "disk": {"gb": 1}, "spot": True},
        )
    )  # fmt: skip
    return HostFactory(pool)


async def test_templates_have_attributes_with_their_types(factory):
    assert await factory.scripts["getAvailableTemplates"]({}) == {
        "message": "Get available templates success.",
        "templates": [
            {
                "templateId": "small",
                "maxNumber": 3,
                "attributes": {
                    "type": ["String", "X86_64"],
                    "ncpus": ["Numeric", "4"],
                    "nram": ["Numeric", "8192"],
                    "zone": ["String", "a"],
                },
            }
        ],
    }


async def test_machines_are_requested_told_of_and_returned(factory, provider, clock):
    scripts = factory.scripts
    provider.room = 1
    asked = {"template": {"templateId": "small", "machineCount": 2}}
    made = await scripts["requestMachines"](asked)
    assert set(made) == {"message", "requestId"}
    status = {"requests": [{"requestId": made["requestId"]}]}
    (told,) = (await scripts["getRequestStatus"](status))["requests"]
    assert set(told) == {"requestId", "status", "message", "machines"}
    assert (told["requestId"], told["status"]) == (made["requestId"], "running")
    (token,) = provider.living()
    by_result = {each["result"]: each for each in told["machines"]}
    assert by_result["succeed"] == {
        "machineId": token,
        "name": f"i-{token}",
        "result": "succeed",
        "status": "running",
        "privateIpAddress": "::1",
        "launchtime": int(clock.time.timestamp()),
        "message": "",
    }
    assert by_result["executing"]["status"] == "launching"
    assert by_result["executing"]["message"] == "no capacity"
    clock.forward(minutes=10)
    (told,) = (await scripts["getRequestStatus"](status))["requests"]
    assert told["status"] == "complete_with_error"

    gone = await scripts["requestReturnMachines"](
        {"machines": [{"name": f"i-{token}", "machineId": token}]}
    )
    (back,) = (await scripts["getRequestStatus"]({"requests": {"requestId": gone["requestId"]}}))[
        "requests"
    ]
    assert (back["status"], back["message"]) == ("complete", "")
    assert [(each["result"], each["status"]) for each in back["machines"]] == [
        ("succeed", "terminated")
    ]
    assert provider.living() == set()


async def test_machines_that_leave_unasked_are_told_as_return_requests(factory, provider, store):
    pool = factory._pool
    first, second = await pool.machines_of(await pool.wait((await pool.request(2)).id))
    answer = factory.scripts["getReturnRequests"]
    assert await answer({}) == {
        "status": "complete", "message": "No machines to return.", "requests": []
    }  # fmt: skip
    (provider.folder / str(first.id)).write_text("ending")
    await pool.tend()
    named = {"machines": [{"name": "x", "machineId": str(each.id)} for each in (first, second)]}
    for given in ({}, named):
        told = await answer(given)
        assert told["requests"] == [{"machine": f"i-{first.id}", "gracePeriod": 0}]
    await provider.end(first.id)
    await pool.tend()
    assert (await answer(named))["requests"] == told["requests"]
    await pool.wait((await pool.give_back([second.id], within=timedelta(hours=1))).id)
    assert (await answer(named))["requests"] == told["requests"]  # that was asked for


async def test_input_of_another_shape_is_refused_by_name(factory):
    scripts = factory.scripts
    for script, given, field in [
        ("requestMachines", {}, "template"),
        ("requestMachines", {"template": {"templateId": 1, "machineCount": 1}}, "templateId"),
        ("requestMachines", {"template": {"templateId": "small", "machineCount": "1"}},
         "machineCount"),
        ("requestReturnMachines", {"machines": "all"}, "machines"),
        ("requestReturnMachines", {"machines": [{"machineId": "i-1"}]}, "machineId"),
        ("getRequestStatus", {"requests": [1]}, "requests"),
        ("getReturnRequests", {"machines": [{"name": "x"}]}, "machineId"),
    ]:  # fmt: skip
        with pytest.raises(InvalidValueError) as refused:
            await scripts[script](given)
        assert refused.value.field == field, script
    with pytest.raises(NotFoundError):
        await scripts["requestMachines"]({"template": {"templateId": "x", "machineCount": 1}})
    unknown = str(uuid4())
    (told,) = (await scripts["getRequestStatus"]({"requests": [{"requestId": unknown}]}))[
        "requests"
    ]
    assert (UUID(told["requestId"]), told["status"]) == (UUID(unknown), "complete_with_error")
