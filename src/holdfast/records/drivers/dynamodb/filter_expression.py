"""Predicates as expressions of DynamoDB, where these mean exactly the same.

A comparison with an attribute that is not there is false in the service too, and its negation
true: so nulls need no more than being absent, or of the type ``NULL`` where others wrote.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never, cast

from holdfast.records.drivers.dynamodb.attribute_codec import encoder, float_bytes, is_number
from holdfast.records.expressions.operands import Column, Operand
from holdfast.records.expressions.predicates import (
    And,
    Compare,
    In,
    IsNull,
    Match,
    Not,
    Operator,
    Or,
    Part,
    Predicate,
    node,
)
from holdfast.records.values.value import Kind

if TYPE_CHECKING:
    from holdfast.records.drivers.dynamodb.attribute_codec import AttributeValue, Item
    from holdfast.records.values.field_spec import FieldSpec

_MOST_IN = 100
_LONGEST = 3500  # of the 4096 bytes that an expression may have
_MOST_TESTS = 200  # of the 300 operators
_OPERATORS = {
    Operator.EQ: "=",
    Operator.LT: "<",
    Operator.LE: "<=",
    Operator.GT: ">",
    Operator.GE: ">=",
}


class ExpressionNames:
    """The placeholders of one request: attributes' names, and values."""

    def __init__(self) -> None:
        self.names: dict[str, str] = {}
        self.values: Item = {}
        self._by_name: dict[str, str] = {}

    def name(self, attribute: str) -> str:
        """Return the placeholder of that attribute's name."""
        known = self._by_name.get(attribute)
        if known is None:
            known = self._by_name[attribute] = f"#n{len(self._by_name)}"
            self.names[known] = attribute
        return known

    def value(self, value: AttributeValue) -> str:
        """Return a placeholder of *value*."""
        made = f":v{len(self.values)}"
        self.values[made] = value
        return made

    def parameters(self) -> dict[str, object]:
        """Return what a request says of them; the service takes no empty ones."""
        found: dict[str, object] = {}
        if self.names:
            found["ExpressionAttributeNames"] = self.names
        if self.values:
            found["ExpressionAttributeValues"] = self.values
        return found


class _Untold(Exception):  # noqa: N818 - never leaves the module
    """The service has no words for it."""


def compiled(predicate: Predicate, names: ExpressionNames) -> str | None:
    """Return *predicate* as an expression, None where the service has none that means the same.

    None too for one that is longer than the service takes.
    """
    tried = ExpressionNames()
    try:
        text = _text(predicate, tried)
    except _Untold:
        return None
    if len(text) > _LONGEST or len(tried.values) > _MOST_TESTS:
        return None
    return _text(predicate, names)


def is_compiled(predicate: Predicate) -> bool:
    """Return whether the service can decide *predicate*."""
    return compiled(predicate, ExpressionNames()) is not None


def _text(predicate: Predicate, names: ExpressionNames) -> str:
    match node(predicate):
        case And(parts):
            return f"({' AND '.join(_text(part, names) for part in parts)})"
        case Or(parts):
            return f"({' OR '.join(_text(part, names) for part in parts)})"
        case Not(part):
            return f"(NOT {_text(part, names)})"
        case IsNull(operand):
            attribute = names.name(_field(operand).name)
            null = names.value({"S": "NULL"})
            return f"(attribute_not_exists({attribute}) OR attribute_type({attribute}, {null}))"
        case Compare(operand, how, value):
            return _compare(_field(operand), how, value, names)
        case In(operand, values):
            return _in(_field(operand), values, names)
        case Match(operand, part, text, ignore_case):
            return _match(_field(operand), part, text, names, ignore_case=ignore_case)
        case _:
            raise _Untold


def _field(operand: Operand) -> FieldSpec:
    match operand:
        case Column(_, spec):
            if spec.type.kind is Kind.JSON:
                raise _Untold
            return spec
        case _:
            raise _Untold


def _compare(spec: FieldSpec, how: Operator, value: object, names: ExpressionNames) -> str:
    attribute = names.name(spec.name)
    if spec.type.kind is Kind.BOOL:
        return _compare_bool(attribute, how, value is True, names)
    if spec.type.kind is Kind.FLOAT and how is not Operator.EQ:
        return _compare_float(attribute, how, cast("float", value), names)
    return f"{attribute} {_OPERATORS[how]} {names.value(encoder(spec)(value))}"


def _compare_bool(attribute: str, how: Operator, value: bool, names: ExpressionNames) -> str:
    fitting = {
        Operator.EQ: (value,),
        Operator.LT: (False,) if value else (),
        Operator.LE: (False, True) if value else (False,),
        Operator.GT: () if value else (True,),
        Operator.GE: (True,) if value else (False, True),
    }[how]
    if not fitting:
        return _nothing(attribute)
    each = [f"{attribute} = {names.value({'BOOL': one})}" for one in fitting]
    return f"({' OR '.join(each)})"


def _compare_float(attribute: str, how: Operator, value: float, names: ExpressionNames) -> str:
    """Compare with both forms that floats have; the service compares within each alone."""
    sign = _OPERATORS[how]
    downward = how in (Operator.LT, Operator.LE)
    parts: list[str] = []
    if is_number(value):
        parts.append(f"{attribute} {sign} {names.value({'N': repr(value)})}")
    elif abs(value) < 1:  # among the numbers it stands beside zero
        zero = names.value({"N": "0"})
        beside = ("<=" if value > 0 else "<") if downward else (">" if value > 0 else ">=")
        parts.append(f"{attribute} {beside} {zero}")
    elif (value > 0) == downward:
        parts.append(f"attribute_type({attribute}, {names.value({'S': 'N'})})")
    parts.append(f"{attribute} {sign} {names.value(float_bytes(value))}")
    return f"({' OR '.join(parts)})"


def _in(spec: FieldSpec, values: tuple[object, ...], names: ExpressionNames) -> str:
    attribute = names.name(spec.name)
    if not values:
        return _nothing(attribute)
    if len(values) > _MOST_IN:
        raise _Untold
    encode = encoder(spec)
    return f"{attribute} IN ({', '.join(names.value(encode(each)) for each in values)})"


def _match(
    spec: FieldSpec, part: Part, text: str, names: ExpressionNames, *, ignore_case: bool
) -> str:
    if ignore_case or spec.type.kind is not Kind.STR:
        raise _Untold
    if part is Part.END:
        raise _Untold
    attribute = names.name(spec.name)
    if not text and part is not Part.WHOLE:
        return f"attribute_type({attribute}, {names.value({'S': 'S'})})"
    literal = names.value({"S": text})
    match part:
        case Part.WHOLE:
            return f"{attribute} = {literal}"
        case Part.ANYWHERE:
            return f"contains({attribute}, {literal})"
        case Part.START:
            return f"begins_with({attribute}, {literal})"
        case _:
            assert_never(part)


def _nothing(attribute: str) -> str:
    """Return what no item fits."""
    return f"(attribute_exists({attribute}) AND attribute_not_exists({attribute}))"
