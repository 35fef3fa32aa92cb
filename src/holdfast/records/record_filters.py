"""Filters and sorts as text has them: `duration__gte=60` and `-created_at`, as in the API."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from holdfast.errors import InvalidQueryError
from holdfast.records.filter_operator import (
    FILTER_METHODS,
    LIST_OPERATORS,
    TEXT_OPERATORS,
    filter_condition,
)
from holdfast.records.record_values import fields_of_entity, parsed_value
from holdfast.records.values.value import Kind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.records import Field, Order, Predicate
    from holdfast.records.values.field_spec import FieldSpec


def parse_filters(entity: type, given: Sequence[str]) -> list[Predicate]:
    """Return the conditions of `field__op=value`, all of which must hold.

    Raises InvalidQueryError and InvalidValueError, which name the filter or the field.
    """
    return [_predicate(entity, text) for text in given]


def parse_sort(entity: type, given: str) -> list[Order]:
    """Return the orders of `-created_at,name`: descending with a dash. Raises InvalidQueryError."""
    orders: list[Order] = []
    for part in filter(None, (part.strip() for part in given.split(","))):
        name = part.removeprefix("-")
        field = _field(entity, name, f"the sort {part!r}")
        orders.append(field.desc() if part.startswith("-") else field.asc())
    return orders


def _predicate(entity: type, text: str) -> Predicate:
    left, equals, value = text.partition("=")
    if not equals:
        raise InvalidQueryError(f"the filter {text!r}: expected FIELD=VALUE or FIELD__OP=VALUE")
    specs = {spec.name: spec for spec in fields_of_entity(entity)}
    name, operator = left, ""
    if left not in specs:  # a field's own name may hold two underlines
        name, _, operator = left.rpartition("__")
        name = name or left
    field = _field(entity, name, f"the filter {text!r}")
    if operator not in FILTER_METHODS:
        raise InvalidQueryError(
            f"the filter {text!r}: {operator!r} is not an operator; expected one of "
            f"{', '.join(filter(None, FILTER_METHODS))}"
        )
    return _condition(entity, specs[name], field, operator, value)


def _condition(
    entity: type, spec: FieldSpec, field: Field[object], operator: str, value: str
) -> Predicate:
    if operator == "is_null":
        if value not in ("true", "false"):
            raise InvalidQueryError(f"{spec.name}__is_null={value!r}: expected true or false")
        return filter_condition(field, operator, value == "true")
    if spec.type.kind is Kind.JSON:
        raise InvalidQueryError(f"{spec.name} is JSON, which has no filter but is_null")
    if operator in TEXT_OPERATORS:
        if spec.type.kind is not Kind.STR:
            raise InvalidQueryError(f"{spec.name} is not a text field, so it has no {operator}")
        return filter_condition(field, operator, value)
    if operator in LIST_OPERATORS:
        values = [parsed_value(entity, spec, each) for each in value.split(",") if each]
        return filter_condition(field, operator, values)
    return filter_condition(field, operator, parsed_value(entity, spec, value))


def _field(entity: type, name: str, where: str) -> Field[object]:
    known = [spec.name for spec in fields_of_entity(entity)]
    if name not in known:
        raise InvalidQueryError(
            f"{where}: {entity.__name__} has no field {name!r}; fields are: {', '.join(known)}"
        )
    return cast("Field[object]", getattr(entity, name))
