"""Lists of jobs by their ends: along an index, on every database server."""

import html
import re
from datetime import timedelta

import pytest

from console.conftest import console_on
from holdfast.jobs import Job, Jobs, JobStatus
from holdfast.jobs.job import ENDS
from holdfast.records.drivers.sql.executors.server_reader import ServerReader
from servers import execute

MANY = 6_000
EXPLAIN = {"postgresql": "EXPLAIN (FORMAT JSON)", "mysql": "EXPLAIN FORMAT=TRADITIONAL"}


@pytest.fixture(scope="module", params=["postgresql", "mariadb", "mysql"])
async def client(request, tmp_path_factory):
    async with console_on(request.param, tmp_path_factory.mktemp("plans")) as client:
        client.backend = request.param
        jobs = client.platform.service(Jobs)
        began = jobs.now() - timedelta(days=3)
        await client.platform.store.repository(Job).add_many([
            Job(
                task="copy", queue="default", max_attempts=1, run_at=began, error="disk 7 is full",
                status=ENDS[n % 3], finished_at=began + timedelta(seconds=n), started_at=began,
            )
            for n in range(MANY)
        ])  # fmt: skip
        word = "" if request.param == "postgresql" else "TABLE"
        execute(client.platform.settings.store_url, f"ANALYZE {word} jobs")
        yield client


def walked(backend, plan):
    """Return the index that *plan* reads, and whether it sorts all that it read."""
    if backend != "postgresql":
        (row,) = plan
        key, extra = (6, 11) if backend == "mysql" else (5, 9)
        return row[key], "filesort" in str(row[extra])
    nodes = [plan[0][0][0]["Plan"]]
    for node in nodes:
        nodes += node.get("Plans", [])
    (index,) = (node["Index Name"] for node in nodes if "Index Name" in node)
    return index, any(node["Node Type"] == "Sort" for node in nodes)


@pytest.mark.parametrize("status", [JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELLED])
async def test_jobs_of_an_end_are_read_in_the_order_of_their_ends(client, status, monkeypatch):
    plans, fetch = [], ServerReader.fetch

    async def explained(reader, model, sql, values):
        if "finished_at" in sql.partition(" ORDER BY ")[2]:
            words = EXPLAIN.get(client.backend, "EXPLAIN")
            plans.append(await reader.connection.fetch(f"{words} {sql}", values))
        return await fetch(reader, model, sql, values)

    monkeypatch.setattr(ServerReader, "fetch", explained)
    path = f"/console/jobs?status={status.value}"
    for _ in range(2):
        page = await client.get(path)
        assert page.text.count('href="/console/jobs/0') >= 50
        path = html.unescape(re.search(r'rel="next" href="([^"]+)"', page.text)[1])
    assert len(plans) == 2
    for plan in plans:
        assert walked(client.backend, plan) == ("ix_jobs_status_finished_at", False)
    if client.backend == "postgresql":
        (conditions,) = re.findall("'Index Cond': [\"'](.*?)[\"'],", str(plans[1]))
        assert "finished_at <=" in conditions, "a page begins where the one before ended"
