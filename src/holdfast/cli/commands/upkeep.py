"""The command that removes what was left behind: upkeep."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.cli.options import Data, Traceback
from holdfast.cli.output import note
from holdfast.cli.runner import look

if TYPE_CHECKING:
    from holdfast.platform import Platform


def upkeep(data: Data = None, traceback: Traceback = False) -> None:
    """Remove what was left behind, such as uploads that were never ingested.

    `holdfast serve` does it at its start and each hour.
    """

    async def work(platform: Platform) -> None:
        await platform.upkeep()
        note("Done.")

    look(data, work)
