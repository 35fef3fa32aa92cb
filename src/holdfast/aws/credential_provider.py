"""The credentials to sign with, asked for again before they end."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from holdfast.errors import ConfigurationError
from holdfast.forks import after_fork

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from holdfast.aws.credentials import Credentials
    from holdfast.offload import Offload

_MARGIN = timedelta(minutes=5)
_PATIENCE = timedelta(minutes=1)


class CredentialProvider:
    """Keeps what a source of credentials gave until five minutes before it expires.

    The source is asked earlier when the credentials say so, and when a service refuses them. Safe
    among threads.
    """

    def __init__(
        self,
        source: Callable[[], Credentials],
        clock: Callable[[], datetime],
    ) -> None:
        self._source = source
        self._clock = clock
        self._held: Credentials | None = None
        self._asked = clock()
        self._new_lock()
        after_fork(self._new_lock)

    async def current(self, offload: Offload) -> Credentials:
        """Return credentials that are valid now; the source runs where blocking work runs.

        Raises ConfigurationError when the source gives expired ones.
        """
        held = self._held
        if held is not None and not self._is_due(held):
            return held
        return await offload.run(self._renew)

    async def replaced(self, offload: Offload, used: Credentials, *, sure: bool) -> bool:
        """Ask the source again, as a service refused *used*; tell whether there are others now.

        Unless it is *sure* that they are the reason, a source that was asked in the last minute
        is not asked again. Raises what the source raises.
        """
        return await offload.run(self._replace, used, sure)

    def _new_lock(self) -> None:
        self._lock = threading.Lock()

    def _renew(self) -> Credentials:
        with self._lock:
            held = self._held
            if held is not None and not self._is_due(held):
                return held
            try:
                return self._ask()
            except ConfigurationError:
                if held is None or self._ends_within(held, timedelta(0)):
                    raise
                # It holds on: look again a little later.
                self._held = replace(held, look_again=self._clock() + _PATIENCE)
                return self._held

    def _replace(self, used: Credentials, sure: bool) -> bool:
        with self._lock:
            held = self._held
            if held is not None and not held.is_same_key(used):
                return True  # another request was faster
            if not sure and self._clock() - self._asked < _PATIENCE:
                return False
            return not self._ask().is_same_key(used)

    def _ask(self) -> Credentials:
        self._asked = self._clock()
        fresh = self._source()
        if self._ends_within(fresh, timedelta(0)):
            raise ConfigurationError(
                f"the credentials {fresh.access_key} expired at {fresh.expires}"
            )
        self._held = fresh
        return fresh

    def _is_due(self, held: Credentials) -> bool:
        again = held.look_again
        if again is None and held.expires is None:
            return False
        return (again is not None and self._clock() >= again) or self._ends_within(held, _MARGIN)

    def _ends_within(self, held: Credentials, margin: timedelta) -> bool:
        return held.expires is not None and self._clock() + margin >= held.expires
