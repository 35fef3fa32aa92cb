"""Text as every backend keeps it: what is refused, and how case is folded."""

from __future__ import annotations


class ValueRejected(Exception):  # noqa: N818 - never leaves the package: it becomes InvalidValueError
    """Why a value can't be stored; its message is the reason."""


def check_text(value: str) -> str:
    """Return *value*.

    Raises ValueRejected for NUL and lone surrogates, which no UTF-8 store can keep.
    """
    if "\0" in value:
        raise ValueRejected("contains the NUL character")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise ValueRejected(
                f"contains a lone surrogate at position {error.start}, which is not text"
            ) from None
    return value


_LATER_CAPITALS = frozenset(
    map(chr, (0x1C89, 0xA7CB, 0xA7CC, 0xA7DA, 0xA7DC, *range(0x10D50, 0x10D66)))
)
"""Capitals that Unicode 15 to 16 added, which Python knows from 3.14 on."""


def fold_case(text: str) -> str:
    """Return *text* with each code point replaced by its simple lower-case mapping.

    The mapping of UnicodeData.txt of Unicode 14, one code point to one: locale-free and the same
    everywhere, under each Python as well.
    """
    if text.isascii():
        return text.lower()
    return "".join(
        low if len(low := char.lower()) == 1 and char not in _LATER_CAPITALS else char
        for char in text
    )
