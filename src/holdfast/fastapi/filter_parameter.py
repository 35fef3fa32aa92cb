"""Filters of a list as query parameters: `duration__gte=60` from `Video.duration.between`."""

from __future__ import annotations

from dataclasses import dataclass
from types import MethodType
from typing import TYPE_CHECKING, Annotated, Any, cast

from annotated_types import MaxLen, MinLen

from holdfast.errors import ConfigurationError
from holdfast.fastapi.wire_field import parameter_hint
from holdfast.records.field import Field
from holdfast.records.value import Kind

if TYPE_CHECKING:
    from holdfast.records import Entity, Predicate

_SUFFIXES = {
    "__eq__": "",
    "__ne__": "__ne",
    "__lt__": "__lt",
    "__le__": "__lte",
    "__gt__": "__gt",
    "__ge__": "__gte",
    "in_": "__in",
    "not_in": "__not_in",
    "is_null": "__is_null",
    "contains": "__contains",
    "startswith": "__startswith",
    "endswith": "__endswith",
    "iequals": "__iequals",
    "icontains": "__icontains",
}
_OF_TEXT = ("contains", "startswith", "endswith", "iequals", "icontains")


@dataclass(frozen=True, slots=True)
class FilterParameter:
    """One query parameter, which asks *method* of *field*."""

    field: Field[Any]
    method: str

    @property
    def name(self) -> str:
        """What the parameter is called in a URL."""
        return f"{self.field.spec.name}{_SUFFIXES[self.method]}"

    @property
    def several(self) -> bool:
        """Whether it can be given several times."""
        return self.method in ("in_", "not_in")

    def hint(self, most: int) -> object:
        """Return the type of its value; a list of *most* where it can be given several times."""
        if self.method == "is_null":
            return bool
        if self.method in _OF_TEXT:
            return Annotated[str, MinLen(1), MaxLen(1000)]
        value: Any = parameter_hint(self.field.spec)
        if self.several:
            return Annotated[list[value], MinLen(1), MaxLen(most)]
        return value

    def predicate(self, value: object) -> Predicate:
        """Return the condition that the parameter with *value* sets. Raises InvalidValueError."""
        if self.method == "is_null":
            condition = self.field.is_null()
            return condition if value else ~condition
        return cast("Predicate", getattr(self.field, self.method)(value))


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
    if not found or any(method not in _SUFFIXES for _, method in found):
        raise ConfigurationError(
            f"{given!r} is not a filter: expected a field such as {entity.__name__}.status, or a "
            "method of one, such as .between, .in_, .icontains, .is_null"
        )
    return [_checked(entity, FilterParameter(field, method)) for field, method in found]


def _checked(entity: type[Entity], parameter: FilterParameter) -> FilterParameter:
    field, method = parameter.field, parameter.method
    kind = field.spec.type.kind
    if getattr(entity, field.spec.name, None) is not field:
        raise ConfigurationError(f"{field!r} is not a field of {entity.__name__}")
    if method in _OF_TEXT and kind is not Kind.STR:
        raise ConfigurationError(f"{field!r} is not a text field, so it has no {method}")
    if kind is Kind.JSON and method != "is_null":
        raise ConfigurationError(f"{field!r} is JSON, which no query parameter can say")
    return parameter
