"""The values that a mapped class gives by itself: defaults of its columns, and onupdate."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from datetime import UTC
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, TypeAlias

from sqlalchemy.sql import elements, functions

from holdfast.errors import ConfigurationError
from holdfast.records.entities.server_default import ServerDefault, TextDefault
from holdfast.records.values.text import ValueRejected
from holdfast.records.values.value import Kind

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    import sqlalchemy as sa

    from holdfast.records.values.field_spec import FieldSpec

Maker: TypeAlias = "Callable[[datetime], object]"
"""Makes a value; it is given the time of writing."""

_NOW = ("now", "current_timestamp", "localtimestamp", "transaction_timestamp")
DIALECTS = ("sqlite", "postgresql", "mariadb", "mysql")
_TRUTHS = {"1": True, "true": True, "t": True, "0": False, "false": False, "f": False}


@dataclass(frozen=True, slots=True)
class Defaults:
    """What is set when nothing is given: in a row to be added, and in one that is changed."""

    added: dict[str, Maker]
    changed: dict[str, Maker]


def defaults_of(columns: list[tuple[FieldSpec, sa.Column[Any]]]) -> Defaults:
    """Return the defaults of *columns*. Raises ConfigurationError for one that can't be made."""
    added: dict[str, Maker] = {}
    changed: dict[str, Maker] = {}
    for spec, column in columns:
        if column.default is not None:
            added[spec.name] = _python_side(spec, column, column.default, "default")
        elif column.server_default is not None and spec.role != "generated":
            maker = _server_side(spec, column)
            if maker is not None:
                added[spec.name] = maker
            elif spec.server_default is None:
                raise ConfigurationError(
                    f"{column}: its server_default is made by the database, and a {spec.role} is "
                    "given; give it a default of Python's too, such as default=uuid4"
                )
        elif column.nullable:
            added[spec.name] = lambda _now: None
        if column.onupdate is not None:
            changed[spec.name] = _python_side(spec, column, column.onupdate, "onupdate")
    return Defaults(added, changed)


def left_to_database(spec: FieldSpec, column: sa.Column[Any]) -> ServerDefault[object] | None:
    """Return what says of a field that the database alone can make its default; else None."""
    if column.default is not None or column.server_default is None or spec.role != "plain":
        return None
    if _server_side(spec, column) is not None:
        return None
    return ServerDefault(TextDefault(dict.fromkeys(DIALECTS, "the table's own")))


def _python_side(spec: FieldSpec, column: sa.Column[Any], default: Any, word: str) -> Maker:
    if default.is_callable:
        made = default.arg
        # SQLAlchemy wraps what takes no argument; what takes one wants the statement under way.
        if not hasattr(made, "__wrapped__") and _takes_context(made):
            raise ConfigurationError(
                f"{column}: its {word} asks for the statement that it is used in, and there is "
                "none; make it a function without parameters"
            )
        return lambda _now: made(None)
    if default.is_scalar:
        value = default.arg
        return lambda _now: value
    if default.is_clause_element and _is_now(default.arg):
        return _time_of_writing(spec, column)
    raise ConfigurationError(
        f"{column}: its {word} is made by the database; give a value or a function of Python's "
        f"instead, such as {word}=uuid4"
    )


def _takes_context(made: Callable[..., object]) -> bool:
    try:
        return any(
            each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)
            for each in inspect.signature(made).parameters.values()
        )
    except ValueError:
        return False


def _time_of_writing(spec: FieldSpec, column: sa.Column[Any]) -> Maker:
    match spec.type.kind:
        case Kind.DATETIME if spec.type.load is None:
            return lambda now: now
        case Kind.DATETIME:
            return lambda now: now.astimezone(UTC).replace(tzinfo=None)
        case Kind.DATE:
            return lambda now: now.astimezone(UTC).date()
        case _:
            raise ConfigurationError(f"{column}: the time now is not a {spec.type.kind.value}")


def _is_now(clause: object) -> bool:
    if isinstance(clause, functions.FunctionElement):
        return getattr(clause, "name", "").lower() in _NOW
    text = getattr(clause, "text", "")
    return str(text).lower().strip("() ") in _NOW


def _server_side(spec: FieldSpec, column: sa.Column[Any]) -> Maker | None:
    """Return what gives the very value that the server would: a constant, or the time.

    None where only the server knows.
    """
    given = getattr(column.server_default, "arg", None)
    if _is_now(given):
        return _time_of_writing(spec, column)
    constant: str | None = None
    if isinstance(given, str):
        constant = given
    elif isinstance(given, (elements.True_, elements.False_)):
        constant = "1" if isinstance(given, elements.True_) else "0"
    elif isinstance(given, elements.TextClause):
        constant = _constant(given.text)
    value: object = None
    if constant is not None:
        try:
            value = _READ[spec.type.kind](constant)
            if spec.type.load is not None:
                value = spec.type.load(value)
            spec.type.check(value)
        except (KeyError, ValueError, InvalidOperation, ValueRejected):
            value = None
    return None if value is None else lambda _now: value


def _constant(text: str) -> str | None:
    text = text.strip()
    if len(text) > 1 and text[0] == text[-1] == "'":
        return text[1:-1].replace("''", "'")
    return None if text[-1:] == ")" else text


_READ: dict[Kind, Callable[[str], object]] = {
    Kind.STR: str,
    Kind.INT: int,
    Kind.FLOAT: float,
    Kind.DECIMAL: Decimal,
    Kind.BOOL: lambda text: _TRUTHS[text.lower()],
}
