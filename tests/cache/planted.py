"""Bugs to plant in the cache of this process, to see that the search for stale reads finds them.

unfenced   a load is stored whatever was invalidated meanwhile
forgetful  what is invalidated during an outage is not written down
late       an invalidation says APPLIED five milliseconds before it is carried out
deaf       copies in a process outlive the changes that it is told of
hasty      who changes something does not wait for the copies of others, who hear of it late
"""

import asyncio
import contextlib

from hiredis import PushNotification

from holdfast.cache import Outcome
from holdfast.cache.drivers.redis.driver import RedisDriver
from holdfast.cache.drivers.redis.push_messages import Pushes
from holdfast.cache.near.driver import NearDriver
from holdfast.cache.outage.invalidation_journal import InvalidationJournal
from holdfast.errors import UnavailableError

LATE = 0.005
NEAR = frozenset({"deaf", "hasty"})
"""Those that need copies in the clients."""


def _unfenced():
    honest = RedisDriver.swap_many

    async def swap_many(self, swaps, *, ttl, shared=False):
        forced = [swap for swap in swaps if swap.over is not None and swap.value is not None]
        await self.set_many([(swap.name, swap.value) for swap in forced], ttl=ttl)
        others = [swap for swap in swaps if swap not in forced]
        return [True] * len(forced) + await honest(self, others, ttl=ttl, shared=shared)

    return [(RedisDriver, "swap_many", swap_many)]


def _late():
    honest = RedisDriver.delete_many
    running = set()

    async def later(self, names, pattern):
        await asyncio.sleep(LATE)
        with contextlib.suppress(UnavailableError):
            await honest(self, names, pattern=pattern)

    async def delete_many(self, names, *, pattern=None):
        task = asyncio.get_running_loop().create_task(later(self, names, pattern))
        running.add(task)
        task.add_done_callback(running.discard)
        return Outcome.APPLIED

    return [(RedisDriver, "delete_many", delete_many)]


def _hasty():
    honest = Pushes.takes

    async def patient_of_none(self, commands):
        return await self._commands.ask(commands)

    def takes(self, reply):
        if isinstance(reply, PushNotification):
            asyncio.get_running_loop().call_later(0.03, self._listener, reply)
            return True
        return honest(self, reply)

    return [(RedisDriver, "_write", patient_of_none), (Pushes, "takes", takes)]


BUGS = {
    "unfenced": _unfenced,
    "forgetful": lambda: [(InvalidationJournal, "add", lambda *_: None)],
    "late": _late,
    "deaf": lambda: [(NearDriver, "on_invalidate", lambda *_: None)],
    "hasty": _hasty,
}


def plant(bug):
    """Break the cache in this process; return what mends it."""
    broken = BUGS[bug]()
    honest = [(owner, name, getattr(owner, name)) for owner, name, _ in broken]
    for owner, name, wrong in broken:
        setattr(owner, name, wrong)

    def mend():
        for owner, name, right in honest:
            setattr(owner, name, right)

    return mend
