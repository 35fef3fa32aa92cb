"""The provider of processes on this host: one a token, whoever is killed, until it is ended."""

import asyncio
import os
import signal
from datetime import timedelta
from uuid import uuid4

import pytest

import preloaded
from cli.program import wait_until
from holdfast.errors import ServiceError, UnavailableError
from holdfast.hosts.host_entities import Template
from holdfast.hosts.provider import InstanceState
from holdfast.hosts.worker_processes import WorkerProcesses

pytestmark = pytest.mark.anyio
# A worker that finishes what it is at: it tells that it began, and ends when it is asked to.
WORKER = """
trap 'echo ended >> "$0/log"; exit 0' TERM
echo $$ >> "$0/begun"
while :; do sleep 0.05; done
"""
KIND = Template(name="worker", provider_type="process", max_number=9)


@pytest.fixture
async def workers(tmp_path):
    workers = WorkerProcesses(tmp_path / "hosts", ["/bin/sh", "-c", WORKER, str(tmp_path)], most=3)
    yield workers
    for each in await workers.instances():
        await workers.end(each.token, at_once=True)


def pid_of(instance):
    return int(instance.instance_id.rpartition(":")[2])


async def state_of(workers, token):
    return next((each.state for each in await workers.instances() if each.token == token), None)


async def until(workers, token, state):
    async with asyncio.timeout(120):
        while await state_of(workers, token) is not state:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_a_token_has_one_worker_however_many_ask_for_it(workers, tmp_path):
    token, other = uuid4(), uuid4()
    asked = [WorkerProcesses(tmp_path / "hosts", workers._command, most=2) for _ in range(6)]
    found = await asyncio.gather(*(each.launch(token, KIND) for each in asked))
    await workers.launch(other, KIND)
    assert len({each.instance_id for each in found}) == 1
    assert {each.state for each in found} == {InstanceState.RUNNING}
    assert {each.token for each in await workers.instances()} == {token, other}
    begun = tmp_path / "begun"
    wait_until(lambda: begun.exists() and len(begun.read_text().split()) == 2, "both began")
    pids = {pid_of(each) for each in await workers.instances()}
    assert {int(each) for each in begun.read_text().split()} == pids


async def test_a_host_has_as_many_as_it_may_however_many_are_asked_for_at_once(workers):
    asked = [workers.launch(uuid4(), KIND) for _ in range(7)]
    came = await asyncio.gather(*asked, return_exceptions=True)
    full = [each for each in came if isinstance(each, UnavailableError)]
    assert (len(full), len(await workers.instances())) == (4, 3)
    first = (await workers.instances())[0].token
    await workers.end(first, at_once=True)
    await until(workers, first, InstanceState.ENDED)
    await workers.launch(uuid4(), KIND)


async def test_it_finishes_when_asked_once_and_its_token_starts_nothing_more(workers, tmp_path):
    token = uuid4()
    await workers.launch(token, KIND)
    wait_until((tmp_path / "begun").exists, "it began")
    await workers.end(token)
    await workers.end(token)
    await until(workers, token, InstanceState.ENDED)
    assert (tmp_path / "log").read_text() == "ended\n"
    with pytest.raises(ServiceError, match="is to end"):
        await workers.launch(token, KIND)
    unasked = uuid4()
    await workers.end(unasked)
    with pytest.raises(ServiceError):
        await workers.launch(unasked, KIND)
    assert [each.token for each in await workers.instances()] == [token]
    assert await workers.forget(timedelta(hours=1)) == 0
    assert await workers.forget(timedelta(0)) == 2
    assert await workers.instances() == []


async def test_one_that_is_paused_or_dies_is_seen_and_not_started_again(workers):
    token = uuid4()
    pid = pid_of(await workers.launch(token, KIND))
    os.kill(pid, signal.SIGSTOP)
    await until(workers, token, InstanceState.STOPPED)
    os.kill(pid, signal.SIGCONT)
    await until(workers, token, InstanceState.RUNNING)
    os.kill(pid, signal.SIGKILL)
    await until(workers, token, InstanceState.ENDED)
    assert (await workers.launch(token, KIND)).state is InstanceState.ENDED


async def test_one_that_does_not_listen_is_killed(workers, tmp_path):
    begun = tmp_path / "deaf begun"
    code = "trap '' TERM; : > \"$0\"; exec sleep 1000"
    deaf = WorkerProcesses(tmp_path / "deaf", ["/bin/sh", "-c", code, str(begun)], most=1)
    token = uuid4()
    await deaf.launch(token, KIND)
    wait_until(begun.exists, "it began")
    await deaf.end(token)
    assert await state_of(deaf, token) is InstanceState.ENDING
    await deaf.end(token, at_once=True)
    await until(deaf, token, InstanceState.ENDED)


CUT = """
import asyncio, os, signal, subprocess, sys
from uuid import UUID
from pathlib import Path
from holdfast.hosts.worker_processes import WorkerProcesses
run = subprocess.run
def cut(*args, **kwargs):
    if sys.argv[3] == "after":
        run(*args, **kwargs)
    elif sys.argv[3] == "during":
        del kwargs["check"]
        subprocess.Popen(*args, **kwargs)
    os.kill(os.getpid(), signal.SIGKILL)
subprocess.run = cut
workers = WorkerProcesses(Path(sys.argv[1]), sys.argv[4:], most=1)
asyncio.run(workers.launch(UUID(sys.argv[2]), None))
"""


@pytest.mark.parametrize("moment", ["before", "during", "after"])
async def test_a_launch_that_is_killed_is_asked_for_again_and_starts_one(workers, tmp_path, moment):
    token = uuid4()
    ran = preloaded.run(CUT, tmp_path / "hosts", token, moment, *workers._command)
    assert ran.returncode == -signal.SIGKILL, ran.stderr
    instance = await workers.launch(token, KIND)
    assert instance.state is InstanceState.RUNNING
    begun = tmp_path / "begun"
    wait_until(begun.exists, "it began")
    assert begun.read_text().split() == [str(pid_of(instance))]
    assert [each.instance_id for each in await workers.instances()] == [instance.instance_id]
