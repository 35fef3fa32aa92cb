"""The pool: what it acquires, takes back, retries, gives up, and brings together again."""

import asyncio
from collections import Counter
from datetime import timedelta
from uuid import uuid4

import pytest

from holdfast.errors import IllegalTransitionError, InUseError, InvalidValueError, NotFoundError
from holdfast.hosts.host_entities import MachineStatus, RequestStatus, Template
from holdfast.hosts.host_options import HostPoolOptions
from holdfast.hosts.host_pool import HostPool
from holdfast.hosts.placement import Room, spread
from holdfast.jobs import Backoff
from hosts.disk_provider import DiskProvider

pytestmark = pytest.mark.anyio
R, M = RequestStatus, MachineStatus
OPTIONS = HostPoolOptions(
    attempts=3, backoff=Backoff(first=timedelta(seconds=1), jitter=0), failures=1
)


@pytest.fixture
def provider(tmp_path):
    return DiskProvider(tmp_path / "machines")


@pytest.fixture
def pool(store, provider, pool_name):
    return HostPool(store, [provider], pool=pool_name, options=OPTIONS)


def template(name, most=10, **values):
    return Template(name=name, provider_type="disk", max_number=most, **values)


async def standing(pool):
    """How many machines have each status, and the living tokens by the records."""
    machines = (await pool.machines.get_all(size=1000)).items
    return Counter(each.status for each in machines), {
        str(each.id) for each in machines if each.status is M.RUNNING
    }


async def test_machines_come_by_weight_up_to_what_a_template_may_have_and_go_back(pool, provider):
    await pool.add_template(template("heavy", weight=3))
    await pool.add_template(template("light", weight=1))
    await pool.add_template(template("small", most=1, weight=9))
    request = await pool.request(9, templates=["heavy", "light", "small"])
    assert (request.status, provider.started()) == (R.PENDING, [])
    request = await pool.work(request.id)
    assert (request.status, request.fulfilled, request.live) == (R.COMPLETE, 9, 9)
    machines = await pool.machines_of(request)
    assert Counter(each.template for each in machines) == {"heavy": 6, "light": 2, "small": 1}
    assert {each.instance_id for each in machines} == {f"i-{each}" for each in provider.living()}
    assert {each.address for each in machines} == {"::1"}
    assert (await pool.template("heavy")).live == 6
    with pytest.raises(InUseError, match="6 machines"):
        await pool.remove_template("heavy")

    wanted = [each.id for each in machines if each.template == "heavy"]
    back = await pool.work((await pool.give_back([*wanted, wanted[0]])).id)
    assert (back.status, back.fulfilled) == (R.COMPLETE, 6)
    assert {each.status for each in await pool.machines_of(back)} == {M.RETURNED}
    assert await standing(pool) == ({M.RUNNING: 3, M.RETURNED: 6}, provider.living())
    assert (await pool.requests.get_one(request.id)).live == 3
    await pool.remove_template("heavy")
    again = await pool.work((await pool.give_back(wanted)).id)  # they are gone already
    assert (again.status, again.fulfilled) == (R.COMPLETE, 6)
    for wrong in ([uuid4()], [wanted[0], uuid4()]):
        with pytest.raises(NotFoundError):
            await pool.give_back(wrong)
    with pytest.raises(InvalidValueError):
        await pool.give_back([])
    with pytest.raises(NotFoundError):
        await pool.request(1, templates=["heavy"])


async def test_what_has_not_come_by_the_deadline_does_not_come(pool, provider, clock):
    await pool.add_template(template("a"))
    provider.room = 2
    request = await pool.request(3, within=timedelta(minutes=1))
    request = await pool.work(request.id)
    assert (request.status, request.fulfilled) == (R.PARTIAL_PENDING, 2)
    assert request.diagnosis == "no capacity"
    clock.forward(minutes=1)
    provider.room = None
    request = await pool.work(request.id)
    assert (request.status, request.fulfilled) == (R.PARTIAL, 2)
    assert request.diagnosis == "its deadline has passed"
    none = await pool.request(1, within=timedelta(seconds=1))
    clock.forward(seconds=1)
    assert (await pool.work(none.id)).status is R.TIMEOUT
    clock.forward(minutes=1)
    await pool.tend()
    assert await standing(pool) == ({M.RUNNING: 2, M.TERMINATED: 1}, provider.living())
    assert (await pool.template("a")).live == 2


async def test_an_answer_that_was_lost_is_asked_for_again_and_paid_once(pool, provider, clock):
    await pool.add_template(template("a"))
    provider.lost, provider.deaf = 1, 1
    request = await pool.request(2)
    assert (await pool.work(request.id)).status is R.ACQUIRING
    assert (await pool.work(request.id)).status is R.PARTIAL_PENDING  # the provider shows it
    assert (await pool.work(request.id)).fulfilled == 1  # it is not time to try the other
    clock.forward(seconds=1)
    assert (await pool.work(request.id)).status is R.COMPLETE
    assert len(provider.started()) == 2
    assert await standing(pool) == ({M.RUNNING: 2}, provider.living())


async def test_a_template_that_fails_makes_room_for_another_and_too_many_failures_end_it(
    pool, provider
):
    await pool.add_template(template("broken", weight=9))
    await pool.add_template(template("whole"))
    provider.refused = {"broken"}
    request = await pool.request(2)
    for _ in range(3):
        request = await pool.work(request.id)
    assert (request.status, request.failed) == (R.COMPLETE, 2)
    assert {each.template for each in await pool.machines_of(request) if each.instance_id} == {
        "whole"
    }
    provider.refused.add("whole")
    request = await pool.request(2)
    for _ in range(4):
        request = await pool.work(request.id)
    assert (request.status, request.live) == (R.FAILED, 0)
    assert "there is no such image" in request.diagnosis
    assert (await pool.template("broken")).live == 0


async def test_a_request_waits_for_who_serves_its_template_and_fails_without_one(
    pool, provider, pool_name
):
    elsewhere = HostPool(pool.store, [], pool=pool_name)
    hopeless = await elsewhere.work((await elsewhere.request(1)).id)
    assert (hopeless.status, hopeless.diagnosis) == (R.FAILED, "there is no template (any)")
    await pool.add_template(template("a"))
    request = await elsewhere.work((await elsewhere.request(1)).id)
    assert request.status is R.IN_PROGRESS
    assert request.diagnosis == "its templates are of no type that is served here ()"
    assert (await pool.work(request.id)).status is R.COMPLETE
    (machine,) = await pool.machines_of(request)
    back = await elsewhere.work((await elsewhere.give_back([machine.id])).id)
    assert (back.status, provider.living()) == (R.PARTIAL_PENDING, {str(machine.id)})
    assert (await pool.work(back.id)).status is R.COMPLETE
    assert provider.living() == set()


async def test_the_machines_of_a_host_that_is_gone_for_good_are_written_off(
    pool, provider, pool_name, clock
):
    await pool.add_template(template("a"))
    request = await pool.wait((await pool.request(2)).id)
    elsewhere = HostPool(pool.store, [], pool=pool_name)
    clock.forward(days=1)
    await elsewhere.tend()
    assert (await standing(pool))[0] == {M.RUNNING: 2}  # nobody there can know
    assert await elsewhere.write_off("another") == 0
    assert await elsewhere.write_off(provider.name) == 2
    assert (await pool.template("a")).live == 0
    assert (await standing(pool))[0] == {M.TERMINATED: 2}
    told = (await pool.tend()).reconciled  # it does come back
    assert set(told.strangers) == {each.id for each in await pool.machines_of(request)}
    assert provider.living() == set()


async def test_a_large_request_has_a_few_machines_on_their_way_at_a_time(
    store, provider, pool_name
):
    options = HostPoolOptions(window=3, failures=1)
    pool = HostPool(store, [provider], pool=pool_name, options=options)
    await pool.add_template(template("a", most=1000))
    request = await pool.work((await pool.request(8)).id)
    assert (request.status, request.live, request.fulfilled) == (R.PARTIAL_PENDING, 3, 3)
    (request,) = (await pool.tend()).requests
    assert (request.status, request.fulfilled) == (R.COMPLETE, 8)
    provider.room = 8
    request = await pool.work((await pool.request(500)).id)
    (request,) = (await pool.tend()).requests
    assert (request.status, request.live, request.diagnosis) == (R.ACQUIRING, 3, "no capacity")


async def test_a_cancelled_request_keeps_nothing(pool, provider, clock):
    await pool.add_template(template("a"))
    provider.room = 1
    request = await pool.request(3)
    await pool.work(request.id)
    cancelled = await pool.cancel(request.id)
    assert cancelled.status is R.CANCELLED
    with pytest.raises(IllegalTransitionError, match="from cancelled to cancelled"):
        await pool.cancel(request.id)
    clock.forward(minutes=1)
    await pool.tend()
    assert await standing(pool) == ({M.TERMINATED: 3}, set())
    assert provider.living() == set()
    assert (await pool.template("a")).live == 0


async def test_reconciling_ends_strangers_and_notes_what_is_gone(pool, provider, clock):
    await pool.add_template(template("a"))
    request = await pool.wait((await pool.request(3)).id)
    first, second, third = await pool.machines_of(request)
    stranger = uuid4()
    await provider.launch(stranger, template("a"))
    await provider.end(first.id)  # a spot machine that was taken away
    (provider.folder / str(second.id)).unlink()  # and one that is not even shown any more
    provider.away = True
    told = (await pool.tend()).reconciled
    assert (told.unreached, told.gone) == ([provider.name], [])
    provider.away = False
    told = (await pool.tend()).reconciled
    assert (told.strangers, told.gone) == ([stranger], [first.id])
    clock.forward(seconds=30)
    told = (await pool.tend()).reconciled
    assert (told.strangers, told.gone) == ([], [second.id])
    assert await standing(pool) == ({M.RUNNING: 1, M.TERMINATED: 2}, {str(third.id)})
    assert provider.living() == {str(third.id)}
    for machine in (first, second):  # a late instance of a record that has ended
        (provider.folder / str(machine.id)).write_text("running")
    assert set((await pool.tend()).reconciled.strangers) == {first.id, second.id}
    told = (await pool.tend()).reconciled
    assert not any((told.strangers, told.gone, told.orphans, told.unreached))


async def test_a_stopped_machine_is_seen_and_what_a_provider_sees_late_is_left(pool, provider):
    await pool.add_template(template("a"))
    (machine,) = await pool.machines_of(await pool.wait((await pool.request(1)).id))
    for said, status in [
        ("stopping", M.STOPPING), ("stopped", M.STOPPED), ("stopping", M.STOPPED),
        ("unknown", M.UNKNOWN), ("running", M.RUNNING), ("starting", M.RUNNING),
        ("ending", M.SHUTTING_DOWN),
    ]:  # fmt: skip
        (provider.folder / str(machine.id)).write_text(said)
        await pool.tend()
        assert (await pool.machines.get_one(machine.id)).status is status, said
        if status is M.SHUTTING_DOWN:
            break
    await pool.tend()
    assert (await pool.machines.get_one(machine.id)).status is M.TERMINATED


async def test_pools_that_work_on_one_request_at_once_acquire_what_was_asked_for(
    store, provider, pool_name
):
    pools = [HostPool(store, [provider], pool=pool_name, options=OPTIONS) for _ in range(4)]
    await pools[0].add_template(template("a", most=5))
    await pools[0].add_template(template("b", most=5))
    requests = [await pools[0].request(4), await pools[0].request(4)]
    await asyncio.gather(*(pool.work(each.id) for pool in pools for each in requests))
    for each in requests:
        assert (await pools[0].wait(each.id)).status is R.COMPLETE
    assert len(provider.started()) == 8
    assert await standing(pools[0]) == ({M.RUNNING: 8}, provider.living())


async def test_old_ends_are_removed_and_what_lives_is_kept(pool, clock):
    await pool.add_template(template("a"))
    request = await pool.wait((await pool.request(2)).id)
    first, second = await pool.machines_of(request)
    await pool.wait((await pool.give_back([first.id])).id)
    clock.forward(days=31)
    assert await pool.purge(timedelta(days=30)) == 2  # a machine, and the request to return it
    assert [each.id for each in (await pool.machines.get_all()).items] == [second.id]
    assert [each.id for each in (await pool.requests.get_all()).items] == [request.id]


def test_machines_are_spread_in_the_proportion_of_weights():
    rooms = [Room("a", 2, 100), Room("b", 1, 100, standing=2), Room("c", 1, 1)]
    assert spread(9, rooms) == {"a": 7, "b": 1, "c": 1}
    assert spread(3, [Room("a", 9, 5, failed=1), Room("b", 1, 2)]) == {"b": 2, "a": 1}
    assert spread(3, [Room("a", 1, 1), Room("b", 1, 0)]) == {"a": 1}
