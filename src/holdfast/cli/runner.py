"""Runs a command's work: opens the platform, runs the event loop."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, TypeVar

from holdfast.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from holdfast.platform import Platform
    from holdfast.settings import Settings

T = TypeVar("T")


def run(data: Path | None, work: Callable[[Platform], Awaitable[T]]) -> T:
    """Return what *work* returns, done with the platform in *data* (or where settings say).

    Ctrl-C and SIGTERM cancel *work*, so that it can tidy up: KeyboardInterrupt for the one,
    asyncio.CancelledError for the other.
    """
    return _run(settings_of(data), work)


def look(data: Path | None, work: Callable[[Platform], Awaitable[T]]) -> T:
    """As `run`, for what only looks: raises ConfigurationError where no platform is yet."""
    settings = settings_of(data)
    if not settings.store and not settings.data.exists():
        raise ConfigurationError(
            f"there is no data folder {str(settings.data)!r}; "
            "`holdfast ingest FILE` makes one, --data names another"
        )
    return _run(settings, work)


def settings_of(data: Path | None) -> Settings:
    """Return what environment and files set, with *data* taking precedence."""
    from holdfast.settings import read_settings

    return read_settings(data=data)


def _run(settings: Settings, work: Callable[[Platform], Awaitable[T]]) -> T:
    import asyncio

    return asyncio.run(_opened(settings, work))


async def _opened(settings: Settings, work: Callable[[Platform], Awaitable[T]]) -> T:
    import asyncio

    from holdfast.platform import open_platform

    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    async with open_platform(settings) as platform:
        return await work(platform)
