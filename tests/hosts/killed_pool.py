"""A pool in a process that is killed right before one of its calls: of the store or the provider.

Right before a call is right after the one before it, so each effect is cut off from what follows.
"""

import asyncio
import os
import signal
from pathlib import Path

from holdfast import open_store
from holdfast.hosts.host_entities import HOST_ENTITIES, Template
from holdfast.hosts.host_pool import HostPool
from hosts.disk_provider import DiskProvider

FAR = 1_000_000
VERBS = {
    "get", "find", "values", "aggregate", "insert", "replace", "patch", "update", "delete",
    "begin", "commit", "launch", "end", "instances",
}  # fmt: skip


class Countdown:
    """Kills the process at the call with that number."""

    def __init__(self, number):
        self.left = number

    def call(self):
        self.left -= 1
        if not self.left:
            os.kill(os.getpid(), signal.SIGKILL)


class Mortal:
    """Passes on to *inner*, and counts."""

    def __init__(self, inner, countdown):
        self._inner, self._countdown = inner, countdown

    def __getattr__(self, name):
        found = getattr(self._inner, name)
        if name == "session":
            return lambda: Mortal(found(), self._countdown)
        if name not in VERBS:
            return found

        async def call(*args, **kwargs):
            self._countdown.call()
            came = await found(*args, **kwargs)
            return Mortal(came, self._countdown) if name == "begin" else came

        return call


async def acquire_and_give_back(url, folder, name, number):
    """Acquire two machines and give one back, killed before the call *number*."""
    async with open_store(url, HOST_ENTITIES) as store:
        plain = HostPool(store, [], pool=name)
        await plain.add_template(Template(name="a", provider_type="disk", max_number=2))
        request = await plain.request(2)
        countdown = Countdown(number)
        store.driver = Mortal(store.driver, countdown)
        pool = HostPool(store, [Mortal(DiskProvider(folder), countdown)], pool=name)
        await pool.work(request.id)
        first, *_ = await pool.machines_of(request)
        await pool.work((await pool.give_back([first.id])).id)
        return countdown.left


def main(url, folder):
    """Be killed at each call, in a fork each, and say how many calls there are."""

    def run(name, number):
        return asyncio.run(acquire_and_give_back(url, Path(folder) / name, f"pool {name}", number))

    calls = FAR - run("whole", FAR)  # which leaves nothing to import or compile to the others
    for number in range(1, calls + 1):
        child = os.fork()
        if not child:
            run(str(number), number)
            os._exit(1)
        _, status = os.waitpid(child, 0)
        if status != signal.SIGKILL:
            raise AssertionError(f"call {number} of {calls}: {status}")
    print(calls)
