"""What FastAPI knows of a route and its dependencies, walked through."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastapi.dependencies.models import Dependant


def inside(dependant: Dependant) -> Iterator[Dependant]:
    """Yield the dependencies of *dependant*, each followed by those inside of it."""
    for each in dependant.dependencies:
        yield each
        yield from inside(each)
