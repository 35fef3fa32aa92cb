"""Defaults that the database gives: to a field that is left out of a row to be added."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeAlias, TypeVar

from holdfast.errors import ConfigurationError
from holdfast.records.entities.identifiers import check_table

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

LEAST_NUMBER = -(2**63) + 1
MOST_NUMBER = 2**63 - 2
"""The ends of a sequence, of which every database with sequences has all numbers between."""

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, slots=True)
class ConstantDefault:
    """The same value in each row, as a caller writes it."""

    value: object


@dataclass(frozen=True, slots=True)
class TimeDefault:
    """The time of the write by the database's clock."""


@dataclass(frozen=True, slots=True)
class TextDefault:
    """An expression of the database's own, by the name of the backend: `postgresql` ..."""

    texts: Mapping[str, str] = field(hash=False)


@dataclass(frozen=True, slots=True)
class SequenceDefault:
    """The next number of a sequence of the database's, by its name in the entity's schema."""

    name: str
    start: int
    increment: int


DefaultSource: TypeAlias = ConstantDefault | TimeDefault | TextDefault | SequenceDefault


@dataclass(frozen=True, slots=True)
class ServerDefault(Generic[T_co]):
    """What `server_default`, `server_now`, `server_text` and `server_sequence` make.

    For a field's `default=`, the last one for a key's too.
    """

    source: DefaultSource


def server_default(value: T) -> ServerDefault[T]:
    """Return the default by which the database gives *value* to a field that is left out."""
    if isinstance(value, ServerDefault) or value is None:
        raise ConfigurationError(f"server_default({value!r}): expected a value of the field")
    return ServerDefault(ConstantDefault(value))


def server_now() -> ServerDefault[datetime]:
    """Return the default by which the database gives the time of the statement, by its clock."""
    return ServerDefault(TimeDefault())


def server_text(
    *,
    postgresql: str | None = None,
    sqlite: str | None = None,
    mariadb: str | None = None,
    mysql: str | None = None,
) -> ServerDefault[T]:
    """Return the default that an expression of SQL gives, in the words of each database.

    A store on a backend for which there is none raises UnsupportedError when it is opened. The
    text goes into the table's definition as it is: never put there what a user entered.
    """
    given = {"postgresql": postgresql, "sqlite": sqlite, "mariadb": mariadb, "mysql": mysql}
    texts = {name: text for name, text in given.items() if text is not None}
    if not texts or not all(isinstance(text, str) and text.strip() for text in texts.values()):
        raise ConfigurationError("server_text() takes an expression for at least one database")
    return ServerDefault(TextDefault(texts))


def server_sequence(name: str, *, start: int = 1, increment: int = 1) -> ServerDefault[int]:
    """Return the default by which each row that is added gets the next number of a sequence.

    The sequence *name* is in the schema of the entity, made with its table, and shared by all
    fields that name it. Its first number is *start*, each other one *increment* after the one
    before, which may be less than 0. No number is given twice; those of writes that failed or were
    undone are lost, so there are gaps. A store on a backend without StoreCapability.SEQUENCES
    raises UnsupportedError when it is opened. Raises ConfigurationError.
    """
    said = f"server_sequence({name!r}, start={start!r}, increment={increment!r})"
    check_table(said, name)
    for number in (start, increment):
        if type(number) is not int or not LEAST_NUMBER <= number <= MOST_NUMBER:
            raise ConfigurationError(f"{said}: expected ints from -2**63 + 1 to 2**63 - 2")
    if increment == 0:
        raise ConfigurationError(f"{said}: expected an increment other than 0")
    return ServerDefault(SequenceDefault(name, start, increment))
