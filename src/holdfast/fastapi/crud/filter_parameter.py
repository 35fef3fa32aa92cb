"""Filters of a list as query parameters: `duration__gte=60` from `Video.duration.between`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import MethodType
from typing import TYPE_CHECKING, Annotated, Any

from annotated_types import MaxLen, MinLen

from holdfast.errors import ConfigurationError
from holdfast.fastapi.wire.wire_field import parameter_hint
from holdfast.records.entities.field import Field
from holdfast.records.expressions.expression import Expression
from holdfast.records.filter_operator import (
    FILTER_METHODS,
    LIST_OPERATORS,
    TEXT_OPERATORS,
    filter_condition,
)
from holdfast.records.values.value import Kind

if TYPE_CHECKING:
    from holdfast.records import Entity, Predicate

_OPERATORS = {method: operator for operator, method in FILTER_METHODS.items()}


@dataclass(frozen=True, slots=True)
class FilterParameter:
    """One query parameter, which asks *operator* of *field*; it may be *called* by another name."""

    field: Expression[Any]
    operator: str
    called: str = ""

    @property
    def name(self) -> str:
        """What the parameter is called in a URL."""
        if self.called:
            return self.called
        name = self.field.operand.spec.name
        return f"{name}__{self.operator}" if self.operator else name

    @property
    def several(self) -> bool:
        """Whether it can be given several times."""
        return self.operator in LIST_OPERATORS

    def hint(self, most: int) -> object:
        """Return the type of its value; a list of *most* where it can be given several times."""
        if self.operator == "is_null":
            return bool
        if self.operator in TEXT_OPERATORS:
            return Annotated[str, MinLen(1), MaxLen(1000)]
        value: Any = parameter_hint(self.field.operand.spec)
        if self.several:
            return Annotated[list[value], MinLen(1), MaxLen(most)]
        return value

    def predicate(self, value: object) -> Predicate:
        """Return the condition that the parameter with *value* sets. Raises InvalidValueError."""
        return filter_condition(self.field, self.operator, value)


def filter_parameters(entity: type[Entity], given: object) -> list[FilterParameter]:
    """Return the parameters for one of the `filters=` of a list of *entity*.

    A field is asked for equality; a method of a field for what it does, `between` by two
    parameters. Raises ConfigurationError for anything else.
    """
    if isinstance(given, Field):
        found = [(given, "__eq__")]
    elif isinstance(given, MethodType) and isinstance(given.__self__, Field):
        method = given.__name__
        ends = ("__ge__", "__le__") if method == "between" else (method,)
        found = [(given.__self__, each) for each in ends]
    else:
        found = []
    if not found or any(method not in _OPERATORS for _, method in found):
        raise ConfigurationError(
            f"{given!r} is not a filter: expected a field such as {entity.__name__}.status, or a "
            "method of one, such as .between, .in_, .icontains, .is_null"
        )
    return [_checked(entity, FilterParameter(field, _OPERATORS[method])) for field, method in found]


def named_parameter(entity: type[Entity], name: str, given: object) -> FilterParameter:
    """Return the parameter *name* for one of the `named=` of a list of *entity*.

    Raises ConfigurationError for what is no single filter, and for a name that no parameter of a
    list can have.
    """
    found = filter_parameters(entity, given)
    if len(found) > 1:
        raise ConfigurationError(
            f"{name}: {given!r} makes two parameters; name each, as with .__ge__ and .__le__"
        )
    if not name.isidentifier() or name.startswith(("_", "model_")):
        raise ConfigurationError(f"{name!r} is not the name of a parameter")
    return replace(found[0], called=name)


def _checked(entity: type[Entity], parameter: FilterParameter) -> FilterParameter:
    field, operator = parameter.field, parameter.operator
    kind = field.operand.spec.type.kind
    if getattr(entity, field.operand.spec.name, None) is not field:
        raise ConfigurationError(f"{field!r} is not a field of {entity.__name__}")
    if operator in TEXT_OPERATORS and kind is not Kind.STR:
        raise ConfigurationError(f"{field!r} is not a text field, so it has no {operator}")
    if kind is Kind.JSON and operator != "is_null":
        raise ConfigurationError(f"{field!r} is JSON, which no query parameter can say")
    return parameter
