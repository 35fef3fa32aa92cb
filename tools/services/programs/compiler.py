"""The compiler that a program is built with: whether it is there, runs, and is new enough."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from tools.services.failure import MissingError
from tools.services.programs.command import answer
from tools.services.programs.debian import numbers

if TYPE_CHECKING:
    from collections.abc import Sequence


def find_compiler(name: str, asked: Sequence[str], *, needed: tuple[int, int], how: str) -> str:
    """Return the path of the compiler *name*, which tells its version when *asked*.

    Raises MissingError, with *how* to get it, where it is missing, does not run (as rustup's
    cargo without a toolchain), or is older than *needed*.
    """
    path = shutil.which(name)
    if path is None:
        raise MissingError(f"not installed, and there is no {name} to build it", how)
    said = answer([path, *asked])
    version = numbers(said)[:2]
    if not version or said.startswith("error"):
        first = said.partition("\n")[0] or "it said nothing"
        raise MissingError(f"not installed, and {name} does not run: {first}", how)
    if version < needed:
        raise MissingError(f"not installed, and {said} is too old to build it", how)
    return path
