"""Running a command's work: the platform opened, the loop run."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

from holdfast.platform import open_platform
from holdfast.settings import read_settings

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from holdfast.platform import Platform

T = TypeVar("T")


def run(data: Path | None, work: Callable[[Platform], Awaitable[T]]) -> T:
    """Return what *work* returns, done with the platform in *data* (or where settings say)."""

    async def opened() -> T:
        async with open_platform(read_settings(data=data)) as platform:
            return await work(platform)

    return asyncio.run(opened())
