"""Places inside JSON fields, as conditions and changes name them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, cast, get_origin

from holdfast.errors import InvalidQueryError, InvalidValueError
from holdfast.records.expressions.field_changes import EditJson
from holdfast.records.expressions.operand_conditions import match_text, one_of, several_values
from holdfast.records.expressions.operands import Column, Path
from holdfast.records.expressions.predicates import (
    Compare,
    HasItem,
    IsNull,
    Not,
    Of,
    Operator,
    Part,
    Predicate,
)
from holdfast.records.foreign_words import EXPRESSION_WORDS, not_there
from holdfast.records.values.json_edit import EditAction, JsonEdit
from holdfast.records.values.json_values import copy_json
from holdfast.records.values.text import ValueRejected
from holdfast.records.values.value import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable

_LONGEST_LIST = 2**31 - 1


class JsonPath(Generic[Of]):
    """A place inside a JSON field, such as `Video.attributes["provider"]`."""

    def __init__(self, column: Column, steps: tuple[str | int, ...]) -> None:
        self.operand = Path(column, steps)

    if not TYPE_CHECKING:

        def __getattr__(self, name):  # noqa: ANN001, ANN204 - hidden from type checkers
            not_there(self, "a place in JSON", name, EXPRESSION_WORDS)

    def __getitem__(self, step: str | int) -> JsonPath[Of]:
        if isinstance(step, bool) or not isinstance(step, (str, int)):
            raise InvalidQueryError(f"a JSON path goes by str or int, got {step!r}")
        if isinstance(step, int) and step < 0:
            raise InvalidQueryError(f"a position in a JSON list starts at 0, got {step}")
        if isinstance(step, int) and step > _LONGEST_LIST:
            raise InvalidQueryError(f"a position in a JSON list is at most {_LONGEST_LIST}")
        if isinstance(step, str):
            self._json(step)
        return JsonPath[Of](self.operand.column, (*self.operand.steps, step))

    __iter__ = None
    __hash__ = object.__hash__

    def __repr__(self) -> str:
        return repr(self.operand)

    def _json(self, value: object) -> object:
        return json_value(self.operand, value)

    def __eq__(self, other: object) -> Predicate[Of]:  # type: ignore[override]
        if other is None:
            return IsNull(self.operand)
        return Compare(self.operand, Operator.EQ, self._json(other))

    def __ne__(self, other: object) -> Predicate[Of]:  # type: ignore[override]
        return Not(self == other)

    def _compare(self, operator: Operator, other: object) -> Predicate[Of]:
        if isinstance(other, bool) or not isinstance(other, (str, int, float)):
            raise InvalidQueryError(
                f"{self.operand!r} {operator.value} {other!r}: only numbers and text have an order"
            )
        return Compare(self.operand, operator, self._json(other))

    def __lt__(self, other: str | float) -> Predicate[Of]:
        return self._compare(Operator.LT, other)

    def __le__(self, other: str | float) -> Predicate[Of]:
        return self._compare(Operator.LE, other)

    def __gt__(self, other: str | float) -> Predicate[Of]:
        return self._compare(Operator.GT, other)

    def __ge__(self, other: str | float) -> Predicate[Of]:
        return self._compare(Operator.GE, other)

    def in_(self, values: Iterable[object]) -> Predicate[Of]:
        """One of *values*, by type and value; None stands for null or missing."""
        several = several_values(self.operand, values)
        return one_of(self.operand, [self._json(value) for value in several])

    def not_in(self, values: Iterable[object]) -> Predicate[Of]:
        """None of *values*: what is null or missing is included, unless None is among them."""
        return ~self.in_(values)

    def has_item(self, item: object) -> Predicate[Of]:
        """It is a list, and one of its items is *item*, by type and value.

        `contains` looks for text in a text.
        """
        return has_item(self.operand, item)

    def is_null(self) -> Predicate[Of]:
        """The path leads nowhere, or to a JSON null."""
        return IsNull(self.operand)

    def contains(self, text: str) -> Predicate[Of]:
        """It is text, and *text* stands in it, to the letter."""
        return match_text(self.operand, Part.ANYWHERE, text)

    def startswith(self, text: str) -> Predicate[Of]:
        """It is text that starts with *text*, to the letter."""
        return match_text(self.operand, Part.START, text)

    def endswith(self, text: str) -> Predicate[Of]:
        """It is text that ends with *text*, to the letter."""
        return match_text(self.operand, Part.END, text)

    def iequals(self, text: str) -> Predicate[Of]:
        """It is *text* but for case (see `fold_case`)."""
        return match_text(self.operand, Part.WHOLE, text, ignore_case=True)

    def icontains(self, text: str) -> Predicate[Of]:
        """It is text, and *text* stands in it but for case (see `fold_case`)."""
        return match_text(self.operand, Part.ANYWHERE, text, ignore_case=True)

    def to(self, value: object) -> EditJson[Of]:
        """Return the change that puts *value* there, and objects on the way where none are.

        Changes inside JSON are made in the database, so that those of others stay. Raises
        InvalidQueryError inside a dataclass, a model or a typed container, which is checked as a
        whole. The write raises InvalidValueError where the way leads through what is neither an
        object, null nor missing, and for a position that is not there.
        """
        return edit(self.operand, EditAction.SET, value)

    def remove(self) -> EditJson[Of]:
        """Return the change that takes away what is there; nothing there is no error.

        What stands after it in a list moves up.
        """
        return edit(self.operand, EditAction.REMOVE)

    def append(self, item: object, *, if_absent: bool = False) -> EditJson[Of]:
        """Return the change that puts *item* at the end of the list there.

        With *if_absent*, only if none of its items is equal, by type and value. What is missing or
        null becomes a list; in any other case as `to`.
        """
        action = EditAction.APPEND_ABSENT if if_absent else EditAction.APPEND
        return edit(self.operand, action, item)

    def remove_item(self, item: object) -> EditJson[Of]:
        """Return the change that takes all items that are equal to *item* out of the list there.

        What has no such item, or is no list, stays as it is.
        """
        return edit(self.operand, EditAction.REMOVE_ITEM, item)


def edit(operand: Column | Path, action: EditAction, value: object = None) -> EditJson:
    """Return the change that does *action* at *operand*. Raises InvalidQueryError."""
    path = operand if isinstance(operand, Path) else Path(operand, ())
    column, steps = path.column, path.steps
    declared = column.type
    if declared.kind is not Kind.JSON:
        raise InvalidQueryError(f"{column!r} is not a JSON field: it has nothing inside")
    kept = declared.container or get_origin(declared.python) or declared.python
    if steps and declared.load is not None:
        raise InvalidQueryError(f"{column!r} is checked as a whole: set the whole field")
    if steps and kept is not object and isinstance(steps[0], str) is not (kept is dict):
        raise InvalidQueryError(f"{column!r} is a {column.type.python}, which has no {steps[0]!r}")
    if not steps and kept not in (list, object):
        raise InvalidQueryError(f"{column!r} is not a list")
    if steps or declared.load is None:
        checked = json_value(path, value)
    else:
        (checked,) = cast("list[object]", column.spec.to_row(column.entity, [value]))
    made = JsonEdit(steps, action, checked)
    json_value(path, made.made())  # as deep as it lies in the document
    return EditJson(column, (made,))


def has_item(operand: Column | Path, item: object) -> Predicate:
    """Return the condition that *operand* is a list with *item*. Raises InvalidQueryError."""
    if operand.type.kind is not Kind.JSON:
        raise InvalidQueryError(f"{operand!r} is not a JSON field: it has no items")
    return HasItem(operand, json_value(operand, item))


def json_value(operand: Column | Path, value: object) -> object:
    """Return a copy of *value*, which is compared with *operand*. Raises InvalidValueError."""
    try:
        return copy_json(value)
    except ValueRejected as unfit:
        column = operand.column if isinstance(operand, Path) else operand
        raise InvalidValueError(column.entity, column.name, str(unfit)) from None
