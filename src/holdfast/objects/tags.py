"""Tags: a few names and values beside an object or a bucket, changed without writing it anew."""

from __future__ import annotations

import re
from collections.abc import Mapping

from holdfast.errors import InvalidValueError

MOST_TAGS = 10
MOST_BUCKET_TAGS = 50
_LONGEST_NAME = 128
_LONGEST_VALUE = 256
_TEXT = re.compile(r"[\w +\-=.:/@]*", re.ASCII)  # AWS takes letters of any script, others don't


def check_tags(
    tags: Mapping[str, str], *, of: str = "object", most: int = MOST_TAGS
) -> dict[str, str]:
    """Return a copy of *tags*: names of 1 to 128 characters, values of at most 256.

    Characters are ASCII letters, digits, spaces and ``+ - = . _ : / @``; a name doesn't start with
    ``aws:``. An object has at most 10 tags, a bucket 50. Raises InvalidValueError.
    """
    if not isinstance(tags, Mapping):
        raise InvalidValueError(of, "tags", f"expected a mapping of names to values, got {tags!r}")
    if len(tags) > most:
        raise InvalidValueError(of, "tags", f"{len(tags)} tags, expected at most {most}")
    for name, value in tags.items():
        if not _is_text(name, _LONGEST_NAME) or not name or name.lower().startswith("aws:"):
            raise InvalidValueError(
                of,
                "tags",
                f"the name {name!r}: expected 1 to 128 letters, digits, spaces or +-=._:/@ "
                "that don't start with aws:",
            )
        if not _is_text(value, _LONGEST_VALUE):
            raise InvalidValueError(
                of,
                "tags",
                f"the value of {name!r} is {value!r}, expected at most 256 letters, digits, "
                "spaces or +-=._:/@",
            )
    return dict(tags)


def _is_text(text: object, longest: int) -> bool:
    return isinstance(text, str) and len(text) <= longest and _TEXT.fullmatch(text) is not None
