"""Runs a command's work: opens the platform, runs the event loop."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, TypeVar

from holdfast.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from holdfast.platform import Platform
    from holdfast.settings import Settings

P = TypeVar("P")
T = TypeVar("T")


def run(data: Path | None, work: Callable[[Platform], Awaitable[T]]) -> T:
    """Return what *work* returns, done with the platform in *data* (or where settings say).

    Ctrl-C and SIGTERM cancel *work*, so that it can tidy up: KeyboardInterrupt for the one,
    asyncio.CancelledError for the other.
    """
    return run_with(_platform(settings_of(data)), work)


def look(data: Path | None, work: Callable[[Platform], Awaitable[T]]) -> T:
    """As `run`, for what only looks: raises ConfigurationError where no platform is yet."""
    settings = settings_of(data)
    if not settings.store:
        _check_there(settings)
    return run_with(_platform(settings), work)


def data_folder_for(settings: Settings, *, only_looks: bool) -> None:
    """Make the data folder if need be, for a command on a part that lies in it.

    Raises ConfigurationError for a command that *only_looks* where there is none yet.
    """
    from holdfast.platform.pillars import make_data_folder

    if only_looks:
        _check_there(settings)
    make_data_folder(settings)


def _check_there(settings: Settings) -> None:
    if not settings.data.exists():
        raise ConfigurationError(
            f"there is no data folder {str(settings.data)!r}; "
            "`holdfast ingest FILE` makes one, --data names another"
        )


def settings_of(data: Path | None) -> Settings:
    """Return what environment and files set, with *data* taking precedence."""
    from holdfast.settings import read_settings

    return read_settings(data=data)


def run_with(opening: AbstractAsyncContextManager[P], work: Callable[[P], Awaitable[T]]) -> T:
    """Return what *work* returns, done with what *opening* gives; signals are as for `run`."""
    import asyncio

    async def opened() -> T:
        task = asyncio.current_task()
        assert task is not None
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        async with opening as part:
            return await work(part)

    return asyncio.run(opened())


def _platform(settings: Settings) -> AbstractAsyncContextManager[Platform]:
    from holdfast.platform import open_platform

    return open_platform(settings)
