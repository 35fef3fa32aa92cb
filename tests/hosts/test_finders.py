"""The finders of templates, requests and machines: what they find, in how many statements."""

import re
import sqlite3
from datetime import timedelta
from uuid import uuid4

import pytest

from holdfast import open_store
from holdfast.errors import DuplicateError, InvalidQueryError
from holdfast.hosts.host_entities import (
    HOST_ENTITIES,
    HostRequest,
    Machine,
    MachineStatus,
    RequestKind,
    RequestStatus,
    Stage,
    Template,
)
from holdfast.hosts.host_repositories import (
    MachineRepository,
    RequestRepository,
    TemplateRepository,
)
from holdfast.records.conformance.statement_counter import CountingDriver
from holdfast.records.drivers.dynamodb import row_finder
from holdfast.records.drivers.sql.executors.server_reader import ServerReader
from holdfast.records.entities.model import model_of
from servers import execute

pytestmark = pytest.mark.anyio

R, M = RequestStatus, MachineStatus


def machine(pool, now, **values):
    given = {
        "template_id": uuid4(), "template": "t", "provider": "p", "request_id": uuid4(),
        "changed_at": now,
    }  # fmt: skip
    return Machine(pool=pool, **{**given, **values})


async def test_templates_are_found_by_filters_type_name_and_nested_attributes(store, pool_name):
    seen = TemplateRepository(store, pool=pool_name)
    await seen.add_many(
        [
            Template(
                pool=pool_name, name=f"t{number}", provider_type="cloud" if number % 2 else "local",
                max_number=number,
                attributes={"zone": "ab"[number % 2], "cpu": {"cores": number, "kinds": ["x", 1]}},
            )
            for number in range(6)
        ]
    )  # fmt: skip
    await TemplateRepository(store).upsert(
        Template(name="elsewhere", provider_type="cloud", max_number=9, attributes={"zone": "b"}),
        on=[Template.pool, Template.name],
    )
    with pytest.raises(DuplicateError):
        await seen.add(Template(pool=pool_name, name="t1", provider_type="x", max_number=1))

    async def names(found):
        return [each.name for each in await found]

    first = await seen.get_all({"max_number__gte": 3}, size=2)
    rest = await seen.get_all({"max_number__gte": 3}, size=2, cursor=first.next)
    assert [each.name for each in (*first.items, *rest.items)] == ["t3", "t4", "t5"]
    both = await seen.get_all({"max_number__in": [1, 2], "provider_type": "local"})
    assert [each.name for each in both.items] == ["t2"]
    assert await names(seen.get_by_provider_type("cloud")) == ["t1", "t3", "t5"]
    assert await names(seen.find_by_attributes({"zone": "b"})) == ["t1", "t3", "t5"]
    assert await names(seen.find_by_attributes({"zone": "b", "cpu": {"cores": 3}})) == ["t3"]
    assert await names(seen.find_by_attributes({"cpu": {"kinds": ["x", 1], "cores": 4}})) == ["t4"]
    assert await names(seen.find_by_attributes({"cpu": {"cores": "3"}})) == []
    assert (await seen.get_by_name("t2")).max_number == 2
    assert await seen.get_by_name("elsewhere") is None
    for refused in ({"colour": 1}, {"max_number__about": 1}, {"status__": 1}):
        with pytest.raises(InvalidQueryError):
            await seen.get_all(refused)
    with pytest.raises(InvalidQueryError):
        await seen.find_by_attributes({})


async def test_requests_are_found_by_status_stage_and_deadline(store, clock, pool_name):
    seen = RequestRepository(store, pool=pool_name)
    statuses = [R.PENDING, R.ACQUIRING, R.COMPLETE, R.PARTIAL_PENDING]
    made = []
    for number, status in enumerate(statuses):
        clock.forward(seconds=1)
        made.append(
            await seen.add(
                HostRequest(
                    pool=pool_name, kind=RequestKind.RETURN if number == 3 else RequestKind.ACQUIRE,
                    status=status, stage=Stage.ENDED if status is R.COMPLETE else Stage.LIVE,
                    requested=1, deadline=clock.time + timedelta(hours=10 - number),
                )
            )
        )  # fmt: skip
    pending, acquiring, complete, partial = (each.id for each in made)

    async def ids(found):
        return [each.id for each in await found]

    assert await ids(seen.get_active_requests()) == [partial, acquiring, pending]
    assert await ids(seen.get_active_requests(RequestKind.RETURN)) == [partial]
    assert await ids(seen.get_by_status(R.COMPLETE)) == [complete]
    assert await ids(seen.get_overdue()) == []
    clock.forward(hours=9)
    assert await ids(seen.get_overdue()) == [partial, acquiring]
    assert await seen.count_by_status(R.ACQUIRING) == 1
    page = await seen.get_all({"requested__lt": 2}, size=3)
    assert [each.id for each in page.items] == [partial, complete, acquiring]


async def test_machines_are_found_by_request_template_age_status_and_instance(
    store, clock, pool_name
):
    seen = MachineRepository(store, pool=pool_name)
    request, returned, template = uuid4(), uuid4(), uuid4()
    others = [machine(pool_name, clock.time, instance_id=f"i-{n}") for n in range(3)]
    early = machine(pool_name, clock.time, request_id=request, template_id=template,
                    return_request_id=returned, status=M.RUNNING)  # fmt: skip
    await seen.add_many([*others, early])
    clock.forward(minutes=5)
    late = machine(pool_name, clock.time, request_id=request, template_id=template)
    gone = machine(pool_name, clock.time, status=M.FAILED, stage=Stage.ENDED)
    foreign = machine("another", clock.time, instance_id="i-1")
    await seen.add_many([late, gone, foreign])

    async def ids(found):
        return [each.id for each in await found]

    assert await ids(seen.get_by_request_id(request)) == [early.id, late.id]
    assert await ids(seen.get_by_return_request_id(returned)) == [early.id]
    assert await ids(seen.get_by_template(template)) == [early.id, late.id]
    assert await ids(seen.get_by_template(template, created_before=clock.time)) == [early.id]
    assert await ids(seen.get_by_status(M.PENDING, limit=2)) == [others[0].id, others[1].id]
    since = clock.time - timedelta(minutes=1)
    assert len(await seen.get_by_status(M.PENDING, unchanged_since=since)) == 3
    assert await seen.count_by_status(M.PENDING) == 4
    assert gone.id not in await ids(seen.get_live())
    assert len(await seen.get_live()) == 5
    asked = [*(f"none-{n}" for n in range(1200)), "i-2", "i-0", "i-1", "i-2"]
    assert await ids(seen.get_by_instance_ids(asked)) == [others[n].id for n in (2, 0, 1)]


FINDERS = {
    "get_all": (TemplateRepository, lambda seen: seen.get_all({"max_number__gte": 3})),
    "get_by_name": (TemplateRepository, lambda seen: seen.get_by_name("t1")),
    "get_by_provider_type": (TemplateRepository, lambda seen: seen.get_by_provider_type("x")),
    "find_by_attributes": (
        TemplateRepository,
        lambda seen: seen.find_by_attributes({"a": {"b": 1}, "c": "d"}),
    ),
    "all requests": (RequestRepository, lambda seen: seen.get_all()),
    "get_by_status": (RequestRepository, lambda seen: seen.get_by_status(R.PENDING)),
    "get_active_requests": (
        RequestRepository,
        lambda seen: seen.get_active_requests(RequestKind.RETURN),
    ),
    "get_overdue": (RequestRepository, lambda seen: seen.get_overdue()),
    "count_by_status": (RequestRepository, lambda seen: seen.count_by_status(R.PENDING)),
    "all machines": (MachineRepository, lambda seen: seen.get_all()),
    "get_live": (MachineRepository, lambda seen: seen.get_live()),
    "machines by status and age": (
        MachineRepository,
        lambda seen: seen.get_by_status(M.RUNNING, unchanged_since=seen.store.now()),
    ),
    "count of machines": (MachineRepository, lambda seen: seen.count_by_status(M.RUNNING)),
    "get_by_request_id": (MachineRepository, lambda seen: seen.get_by_request_id(uuid4())),
    "get_by_return_request_id": (
        MachineRepository,
        lambda seen: seen.get_by_return_request_id(uuid4()),
    ),
    "get_by_template": (
        MachineRepository,
        lambda seen: seen.get_by_template(uuid4(), created_before=seen.store.now()),
    ),
    "get_by_instance_ids": (
        MachineRepository,
        lambda seen: seen.get_by_instance_ids(["i-1", "i-2"]),
    ),
}


async def test_each_finder_is_one_statement_and_instances_one_for_each_five_hundred(
    store, pool_name
):
    for name, (kind, finder) in FINDERS.items():
        with CountingDriver.around(store) as counted:
            await finder(kind(store, pool=pool_name))
        assert (counted.reads, counted.writes) == (1, 0), name
    with CountingDriver.around(store) as counted:
        await MachineRepository(store, pool=pool_name).get_by_instance_ids(map(str, range(1001)))
    assert counted.reads == 3


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True, scope="module")
async def test_each_finder_searches_one_index_and_sorts_nothing(url, monkeypatch):
    said, connect = [], sqlite3.connect

    def watched(*args, **kwargs):
        connection = connect(*args, **kwargs)
        connection.set_trace_callback(said.append)
        return connection

    monkeypatch.setattr(sqlite3, "connect", watched)
    async with open_store(url, HOST_ENTITIES) as store:
        await store.create_schema()
        for name, (kind, finder) in FINDERS.items():
            said.clear()
            await finder(kind(store))
            (statement,) = (text for text in said if text.startswith("SELECT"))
            plain = connect(url.removeprefix("sqlite:///"))
            for function in ("holdfast_follow", "holdfast_compare"):  # named by statements
                plain.create_function(function, -1, lambda *_: None)
            steps = [row[-1] for row in plain.execute(f"EXPLAIN QUERY PLAN {statement}")]
            plain.close()
            assert re.match("SEARCH .* USING (COVERING )?INDEX", steps[0]), (name, steps)
            if name != "get_by_instance_ids":  # whose list is a table of its own
                assert len(steps) == 1, (name, steps)


@pytest.mark.parametrize("backend", ["dynamodb"], indirect=True, scope="module")
async def test_each_finder_goes_along_one_index_or_by_key_on_dynamodb(url, monkeypatch):
    paths, path_of = [], row_finder.access_path

    def watched(*args):
        paths.append(path_of(*args))
        return paths[-1]

    monkeypatch.setattr(row_finder, "access_path", watched)
    async with open_store(url, HOST_ENTITIES) as store:
        await store.create_schema()
        for name, (kind, finder) in FINDERS.items():
            paths.clear()
            before = store.stats().counters["requests"]
            await finder(kind(store, pool="p"))
            requests = store.stats().counters["requests"] - before
            assert {each.access for each in paths} <= {"index", "unique"}, name
            if name == "get_by_instance_ids":  # a request for each, at once
                assert requests == 2
                continue
            assert requests == 1, name
            asked_in_order = name not in ("get_by_name", "count_by_status", "count of machines")
            assert all(each.ordered for each in paths) is asked_in_order, name


ALONG = {
    "get_all": ("pool", "name"),
    "get_by_name": ("pool", "name"),
    "get_by_provider_type": ("pool", "provider_type", "name"),
    "find_by_attributes": ("pool", "name"),
    "all requests": ("pool", "created_at"),
    "get_by_status": ("pool", "status", "created_at"),
    "get_active_requests": ("pool", "stage", "deadline"),
    "get_overdue": ("pool", "stage", "deadline"),
    "count_by_status": ("pool", "status", "created_at"),
    "all machines": ("pool", "created_at"),
    "get_live": ("pool", "stage", "changed_at"),
    "machines by status and age": ("pool", "status", "changed_at"),
    "count of machines": ("pool", "status", "changed_at"),
    "get_by_request_id": ("request_id", "created_at"),
    "get_by_return_request_id": ("return_request_id", "created_at"),
    "get_by_template": ("template_id", "created_at"),
    "get_by_instance_ids": ("instance_id",),
}
"""The index that is declared for each finder."""


async def fill(store):
    """Sixteen pools of 250 templates, five of 600 requests and machines, most of them ended."""
    moment, pools = store.now(), [f"p{number}" for number in range(16)]
    await store.repository(Template).add_many(
        [
            Template(pool=pool, name=f"t{n}", provider_type="xyz"[n % 3], max_number=n)
            for pool in pools
            for n in range(250)
        ]
    )
    await store.repository(HostRequest).add_many(
        [
            HostRequest(
                pool=pools[n % 5], kind=RequestKind.ACQUIRE, requested=1,
                status=R.PENDING if n % 7 == 0 else R.COMPLETE,
                stage=Stage.LIVE if n % 7 == 0 else Stage.ENDED,
                deadline=moment + timedelta(minutes=n - 1500),
            )
            for n in range(3000)
        ]
    )  # fmt: skip
    requests, templates = [uuid4() for _ in range(200)], [uuid4() for _ in range(100)]
    await store.repository(Machine).add_many(
        [
            machine(
                pools[n % 5], moment - timedelta(minutes=n), instance_id=f"i-{n}",
                request_id=requests[n % 200], template_id=templates[n % 100],
                return_request_id=None if n % 3 else requests[n % 200],
                status=M.RUNNING if n % 7 == 0 else M.TERMINATED,
                stage=Stage.LIVE if n % 7 == 0 else Stage.ENDED,
            )
            for n in range(3000)
        ]
    )  # fmt: skip


def indexes_of_plan(backend, plan):
    """Return the indexes that *plan* reads, and what tables it reads from end to end."""
    if backend != "postgresql":
        kind, key = (4, 6) if backend == "mysql" else (3, 5)
        return {row[key] for row in plan}, [row for row in plan if row[kind] == "ALL"]
    nodes = [plan[0][0][0]["Plan"]]
    for node in nodes:
        nodes += node.get("Plans", [])
    indexes = {node["Index Name"] for node in nodes if "Index Name" in node}
    return indexes, [node for node in nodes if node["Node Type"] == "Seq Scan"]


@pytest.mark.parametrize(
    "backend", ["postgresql", "mariadb", "mysql"], indirect=True, scope="module"
)
async def test_each_finder_goes_along_its_index_on_servers(url, backend, monkeypatch):
    plans, fetch = [], ServerReader.fetch
    explain = {"postgresql": "EXPLAIN (FORMAT JSON)", "mysql": "EXPLAIN FORMAT=TRADITIONAL"}

    async def explained(reader, model, sql, values):
        words = explain.get(backend, "EXPLAIN")
        plans.append(await reader.connection.fetch(f"{words} {sql}", values))
        return await fetch(reader, model, sql, values)

    async with open_store(url, HOST_ENTITIES) as store:
        await store.create_schema()
        await fill(store)
        for entity in HOST_ENTITIES:
            word = "" if backend == "postgresql" else "TABLE"
            execute(url, f"ANALYZE {word} {model_of(entity).table}")
        monkeypatch.setattr(ServerReader, "fetch", explained)
        for name, (kind, finder) in FINDERS.items():
            plans.clear()
            seen = kind(store, pool="p3")
            await finder(seen)
            ((plan,), table) = plans, seen.model.table
            indexes, scans = indexes_of_plan(backend, plan)
            declared = "_".join((table, *ALONG[name]))
            assert indexes <= {f"ix_{declared}", f"uq_{declared}"}, (name, indexes)
            assert len(indexes) == 1, (name, plan)
            assert not scans, (name, plan)
