"""What is wrong with a release, as an error whose text a person reads."""

from __future__ import annotations


class ReleaseError(Exception):
    """The release can't be made, or is not what it should be; the text says what and where."""
