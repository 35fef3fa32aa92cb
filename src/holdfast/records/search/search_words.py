"""The words that full-text search knows: how text is divided, and what a query asks for.

A word is a run of letters, digits and the marks upon them (Unicode's categories L, N and M), after
composition (NFC) and `fold_case`; its first 64 characters count. Nothing is stemmed and no word is
left out. A *document* is a text in this form, each word between two blanks: so whether it has a
word, a phrase or a word with some beginning is whether it has a piece of text, and every backend
can tell.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from unicodedata import category, normalize

from holdfast.errors import InvalidQueryError
from holdfast.records.values.text import fold_case

if TYPE_CHECKING:
    from collections.abc import Iterator

LONGEST_WORD = 64
LONGEST_DOCUMENT = 128 * 1024  # bytes; PostgreSQL's index takes 1 MiB for all fields of a row
MOST_WORDS = 64  # in one query
_ASCII_WORD = re.compile("[a-z0-9]+")
_TERM = re.compile(r'(?P<minus>-*)(?:"(?P<phrase>[^"]*)"?|(?P<plain>[^\s"]+))')


@dataclass(frozen=True, slots=True)
class SearchTerms:
    """What a query looks for: pieces that documents must have, and others that they must not.

    A piece is `" red  car "` for a word or phrase, `" ni"` for words with that beginning.
    """

    wanted: tuple[str, ...]
    unwanted: tuple[str, ...]


def words_of(text: str) -> list[str]:
    """Return the words of *text* in their order."""
    folded = fold_case(normalize("NFC", text))
    found = _ASCII_WORD.findall(folded) if folded.isascii() else _other_words(folded)
    return [word[:LONGEST_WORD] for word in found]


def _other_words(folded: str) -> Iterator[str]:
    apart = "".join(each if each.isalnum() or _is_mark(each) else " " for each in folded)
    for run in apart.split():
        start = 0
        while start < len(run) and _is_mark(run[start]):
            start += 1  # a mark on what is no letter, as on a symbol
        if start < len(run):
            yield run[start:]


def _is_mark(character: str) -> bool:
    return category(character)[0] == "M"


def document_of(text: str | None) -> str:
    """Return the document of *text*: whole words of it, as many as 128 KiB hold."""
    if text is None:
        return ""
    document = _pieced(words_of(text))
    if len(document) * 4 > LONGEST_DOCUMENT and len(document.encode()) > LONGEST_DOCUMENT:
        cut = document.encode()[: LONGEST_DOCUMENT + 1].decode(errors="ignore")
        document = cut[: cut.rfind(" ", 0, len(cut) - 1) + 1].rstrip() + " "
    return document


def _pieced(words: list[str]) -> str:
    return "".join(f" {word} " for word in words)


def search_terms(query: str) -> SearchTerms:
    """Return what *query* asks for.

    All of its words must be there. `"red car"` is a phrase, as is what is written in one, such as
    `cam-01.mp4`; `-rain` excludes; `nig*` is a word that starts so. Other signs only divide words.
    Raises InvalidQueryError for what is not text, and for more than 64 words.
    """
    if not isinstance(query, str):
        raise InvalidQueryError(f"expected text to search for, got {query!r:.100}")
    wanted: dict[str, None] = {}
    unwanted: dict[str, None] = {}
    count = 0
    for found in _TERM.finditer(query):
        plain = found["plain"]
        words = words_of(found["phrase"] if plain is None else plain)
        count += len(words)
        if count > MOST_WORDS:
            raise InvalidQueryError(f"a search takes at most {MOST_WORDS} words")
        if not words:
            continue
        piece = _pieced(words)
        if plain is not None and plain.endswith("*"):
            piece = piece[:-1]
        (unwanted if found["minus"] else wanted)[piece] = None
    return SearchTerms(tuple(wanted), tuple(unwanted))
