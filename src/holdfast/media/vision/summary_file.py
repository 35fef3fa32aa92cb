"""Reads the summary that an analysis leaves: what was found, as JSON."""

from __future__ import annotations

from pydantic import TypeAdapter, ValidationError

from holdfast.errors import IntegrityError
from holdfast.media.vision.detector import Analysis


def read_summary(content: bytes, name: str) -> Analysis:
    """Return the analysis that `summary.json` of the video *name* holds.

    Raises IntegrityError when it is damaged.
    """
    try:
        return TypeAdapter(Analysis).validate_json(content)
    except ValidationError as error:
        raise IntegrityError(f"the summary of {name!r} is damaged: {error}") from error
