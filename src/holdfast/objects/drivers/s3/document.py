"""The XML that S3 speaks: elements without attributes, read strictly, written escaped."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from xml.parsers import expat
from xml.sax.saxutils import escape

from holdfast.errors import ServiceError

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(slots=True)
class Element:
    """One element: its local name, its text, its children."""

    name: str
    text: str = ""
    children: list[Element] = field(default_factory=list)

    def all(self, name: str) -> Iterator[Element]:
        """Yield the children called *name*."""
        return (child for child in self.children if child.name == name)

    def get(self, name: str) -> str | None:
        """Return the text of the first child called *name*, None when there is none."""
        return next((child.text for child in self.all(name)), None)

    def need(self, name: str) -> str:
        """Return the text of the first child called *name*. Raises ServiceError."""
        text = self.get(name)
        if text is None:
            raise unreadable(f"<{self.name}> lacks <{name}>")
        return text


def unreadable(reason: str) -> ServiceError:
    """Return the error for an answer that is none."""
    return ServiceError("reading an answer", 200, "Unreadable", reason)


def parse(content: bytes) -> Element:
    """Return the root of *content*. Raises ServiceError for what is no plain XML."""
    root = Element("")
    open_elements = [root]
    parser = expat.ParserCreate()
    parser.buffer_text = True

    def start(name: str, _attributes: object) -> None:
        element = Element(name.rpartition(":")[2])
        open_elements[-1].children.append(element)
        open_elements.append(element)

    def end(_name: str) -> None:
        open_elements.pop()

    def text(data: str) -> None:
        open_elements[-1].text += data

    def refuse(*_declaration: object) -> None:
        raise unreadable("it declares a document type")

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = text
    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(content, True)
    except expat.ExpatError as error:
        raise unreadable(f"it is no XML: {error}") from None
    return root.children[0]


def write(name: str, *content: str) -> str:
    """Return an element of elements."""
    return f"<{name}>{''.join(content)}</{name}>"


def write_text(name: str, text: str) -> str:
    """Return an element of text."""
    return f"<{name}>{escape(text)}</{name}>"


def fits(text: str) -> bool:
    """Return whether XML 1.0 can hold *text*, unchanged."""
    return all(letter >= " " and letter not in "\ufffe\uffff" for letter in text)
