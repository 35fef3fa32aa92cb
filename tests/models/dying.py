"""A process that dies at a chosen call of its store or bucket: nothing it does later happens."""

from holdfast.domain import RoleBucket
from holdfast.models import ModelRegistry

VERBS = ("get", "find", "values", "aggregate", "insert", "replace", "patch", "update", "delete")
CALLS = ("put", "delete", "delete_many", "head")


class Death(BaseException):
    """The process is dead; no handler of its own runs to any effect."""


class Doom:
    """Death before the call with that number: as it is right after the call before."""

    def __init__(self, number):
        self.left = number
        self.dead = False

    async def pass_on(self, call):
        if self.dead:
            raise Death
        self.left -= 1
        if self.left:
            return await call()
        self.dead = True
        raise Death


class Dying:
    def __init__(self, inner, doom, names):
        self._inner, self._doom, self._names = inner, doom, names

    def __getattr__(self, name):
        found = getattr(self._inner, name)
        if name not in self._names:
            return found

        async def call(*args, **kwargs):
            return await self._doom.pass_on(lambda: found(*args, **kwargs))

        return call


class DyingDriver:
    def __init__(self, driver, doom):
        self._driver, self._doom = driver, doom
        self.begun = []

    def session(self):
        return Dying(self._driver.session(), self._doom, VERBS)

    async def begin(self, options):
        async def begin():
            begun = _Begun(await self._driver.begin(options))
            self.begun.append(begun)
            return Dying(begun, self._doom, (*VERBS, "commit", "rollback"))

        return await self._doom.pass_on(begin)

    def __getattr__(self, name):
        return getattr(self._driver, name)


class _Begun:
    """A transaction that knows whether it has ended."""

    def __init__(self, transaction):
        self._transaction = transaction
        self.ended = False

    async def commit(self):
        self.ended = True
        await self._transaction.commit()

    async def rollback(self):
        self.ended = True
        await self._transaction.rollback()

    def __getattr__(self, name):
        return getattr(self._transaction, name)


async def dies(store, bucket, folder, doom, work):
    """Do *work* with a registry that dies by *doom*; tell whether it died."""
    alive = store.driver
    store.driver = dying = DyingDriver(alive, doom)
    place = RoleBucket(Dying(bucket, doom, CALLS), "models/")
    try:
        await work(ModelRegistry(store, place, folder / "cache"))
    except Death:
        pass
    finally:
        store.driver = alive
        for each in dying.begun:
            if not each.ended:  # a server undoes what a dead connection left open
                await each.rollback()
    return doom.dead
