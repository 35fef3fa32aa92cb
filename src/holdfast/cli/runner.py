"""Runs a command's work: opens the platform, runs the event loop."""

from __future__ import annotations

import getpass
import os
import signal
from typing import TYPE_CHECKING, TypeVar

from holdfast.acting import acting_as
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
    from holdfast.platform.pillars import has_data_folder

    if not has_data_folder(settings):
        raise ConfigurationError(
            f"there is no data folder {str(settings.data)!r}; "
            "`holdfast ingest FILE` makes one, --data names another"
        )


def settings_of(data: Path | None) -> Settings:
    """Return what environment and files set, with *data* taking precedence.

    A variable that looks like a setting and is none is told on standard error: nothing else would
    say that a server works on another database than was meant.
    """
    from holdfast.settings import read_settings

    tell_misspelt()
    return read_settings(data=data)


def tell_misspelt() -> None:
    """Tell on standard error which variables look like settings and are none."""
    from holdfast.cli.output import note
    from holdfast.settings.in_force import misspelt_variables

    for name, meant in misspelt_variables().items():
        note(f"{name} is not a setting; is {meant} meant?", style="yellow")


def run_with(opening: AbstractAsyncContextManager[P], work: Callable[[P], Awaitable[T]]) -> T:
    """Return what *work* returns, done with what *opening* gives; signals are as for `run`."""
    import asyncio

    async def opened() -> T:
        task = asyncio.current_task()
        assert task is not None
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        async with opening as part:
            with acting_as(_user(), reason="the command line"):
                return await work(part)

    return asyncio.run(opened())


def _user() -> str:
    """Return who runs the program, by name, or by number where there is no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"


def _platform(settings: Settings) -> AbstractAsyncContextManager[Platform]:
    from holdfast.platform import open_platform

    return open_platform(settings)
