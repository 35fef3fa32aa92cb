"""Reconnects blocking code to its store: a thread that tries now and then."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from holdfast.blocking import run
from holdfast.errors import ConfigurationError
from holdfast.forks import after_fork

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

_log = logging.getLogger("holdfast.cache")

FIRST_PAUSE, LONGEST_PAUSE = 0.02, 1.0  # seconds between attempts to reach a store again


class ReconnectThread:
    """A daemon thread that lives while the store is away, and calls *recover* until it is not.

    *down* tells whether it is away. Safe to use from many threads.
    """

    def __init__(
        self, recover: Callable[[], Coroutine[object, None, bool]], down: Callable[[], bool]
    ) -> None:
        self._recover = recover
        self._down = down
        self._mutex = threading.Lock()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        after_fork(self._after_fork)

    def _after_fork(self) -> None:
        """Be without a thread, which only the parent has; a cache that is closed stays so."""
        stopped = self._stopped.is_set()
        self._mutex = threading.Lock()
        self._stopped = threading.Event()
        self._thread = None
        if stopped:
            self._stopped.set()

    def start(self) -> None:
        """See to it that the thread runs: there is none after a fork, nor before the first loss."""
        with self._mutex:
            if self._stopped.is_set() or (self._thread is not None and self._thread.is_alive()):
                return
            self._thread = threading.Thread(
                target=self._try_again, name="holdfast-cache-reconnect", daemon=True
            )
            try:
                self._thread.start()
            except RuntimeError:  # no more threads, or the interpreter ends; the next call tries
                self._thread = None
                _log.warning("no thread brings the cache's store back", exc_info=True)

    def stop(self, seconds: float) -> None:
        """Let the thread end, and wait for it, at most so long. No other begins."""
        self._stopped.set()
        with self._mutex:
            thread = self._thread
        if thread is not None:
            thread.join(seconds)

    def _try_again(self) -> None:
        pause = FIRST_PAUSE
        while not self._stopped.is_set():
            if self._tried():
                with self._mutex:  # a caller who finds the store lost after this starts another
                    if not self._down():
                        self._thread = None
                        return
                pause = FIRST_PAUSE
            self._stopped.wait(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    def _tried(self) -> bool:
        try:
            return run(self._recover())
        except ConfigurationError:  # somebody may mend the server's users while we run
            _log.exception("the cache's store refuses")
        except Exception:  # noqa: BLE001 - a bug, to be seen; the cache goes on meanwhile
            _log.exception("the cache can't go back to its store")
        return False
