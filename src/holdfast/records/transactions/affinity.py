"""Which process and which event loop a store belongs to, and what happens anywhere else."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from holdfast.errors import ConfigurationError
from holdfast.forks import after_fork
from holdfast.records.driver import Renewable

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable

    from holdfast.records.driver import Driver


class Affinity:
    """The process and the event loop of one store.

    In a child process that was forked the store starts afresh: its driver opens connections of its
    own there and never uses those of the parent. A store whose I/O is awaited belongs to the loop
    in which it was opened; in a child, to the loop that uses it first.
    """

    def __init__(self, driver: Driver, *, blocking: bool | None = None) -> None:
        self.blocking = bool(blocking)
        self._unknown = blocking is None
        self.driver = driver
        self.forks = 0
        """How often the process was forked on the way from the opening to here."""
        self.running: Callable[[], AbstractEventLoop | None] = _nowhere
        """Returns the event loop that runs in this thread."""
        self.loop: AbstractEventLoop | None = None
        """The loop that the store belongs to, if it belongs to one."""
        self.strict = not getattr(driver, "reads_anywhere", False)
        """Whether reads too are of the loop alone, and not only writes."""
        self._bound = True
        self._open = False

    def bind(self) -> None:
        """Belong to this process and to the loop that runs now. Called when the store opens."""
        self._open = True
        after_fork(self.inherited)
        if self.blocking:
            return
        # Half as dear as the public one, which raises where no loop runs.
        from asyncio import _get_running_loop  # noqa: PLC0415 - slow to import

        self.loop = _get_running_loop()
        if self.loop is None and self._unknown:
            self.blocking = True  # nothing that is awaited could be opened so
        else:
            self.running = _get_running_loop

    def release(self) -> None:
        """Take no further notice of forks. Called when the store is closed."""
        self._open = False

    def check(self) -> None:
        """Raise ConfigurationError in another event loop than the store's."""
        running = self.running()
        if running is self.loop or running is None:
            return
        if not self._bound:
            self.loop, self._bound = running, True
        elif self.loop is not None:
            raise ConfigurationError(
                "this store was opened in another event loop, to which its connections belong. "
                "Open it in the loop that uses it: in the lifespan of the application, with the "
                "test client entered (`with TestClient(app) as client`), or in a fixture that "
                "shares the loop of the tests. A store of holdfast.sync may be used anywhere"
            )

    def inherited(self) -> None:
        """Start afresh: this process is a child of the one that opened the store."""
        if not self._open:
            return
        self.forks += 1
        self.loop, self._bound = None, self.blocking
        if isinstance(self.driver, Renewable):
            self.driver.renew()


# Compiled, so that the blocking API pays as little as the other one.
_nowhere: Callable[[], None] = partial(next, iter(()), None)
