"""Does a unit of work again when it clashed with another one."""

from __future__ import annotations

import itertools
import random
from typing import TYPE_CHECKING, TypeVar

from holdfast.errors import SerializationError
from holdfast.records.drivers.dynamodb.commit_request import commit
from holdfast.records.drivers.dynamodb.unit_of_work import Clash, UnitOfWork

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from holdfast.offload import Lock
    from holdfast.records.drivers.dynamodb.item_reader import ItemReader

T = TypeVar("T")

_ATTEMPTS = 100
_TURNS = 16


class ClashRetries:
    """Attempts at single writes.

    From its first clash on a write takes turns with those of this process that clashed on the same
    row, so that they don't fight over it; to other processes it gives way by random pauses.
    """

    def __init__(self, reader: ItemReader, new_lock: Callable[[], Lock]) -> None:
        self._reader = reader
        self._new_lock = new_lock
        self.clashes = 0
        self.renew()

    def renew(self) -> None:
        """Forget who waits for whom: the process was forked."""
        self._turns = [self._new_lock() for _ in range(_TURNS)]

    async def attempt(self, work: Callable[[UnitOfWork], Awaitable[T]]) -> T:
        """Return what *work* returns, once what it gathered is written.

        Raises SerializationError after a hundred clashes, and LockTimeoutError.
        """
        turn: Lock | None = None
        try:
            for attempt in itertools.count(1):
                unit = UnitOfWork(self._reader)
                try:
                    result = await work(unit)
                    await commit(unit)
                except Clash as clash:
                    self.clashes += 1
                    if attempt == _ATTEMPTS:
                        raise clashed(clash) from clash
                    if turn is None:
                        waiting = self._turns[hash(clash.place) % _TURNS]
                        await waiting.acquire()
                        turn = waiting
                    else:
                        await self._reader.service.network.sleep(_pause(attempt))
                else:
                    return result
            raise AssertionError("it is done, or it has clashed too often")
        finally:
            if turn is not None:
                turn.release()


def clashed(clash: Clash) -> SerializationError:
    """Return what callers are told of *clash*."""
    return SerializationError(
        f"{clash.place}: somebody else wrote it, or what goes with it, since it was read; "
        "nothing was written"
    )


def _pause(attempt: int) -> float:
    return random.uniform(0, min(0.5, 0.002 * 2 ** min(attempt, 20)))  # noqa: S311 - no secret
