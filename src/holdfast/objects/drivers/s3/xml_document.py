"""S3's XML: elements without attributes, read strictly, written escaped."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from holdfast.errors import ServiceError

if TYPE_CHECKING:
    from collections.abc import Iterator


_MARK = b"\xef\xbb\xbf"


class Element:
    """One element: its local name, its text, its children, all of one namespace."""

    __slots__ = ("_node", "_space")

    def __init__(self, node: ET.Element) -> None:
        self._node = node
        self._space = node.tag[: node.tag.find("}") + 1]

    @property
    def name(self) -> str:
        """Its name without the namespace."""
        return self._node.tag[len(self._space) :]

    def all(self, name: str) -> Iterator[Element]:
        """Yield the children called *name*."""
        return map(Element, self._node.findall(self._space + name))

    def children(self) -> Iterator[Element]:
        """Yield all children."""
        return map(Element, self._node)

    def get(self, name: str) -> str | None:
        """Return the text of the first child called *name*, None when there is none."""
        return self._node.findtext(self._space + name)

    def empty(self, *names: str) -> bool:
        """Return whether there is no child called one of *names*."""
        return all(next(self.all(name), None) is None for name in names)

    def need(self, name: str) -> str:
        """Return the text of the first child called *name*. Raises ServiceError."""
        text = self.get(name)
        if text is None:
            raise unreadable(f"<{self.name}> lacks <{name}>")
        return text


def unreadable(reason: str) -> ServiceError:
    """Return the error for an answer that can't be read, for *reason*."""
    return ServiceError("reading an answer", 200, "Unreadable", reason)


def parse(content: bytes) -> Element:
    """Return the root of *content*. Raises ServiceError for what is not plain XML."""
    content = content.removeprefix(_MARK).lstrip()  # long operations keep the line busy so
    if b"<!DOCTYPE" in content or b"\0" in content:  # no service declares types, or sends UTF-16
        raise unreadable("it declares a document type")
    try:
        return Element(ET.fromstring(content))  # noqa: S314 - it declares no entities
    except (ET.ParseError, LookupError, ValueError) as error:
        raise unreadable(f"it is not XML: {error}") from None


def parsed(content: bytes) -> Element | None:
    """Return the root of *content*, None for what is not XML."""
    if not content.removeprefix(_MARK).lstrip().startswith(b"<"):
        return None
    try:
        return parse(content)
    except ServiceError:
        return None


def write(name: str, *content: str) -> str:
    """Return an element of elements."""
    return f"<{name}>{''.join(content)}</{name}>"


def write_text(name: str, text: str) -> str:
    """Return an element of text."""
    return f"<{name}>{escape(text)}</{name}>"


def fits(text: str) -> bool:
    """Return whether XML 1.0 can hold *text*, unchanged."""
    return all(letter >= " " and letter not in "\ufffe\uffff" for letter in text)
