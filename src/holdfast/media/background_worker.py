"""Work done in order on a thread of its own, with a bounded queue before it."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, Generic, Self, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

T = TypeVar("T")


class BackgroundWorker(Generic[T]):
    """Calls *work* with each item given, in order, on its own thread, called *name*.

    At most *waiting* items wait; `give` blocks beyond that. What *work* raises is raised by the
    next `give` or on leaving. Leaving waits for all items, or, with an exception, drops those that
    wait; the thread is gone afterwards.
    """

    def __init__(self, work: Callable[[T], None], *, waiting: int, name: str) -> None:
        self._work = work
        self._limit = waiting
        self._items: deque[T] = deque()
        self._changed = threading.Condition()
        self._ending = False
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=f"holdfast-{name}", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._changed:
            self._ending = True
            if kind is not None:
                self._items.clear()
            self._changed.notify_all()
        self._thread.join()
        if kind is None and self._failure is not None:
            raise self._failure

    def give(self, item: T) -> None:
        """Queue *item*, once fewer than the limit wait. Raises what an earlier item's work did."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._items) < self._limit or self._failure)
            if self._failure is not None:
                raise self._failure
            self._items.append(item)
            self._changed.notify_all()

    def _run(self) -> None:
        try:
            while True:
                with self._changed:
                    self._changed.wait_for(lambda: self._items or self._ending)
                    if not self._items:
                        return
                    item = self._items.popleft()
                    self._changed.notify_all()
                self._work(item)
                del item  # or the last item lives until the next comes
        except BaseException as error:  # noqa: BLE001 - raised again in the giver's thread
            with self._changed:
                self._failure = error
                self._items.clear()
                self._changed.notify_all()
