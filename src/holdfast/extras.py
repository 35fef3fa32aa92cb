"""Optional dependencies: what to install when one of them is missing."""

from __future__ import annotations

import importlib.util
from contextlib import contextmanager
from typing import TYPE_CHECKING

from holdfast.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def needs_extra(extra: str, purpose: str) -> Iterator[None]:
    """Say which *extra* to install when the block imports a package that is not there.

    `with needs_extra("media", "reading videos"): import av` raises ConfigurationError. What is
    missing of Holdfast itself is a bug, and escapes as it is.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package == "holdfast":
            raise
        raise ConfigurationError(
            f"{purpose} needs {package}: pip install 'holdfast[{extra}]'"
        ) from None


def check_extra(extra: str, purpose: str, packages: tuple[str, ...]) -> None:
    """Raise ConfigurationError when one of *packages* is not there; none is imported."""
    with needs_extra(extra, purpose):
        for package in packages:
            if importlib.util.find_spec(package) is None:
                raise ModuleNotFoundError(f"No module named {package!r}", name=package)
