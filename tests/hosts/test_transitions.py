"""The state machine of requests and machines: the only writer of a status."""

import asyncio
import re
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest

import holdfast.hosts
from holdfast.errors import IllegalTransitionError, NotFoundError, StaleVersionError
from holdfast.hosts.host_entities import (
    HostRequest,
    Machine,
    MachineStatus,
    RequestKind,
    RequestStatus,
    Stage,
)
from holdfast.hosts.host_repositories import MachineRepository, RequestRepository
from holdfast.hosts.transitions import (
    MACHINE_STEPS,
    REQUEST_STEPS,
    drawn,
    stage_of,
    step_machine,
    step_request,
)

pytestmark = pytest.mark.anyio


def a_machine(store, pool, status):
    return Machine(
        pool=pool, template_id=uuid4(), template="t", provider="p", request_id=uuid4(),
        changed_at=store.now(), status=status, stage=stage_of(status),
    )  # fmt: skip


def a_request(store, pool, status):
    deadline = store.now() + timedelta(hours=1)
    return HostRequest(pool=pool, kind=RequestKind.ACQUIRE, requested=1, deadline=deadline,
                   status=status, stage=stage_of(status))  # fmt: skip


@pytest.mark.parametrize("kind", [MachineRepository, RequestRepository])
@pytest.mark.parametrize("backend", ["memory"], indirect=True, scope="module")
async def test_the_tables_allow_their_steps_and_no_other(store, pool_name, kind):
    seen = kind(store, pool=pool_name)
    machines = kind is MachineRepository
    steps, step, made = (
        (MACHINE_STEPS, step_machine, a_machine)
        if machines
        else (REQUEST_STEPS, step_request, a_request)
    )
    statuses = list(MachineStatus if machines else RequestStatus)
    assert set(steps) == set(statuses)
    for current in statuses:
        for wanted in statuses:
            before = await seen.add(made(store, pool_name, current))
            if wanted in steps[current]:
                after = await step(seen, before, wanted)
                assert (after.status, after.stage) == (wanted, stage_of(wanted))
                assert (after.ended_at is None) == (after.stage is Stage.LIVE)
            else:
                with pytest.raises(IllegalTransitionError) as refused:
                    await step(seen, before, wanted)
                assert (refused.value.current, refused.value.wanted) == (current, wanted)
                assert refused.value.entity == seen.model.name
                assert str(before.id) in str(refused.value)
                assert await seen.get(before.id) == before


def test_which_statuses_are_ends():
    ends = {
        *(
            RequestStatus(each)
            for each in ("complete", "partial", "failed", "cancelled", "timeout")
        ),
        *(MachineStatus(each) for each in ("terminated", "returned", "failed")),
    }
    found = {each for each in (*RequestStatus, *MachineStatus) if stage_of(each) is Stage.ENDED}
    assert found == ends


@pytest.mark.parametrize("backend", ["memory"], indirect=True, scope="module")
async def test_who_comes_late_is_told_of_what_and_where_it_stands(store, pool_name):
    for kind, made, step, early, late in (
        (MachineRepository, a_machine, step_machine, MachineStatus.STOPPED, MachineStatus.FAILED),
        (
            RequestRepository,
            a_request,
            step_request,
            RequestStatus.IN_PROGRESS,
            RequestStatus.FAILED,
        ),
    ):
        seen = kind(store, pool=pool_name)
        status = MachineStatus.RUNNING if kind is MachineRepository else RequestStatus.PENDING
        before = await seen.add(made(store, pool_name, status))
        await step(seen, before, early)
        with pytest.raises(StaleVersionError) as stale:
            await step(seen, before, late)
        assert (stale.value.entity, stale.value.key) == (seen.model.name, before.id)
        assert (stale.value.expected, stale.value.actual) == (before.version, before.version + 1)
        await seen.delete(before.id)
        with pytest.raises(NotFoundError) as gone:
            await step(seen, before, late)
        assert (gone.value.entity, gone.value.key) == (seen.model.name, before.id)


async def test_of_those_who_take_a_step_at_once_one_does(store, pool_name):
    seen = MachineRepository(store, pool=pool_name)
    machine = await seen.add(a_machine(store, pool_name, MachineStatus.RUNNING))
    wanted = [MachineStatus.STOPPED, MachineStatus.SHUTTING_DOWN, MachineStatus.STOPPING] * 3
    steps = [step_machine(seen, machine, each) for each in wanted]
    came = await asyncio.gather(*steps, return_exceptions=True)
    (done,) = [each for each in came if isinstance(each, Machine)]
    assert all(isinstance(each, StaleVersionError) for each in came if each is not done)
    assert await seen.get(machine.id) == done
    assert done.version == machine.version + 1


async def test_an_update_of_a_status_starts_from_the_stored_one(store, clock, pool_name):
    seen = RequestRepository(store, pool=pool_name)
    request = await seen.add(a_request(store, pool_name, RequestStatus.PENDING))
    clock.forward(seconds=5)
    ended = await seen.update_status(
        request.id, RequestStatus.FAILED, HostRequest.diagnosis.to("no room")
    )
    assert (ended.diagnosis, ended.ended_at) == ("no room", clock.time)
    with pytest.raises(IllegalTransitionError, match="from failed to in_progress"):
        await seen.update_status(request.id, RequestStatus.IN_PROGRESS)
    with pytest.raises(StaleVersionError):  # as it was read, a step would lead there
        await step_request(seen, request, RequestStatus.IN_PROGRESS)
    with pytest.raises(NotFoundError):
        await seen.update_status(uuid4(), RequestStatus.FAILED)


def test_no_other_module_writes_a_status():
    folder = Path(holdfast.hosts.__file__).parent
    writes = re.compile(r"\.(status|stage)\.to\(")
    found = {path.name for path in folder.glob("*.py") if writes.search(path.read_text())}
    assert found == {"transitions.py"}


def test_the_page_draws_the_tables():
    page = (Path(__file__).parents[2] / "docs" / "hosts.md").read_text()
    assert drawn(REQUEST_STEPS) in page
    assert drawn(MACHINE_STEPS) in page
